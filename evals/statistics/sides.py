"""The benchmark results that entries of the ledger hold, with those of other seeds.

Results are in the entry of a run, and in evaluations that were made of its weights
later. Of several of one task those are taken that both sides were asked alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from evals.results import TaskResult, result_in
from evals.statistics.asked import HowAsked
from evals.statistics.compared import Side
from ledger.documents import Stored
from ledger.entry import Entry
from ledger.evaluation import Evaluation
from ledger.evaluations import FoundScore, scores_after
from ledger.objects import ObjectStore
from ledger.operands import Opened
from ledger.repeats import find_repeats
from ledger.store import Ledger
from ledger.task_results import is_task_result
from specs.benchmarks import Benchmarks
from specs.errors import InputError
from specs.lock import Lock
from specs.task import what_counts

Results = Mapping[str, Mapping[str, TaskResult]]
"""Task -> fingerprint -> the last result, in order of arrival."""


class Scored(NamedTuple):
    """What is known of the weights of an entry after a step."""

    results: Results
    repeats: tuple[Results, ...]
    """Of runs that differ in their seed alone."""
    asked: Mapping[str, HowAsked]
    """Fingerprint -> how a task was asked, where that is known."""
    suites: Mapping[str, tuple[str, ...]]
    """Average -> its tasks."""


def scored_after(opened: Opened, step: int) -> Scored:
    """Read the results of an entry, and of its repeats, after a step.

    Args:
        opened: An entry.
        step: Steps done, at the end of a stage. Repeats have the same plan, so the
            same steps.

    Raises:
        CheckFailed: An object was changed since it was recorded.
        InputError: An object is missing.
    """
    entry, ledger, digest = opened.entry, opened.ledger, opened.operand.entry_digest
    assert entry is not None
    assert ledger is not None
    assert digest is not None
    scores = scores_after(ledger, digest, step)
    results = task_results(scores, ledger.objects)
    repeats = find_repeats(ledger, Stored(digest, entry)) if results else []
    benchmarks = Lock.model_validate(ledger.objects.get_json(entry.lock)).benchmarks
    return Scored(
        results=results,
        repeats=tuple(_of_repeat(ledger, stored, step) for stored in repeats),
        asked=_how_asked(scores, ledger.objects, benchmarks),
        suites={
            **{one.suite: one.tasks for one in benchmarks.asked if one.suite},
            **_suites_of_evaluations(ledger, scores),
        },
    )


def sides_of(was: Scored, now: Scored) -> tuple[Side, Side]:
    """Choose one result of each task on either side, asked alike if there is one."""
    chosen: dict[str, tuple[str, str]] = {}
    for name in was.results.keys() & now.results.keys():
        before, after = list(was.results[name]), list(now.results[name])
        both = [one for one in before if one in after]
        chosen[name] = (both[-1], both[-1]) if both else (before[-1], after[-1])
    return _side(was, chosen, 0), _side(now, chosen, 1)


def task_results(scores: Sequence[FoundScore], objects: ObjectStore) -> Results:
    """Read the results per question of scores that have them.

    Args:
        scores: Any, in order of arrival; those of other suites are passed over.
        objects: Where the details are.
    """
    found: dict[str, dict[str, TaskResult]] = {}
    for one in scores:
        if one.score.detail is None:
            continue
        detail = objects.get_json(one.score.detail)
        if not is_task_result(detail):
            continue
        try:
            result = result_in(detail)
        except ValidationError as error:
            raise InputError(
                f"the results of {one.task} are not as this codemix writes them: "
                f"{error.errors()[0]['msg']}",
                file=f"object {one.score.detail.sha256[:12]}",
                fix="codemix ledger verify says more",
            ) from None
        by_fingerprint = found.setdefault(one.task, {})
        by_fingerprint.pop(result.fingerprint, None)
        by_fingerprint[result.fingerprint] = result
    return found


def _how_asked(
    scores: Sequence[FoundScore], objects: ObjectStore, benchmarks: Benchmarks
) -> dict[str, HowAsked]:
    """Read how tasks were asked: beside the results, or in the lock of their run."""
    found: dict[str, HowAsked] = {}
    for one in scores:
        if one.score.detail is None or one.fingerprint is None:
            continue
        detail = objects.get_json(one.score.detail)
        if isinstance(detail.get("asked"), dict):
            found[one.fingerprint] = detail["asked"]
        elif one.kind == "run" and one.task in benchmarks.tasks:
            found[one.fingerprint] = what_counts(benchmarks.tasks[one.task])
    return found


def _of_repeat(ledger: Ledger, stored: Stored, step: int) -> Results:
    assert isinstance(stored.entry, Entry)
    return task_results(scores_after(ledger, stored.digest, step), ledger.objects)


def _suites_of_evaluations(
    ledger: Ledger, scores: Sequence[FoundScore]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for digest in dict.fromkeys(one.source for one in scores):
        document = ledger.read(digest)
        if isinstance(document, Evaluation):
            found |= {suite.name: suite.tasks for suite in document.suites}
    return found


def _side(scored: Scored, chosen: Mapping[str, tuple[str, str]], side: int) -> Side:
    own = {name: scored.results[name][both[side]] for name, both in chosen.items()}
    # A repeat that was asked otherwise is none.
    repeats = (
        {
            name: repeat[name][both[side]]
            for name, both in chosen.items()
            if both[side] in repeat.get(name, {})
        }
        for repeat in scored.repeats
    )
    asked = {
        name: scored.asked[both[side]]
        for name, both in chosen.items()
        if both[side] in scored.asked
    }
    return Side(runs=(own, *repeats), asked=asked, suites=scored.suites)
