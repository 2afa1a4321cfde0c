"""What a comparison of two recipes is: values, and the correction for many of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from evals.results import TaskResult
from evals.statistics.asked import HowAsked, Refusal
from evals.statistics.families import holm
from evals.statistics.macro import MacroAverage
from evals.statistics.means import Estimate
from evals.statistics.paired import Difference, PairedDifference
from evals.statistics.power import ALPHA
from evals.statistics.seeds import RecipeDifference, SeedErrors
from specs.base import Value

AnyComparison = TypeVar("AnyComparison", bound="ScoreComparison")


class Side(NamedTuple):
    """The results of one recipe after some stage."""

    runs: tuple[Mapping[str, TaskResult], ...]
    """Task -> its result, of each run; the first run is the one that is meant, the
    others are its repeats with other seeds, asked as it was."""
    asked: Mapping[str, HowAsked]
    """Task -> how it was asked, where that is known."""
    suites: Mapping[str, tuple[str, ...]]
    """Average -> its tasks."""


class Bounds(Value):
    """An interval of 95%."""

    low: float
    high: float


class Compared(Value):
    """A task or an average on both sides."""

    name: str
    was: Estimate | MacroAverage
    """Of the first run on that side."""
    now: Estimate | MacroAverage
    runs: Difference
    """Of the two runs that were named: with the error over questions alone."""
    resampled: Bounds
    """The interval of `runs` by a bootstrap over questions, for comparison."""
    recipes: RecipeDifference | None
    """Over all seeds, with the error over seeds and questions; null where either side
    has a single seed."""
    was_seeds: SeedErrors
    """Over all seeds of that side."""
    now_seeds: SeedErrors
    asked_alike: bool
    """Whether fingerprints are equal; otherwise the data and the prompts are, and
    something else is not, such as the shapes that were computed in."""
    p_holm: float | None = None
    """The p-value of `best`, corrected for all comparisons of its table."""

    @property
    def best(self) -> Difference:
        """What is known best: of the recipes, else of the two runs."""
        return self.recipes or self.runs

    @property
    def best_was(self) -> tuple[float, float | None]:
        """Mean and standard error of what `best` subtracts."""
        return _mean_and_error(self.was_seeds if self.recipes else self.was)

    @property
    def best_now(self) -> tuple[float, float | None]:
        """Mean and standard error of what `best` subtracts from."""
        return _mean_and_error(self.now_seeds if self.recipes else self.now)

    @property
    def is_different(self) -> bool:
        """Whether the sides differ, even as one comparison among so many."""
        return self.p_holm is not None and self.p_holm <= ALPHA


class TaskComparison(Compared):
    """One task on both sides."""

    metric: str
    chance: float
    was: Estimate
    now: Estimate
    runs: PairedDifference


class AverageComparison(Compared):
    """One suite on both sides, averaged over the tasks that were compared."""

    tasks: tuple[str, ...]
    was: MacroAverage
    now: MacroAverage
    was_over_chance: MacroAverage
    """The same with each task on a scale where guessing is 0 and all right is 1."""
    now_over_chance: MacroAverage


class ScoreComparison(Value):
    """All benchmarks that both sides have."""

    tasks: tuple[TaskComparison, ...]
    averages: tuple[AverageComparison, ...]
    """Of suites whose every task was compared."""
    refused: tuple[Refusal, ...]


def corrected(comparisons: Sequence[AnyComparison]) -> list[AnyComparison]:
    """Correct the p-values of comparisons that stand in one table, by Holm's method.

    All tasks of all comparisons are one family, all averages another.
    """
    tasks = _holm_of([one for found in comparisons for one in found.tasks])
    averages = _holm_of([one for found in comparisons for one in found.averages])
    return [
        found.model_copy(
            update={
                "tasks": tuple(_with_p(one, next(tasks)) for one in found.tasks),
                "averages": tuple(
                    _with_p(one, next(averages)) for one in found.averages
                ),
            }
        )
        for found in comparisons
    ]


def _mean_and_error(
    one: SeedErrors | Estimate | MacroAverage,
) -> tuple[float, float | None]:
    return one.mean, one.standard_error


def _holm_of(compared: Sequence[Compared]) -> Iterator[float | None]:
    return iter(holm([one.best.p_value for one in compared]))


def _with_p(one: Compared, p_holm: float | None) -> Compared:
    return one.model_copy(update={"p_holm": p_holm})
