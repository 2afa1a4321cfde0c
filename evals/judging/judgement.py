"""What a judge was asked and said, kept by what it was asked.

A judgement is a file named by the SHA-256 of its request, whole or not there: whoever
asks the same gets the same, without another call, and a killed evaluation loses only
the calls that were on their way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.judging.judge import LoadedJudge
from ledger.facts import JsonObject
from runtime.chat.exchange import Exchange, ExchangeStore
from runtime.keys import key
from specs.canonical import canonical_json

FORMAT = 1
"""Of a set of judgements."""

Judgement = Exchange
"""One answer of a judge; its digest is over all of it."""


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


class JudgementStore(ExchangeStore):
    """A folder of judgements."""

    called = "judgement"

    @classmethod
    def of(cls, workspace: Path) -> JudgementStore:
        """Return the one of a workspace."""
        return cls(workspace / ".codemix" / "judgements")


def set_of(judgements: Sequence[Judgement]) -> bytes:
    """Write judgements as one document, the same whatever their order."""
    by_key = {one.key: one.to_json() for one in judgements}
    ordered = [by_key[key] for key in sorted(by_key)]
    return canonical_json({"codemix_judgements": FORMAT, "judgements": ordered})
