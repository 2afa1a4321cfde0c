"""What evaluations add to an entry: for lists by the index, for `show` by documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ledger.entry import Entry
from ledger.evaluation import Evaluation
from ledger.evaluations import Disagreement, disagreements, scores_after
from ledger.rows import Row
from ledger.store import Ledger
from ledger.weights import weights_after
from specs.errors import CodemixError


class Shown(NamedTuple):
    """The latest score of one task, asked in one way, after one step."""

    task: str
    version: int | None
    """Null of what is no task, such as an average over a suite."""
    fingerprint: str | None
    step: int
    stage: str | None
    values: dict[str, str]
    source: str
    """Digest of the evaluation."""
    others: int
    """Evaluations before it that have one too."""


def evaluations_of_entry(
    ledger: Ledger, digest: str, entry: Entry, rows: Iterable[Row]
) -> dict[str, Evaluation]:
    """Read every evaluation of weights that an entry has, by digest, as they came.

    Args:
        ledger: Holds them.
        digest: Of the entry.
        entry: The entry.
        rows: Of the whole ledger.

    Raises:
        CheckFailed: One was changed since the rows were made.
    """
    found: dict[str, Evaluation] = {}
    weights: dict[int, str | None] = {}
    for row in rows:
        if row.kind != "evaluation" or row.weights_digest is None:
            continue
        if row.num_steps not in weights:
            known = weights_after(digest, entry, row.num_steps, ledger.objects)
            weights[row.num_steps] = known.digest if known is not None else None
        if weights[row.num_steps] == row.weights_digest:
            one = ledger.read(row.digest)
            assert isinstance(one, Evaluation)
            found[row.digest] = one
    return found


def latest(found: Mapping[str, Evaluation]) -> list[Shown]:
    """Keep the latest score of each task, fingerprint and step.

    Args:
        found: Digest -> evaluation, as they came.

    Returns:
        By step, then by name; of one name, as they came.
    """
    kept: dict[tuple[str, str | None, int], Shown] = {}
    for digest, one in found.items():
        asked = {task.name: task for task in one.tasks}
        for score in one.scores:
            task = asked.get(score.suite)
            fingerprint = task.fingerprint if task is not None else None
            place = (score.suite, fingerprint, one.step)
            before = kept.pop(place, None)
            kept[place] = Shown(
                task=score.suite,
                version=task.version if task is not None else None,
                fingerprint=fingerprint,
                step=one.step,
                stage=one.stage,
                values=dict(score.values),
                source=digest,
                others=before.others + 1 if before is not None else 0,
            )
    return sorted(kept.values(), key=lambda shown: (shown.step, shown.task))


def shown_evaluations(
    ledger: Ledger, digest: str, entry: Entry, rows: Sequence[Row]
) -> dict[str, Any]:
    """Return what to show of the evaluations of an entry, as plain JSON.

    A damaged document or object hides nothing else: `problem` says what it is.
    """
    told: dict[str, Any] = {"scores": [], "documents": [], "disagreements": []}
    told["problem"] = None
    try:
        found = evaluations_of_entry(ledger, digest, entry, rows)
        told["scores"] = [shown._asdict() for shown in latest(found)]
        told["documents"] = [_document(one, found[one]) for one in found]
        told["disagreements"] = [
            {**one._asdict(), "text": str(one)}
            for one in _disagreements(ledger, digest, found)
        ]
    except CodemixError as error:
        told["problem"] = error.problems[0].what
    return told


def _document(digest: str, one: Evaluation) -> dict[str, Any]:
    return {
        "digest": digest,
        "subject": one.subject,
        "step": one.step,
        "unix_ms": one.unix_ms,
        "tasks": [task.name for task in one.tasks],
        "extras": [extra.to_json() for extra in one.extras],
    }


def _disagreements(
    ledger: Ledger, digest: str, found: Mapping[str, Evaluation]
) -> Iterable[Disagreement]:
    tasks = {task.name for one in found.values() for task in one.tasks}
    for step in sorted({one.step for one in found.values()}):
        scores = scores_after(ledger, digest, step, tasks=tasks)
        yield from disagreements(scores, ledger.objects)
