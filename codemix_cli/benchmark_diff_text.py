"""What `codemix diff` found of benchmarks, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from codemix_cli.output import table
from codemix_cli.wording import counted

if TYPE_CHECKING:
    from evals.statistics.compared import Compared
    from evals.statistics.diff import BenchmarkDiff

SHOWN_CHARS = 60
"""Of what differs in a task that is not compared."""


def told_benchmark_diffs(found: Sequence[BenchmarkDiff]) -> str:
    """Tell the benchmarks at the end; those of earlier stages are in --json."""
    told = [one for one in found if one.is_last]
    if not told:
        return ""
    parts = [_told(one) for one in told]
    parts += [_told_corrected(told), _told_seeds(told)]
    return "\n\n".join(part for part in parts if part)


def _told(found: BenchmarkDiff) -> str:
    compared: list[Compared] = [*found.averages, *found.tasks]
    title = f"benchmarks after {found.stage}, in points: {found.operand} - the first"
    lines = [title]
    if compared:
        header = ["", "was", "now", "now - was, 95%", "p", "p, Holm", "", "error of"]
        rows = [_row(one) for one in compared]
        lines.append(table([header, *rows], right=[1, 2, 4, 5]))
    lines += [
        f"not compared: {one.task}, asked otherwise: {one.field}: "
        f"{_clipped(one.was)} -> {_clipped(one.now)}"
        for one in found.refused
    ]
    return "\n".join(lines)


def _row(one: Compared) -> list[str]:
    best = one.best
    told = f"{100 * best.mean:+.2f}"
    if best.low is None or best.high is None:
        told += " (too little to say)"
    else:
        told += f" ({100 * best.low:+.2f} to {100 * best.high:+.2f})"
    return [
        one.name,
        points_with_error(*one.best_was),
        points_with_error(*one.best_now),
        told,
        _p_value(best.p_value),
        _p_value(one.p_holm),
        _marks(one),
        _sources(one),
    ]


def _marks(one: Compared) -> str:
    return ("*" if one.is_different else "") + ("" if one.asked_alike else "~")


def _sources(one: Compared) -> str:
    """Say what the error of a difference is made of."""
    if one.recipes is None:
        return "questions"
    seeds, questions = one.recipes.over_seeds, one.recipes.over_questions
    return f"seeds {100 * seeds:.2f}, questions {100 * questions:.2f}"


def points_with_error(mean: float, standard_error: float | None) -> str:
    """Write a share in points with its standard error.

    >>> points_with_error(0.25, 0.0125)
    '25.00 +- 1.25'
    """
    error = "?" if standard_error is None else f"{100 * standard_error:.2f}"
    return f"{100 * mean:.2f} +- {error}"


def _p_value(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def _told_corrected(found: Sequence[BenchmarkDiff]) -> str:
    num_tasks = sum(len(one.tasks) for one in found)
    num_averages = sum(len(one.averages) for one in found)
    if not num_tasks:
        return ""
    told = f"*: different at 5% among {counted(num_tasks, 'task')}"
    told += f", {counted(num_averages, 'average')}" if num_averages else ""
    if all(one.asked_alike for each in found for one in each.tasks):
        return told
    return f"{told}\n~: the same data and prompts, but in other shapes or by other code"


def _told_seeds(found: Sequence[BenchmarkDiff]) -> str:
    """Say what the errors hold: with a single seed, nothing of seeds."""
    compared = [one for each in found for one in (*each.averages, *each.tasks)]
    single = [one for one in compared if one.recipes is None]
    if not compared:
        return ""
    if len(single) == len(compared):
        return (
            "item error only: seeds were not repeated on both sides, so these are "
            "differences\nof two runs; another seed may change them by more"
        )
    several = [one for one in compared if one.recipes is not None]
    pairs = {(one.was_seeds.num_seeds, one.now_seeds.num_seeds) for one in several}
    seeds = ", ".join(f"{was} and {now}" for was, now in sorted(pairs))
    told = f"differences over seeds and questions; seeds on either side: {seeds}"
    if single:
        names = ", ".join(one.name for one in single)
        told += f"\nitem error only, of two runs: {names}"
    return told


def _clipped(text: str) -> str:
    shown = repr(text)[1:-1]
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[: SHOWN_CHARS - 3]}..."
