"""Recording an evaluation that was made after a run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ledger.documents import Stored, run_of
from ledger.entry import ScoreFacts
from ledger.evaluation import (
    AskedSuite,
    AskedTask,
    Evaluation,
    Extra,
    results_digest,
)
from ledger.evaluations import (
    Disagreement,
    FoundScore,
    all_scores_of,
    disagreements,
    evaluations_of,
    later_scores_of,
)
from ledger.facts import CodeFacts, EnvironmentFacts, JsonObject
from ledger.floats import float_texts
from ledger.keys import SigningKey
from ledger.signing import sign_entry
from ledger.store import Ledger
from ledger.task_results import is_task_result, task_result_problems
from ledger.verify_evaluations import average_problems
from ledger.weights import Weights, weights_after
from specs.errors import CheckFailed, InputError, Problem


class Scored(Protocol):
    """What one task or suite gave for the weights."""

    @property
    def suite(self) -> str:
        """Name: the task's, where it is one."""
        ...

    @property
    def values(self) -> Mapping[str, float]:
        """Name -> number."""
        ...

    @property
    def detail(self) -> JsonObject:
        """Of a task, its results per question: see `ledger.task_results`."""
        ...


@dataclass(frozen=True, kw_only=True)
class GivenExtra:
    """Something that belongs to an evaluation and is no score."""

    name: str
    content: JsonObject
    """Holds no time and no path: the same evaluation must give the same bytes."""
    mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class Made:
    """By which code, and on which machine."""

    code: CodeFacts
    environment: EnvironmentFacts
    devices: JsonObject
    numerics: str
    canary: str | None


class RecordedEvaluation(NamedTuple):
    """What recording came to."""

    digest: str
    """Of the document."""
    entry: Evaluation
    is_new: bool
    """False where the ledger held it already: nothing was written."""
    disagreements: tuple[Disagreement, ...]
    """With earlier results of the same tasks and weights."""


def record_evaluation(
    ledger: Ledger,
    *,
    name: str,
    weights: Weights,
    scores: Sequence[Scored],
    tasks: Sequence[AskedTask],
    made: Made,
    suites: Sequence[AskedSuite] = (),
    extras: Sequence[GivenExtra] = (),
    key: SigningKey | None = None,
) -> RecordedEvaluation:
    """Record what some weights scored; twice is as good as once.

    Objects are written first, then the document, so that a process that dies leaves a
    whole ledger and can do it again.

    Args:
        ledger: Takes it.
        name: Of the entry; of weights that no entry has, what people call them.
        weights: What was scored, see `ledger.weights.weights_after`.
        scores: One per task, of the task's name, with its results per question; and
            what else was made of them.
        tasks: What was asked.
        made: By which code, where.
        suites: Which tasks were averaged.
        extras: What else belongs to it; each name once.
        key: Signs it; null: nobody does.

    Raises:
        CheckFailed: A number is not what its questions give: nothing is recorded.
        InputError: The entry does not have these weights, or the disk is full.
    """
    _check_weights(ledger, name, weights)
    _check_scores(scores, tasks, suites)
    document = _document(
        ledger,
        name,
        weights,
        _facts(ledger, weights, scores),
        tasks,
        suites,
        extras,
        made,
    )

    def known() -> Stored | None:
        for one in evaluations_of(ledger, weights.digest):
            is_same = one.entry.results == document.results
            if is_same and one.entry.subject == document.subject:
                return Stored(*one)
        return None

    stored, is_new = ledger.append_unless(known, document)
    assert isinstance(stored.entry, Evaluation)
    if key is not None:
        sign_entry(ledger, stored.digest, key)
    found = disagreements(_all_scores(ledger, weights), ledger.objects)
    own = [one for one in found if stored.digest in (one.first, one.second)]
    return RecordedEvaluation(stored.digest, stored.entry, is_new, tuple(own))


def _check_weights(ledger: Ledger, name: str, weights: Weights) -> None:
    if weights.entry is None:
        return
    entry = run_of(Stored(weights.entry, ledger.read(weights.entry)))
    known = weights_after(weights.entry, entry, weights.step, ledger.objects)
    if known != weights or entry.name != name:
        raise InputError(
            f"entry {weights.entry[:12]} does not have the weights "
            f"{weights.digest[:12]} after step {weights.step}",
            fix="codemix ledger verify; the checkpoint may be another run's",
        )


def _check_scores(
    scores: Sequence[Scored], tasks: Sequence[AskedTask], suites: Sequence[AskedSuite]
) -> None:
    """Refuse what `codemix ledger verify` would name."""
    told = [
        ScoreFacts(step=0, suite=one.suite, values=float_texts(one.values), detail=None)
        for one in scores
    ]
    whats = [*_score_problems(scores, tasks), *average_problems(suites, tasks, told)]
    problems = [Problem(what=what) for what in whats]
    if problems:
        raise CheckFailed(problems)


def _score_problems(
    scores: Iterable[Scored], tasks: Iterable[AskedTask]
) -> Iterator[str]:
    """Say what of some scores is not what their questions give."""
    by_name = {score.suite: score for score in scores}
    for task in tasks:
        score = by_name.get(task.name)
        if score is None or not is_task_result(score.detail):
            yield f"task {task.name} has no results per question"
            continue
        yield from task_result_problems(
            score.detail,
            task=task.name,
            fingerprint=task.fingerprint,
            values=float_texts(score.values),
            main=task.main,
        )


def _facts(
    ledger: Ledger, weights: Weights, scores: Iterable[Scored]
) -> tuple[ScoreFacts, ...]:
    return tuple(
        ScoreFacts(
            step=weights.step,
            suite=score.suite,
            values=float_texts(score.values),
            detail=ledger.objects.put_json(score.detail) if score.detail else None,
        )
        for score in sorted(scores, key=lambda score: score.suite)
    )


def _document(
    ledger: Ledger,
    name: str,
    weights: Weights,
    scores: tuple[ScoreFacts, ...],
    tasks: Sequence[AskedTask],
    suites: Sequence[AskedSuite],
    extras: Sequence[GivenExtra],
    made: Made,
) -> Evaluation:
    kept = [
        Extra(
            name=one.name, mode=one.mode, content=ledger.objects.put_json(one.content)
        )
        for one in sorted(extras, key=lambda one: one.name)
    ]
    document = Evaluation(
        name=name,
        subject=weights.entry,
        stage=weights.stage,
        step=weights.step,
        weights_digest=weights.digest,
        suites=tuple(sorted(suites, key=lambda suite: suite.name)),
        tasks=tuple(sorted(tasks, key=lambda task: task.name)),
        scores=scores,
        extras=tuple(kept),
        results="0" * 64,
        code=made.code,
        environment=made.environment,
        devices=made.devices,
        numerics=made.numerics,
        canary=made.canary,
        unix_ms=time.time_ns() // 10**6,
    )
    results = results_digest(document.to_json())
    return document.model_copy(update={"results": results})


def _all_scores(ledger: Ledger, weights: Weights) -> list[FoundScore]:
    if weights.entry is not None:
        return all_scores_of(ledger, weights.entry, weights.step)
    return later_scores_of(ledger, weights.digest)
