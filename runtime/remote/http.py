"""One question to an HTTP server, its failures told apart."""

from __future__ import annotations

import email.utils
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
import requests.auth
import urllib3.exceptions

from ledger.secrets import told_discreetly
from runtime.remote.patience import DEFAULT_PATIENCE, Patience
from runtime.remote.places import TRANSIENT, Asked, Interrupted, Place, Refused, refusal

_CODE = re.compile(rb"<Code>(\w+)</Code>")
_MAX_ERROR_BYTES = 10_000
_HOPELESS = (
    requests.exceptions.SSLError,
    requests.exceptions.TooManyRedirects,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
)
_FELL_SILENT = (
    requests.exceptions.ReadTimeout,
    urllib3.exceptions.ReadTimeoutError,
)
_sessions = threading.local()


class _OurHeaders(requests.auth.AuthBase):
    """Leaves the headers as they are; without it, ~/.netrc would change them."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


@contextmanager
def answered(
    asked: Asked,
    *,
    address: str,
    place: Place,
    headers: Mapping[str, str] | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> Iterator[requests.Response]:
    """Ask, and hand over an answer whose body is still to be read.

    Args:
        asked: The question.
        address: What it is about, for messages: `asked` may hold secrets.
        place: Whom it is asked.
        headers: More of them.
        patience: How long to wait.

    Raises:
        Refused: By its status: 200, 206 and 416 are answers.
        Interrupted: No answer, one that means "later", or a body that breaks off.
    """
    try:
        with _session().get(
            asked.url,
            headers={"Accept-Encoding": "identity", **asked.headers, **(headers or {})},
            timeout=(patience.connect, patience.read),
            stream=True,
        ) as response:
            status = response.status_code
            if status in TRANSIENT:
                raise Interrupted(f"the server answers {status}", _asked_wait(response))
            if status not in (200, 206, 416):
                raise refusal(status, address, place, _code(response))
            yield response
    except _HOPELESS as error:
        raise Refused(f"{address}: {_told(error)}", "correct the address") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Interrupted(_told(error)) from None


def ask_json(
    asked: Asked,
    *,
    address: str,
    place: Place,
    patience: Patience = DEFAULT_PATIENCE,
) -> Any:
    """Ask for a JSON document.

    Raises:
        Refused: See `answered`.
        Interrupted: See `answered`.
    """
    with answered(asked, address=address, place=place, patience=patience) as response:
        try:
            return response.json()
        except ValueError:
            raise Interrupted("the server answers no JSON") from None


def _session() -> requests.Session:
    """Return this thread's own: sessions are not made for several."""
    if not hasattr(_sessions, "session"):
        _sessions.session = requests.Session()
        _sessions.session.auth = _OurHeaders()
    return _sessions.session  # type: ignore[no-any-return]


def _asked_wait(response: requests.Response) -> float | None:
    """Read `Retry-After`: seconds, or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, date.timestamp() - time.time())


def _code(response: requests.Response) -> str:
    """Return what S3 calls the error."""
    try:
        body = response.raw.read(_MAX_ERROR_BYTES)
    except urllib3.exceptions.HTTPError:
        return ""
    match = _CODE.search(body)
    return match[1].decode() if match else ""


def _told(error: Exception) -> str:
    """Say what failed without the address, which may be signed."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, _FELL_SILENT):
        return "the connection fell silent"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection broke off"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "the server can't be reached"
    return told_discreetly(error)
