"""What a judge was asked and said, kept by what it was asked.

A judgement is a file named by the SHA-256 of its request, whole or not there: whoever
asks the same gets the same, without another call, and a killed evaluation loses only
the calls that were on their way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from evals.judging.judge import LoadedJudge
from ledger.facts import JsonObject
from runtime.keys import key
from specs.atomic import write_atomically
from specs.base import Value
from specs.canonical import canonical_json, digest_of
from specs.errors import CheckFailed, InputError

FORMAT = 1
"""Of a set of judgements."""


class Judgement(Value):
    """One answer of a judge; its digest is over all of it."""

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
        """What the judge said."""
        return text_of(json.loads(self.response))


def text_of(response: Any) -> str:
    """Return what the first choice of a chat completion says.

    Raises:
        LookupError, TypeError: It is none.
    """
    content = response["choices"][0]["message"].get("content")
    return content if isinstance(content, str) else ""


def chat_request(judge: LoadedJudge, question: str, attempt: int) -> JsonObject:
    """Write the request for a question: all that decides the answer, and no more.

    Args:
        judge: With an endpoint.
        question: What it is asked.
        attempt: From 0; each has a seed of its own.
    """
    endpoint = judge.spec.endpoint
    assert endpoint is not None
    messages: list[Any] = [{"role": "user", "content": question}]
    if judge.spec.system is not None:
        messages.insert(0, {"role": "system", "content": judge.spec.system})
    # Servers take 32-bit seeds, some of them signed.
    other_seed = key(endpoint.seed, "judge", "attempt", attempt) % 2**31
    return {
        "model": endpoint.model,
        "messages": messages,
        "temperature": endpoint.temperature,
        "seed": endpoint.seed if attempt == 0 else other_seed,
        "max_tokens": endpoint.max_tokens,
    }


class JudgementStore:
    """A folder of judgements, sharded by the beginnings of their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, workspace: Path) -> JudgementStore:
        """Return the one of a workspace."""
        return cls(workspace / ".codemix" / "judgements")

    def find(self, key: str) -> Judgement | None:
        """Return the judgement of a request; None where it was never asked.

        Raises:
            CheckFailed: The file is not what was written.
        """
        path = self.path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = Judgement.model_validate_json(data)
            good = found.key == key and found.to_bytes() == data
        except ValidationError:
            good = False
        if not good:
            raise CheckFailed(
                "a recorded judgement was changed: it does not belong to its name",
                file=str(path),
                fix="delete it, then the judge is asked again",
            )
        return found

    def put(self, judgement: Judgement) -> None:
        """Keep a judgement, in place of another answer to the same request.

        Raises:
            InputError: It can't be written.
        """
        path = self.path(judgement.key)
        try:
            write_atomically(path, judgement.to_bytes())
        except OSError as error:
            raise InputError(
                f"can't write: {error.strerror or error}",
                file=str(path),
                fix="free space on this disk, then run again: it goes on",
            ) from error

    def path(self, key: str) -> Path:
        """Where a judgement is kept."""
        assert re.fullmatch(r"[0-9a-f]{64}", key)
        return self.folder / key[:2] / f"{key}.json"


def set_of(judgements: Sequence[Judgement]) -> bytes:
    """Write judgements as one document, the same whatever their order."""
    by_key = {one.key: one.to_json() for one in judgements}
    ordered = [by_key[key] for key in sorted(by_key)]
    return canonical_json({"codemix_judgements": FORMAT, "judgements": ordered})
