"""Making the report of a study: its scores with intervals, its claims, its sources."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from evals.study.differences import difference
from evals.study.ends import stage_end
from evals.study.evidence import Evidence, gather
from evals.study.measured import Measured, Missing, NotKnown
from evals.study.reported import (
    ReportedCell,
    ReportedEntry,
    ReportedExpectation,
    ReportedPoint,
    ReportedRun,
    ReportedScore,
    Show,
    StudyReport,
    show_nobody,
)
from evals.study.sums import Sum, Summing, leaves
from evals.study.verdicts import CONFIDENCE, judge
from ledger.entry import Entry
from ledger.store import Ledger
from runtime.mixture import sequences_until
from specs.claims import Cell as Place
from specs.experiment import Experiment
from specs.plan import Plan
from specs.study_loaded import Study, StudyPoint

FOUR_DIGITS = 3
"""Decimals of a number from 1 up to 10."""
MOST_DECIMALS = 9


def report_of(
    study: Study,
    ledger: Ledger,
    *,
    entries: Mapping[str, str] | None = None,
    baseline: str | None = None,
    show: Show = show_nobody,
) -> tuple[StudyReport, Evidence]:
    """Gather and judge all that a study asks for.

    Args:
        study: The study.
        ledger: Has its runs.
        entries: Experiment -> digest of its entry; None: the last completed runs.
        baseline: Name of a point; None: the study's own.
        show: Told how far it is.

    Raises:
        CheckFailed: A document was changed since it was recorded.
        InputError: One is missing.
    """
    evidence = gather(study, ledger, entries)
    summing = Summing(evidence)
    base = baseline or study.baseline
    points = tuple(_points(study, evidence, base, ledger))
    cells: list[ReportedCell] = []
    asked = list(itertools.product(points, study.scores))
    for point, score in asked:
        show("scores", len(cells), len(asked))
        cells.append(_cell(point.name, score, base, evidence, summing))
    show("scores", len(cells), len(asked))
    report = StudyReport(
        name=study.name,
        description=study.file.description,
        points=points,
        scores=tuple(_scores(study, cells)),
        cells=tuple(cells),
        expected=tuple(
            ReportedExpectation(
                point=one.point,
                score=one.score,
                value=one.value,
                kind=one.kind,
                source=one.source,
                reading_error=one.reading_error,
                note=one.note,
            )
            for one in study.expected
        ),
        claims=tuple(judge(one, evidence, summing) for one in study.claims),
        entries=tuple(_entries(evidence, ledger)),
    )
    return report, evidence


def _scores(study: Study, cells: Sequence[ReportedCell]) -> Iterator[ReportedScore]:
    for name, score in study.scores.items():
        values = [cell.value for cell in cells if cell.score == name]
        values += [one.value for one in study.expected if one.score == name]
        known = [abs(value) for value in values if value]
        yield ReportedScore(
            name=name,
            label=score.label or name,
            unit=score.unit,
            better=score.better,
            decimals=1 if score.unit == "percent" else _decimals(max(known, default=1)),
        )


def _decimals(largest: float) -> int:
    """Return the decimals that give the largest number of a score four digits."""
    return min(max(FOUR_DIGITS - math.floor(math.log10(largest)), 0), MOST_DECIMALS)


def _points(
    study: Study, evidence: Evidence, baseline: str | None, ledger: Ledger
) -> Iterator[ReportedPoint]:
    for name, point in study.points.items():
        runs: list[ReportedRun] = []
        stopped: list[str] = []
        for experiment in point.experiments:
            if experiment in evidence.entries:
                digest = evidence.entries[experiment]
                found = _run(experiment, digest, point, ledger)
                if isinstance(found, Missing):
                    stopped.append(found.why)
                else:
                    runs.append(found)
        yield ReportedPoint(
            name=name,
            label=point.label,
            experiment=point.experiments[0],
            stage=point.stage,
            is_baseline=name == baseline,
            runs=tuple(runs),
            num_wanted=len(point.experiments),
            stopped=tuple(stopped),
        )


def _run(
    experiment: str, digest: str, point: StudyPoint, ledger: Ledger
) -> ReportedRun | Missing:
    entry = ledger.read(digest)
    assert isinstance(entry, Entry)
    stage = stage_end(digest, entry, point)
    if isinstance(stage, Missing):
        return stage
    return ReportedRun(
        entry=digest,
        name=experiment,
        seed=Experiment.model_validate(entry.spec).seed,
        step=stage.stop_step,
    )


def _cell(
    point: str,
    score: str,
    baseline: str | None,
    evidence: Evidence,
    summing: Summing,
) -> ReportedCell:
    scores = evidence.study.scores
    here = Place(point=point, score=score)
    try:
        total = summing.sum_of([(1.0, here)])
    except NotKnown as error:
        return _unknown(point, score, str(error))
    measured = [
        one
        for _, leaf in leaves(score, scores)
        if (one := evidence.measured(point, leaf)) is not None
    ]
    low, high = _bounds(total, is_share=scores[score].unit == "percent")
    against = None
    if baseline is not None and baseline != point:
        against = difference(point, baseline, score, total.value, summing)
    return ReportedCell(
        point=point,
        score=score,
        value=total.value,
        low=low,
        high=high,
        basis=total.basis,
        num_seeds=min(len(one.runs) for one in measured),
        against_baseline=None if against is None else against.value,
        against_low=None if against is None else against.low,
        against_high=None if against is None else against.high,
        relative=None if against is None else against.relative,
        sources=_sources(measured),
        why="",
    )


def _bounds(total: Sum, *, is_share: bool) -> tuple[float | None, float | None]:
    found = total.interval(CONFIDENCE)
    if found is None:
        return None, None
    low, high = found
    # No share of questions is below none of them or above all.
    return (max(low, 0.0), min(high, 100.0)) if is_share else (low, high)


def _sources(measured: Sequence[Measured]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            source for one in measured for run in one.runs for source in run.sources
        )
    )


def _unknown(point: str, score: str, why: str) -> ReportedCell:
    return ReportedCell(
        point=point,
        score=score,
        value=None,
        low=None,
        high=None,
        basis=None,
        num_seeds=0,
        against_baseline=None,
        against_low=None,
        against_high=None,
        relative=None,
        sources=(),
        why=why,
    )


def _entries(evidence: Evidence, ledger: Ledger) -> Iterator[ReportedEntry]:
    for name, digest in evidence.entries.items():
        entry = ledger.read(digest)
        assert isinstance(entry, Entry)
        yield ReportedEntry(
            entry=digest,
            name=name,
            spec_digest=entry.spec_digest,
            lock_digest=entry.lock.sha256,
            weights_digest=entry.weights_digest,
            codemix=entry.code.codemix,
            determinism=entry.determinism,
            num_steps=entry.num_steps,
            realised_tokens=realised_tokens(entry, ledger),
        )


def realised_tokens(entry: Entry, ledger: Ledger) -> dict[str, int]:
    """Return source -> tokens that a run was trained on, by its plan."""
    plan = Plan.model_validate(ledger.objects.get_json(entry.plan))
    found: dict[str, int] = {}
    # A run that was stopped has fewer stages than its plan.
    for stage, trained in zip(plan.stages, entry.stages, strict=False):
        for source, sequences in sequences_until(stage, trained.stop_step).items():
            tokens = sequences * stage.sequence_length
            found[source] = found.get(source, 0) + tokens
    return found
