"""Checking evaluations: they are of weights that their entry has, and add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ledger.entry import Entry, ScoreFacts
from ledger.evaluation import Evaluation, results_digest
from ledger.objects import ObjectStore
from ledger.task_results import is_task_result, task_result_problems
from ledger.weights import weights_after
from specs.errors import CodemixError


class Claim(NamedTuple):
    """What a document says of the results per question of one score."""

    task: str
    fingerprint: str | None
    """Null of a score that may have none."""
    values: tuple[tuple[str, str], ...]


def claim_of(score: ScoreFacts, entry: Entry | Evaluation) -> Claim:
    """Return what a document says of the results of one of its scores."""
    asked = entry.tasks if isinstance(entry, Evaluation) else ()
    fingerprints = {task.name: task.fingerprint for task in asked}
    values = tuple(sorted(score.values.items()))
    return Claim(score.suite, fingerprints.get(score.suite), values)


def claim_problems(detail: object, claim: Claim) -> Iterator[str]:
    """Compute the numbers of a score again from its questions, and compare."""
    if not is_task_result(detail):
        if claim.fingerprint is not None:
            yield f"it is no results per question of {claim.task}"
        return
    assert isinstance(detail, dict)
    yield from task_result_problems(
        detail,
        task=claim.task,
        fingerprint=claim.fingerprint,
        values=dict(claim.values),
    )


def evaluation_problems(entry: Evaluation) -> Iterator[str]:
    """Check what an evaluation says of itself."""
    if results_digest(entry.to_json()) != entry.results:
        yield "the digest of its results is not that of its results"
    for kind, names in (
        ("task", [task.name for task in entry.tasks]),
        ("suite", [suite.name for suite in entry.suites]),
        ("score", [score.suite for score in entry.scores]),
        ("extra", [extra.name for extra in entry.extras]),
    ):
        for name in [name for name, count in Counter(names).items() if count > 1]:
            yield f"has {kind} {name} twice"
    if (entry.subject is None) != (entry.stage is None):
        has = ("an entry", "no stage") if entry.subject else ("a stage", "no entry")
        yield f"names {has[0]} and {has[1]}"
    detailed = {score.suite for score in entry.scores if score.detail is not None}
    known = {task.name for task in entry.tasks}
    for name in sorted(known - detailed):
        yield f"task {name} has no results per question"
    for suite in entry.suites:
        for name in sorted(set(suite.tasks) - known):
            yield f"suite {suite.name} has task {name}, which was not asked"
    if any(score.step != entry.step for score in entry.scores):
        yield f"has scores of another step than {entry.step}"
    for score in entry.scores:
        for name, text in score.values.items():
            if not _is_number(text):
                yield f"{score.suite}/{name} is {text!r}, which is no number"


def weights_problem(
    said: Evaluation, subject: Entry, objects: ObjectStore
) -> str | None:
    """Say why weights are not those of the entry that an evaluation names."""
    assert said.subject is not None
    try:
        known = weights_after(said.subject, subject, said.step, objects)
    except (CodemixError, ValueError, AttributeError):
        # The check of objects names what was changed.
        return None
    if known is None:
        return f"that one knows no weights after step {said.step}"
    if (known.digest, known.stage) != (said.weights_digest, said.stage):
        return f"that one has other weights after step {said.step}"
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
