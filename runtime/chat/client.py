"""Asking a model over HTTP: any endpoint that takes OpenAI's chat completions.

What can pass by itself is tried again, a bounded number of times: no connection, no
answer in time, an answer that is cut or no JSON, statuses that say "later". Everything
else ends all of it. Neither keys nor headers get into anything that is kept, and
messages are put together here: those of the libraries repeat what was sent.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.auth import AuthBase

from ledger.facts import JsonObject
from runtime.chat.exchange import Exchange, text_of
from runtime.chat.pace import Pace, back_off_seconds
from runtime.chat.replies_of_servers import (
    Refused,
    TryAgain,
    refusal_of,
    told_wait_seconds,
    why_no_answer,
)
from specs.canonical import canonical_json, digest_of
from specs.endpoint import Address, check_base_url
from specs.errors import InputError
from specs.rules import BrokenRules

MAX_ANSWER_BYTES = 4_000_000
_SHORTEST_KEY = 8
"""Shorter ones are words such as EMPTY, which local servers take; no secrets."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where a model is asked and who asks; nothing of it is kept."""

    base_url: str
    api_key: str | None

    def __repr__(self) -> str:
        return "Connection(...)"


def connection_of(
    address: Address, environ: Mapping[str, str], *, asked: str, url_variable: str
) -> Connection:
    """Find out where to ask and with which key.

    Args:
        address: Of the file.
        environ: The environment.
        asked: How messages name the model, such as "the judge".
        url_variable: The variable that comes before the file's `base_url`.

    Raises:
        InputError: One of them is missing.
    """
    base_url = environ.get(url_variable) or address.base_url
    if base_url is None:
        what = f"no address to ask {asked} at"
        fix = f"set the variable {url_variable}, or endpoint.base_url"
        raise InputError(what, fix=fix)
    try:
        check_base_url(base_url)
    except BrokenRules as error:
        rule = error.broken[0]
        raise InputError(rule.what, path=url_variable, fix=rule.fix) from None
    api_key = None
    if address.key_variable is not None:
        api_key = environ.get(address.key_variable, "").strip()
        if not api_key or not (api_key.isascii() and api_key.isprintable()):
            what = f"no API key for {asked}: the variable is not set, or holds none"
            fix = f"set {address.key_variable}"
            raise InputError(what, path=address.key_variable, fix=fix)
    return Connection(base_url=base_url.rstrip("/"), api_key=api_key)


class ChatClient:
    """Asks one endpoint, from as many threads as like."""

    def __init__(
        self,
        connection: Connection,
        *,
        address: Address,
        asked: str,
        first_wait_seconds: float = 0.5,
    ) -> None:
        """Take where to ask, and how patiently.

        Args:
            connection: Where, and the key.
            address: Of the file.
            asked: How messages name the model, such as "the judge".
            first_wait_seconds: Before the first repetition of a call; it doubles.
        """
        self._connection = connection
        api_key = connection.api_key or ""
        self._secrets = [api_key] if len(api_key) >= _SHORTEST_KEY else []
        self._address, self._asked = address, asked
        self._first_wait_seconds = first_wait_seconds
        self._pace = Pace(address.requests_per_minute)
        self._sessions = threading.local()

    def ask(self, request: JsonObject) -> Exchange:
        """Send a request until it is answered; with a failure all calls end.

        Raises:
            InputError: It is refused, or not answered however often it was sent.
            Stopped: `stop` was called.
        """
        request_key = digest_of(request)
        for attempt in range(self._address.retries + 1):
            self._pace.wait_for_turn()
            try:
                return self._ask_once(request)
            except Refused as error:
                raise self._failed(str(error), error.fix) from None
            except TryAgain as error:
                why = str(error)
                if attempt < self._address.retries:
                    self._wait(error, request_key, attempt)
        what = f"{why} ({self._address.retries + 1} calls)"
        fix = "see that the endpoint is there, then run again: what it said is kept"
        raise self._failed(what, fix)

    def stop(self) -> None:
        """Let calls that wait end at once."""
        self._pace.stop()

    def _failed(self, what: str, fix: str | None) -> InputError:
        # Others would fail the same way, each of them counted and paid for.
        self.stop()
        return InputError(f"{self._asked} can't be asked: {what}", fix=fix)

    def _wait(self, error: TryAgain, request_key: str, attempt: int) -> None:
        if error.wait_seconds is None:
            first = self._first_wait_seconds
            self._pace.sleep(back_off_seconds(request_key, attempt, first=first))
        else:
            self._pace.hold(error.wait_seconds)

    def _ask_once(self, request: JsonObject) -> Exchange:
        try:
            status, headers, body = self._post(canonical_json(request))
        except requests.RequestException as error:
            raise why_no_answer(error) from None
        if status != 200:
            refusal = refusal_of(
                status, body, self._address.key_variable, secrets=self._secrets
            )
            if refusal is not None:
                raise refusal
            wait_seconds = told_wait_seconds(headers.get("Retry-After"))
            raise TryAgain(f"the endpoint answers HTTP {status}", wait_seconds)
        if any(secret.encode() in body for secret in self._secrets):
            what = "the endpoint repeats the API key in its answer"
            raise Refused(what, "ask another: what it says can't be kept")
        return _exchange(request, body)

    def _post(self, data: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body, all of it within the time allowed."""
        seconds = self._address.timeout_seconds
        with self._session().post(
            f"{self._connection.base_url}/chat/completions",
            data=data,
            headers={"Content-Type": "application/json"},
            timeout=seconds,
            stream=True,
            # A redirected call would take the key along.
            allow_redirects=False,
        ) as response:
            # The library's timeout is for each piece, and pieces may trickle for ever.
            alarm = threading.Timer(seconds, response.raw.shutdown)
            alarm.daemon = True
            alarm.start()
            try:
                body = _read_at_most(response, MAX_ANSWER_BYTES)
            finally:
                alarm.cancel()
            return response.status_code, response.headers, body

    def _session(self) -> requests.Session:
        # A session is for one thread.
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = requests.Session()
            session.auth = _Bearer(self._connection.api_key)
        return session


class _Bearer(AuthBase):
    """Sends the key; being there, it also keeps `.netrc` out of it."""

    def __init__(self, api_key: str | None) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._api_key is not None:
            request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


def _read_at_most(response: requests.Response, most: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > most:
            raise TryAgain("the answer is longer than any should be")
    return bytes(body)


def _exchange(request: JsonObject, body: bytes) -> Exchange:
    """Read an answer.

    Raises:
        TryAgain: It is not a whole chat completion.
    """
    try:
        text = body.decode("utf-8")
        response = json.loads(text)
        text_of(response).encode("utf-8")
    except (ValueError, RecursionError):
        raise TryAgain("the answer is cut, or no JSON") from None
    except (LookupError, TypeError, AttributeError):
        raise TryAgain("the answer holds no choices") from None
    usage = response.get("usage")
    return Exchange(
        request=request,
        response=text,
        served_model=_name_in(response, "model"),
        system_fingerprint=_name_in(response, "system_fingerprint"),
        usage=_counts(usage if isinstance(usage, dict) else {}),
    )


def _name_in(response: Mapping[str, Any], field: str) -> str | None:
    value = response.get(field)
    # Only what is plain text can be written again.
    return value if isinstance(value, str) and value.isprintable() else None


def _counts(usage: Mapping[str, Any]) -> dict[str, int]:
    names = ("prompt_tokens", "completion_tokens")
    found = {name: usage.get(name) for name in names}
    return {
        name: count
        for name, count in found.items()
        if type(count) is int and 0 <= count < 2**53
    }
