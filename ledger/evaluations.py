"""Every score of some weights, wherever it was recorded, and whether they agree.

Scores are in the entry of the run, and in evaluations that were made later. An
evaluation is of weights: it counts for every entry that has them, not only for the one
that it was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ledger.documents import Stored, run_of
from ledger.entry import ScoreFacts
from ledger.evaluation import Evaluation, StoredEvaluation
from ledger.objects import ObjectStore
from ledger.store import Ledger
from ledger.task_results import first_difference, is_task_result
from ledger.weights import Weights, known_steps, weights_after
from specs.errors import CodemixError, InputError


class FoundScore(NamedTuple):
    """One score of some weights."""

    task: str
    """What the score is called: of a task, or of a suite such as `heldout`."""
    score: ScoreFacts
    fingerprint: str | None
    """Of the task; null of what has no results per question."""
    source: str
    """Digest of the document that holds it: an entry, or an evaluation."""
    kind: str
    """Of that document: `run` or `evaluation`."""


class Disagreement(NamedTuple):
    """Two results of one task and the same weights that are not the same.

    With one fingerprint they must be, to the bit: a promise is broken.
    """

    task: str
    fingerprint: str
    first: str
    """Digest of the document that came first."""
    second: str
    question: str | None
    """Id of the first question that differs; null where none does."""
    what: str

    def __str__(self) -> str:
        place = f"question {self.question}: " if self.question is not None else ""
        return (
            f"{self.task} of the same weights, asked in the same way, came out "
            f"otherwise in {self.first[:12]} and {self.second[:12]}: {place}{self.what}"
        )


def scores_of(
    ledger: Ledger, digest: str, step: int | None = None
) -> dict[str, FoundScore]:
    """Return the score of each task, of the weights of an entry after a step.

    The entry's own scores come first, then those of evaluations of the same weights, in
    the order in which they entered the ledger; of several of one task the last one
    counts. See `all_scores_of` for every one.

    Args:
        ledger: Holds the entry.
        digest: Of the entry of a run, whole.
        step: Steps done; null: after the last stage that ended.

    Raises:
        CheckFailed: An entry was changed.
        InputError: There is no such entry, or it knows no weights of then.
    """
    return {found.task: found for found in all_scores_of(ledger, digest, step)}


def all_scores_of(
    ledger: Ledger, digest: str, step: int | None = None
) -> list[FoundScore]:
    """Return every score of the weights of an entry after a step; see `scores_of`."""
    return scores_after(ledger, digest, step)


def scores_after(
    ledger: Ledger,
    digest: str,
    step: int | None,
    *,
    tasks: Container[str] | None = None,
) -> list[FoundScore]:
    """Return scores of the weights of an entry after a step; see `scores_of`.

    Args:
        ledger: Holds the entry.
        digest: Of the entry.
        step: Steps done; null: after the last stage that ended.
        tasks: Look at these alone: large results of others are not read.
    """
    entry = run_of(Stored(digest, ledger.read(digest)))
    if step is None:
        ended = [stage.stop_step for stage in entry.stages if stage.weights_digest]
        step = ended[-1] if ended else None
    weights = (
        weights_after(digest, entry, step, ledger.objects) if step is not None else None
    )
    own = _own(ledger, [(digest, step)] if step is not None else [], tasks)
    if weights is None and not own:
        known = ", ".join(map(str, known_steps(entry)))
        raise InputError(
            f"entry {digest[:12]} has no weights and no scores after {step} steps",
            fix=f"it has weights after {known} steps" if known else "no stage ended",
        )
    later = later_scores_of(ledger, weights.digest) if weights is not None else []
    return [*own, *(one for one in later if tasks is None or one.task in tasks)]


def later_scores_of(ledger: Ledger, weights_digest: str) -> list[FoundScore]:
    """Return what evaluations say of some weights, in order of arrival."""
    found = []
    for digest, entry in evaluations_of(ledger, weights_digest):
        fingerprints = {task.name: task.fingerprint for task in entry.tasks}
        for one in entry.scores:
            fingerprint = fingerprints.get(one.suite)
            found.append(FoundScore(one.suite, one, fingerprint, digest, "evaluation"))
    return found


def evaluations_of(ledger: Ledger, weights_digest: str) -> list[StoredEvaluation]:
    """Read the evaluations of some weights, in order of arrival.

    Raises:
        CheckFailed: One was changed.
        InputError: One is missing, or a newer codemix wrote it.
    """
    found = []
    for line in ledger.log():
        if line.kind != "evaluation":
            continue
        # Reading an environment of hundreds of distributions costs milliseconds.
        if weights_digest.encode() in ledger.read_bytes(line.digest):
            entry = ledger.read(line.digest)
            if isinstance(entry, Evaluation) and entry.weights_digest == weights_digest:
                found.append(StoredEvaluation(line.digest, entry))
    return found


def disagreements(
    found: Sequence[FoundScore], objects: ObjectStore
) -> list[Disagreement]:
    """Compare all scores of some weights that were asked in the same way.

    Args:
        found: In order of arrival, see `all_scores_of`.
        objects: Hold the results per question.

    Returns:
        For each task and fingerprint, every result that differs from the first one.
    """
    firsts: dict[tuple[str, str], FoundScore] = {}
    told = []
    for one in found:
        if one.fingerprint is None:
            continue
        first = firsts.setdefault((one.task, one.fingerprint), one)
        difference = _difference(first, one, objects)
        if difference is not None:
            told.append(difference)
    return told


def all_disagreements(ledger: Ledger) -> list[Disagreement]:
    """Compare all evaluations of a ledger, and the runs' own scores of their weights.

    What can't be read is passed over: `ledger.verify` names it.
    """
    told: list[Disagreement] = []
    with suppress(CodemixError):
        documents = (
            json.loads(ledger.read_bytes(line.digest))
            for line in ledger.log()
            if line.kind == "evaluation"
        )
        places: dict[str, dict[tuple[str, int], None]] = {}
        for one in documents:
            asked = places.setdefault(one["weights_digest"], {})
            if one["subject"] is not None:
                asked[one["subject"], one["step"]] = None
        for weights, runs in places.items():
            # Whatever forged results hold, it is named elsewhere.
            with suppress(CodemixError, LookupError, TypeError, ValueError):
                told += disagreements(
                    [*_own(ledger, runs), *later_scores_of(ledger, weights)],
                    ledger.objects,
                )
    return told


def find_weights(ledger: Ledger, digest: str) -> Weights | None:
    """Find the latest run that has some weights.

    Args:
        ledger: Where to look.
        digest: Of the weights.
    """
    for line in reversed(ledger.log()):
        if line.kind != "run":
            continue
        entry = run_of(Stored(line.digest, ledger.read(line.digest)))
        for step in reversed(known_steps(entry)):
            found = weights_after(line.digest, entry, step, ledger.objects)
            if found is not None and found.digest == digest:
                return found
    return None


def _own(
    ledger: Ledger, runs: Iterable[tuple[str, int]], tasks: Container[str] | None = None
) -> list[FoundScore]:
    """Return what runs scored themselves after some steps."""
    found = []
    for digest, step in runs:
        for one in run_of(Stored(digest, ledger.read(digest))).scores:
            if one.step == step and (tasks is None or one.suite in tasks):
                fingerprint = _fingerprint(one, ledger.objects)
                found.append(FoundScore(one.suite, one, fingerprint, digest, "run"))
    return found


def _fingerprint(score: ScoreFacts, objects: ObjectStore) -> str | None:
    """Read the fingerprint of a run's own score, which is in its results alone."""
    detail = _detail(score, objects)
    return str(detail["fingerprint"]) if is_task_result(detail) else None


def _detail(score: ScoreFacts, objects: ObjectStore) -> Any:
    return json.loads(objects.get(score.detail)) if score.detail is not None else None


def _difference(
    first: FoundScore, second: FoundScore, objects: ObjectStore
) -> Disagreement | None:
    if first.source == second.source:
        return None
    assert first.fingerprint is not None
    place = (first.task, first.fingerprint, first.source, second.source)
    if first.score.detail != second.score.detail:
        details = [_detail(one.score, objects) for one in (first, second)]
        if all(map(is_task_result, details)):
            question = first_difference(*details)
            if question is not None:
                return Disagreement(*place, question.question, question.what)
    was, now = first.score.values, second.score.values
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            what = f"{name} is {was.get(name)} and {now.get(name)}"
            return Disagreement(*place, None, what)
    return None
