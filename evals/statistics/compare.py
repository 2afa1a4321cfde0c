"""Two recipes side by side, task by task: paired, averaged, corrected for many tasks.

A difference is of two runs, or of two recipes where both were trained with several
seeds. Only what was asked alike is compared; what differs is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evals.statistics.asked import Refusal, first_difference
from evals.statistics.bootstrap import percentile_interval, resampled_means
from evals.statistics.compared import (
    AverageComparison,
    Bounds,
    ScoreComparison,
    Side,
    TaskComparison,
)
from evals.statistics.macro import (
    MacroAverage,
    chance_corrected,
    difference_of_averages,
    macro_average,
)
from evals.statistics.means import Estimate, cluster_codes, estimate
from evals.statistics.paired import paired_difference
from evals.statistics.seeds import (
    SeedTable,
    difference_over_seeds,
    seed_errors,
)
from runtime.keys import key


def compare_sides(was: Side, now: Side) -> ScoreComparison:
    """Compare two recipes; p-values are not yet corrected, see `corrected`."""
    refused, found = [], {}
    for name in sorted(was.runs[0].keys() & now.runs[0].keys()):
        refusal = first_difference(
            was.runs[0][name],
            now.runs[0][name],
            (was.asked.get(name), now.asked.get(name)),
        )
        if refusal is not None:
            refused.append(refusal)
        else:
            found[name] = _Pair(name, was, now)
    suites = {}
    for name in sorted(was.suites.keys() & now.suites.keys()):
        tasks, others = was.suites[name], now.suites[name]
        if tasks == others and set(tasks) <= found.keys():
            suites[name] = tasks
        else:
            # An average over what is left would be another number by the same name.
            told = [", ".join(one) for one in (tasks, others)]
            refused.append(Refusal(task=name, field="tasks", was=told[0], now=told[1]))
    return ScoreComparison(
        tasks=tuple(pair.compared() for pair in found.values()),
        averages=tuple(
            _average(suite, [found[name] for name in tasks])
            for suite, tasks in suites.items()
        ),
        refused=tuple(refused),
    )


class _Pair:
    """One task on both sides, all that is computed of it."""

    def __init__(self, name: str, was: Side, now: Side) -> None:
        self._name = name
        self._first = (was.runs[0][name], now.runs[0][name])
        self.asked_alike = len({one.fingerprint for one in self._first}) == 1
        metric, self.chance = self._first[0].main, self._first[0].chance
        self.clusters = [one.cluster for one in self._first[0].questions]
        self.seeds = [
            SeedTable(_rows(side, name, metric), self.clusters) for side in (was, now)
        ]
        before, after = (table.rows[0] for table in self.seeds)
        self.was = estimate(before, self.clusters)
        self.now = estimate(after, self.clusters)
        self.runs = paired_difference(before, after, self.clusters)
        self.resampled: NDArray[np.float64] = resampled_means(
            [new - old for old, new in zip(before, after, strict=True)],
            cluster_codes(self.clusters),
            key(0, "statistics", "bootstrap", name),
        )

    def compared(self) -> TaskComparison:
        first, _ = self._first
        return TaskComparison(
            name=self._name,
            metric=first.main,
            chance=self.chance,
            was=self.was,
            now=self.now,
            runs=self.runs,
            resampled=_bounds(self.resampled),
            recipes=difference_over_seeds(*([table] for table in self.seeds)),
            was_seeds=seed_errors(self.seeds[:1]),
            now_seeds=seed_errors(self.seeds[1:]),
            asked_alike=self.asked_alike,
        )


def _rows(side: Side, name: str, metric: str) -> list[list[float]]:
    """Return the values of each run that has the task."""
    return [
        [question.values[metric] for question in run[name].questions]
        for run in side.runs
        if name in run
    ]


def _average(suite: str, pairs: Sequence[_Pair]) -> AverageComparison:
    names = [pair._name for pair in pairs]
    was = {name: pair.was for name, pair in zip(names, pairs, strict=True)}
    now = {name: pair.now for name, pair in zip(names, pairs, strict=True)}
    chances = {name: pair.chance for name, pair in zip(names, pairs, strict=True)}
    # Each task is resampled on its own, so the resamples of an average are averages.
    resampled = np.stack([pair.resampled for pair in pairs])
    old, new = (_of_all([pair.seeds[side] for pair in pairs]) for side in (0, 1))
    return AverageComparison(
        name=suite,
        tasks=tuple(names),
        was=macro_average(was),
        now=macro_average(now),
        was_over_chance=_over_chance(was, chances),
        now_over_chance=_over_chance(now, chances),
        runs=difference_of_averages(
            {name: pair.runs for name, pair in zip(names, pairs, strict=True)}
        ),
        resampled=_bounds(_exact_mean(resampled)),
        asked_alike=all(pair.asked_alike for pair in pairs),
        recipes=difference_over_seeds(old, new),
        was_seeds=seed_errors(old),
        now_seeds=seed_errors(new),
    )


def _of_all(tables: Sequence[SeedTable]) -> list[SeedTable]:
    """Leave the first run alone where not every seed was scored with every task."""
    if len({len(one.rows) for one in tables}) == 1:
        return list(tables)
    return [one._replace(rows=one.rows[:1]) for one in tables]


def _over_chance(
    tasks: Mapping[str, Estimate], chances: Mapping[str, float]
) -> MacroAverage:
    return macro_average(
        {name: chance_corrected(one, chances[name]) for name, one in tasks.items()}
    )


def _exact_mean(resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over tasks in a fixed order: numpy's own depends on the machine."""
    total = np.zeros(resampled.shape[1])
    for row in resampled:
        total = total + row
    return total / len(resampled)


def _bounds(means: NDArray[np.float64]) -> Bounds:
    low, high = percentile_interval(means)
    return Bounds(low=low, high=high)
