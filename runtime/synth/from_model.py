"""Problems that a model writes, verified like our own.

Nothing of what it says is believed. Its solution has to agree with a second one, which
was written without sight of the first, on edge cases and on random inputs; its tests
have to fail for functions that solve nothing, and to kill mutants. Its code is refused
unrun where it reaches for more than a pure function needs, and runs alone in the
sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from ledger.facts import JsonObject
from runtime.chat.exchange import Exchange
from runtime.keys import key
from runtime.synth.draws import Draws
from runtime.synth.duplicates import same_code, same_statement, shape
from runtime.synth.exclusion import NOTHING, Excluded
from runtime.synth.grading import difficulty
from runtime.synth.isolation import Level
from runtime.synth.model_answers import (
    UnreadableError,
    Written,
    read_reference,
    read_written,
)
from runtime.synth.model_layouts import LAYOUTS
from runtime.synth.model_requests import (
    VERSION,
    Ask,
    problem_request,
    reference_request,
)
from runtime.synth.problem import MIN_KILL_RATE, NUM_INPUTS, NUM_MUTANTS
from runtime.synth.verification import check_alone
from specs.writer import Writer

Answer = Callable[[JsonObject], Exchange]
"""Answers a request, from what is kept or by asking."""
FAMILY = "model"
"""What stands for a family in the documents."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why an attempt gave no problem."""

    reason: str
    """Can be counted."""
    detail: str = ""


def write_problem(
    ask: Ask,
    *,
    writer: Writer,
    answer: Answer,
    level: Level = "bubblewrap",
    excluded: Excluded = NOTHING,
    running: AbstractContextManager[Any] | None = None,
) -> dict[str, Any] | Refusal:
    """Ask for one problem and a second solution, and verify them.

    Args:
        ask: What is asked for.
        writer: Who is asked.
        answer: Has the requests answered.
        level: Where the code runs.
        excluded: What the document may not hold.
        running: Held while a program runs; null: nothing is.

    Returns:
        A document as in a shard, or why there is none.
    """
    first = answer(problem_request(ask, writer))
    try:
        written = read_written(first.reply)
    except UnreadableError as error:
        return Refusal(reason="unreadable answer", detail=str(error))
    second = answer(reference_request(ask, written, writer))
    try:
        reference = read_reference(second.reply)
    except UnreadableError as error:
        return Refusal(reason="unreadable second solution", detail=str(error))
    with running or nullcontext():
        verdict = verify(written, reference, level=level)
    if isinstance(verdict, Refusal):
        return verdict
    document = _document(ask, written, verdict, (first, second))
    against = excluded.reason_against(document["text"], written.solution, written.entry)
    return document if against is None else Refusal(reason=against)


def verify(
    written: Written, reference: str, *, level: Level
) -> dict[str, Any] | Refusal:
    """Verify what a model wrote; what `check` says of it, or why it is refused."""
    if shape(reference) == shape(written.solution):
        return Refusal(reason="the second solution is the first")
    verdict = check_alone(
        {
            "entry": written.entry,
            "solution": written.solution,
            "reference": reference,
            "inputs": list(written.edges),
            "num_edges": len(written.edges),
            "random_input": written.random_input,
            "num_random": NUM_INPUTS,
            "tests": list(written.tests),
            "num_mutants": NUM_MUTANTS,
            "min_kill_rate": MIN_KILL_RATE,
            "key": key(0, "model", written.identity),
        },
        level=level,
    )
    if not verdict["ok"]:
        return Refusal(reason=verdict["reason"], detail=verdict["detail"])
    return verdict


def _document(
    ask: Ask, written: Written, verdict: dict[str, Any], asked: Sequence[Exchange]
) -> dict[str, Any]:
    draws = Draws(key(0, "model", "layout", written.identity))
    layout = draws.choice(sorted(LAYOUTS))
    return {
        # What is written twice has two numbers, so that either can be told.
        "id": f"model-{ask.index}-{written.identity[:16]}",
        "index": ask.index,
        "family": FAMILY,
        "topic": ask.topic.partition(":")[0],
        "difficulty": difficulty(written.solution, 0),
        "layout": layout,
        "style": "model",
        "entry": written.entry,
        "statement": written.statement.strip(),
        "solution": written.solution.strip() + "\n",
        "tests": verdict["tests"],
        "text": LAYOUTS[layout](written, verdict["tests"]),
        "certificate": {
            "attempt": ask.attempt,
            "asked_for": ask.grade,
            "request_version": VERSION,
            "exchanges": {one.key: one.digest for one in asked},
            "served_models": sorted({one.served_model or "" for one in asked}),
            "inputs_agreed": verdict["num_inputs"],
            "kill_rate": round(verdict["kill_rate"], 4),
            "mutants": verdict["mutants"],
            "mutants_alike": verdict["num_alike"],
            "tests_of_the_model": len(written.tests),
            "python": verdict["python"],
            "sandbox": verdict["sandbox"],
            "max_steps": verdict["steps"],
            "same_code": same_code(written.solution),
            "same_statement": same_statement(
                written.statement, written.entry, written.params
            ),
            "shape": shape(written.solution),
        },
    }
