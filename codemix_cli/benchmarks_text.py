"""What `codemix plan` says of benchmarks: how sure their scores will be."""

from __future__ import annotations

from typing import Any

from codemix_cli.output import table

MOST_OF_VARIANCE = 0.8
MOST_NAMES = 3
"""Tasks that are named as those that bring most of the variance."""

_ONE_SEED = """\
points; error: one standard error, at most; seen: least true difference that is found
in 4 of 5 tries at 5%, by two runs with other questions each, or with the same ones
one seed: these errors are of questions alone, so a difference is one of two runs, not
of two recipes; add seeds to tell recipes apart"""

_SEVERAL_SEEDS = """\
points; error: one standard error, at most; seen: least true difference that is found
in 4 of 5 tries at 5%, by two runs with other questions each, or with the same ones
{num_seeds} seeds: what they add to these errors is known once they have run"""


def told_benchmarks(expected: dict[str, Any], num_seeds: int) -> str:
    """Tell how sure scores will be, a row per task and per average.

    Args:
        expected: `evals.statistics.expected.ExpectedScores` as JSON.
        num_seeds: Experiments of the same file that differ in their seed alone.
    """
    if not expected["tasks"]:
        return ""
    header = ["benchmark", "questions", "chance", "error", "seen unpaired", "paired"]
    rows = [
        [
            name,
            "unknown" if one["questions"] is None else f"{one['questions']:,}",
            f"{100 * one['chance']:.0f}%",
            *_points(one),
            _clusters(one),
        ]
        for name, one in expected["tasks"].items()
    ]
    parts = [table([[*header, ""], *rows], right=range(1, len(header)))]
    if expected["suites"]:
        header = ["average", "error", "seen unpaired", "paired", "most of its variance"]
        rows = [
            [name, *_points(one), _carriers(one["variance_shares"], one["unknown"])]
            for name, one in expected["suites"].items()
        ]
        parts.append(table([header, *rows], right=range(1, 4)))
    parts.append(
        _ONE_SEED if num_seeds == 1 else _SEVERAL_SEEDS.format(num_seeds=num_seeds)
    )
    return "\n\n".join(parts)


def _points(one: dict[str, Any]) -> list[str]:
    values = (one[name] for name in ("standard_error", "unpaired", "paired"))
    return ["-" if value is None else f"{100 * value:.2f}" for value in values]


def _clusters(one: dict[str, Any]) -> str:
    return "" if one["cluster"] is None else f"more: in clusters by {one['cluster']}"


def _carriers(shares: dict[str, float], unknown: list[str]) -> str:
    """Name the fewest tasks that bring most of the variance."""
    told: list[str] = []
    total = 0.0
    for name, share in sorted(shares.items(), key=lambda item: -item[1]):
        if total >= MOST_OF_VARIANCE or len(told) == MOST_NAMES:
            break
        told.append(f"{name} {100 * share:.0f}%")
        total += share
    if unknown:
        told.append(f"more: {', '.join(unknown)} unknown")
    return ", ".join(told)
