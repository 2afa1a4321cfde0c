"""Checking evaluations: they are of weights that their entry has, and add up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ledger.entry import Entry, ScoreFacts
from ledger.evaluation import AskedSuite, AskedTask, Evaluation, results_digest
from ledger.floats import float_text
from ledger.objects import ObjectStore
from ledger.task_results import is_task_result, metric_mean, task_result_problems
from ledger.weights import weights_after
from specs.errors import CodemixError

AVERAGE = "average"
"""What the mean over the tasks of a suite is called, in the score of its name."""


class Claim(NamedTuple):
    """What a document says of the results per question of one score."""

    task: str
    fingerprint: str | None
    """Null of a score that may have none."""
    values: tuple[tuple[str, str], ...]
    main: str | None
    """The metric that stands for the task; null: any."""


def claim_of(score: ScoreFacts, entry: Entry | Evaluation) -> Claim:
    """Return what a document says of the results of one of its scores."""
    asked = entry.tasks if isinstance(entry, Evaluation) else ()
    values = tuple(sorted(score.values.items()))
    for task in asked:
        if task.name == score.suite:
            return Claim(task.name, task.fingerprint, values, task.main)
    return Claim(score.suite, None, values, None)


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
        main=claim.main,
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
    yield from average_problems(entry.suites, entry.tasks, entry.scores)
    if any(score.step != entry.step for score in entry.scores):
        yield f"has scores of another step than {entry.step}"
    for score in entry.scores:
        for name, text in score.values.items():
            if not _is_number(text):
                yield f"{score.suite}/{name} is {text!r}, which is no number"


def average_problems(
    suites: Iterable[AskedSuite],
    tasks: Iterable[AskedTask],
    scores: Iterable[ScoreFacts],
) -> Iterator[str]:
    """Compare the average of each suite with the mean of its tasks' main metrics."""
    mains = {task.name: task.main for task in tasks}
    values = {score.suite: score.values for score in scores}
    for suite in suites:
        said = values.get(suite.name, {}).get(AVERAGE)
        parts = [
            values.get(name, {}).get(mains.get(name) or "") for name in suite.tasks
        ]
        # What stands for a task may be unknown; what is no number is named elsewhere.
        numbers = [float(part) for part in parts if part and _is_finite(part)]
        if said is None or len(numbers) < len(suite.tasks):
            continue
        try:
            mean = float_text(metric_mean(numbers))
        except OverflowError:
            mean = "none"
        if said != mean:
            yield f"{suite.name}/{AVERAGE} is {said}, its tasks give {mean}"


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


def _is_finite(text: str) -> bool:
    return _is_number(text) and math.isfinite(float(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
