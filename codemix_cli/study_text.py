"""What a study comes to, as a tree of its stages and a table of sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codemix_cli.lineage_text import tree_lines
from codemix_cli.output import table
from codemix_cli.wording import counted, scaled

if TYPE_CHECKING:
    from specs.study_graph import StageNode, StudyGraph

MOST_NAMED = 3
"""Experiments that are named in a row."""

_TOTALS = {
    "alone": "each experiment alone",
    "shared": "each stage once",
    "to_do": "still to train",
}


def told_study(graph: StudyGraph, report: dict[str, Any]) -> str:
    """Tell the graph of a study.

    Args:
        graph: The study.
        report: Of `specs.study_report.study_report`.
    """
    sums = report["totals"]
    head = (
        f"study {report['name']}  {counted(len(graph.members), 'experiment')}, "
        f"{counted(sums['alone']['stages'], 'stage')}, "
        f"{sums['shared']['stages']:,} of them unique"
    )
    return "\n\n".join([head, _tree(graph, report), *_sums(report)])


def _tree(graph: StudyGraph, report: dict[str, Any]) -> str:
    going_on, ended, branch, last = tree_lines()
    told = {one["identity"]: one for one in report["stages"]}
    has_hours = report["totals"]["shared"]["chip_hours"] is not None
    rows = [["stage", "steps", "tokens", "FLOPs"]]
    rows[0] += [*(["chip-hours"] if has_hours else []), "ledger", "of"]
    for node, levels in graph.tree():
        one = told[node.identity]
        above = "".join(ended if is_last else going_on for is_last in levels[:-1])
        own = "" if not levels else last if levels[-1] else branch
        hours = [f"{one['chip_hours']:,.4g}"] if has_hours else []
        rows.append(
            [
                above + own + node.stage,
                f"{one['steps']:,}",
                scaled(one["tokens"]),
                f"{one['flops']:.3g}",
                *hours,
                _ledger(one, report),
                _shared_by(graph, node),
            ]
        )
    return table(rows, right=[1, 2, 3, *([4] if has_hours else [])])


def _ledger(stage: dict[str, Any], report: dict[str, Any]) -> str:
    if not report["is_ledger_known"]:
        return "?"
    return "-" if stage["entry"] is None else str(stage["entry"][:12])


def _shared_by(graph: StudyGraph, node: StageNode) -> str:
    """Say whose stage it is: those that end here by name, the others too if few."""
    names = node.experiments
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    ending = graph.ending_with(node.identity)
    more = counted(len(names) - len(ending), "experiment")
    return ", ".join([*ending, more]) if ending else more


def _sums(report: dict[str, Any]) -> list[str]:
    sums, assumed = report["totals"], report["assumed"]
    has_hours = sums["shared"]["chip_hours"] is not None
    has_money = sums["shared"]["money"] is not None
    rows = [["", "stages", "steps", "tokens", "FLOPs"]]
    rows[0] += [
        *(["chip-hours"] if has_hours else []),
        *(["money"] if has_money else []),
    ]
    for key, words in _TOTALS.items():
        one = sums[key]
        if key == "to_do" and not report["is_ledger_known"]:
            continue
        row = [words, f"{one['stages']:,}", f"{one['steps']:,}", scaled(one["tokens"])]
        row.append(f"{one['flops']:.3g}")
        row += [f"{one['chip_hours']:,.4g}"] if has_hours else []
        row += [f"{one['money']:,.2f}"] if has_money else []
        rows.append(row)
    told = table(rows, right=range(1, len(rows[0])))
    saved = f"{100 * report['saved_share']:.1f}% of the steps are not trained again"
    if assumed is None:
        return [told, saved]
    shares = ", ".join(
        f"{100 * mfu:.3g}%" + ("" if preset == "other" else f" ({preset})")
        for preset, mfu in assumed["mfu"].items()
    )
    peak = f"{assumed['peak_flops'] / 1e12:,.4g} TFLOP/s"
    return [
        told,
        f"{saved}\nassumed: {assumed['chip']}, {peak} at the peak, of it {shares}",
    ]
