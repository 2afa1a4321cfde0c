"""What servers answer in place of a completion, and what it means for a call."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Sequence

import requests

from specs.credentials import without_credentials

_LATER = frozenset({408, 409, 425, 429})
"""Statuses below 500 that pass by themselves."""
_SHOWN_CHARACTERS = 200
_LONGEST_WAIT_SECONDS = 600.0


class TryAgain(Exception):
    """A call failed in a way that may pass."""

    def __init__(self, what: str, wait_seconds: float | None = None) -> None:
        """Take what happened, and how long the server wants to be left alone."""
        super().__init__(what)
        self.wait_seconds = wait_seconds


class Refused(Exception):
    """A call failed in a way that will not pass."""

    def __init__(self, what: str, fix: str | None) -> None:
        """Take what happened and what mends it."""
        super().__init__(what)
        self.fix = fix


def refusal_of(
    status: int, body: bytes, key_variable: str | None, *, secrets: Sequence[str]
) -> Refused | None:
    """Return what a status other than 200 means; None if it may pass.

    Args:
        status: Of HTTP.
        body: What the server says of it.
        key_variable: The variable that holds the key, if one is sent.
        secrets: What no message may repeat.
    """
    if status >= 500 or status in _LATER:
        return None
    if status in (401, 403):
        # Its message is left out: servers show parts of the key in it.
        what = f"the endpoint answers HTTP {status}: it does not take the key"
        fix = "name the variable that holds a key: endpoint.key_variable"
        if key_variable is not None:
            fix = f"see that {key_variable} holds a key that may ask this model"
        return Refused(what, fix)
    what = f"the endpoint answers HTTP {status}{_message_in(body, secrets)}"
    if status == 404:
        return Refused(what, "correct the address, or the model's name")
    if 300 <= status < 400:
        return Refused(what, "name the address that it redirects to")
    return Refused(what, "correct what the file asks of the endpoint")


def told_wait_seconds(header: str | None) -> float | None:
    """Return how long a server wants to be left alone: seconds, or an HTTP date.

    Raises:
        Refused: Longer than anybody would watch.

    >>> told_wait_seconds("1.5"), told_wait_seconds("soon"), told_wait_seconds(None)
    (1.5, None, None)
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            until = email.utils.parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = until.timestamp() - time.time()
    if seconds > _LONGEST_WAIT_SECONDS:
        what = f"the endpoint wants to be left alone for {seconds:.0f} s"
        raise Refused(what, "run again then: what it said is kept")
    return seconds if seconds >= 0 else 0.0


def why_no_answer(error: requests.RequestException) -> TryAgain | Refused:
    """Word why a call had no answer, without what the library says of it."""
    if isinstance(error, requests.exceptions.SSLError):
        what = "the endpoint's certificate is not one that this machine trusts"
        return Refused(what, "set REQUESTS_CA_BUNDLE, or correct the address")
    if isinstance(error, requests.exceptions.ProxyError):
        return TryAgain("the proxy of this machine does not pass the call on")
    if isinstance(error, requests.ConnectTimeout):
        return TryAgain("the endpoint takes no connection in time")
    if isinstance(error, requests.Timeout):
        return TryAgain("no answer in time")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return TryAgain("the connection was cut in the middle of the answer")
    if isinstance(error, requests.ConnectionError):
        return TryAgain("no connection, or it was cut before an answer")
    return TryAgain(f"the answer can't be read ({type(error).__name__})")


def _message_in(body: bytes, secrets: Sequence[str]) -> str:
    """Return what an error's body says, briefly and on one line."""
    try:
        found = json.loads(body)
        error = found.get("error", found)
        message = error.get("message", "") if isinstance(error, dict) else error
    except (ValueError, AttributeError, RecursionError):
        return ""
    if not isinstance(message, str) or not message:
        return ""
    message = without_credentials(message, secrets)
    text = "".join(c if " " <= c <= "~" else " " for c in message)
    return f": {text[:_SHOWN_CHARACTERS]}"
