"""Differences of benchmarks on a page: a forest plot, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from evals.statistics.macro import MacroAverage
from ledger.diff_curves import COLOURS
from ledger.diff_page import page_table
from ledger.svg_figure import INK, svg_figure

if TYPE_CHECKING:
    from evals.statistics.compared import Compared
    from evals.statistics.diff import BenchmarkDiff

_INCHES_PER_ROW = 0.32


def benchmark_section(found: BenchmarkDiff) -> str:
    """Write what was found of one operand after one stage, as markup."""
    compared: list[Compared] = [*found.averages, *found.tasks]
    title = f"Benchmarks of {found.operand} against the first, after {found.stage}"
    parts = [f"<h2>{escape(title)}</h2>"]
    drawn = [one for one in compared if one.best.low is not None]
    if drawn:
        parts.append(f"<figure>{_forest(drawn)}</figure>")
    if compared:
        header = ["benchmark", "was", "now", "now - was, 95%", "p", "p, Holm", "seeds"]
        parts.append(page_table(header, [_row(one) for one in compared]))
    if found.refused:
        rows = [[one.task, one.field, one.was, one.now] for one in found.refused]
        parts.append(page_table(["not compared", "differs in", "was", "now"], rows))
    return "".join(parts)


def _forest(compared: Sequence[Compared]) -> str:
    told = "differences in points with 95% intervals: "
    told += ", ".join(f"{_name(one)} {_points(one.best.mean)}" for one in compared)
    height = 0.9 + _INCHES_PER_ROW * len(compared)
    return svg_figure(lambda axes: _paint(axes, compared), told=told, height=height)


def _paint(axes: Any, compared: Sequence[Compared]) -> None:
    axes.axvline(0, color=INK, linewidth=0.6, alpha=0.4)
    for row, one in enumerate(compared):
        best = one.best
        ends = [100 * end for end in (best.low, best.high) if end is not None]
        axes.plot(ends, [row, row], color=COLOURS[0], linewidth=1.6)
        axes.plot(
            [100 * best.mean],
            [row],
            marker="D" if _is_average(one) else "o",
            markersize=6,
            color=COLOURS[0],
            # A full mark: different even among so many comparisons.
            markerfacecolor=COLOURS[0] if one.is_different else "none",
        )
    axes.set_yticks(range(len(compared)), [_name(one) for one in compared])
    axes.set_ylim(len(compared) - 0.5, -0.5)
    axes.set_xlabel("points, now - was")


def _row(one: Compared) -> list[str]:
    best = one.best
    interval = "-"
    if best.low is not None and best.high is not None:
        interval = f"{_points(best.mean)} ({_points(best.low)} to {_points(best.high)})"
    return [
        _name(one),
        *(f"{100 * mean:.2f}" for mean in (one.best_was[0], one.best_now[0])),
        interval,
        _p_value(best.p_value),
        _p_value(one.p_holm),
        f"{one.was_seeds.num_seeds} / {one.now_seeds.num_seeds}",
    ]


def _name(one: Compared) -> str:
    return f"{one.name}, average" if _is_average(one) else one.name


def _is_average(one: Compared) -> bool:
    return isinstance(one.was, MacroAverage)


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"


def _p_value(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
