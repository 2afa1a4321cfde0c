"""What the experiments of a study come to, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codemix_cli.output import table
from codemix_cli.slice_text import choice_named, seconds_told
from codemix_cli.wording import counted, duration, scaled

if TYPE_CHECKING:
    from specs.study_graph import StudyGraph

Report = dict[str, Any]


def told_experiments(graph: StudyGraph, report: Report) -> str:
    """Tell a line per experiment, and what they come to together.

    Args:
        graph: The study.
        report: Of `specs.study_report.study_report`.
    """
    sums = report["totals"]
    head = (
        f"study {report['name']}  {counted(len(graph.members), 'experiment')}, "
        f"{counted(sums['alone']['stages'], 'stage')}, "
        f"{sums['shared']['stages']:,} of them to train"
    )
    return f"{head}\n\n{_experiments(graph, report)}"


def told_stated(stated: Report) -> str:
    """Tell chip-hours beside those that somebody else has stated.

    Args:
        stated: Of `specs.study_stated.stated_costs`.
    """
    rows = [["", "tokens", "chip-hours", "stated", "ratio", "source"]]
    for one in stated["rows"]:
        rows.append(
            [one["model"], scaled(one["tokens"]), *_ratio(one), one["source"]],
        )
    rows.append(["each stage once", "", *_ratio(stated["total"]), ""])
    return table(rows, right=[1, 2, 3, 4])


def told_on(found: Report) -> str:
    """Tell what a study takes on a slice.

    Args:
        found: Of `runtime.study.compiled.study_on`.
    """
    return f"on {found['slice']}\n\n{_programs(found)}\n\n{_stages(found)}"


def _experiments(graph: StudyGraph, report: Report) -> str:
    """Return a line per experiment; a stage is new to the first that has it."""
    hours = {one["identity"]: one["chip_hours"] for one in report["stages"]}
    has_hours = None not in hours.values()
    header = ["experiment", "parameters", "stages", "new", "steps", "tokens", "new"]
    rows = [[*header, *(["chip-hours", "new"] if has_hours else [])]]
    for member in graph.members.values():
        nodes = [graph.nodes[one] for one in member.stages]
        new = [node for node in nodes if node.experiments[0] == member.name]
        row = [
            member.name,
            scaled(member.plan.num_parameters),
            str(len(nodes)),
            str(len(new)),
            f"{member.plan.num_steps:,}",
            scaled(member.plan.num_tokens),
            scaled(sum(node.num_tokens for node in new)),
        ]
        if has_hours:
            for some in (nodes, new):
                row.append(f"{sum(hours[node.identity] for node in some):,.0f}")
        rows.append(row)
    return table(rows, right=range(1, len(rows[0])))


def _ratio(one: Report) -> list[str]:
    here, stated = one["here"], one["stated"]
    if here is None or stated is None:
        return [
            *("-" if part is None else f"{part:,.0f}" for part in (here, stated)),
            "",
        ]
    return [f"{here:,.0f}", f"{stated:,.0f}", f"{here / stated:.2f}"]


def _programs(found: Report) -> str:
    """Return a line per program that was compiled."""
    rows = [["model", "choice", "GiB", "step", "bound by", "tokens/s", "MFU"]]
    seen = set()
    for one, stage in _first_stages(found):
        name = one["preset"] or one["name"]
        told = (name, choice_named(one["choice"]), stage["step_seconds"])
        if told in seen:
            continue
        seen.add(told)
        rows.append(
            [
                *told[:2],
                f"{stage['memory']['peak_bytes'] / 1024**3:.2f}",
                seconds_told(stage["step_seconds"]),
                stage["bound"],
                f"{stage['tokens_per_second']:,.0f}",
                f"{stage['model_flops_utilisation']:.0%}",
            ]
        )
    return table(rows, right=[2, 3, 5, 6])


def _first_stages(found: Report) -> list[tuple[Report, Report]]:
    """Return each stage with what the slice's report of its experiment says of it."""
    reports = {one["name"]: one["on"] for one in found["experiments"]}
    pairs = []
    for one in found["stages"]:
        experiment, _, name = one["name"].rpartition("/")
        stages = {stage["name"]: stage for stage in reports[experiment]["stages"]}
        pairs.append((one, stages[name]))
    return pairs


def _stages(found: Report) -> str:
    has_price = found["cost"] is not None
    header = ["stage", "steps", "step", "wall time", "chip-hours"]
    rows = [[*header, *(["cost"] if has_price else [])]]
    for one in found["stages"]:
        rows.append(
            [
                one["name"],
                f"{one['num_steps']:,}",
                seconds_told(one["step_seconds"]),
                *_costs(one, has_price=has_price),
            ]
        )
    rows.append(["each stage once", "", "", *_costs(found, has_price=has_price)])
    return table(rows, right=range(1, len(rows[0])))


def _costs(one: Report, *, has_price: bool) -> list[str]:
    told = [duration(one["wall_seconds"]), f"{one['chip_hours']:,.0f}"]
    return [*told, *([f"{one['cost']:,.0f}"] if has_price else [])]
