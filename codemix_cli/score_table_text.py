"""A table of scores as text: every number with its error."""

from __future__ import annotations

from typing import Any

from codemix_cli.benchmark_diff_text import points_with_error
from codemix_cli.evaluation_text import STANDARD_ERROR, with_error
from codemix_cli.output import table

Json = dict[str, Any]


def told_score_table(found: Json) -> str:
    """Tell scores, averages first; shares of the questions in points.

    Args:
        found: `evals.statistics.score_table.ScoreTable` as JSON.
    """
    rows = []
    for one in found["averages"]:
        rows.append([one["suite"], "average", *_numbers(one), "", ""])
        over = one["over_chance"]
        rows.append([one["suite"], "over chance", *_numbers(over), "", ""])
    for one in found["scores"]:
        clusters = one["num_clusters"]
        asked = f"{one['count']:,}"
        if clusters is not None:
            asked += f" in {clusters:,} clusters"
        chance = "" if one["chance"] is None else f"{100 * one['chance']:.0f}"
        numbers = _numbers(one) if _is_share(one) else _plain_numbers(one)
        rows.append([one["task"], one["metric"], *numbers, asked, chance])
    header = ["in points", "", "score", "95%", "questions", "chance"]
    return table([header, *rows], right=[2, 3, 4, 5]) if rows else ""


def _is_share(one: Json) -> bool:
    """Whether a metric is a share of the questions; bits per byte are none."""
    return one["method"] in ("wilson", "rule-of-three") or one["is_main"]


def _plain_numbers(one: Json) -> list[str]:
    values = {"mean": str(one["mean"])}
    if one["standard_error"] is not None:
        values[f"mean{STANDARD_ERROR}"] = str(one["standard_error"])
    told = with_error(values, "mean")
    if one["low"] is None or one["high"] is None:
        return [told, "unknown"]
    return [told, f"{one['low']:.3f} to {one['high']:.3f}"]


def _numbers(one: Json) -> list[str]:
    told = points_with_error(one["mean"], one["standard_error"])
    if one["low"] is None or one["high"] is None:
        return [told, "unknown"]
    return [told, f"{100 * one['low']:.1f} to {100 * one['high']:.1f}"]
