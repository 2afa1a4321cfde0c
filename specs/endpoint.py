"""An address that takes OpenAI's chat completions, as files of the language name it."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from specs.base import SpecValue
from specs.quantities import Whole
from specs.rules import broken


def check_base_url(value: str) -> str:
    """Refuse what is no address to ask at, or holds a login.

    >>> check_base_url("http://127.0.0.1:8000/v1")
    'http://127.0.0.1:8000/v1'
    """
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or any(c <= " " for c in value):
        what = "must be an address that begins with http:// or https://"
        raise broken(what, "write it as http://127.0.0.1:8000/v1, without a query")
    if parts.username is not None:
        what = "must not hold a user or a password"
        raise broken(what, "put the key into a variable and name that: key_variable")
    return value


def _check_variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", value):
        # What stands here may be the key itself, so it is not repeated.
        what = "must be the name of an environment variable, not the key itself"
        raise broken(what, "write it as MODEL_API_KEY")
    return value


class Address(SpecValue):
    """Which model is asked, where, and how patiently; never a key."""

    model: Annotated[str, Field(min_length=1, max_length=200, examples=["a-model"])]
    """Its name there."""

    base_url: Annotated[str, AfterValidator(check_base_url)] | None = None
    """Where it is asked, up to and without `/chat/completions`; null: where a variable
    of the environment says, which comes first: CODEMIX_JUDGE_URL for a judge,
    CODEMIX_WRITER_URL for a writer. Not part of what is recorded."""

    key_variable: Annotated[str, AfterValidator(_check_variable)] | None = None
    """Environment variable that holds the API key; null: it asks for none."""

    retries: Annotated[int, Field(ge=0, le=100)] = 6
    """How often a call is made again that got no reply."""

    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """Until a call counts as failed."""

    requests_per_minute: Whole | None = None
    """Calls begun at most; null: as many as there are."""

    concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    """Calls on their way at once at most."""


OF_THE_WAY_THERE = (
    "base_url",
    "key_variable",
    "retries",
    "timeout_seconds",
    "requests_per_minute",
    "concurrency",
)
"""Fields of an address that change no answer."""
