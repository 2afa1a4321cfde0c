"""What a model was asked and said, kept by what it was asked.

An exchange is a file named by the SHA-256 of its request, whole or not there: whoever
asks the same gets the same, without another call, and what is killed loses only the
calls that were on their way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ValidationError, model_validator

from ledger.facts import JsonObject
from specs.atomic import write_atomically
from specs.base import Value
from specs.canonical import digest_of
from specs.errors import CheckFailed, InputError


class Exchange(Value):
    """One answer of a model; its digest is over all of it."""

    request: JsonObject
    """What was sent, without keys and addresses."""
    response: str
    """What came back, to the letter."""
    served_model: str | None
    """Who answered, as the answer says."""
    system_fingerprint: str | None
    """Of the machinery behind it, as the answer says."""
    usage: dict[str, int]
    """Tokens, as the answer counts them."""

    @model_validator(mode="after")
    def _answers(self) -> Self:
        try:
            text_of(json.loads(self.response)).encode("utf-8")
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("the response is no chat completion") from error
        return self

    @property
    def key(self) -> str:
        """What it is kept by."""
        return digest_of(self.request)

    @property
    def reply(self) -> str:
        """What the model said."""
        return text_of(json.loads(self.response))


def text_of(response: Any) -> str:
    """Return what the first choice of a chat completion says.

    Raises:
        LookupError, TypeError: It is none.
    """
    content = response["choices"][0]["message"].get("content")
    return content if isinstance(content, str) else ""


class ExchangeStore:
    """A folder of exchanges, sharded by the beginnings of their names."""

    called: ClassVar[str] = "exchange"
    """How messages name what is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> Exchange | None:
        """Return the exchange of a request; None where it was never asked.

        Raises:
            CheckFailed: The file is not what was written.
        """
        path = self.path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = Exchange.model_validate_json(data)
            good = found.key == key and found.to_bytes() == data
        except ValidationError:
            good = False
        if not good:
            raise CheckFailed(
                f"a recorded {self.called} was changed: it does not belong to its name",
                file=str(path),
                fix="delete it, then it is asked for again",
            )
        return found

    def all(self) -> Iterator[Exchange]:
        """Yield every exchange, in the order of their keys.

        Raises:
            CheckFailed: A file is not what was written.
        """
        for path in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*.json")):
            found = self.find(path.stem)
            assert found is not None
            yield found

    def put(self, exchange: Exchange) -> None:
        """Keep an exchange, in place of another answer to the same request.

        Raises:
            InputError: It can't be written.
        """
        path = self.path(exchange.key)
        try:
            write_atomically(path, exchange.to_bytes())
        except OSError as error:
            raise InputError(
                f"can't write: {error.strerror or error}",
                file=str(path),
                fix="free space on this disk, then run again: it goes on",
            ) from error

    def path(self, key: str) -> Path:
        """Where an exchange is kept."""
        assert re.fullmatch(r"[0-9a-f]{64}", key)
        return self.folder / key[:2] / f"{key}.json"
