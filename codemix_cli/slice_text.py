"""What a slice makes of an experiment, as people read it."""

from __future__ import annotations

from typing import Any

from codemix_cli.output import table
from codemix_cli.wording import duration, in_bytes, scaled

Report = dict[str, Any]

_KIND_OF_ANSWER = {
    "compiler": "by the compiler",
    "formula": "by formula",
    "estimate": "by what the compiler wanted for others",
}


def slice_told(report: Report) -> str:
    """Return the text of a report of `runtime.slice_report`."""
    parts = [_facts(report), _stages(report), _tried(report)]
    return "\n\n".join(part for part in parts if part)


def choice_named(choice: Report) -> str:
    """Name a choice.

    >>> choice_named({"lane": 2, "remat": "none", "gather": "step"})
    'lane 2, remat none, gather step'
    """
    return ", ".join(f"{name} {choice[name]}" for name in ("lane", "remat", "gather"))


def _facts(report: Report) -> str:
    where, stage = report["slice"], _slowest(report)
    memory = stage["memory"]
    limit = in_bytes(where["memory_bytes"])
    rows = [
        ["on", f"{where['name']}, {where['num_chips']} x {where['chip']}"],
        ["choice", f"{choice_named(report['choice'])}{_why(report)}"],
        ["per device", f"{in_bytes(memory['peak_bytes'])} of {limit} at the peak"],
    ]
    if report["is_compiled"]:
        rows[-1][1] += (
            f": arguments {in_bytes(memory['argument_bytes'])}, temporaries "
            f"{in_bytes(memory['temporary_bytes'])}"
        )
        sent = ", ".join(
            f"{kind} {in_bytes(round(moved['bytes']))}"
            for kind, moved in stage["collectives"].items()
        )
        rows.append(["sent per step", sent or "nothing"])
        if stage["unknown_loops"]:
            told = f"{stage['unknown_loops']} of unknown turns, which count once"
            rows.append(["loops", told])
    else:
        rows[-1][1] += ", at least, by formula: there is no compiler for it here"
    rows += [
        ["step", f"{seconds_told(stage['step_seconds'])}, bound by {stage['bound']}"],
        [
            "",
            ", ".join(
                f"{part} {seconds_told(stage[f'{part}_seconds'])}"
                for part in ("compute", "memory", "interconnect")
            ),
        ],
        [
            "speed",
            f"{scaled(round(stage['tokens_per_second']))} tokens/s, "
            f"{stage['model_flops_utilisation']:.0%} of peak operations",
        ],
        ["assumed", _assumed(report["assumptions"])],
    ]
    return table(rows)


def _slowest(report: Report) -> Report:
    """Return the stage whose steps need the most memory."""
    return max(report["stages"], key=lambda stage: stage["memory"]["peak_bytes"])


def _why(report: Report) -> str:
    if not report["left_open"]:
        return ": as the spec says"
    return f": {', '.join(report['left_open'])} chosen, the quickest that fits"


def _assumed(shares: dict[str, float]) -> str:
    return (
        f"{shares['matrix_efficiency']:.0%} of peak in matrix products, "
        f"{shares['attention_efficiency']:.0%} in attention, "
        f"{shares['memory_efficiency']:.0%} of memory's bandwidth, "
        f"{shares['link_efficiency']:.0%} of the links'; not measured"
    )


def _stages(report: Report) -> str:
    has_price = report["cost"] is not None
    header = ["stage", "steps", "step", "wall time", "chip-hours"]
    rows = [
        [
            stage["name"],
            f"{stage['num_steps']:,}",
            seconds_told(stage["step_seconds"]),
            duration(stage["wall_seconds"]),
            f"{stage['chip_hours']:,.0f}",
            *([f"{stage['cost']:,.0f}"] if has_price else []),
        ]
        for stage in report["stages"]
    ]
    total = [
        *("all", "", "", duration(report["wall_seconds"])),
        f"{report['chip_hours']:,.0f}",
        *([f"{report['cost']:,.0f}"] if has_price else []),
    ]
    header += ["cost"] if has_price else []
    return table([header, *rows, total], right=range(1, len(header)))


def _tried(report: Report) -> str:
    """Return what was tried; nothing where the first choice fitted."""
    if len(report["tried"]) == 1:
        return ""
    rows = [
        [
            str(one["lane"]),
            one["remat"],
            one["gather"],
            in_bytes(one["needed_bytes"]),
            seconds_told(one["step_seconds"]) if one["fits"] else "",
            ("fits, " if one["fits"] else "no, ") + _KIND_OF_ANSWER[one["by"]],
        ]
        for one in report["tried"]
    ]
    header = ["lane", "remat", "gather", "needs", "step"]
    header += ["in order of speed by formula"]
    return table([header, *rows], right=[0, 3, 4])


def seconds_told(seconds: float) -> str:
    """Write the time of a step.

    >>> seconds_told(0.01234), seconds_told(1.234), seconds_told(123.4)
    ('12.3 ms', '1.23 s', '123 s')
    """
    if seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"
