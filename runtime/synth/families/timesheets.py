"""Time sheets: what was worked, with breaks, rounding and pay."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param

ROUNDINGS = {"exact": ("", "{x}", "{x}"), "up": ("Each time worked is rounded up to a multiple of {q} minutes.", "-(-({x}) // {q}) * {q}", "next(t for t in range({x}, 3000) if t % {q} == 0)"),
             "down": ("Each time worked is rounded down to a multiple of {q} minutes.", "({x}) // {q} * {q}", "max(t for t in range({x} + 1) if t % {q} == 0)")}  # fmt: skip
BREAKS = {
    "none": ("", "0", "0"),
    "long": (
        "If a shift is longer than {b} minutes, a break of {q2} minutes is taken off.",
        "{q2} if $high - $low > {b} else 0",
        "{q2} * (b - a >= {b} + 1)",
    ),
}
SHEET_ENDS = {
    "total": ("the total time worked in minutes", "int", "sum($parts)", "sum(found)"),
    "pay": ("the total pay in cents", "int", "sum({pay} for $x in $parts)", "sum({pay_hand} for t in found)"),
    "longest": ("the longest time worked in minutes (0 if there are no shifts)", "int", "max($parts, default=0)", "sorted([0] + found)[-1]"),
    "list": ("the list of the times worked in minutes", "list[int]", "$parts", "found"),
    "hours": ("the total time worked, as a tuple of whole hours and the minutes left", "tuple[int, int]", "divmod(sum($parts), 60)", "(sum(found) // 60, sum(found) - sum(found) // 60 * 60)"),
}  # fmt: skip


def _timesheet(core: Core, draws: Draws) -> Draft:
    (rounding, q), (pause, b), (end, r, limit) = (
        core["rounding"],
        core["pause"],
        core["end"],
    )
    words = {"q": q, "b": b, "q2": b // 10}
    rule, code, other = ROUNDINGS[rounding]
    break_rule, minus, minus_hand = (text.format(**words) for text in BREAKS[pause])
    task, returns, finish, by_hand = SHEET_ENDS[end]
    pay = f"$x * {r}" if not limit else f"$x * {r} + max($x - {limit}, 0) * {r}"
    pay_hand = (
        f"t * {r}"
        if not limit
        else f"(t * {r} if t <= {limit} else {limit} * {r} + (t - {limit}) * 2 * {r})"
    )
    finish, by_hand = (
        finish.replace("{pay}", pay),
        by_hand.replace("{pay_hand}", pay_hand),
    )
    name = draws.choice(("shifts", "entries", "sheet", "visits"))
    worked = "$high - $low" if pause == "none" else "$high - $low - $step"
    value = code.format(x=worked, **words)
    loop = (
        "$sig\n    $parts = []\n    for $low, $high in $xs:\n"
        + ("" if pause == "none" else f"        $step = {minus}\n")
        + f"        $parts.append({value})\n    return {finish}"
    )
    helper = (
        "def worked($low: int, $high: int) -> int:\n"
        + ("" if pause == "none" else f"    $step = {minus}\n")
        + f"    return {value}\n\n\n$sig\n    $parts = [worked($low, $high) for $low, $high in $xs]\n    return {finish}"
    )
    rules = [
        "Each shift is a tuple (start, end) in minutes after midnight, with start <= end; the time worked is the difference."
    ]
    rules += [text for text in (break_rule, rule.format(**words)) if text]
    if break_rule and rule:
        rules.append("The break is taken off before rounding.")
    if "pay" in task:
        rules.append(
            f"The pay is {r} cents a minute"
            + (
                "."
                if not limit
                else f"; within a shift, every minute beyond the first {limit} is paid twice as much."
            )
        )
    return Draft(
        names=(f"timesheet_{returns[:3]}", "time_worked", f"evaluate_{name}", "work_report", "add_up_shifts"),
        params=(Param(name, "list[tuple[int, int]]"),),
        returns=returns,
        given=f"a list `{name}` of shifts",
        task=task,
        rules=tuple(rules),
        context=draws.choice(("", "A small company keeps its time sheets by hand.", "A gym records when its trainers work.", "A cafe pays its staff by the minute.")),
        solutions={"loop": loop, "helper": helper},
        reference=f"def reference(shifts):\n    found = []\n    for a, b in shifts:\n        spent = b - a - ({minus_hand})\n        found.append({other.format(x='spent', **words)})\n    return {by_hand}",
        inputs=lambda d: ([_shift(d) for _ in range(d.integer(0, 5))],),
        edges=(([],), ([(480, 960)],), ([(500, 507), (600, 600)],)),
        fill={"parts": "$durations", "low": "start", "high": "end", "step": "pause", "x": "duration", "xs": name},
    )  # fmt: skip


def _shift(draws: Draws) -> tuple[int, int]:
    start = draws.integer(300, 900)
    return (start, start + draws.integer(0, 520))


FAMILIES = (
    Family("timesheets", "dates and time",
           {"rounding": (("exact", 0), *((one, q) for one in ("up", "down") for q in (5, 10, 15, 20, 30, 60))),
            "pause": (("none", 0), *(("long", b) for b in (120, 180, 200, 240, 300, 360))),
            "end": (*((one, 0, 0) for one in ("total", "longest", "list", "hours")), *(("pay", r, limit) for r in (20, 25, 30, 40) for limit in (0, 120, 180, 240, 300, 400))), "portion": ("all", "part")},
           _timesheet),
)  # fmt: skip
