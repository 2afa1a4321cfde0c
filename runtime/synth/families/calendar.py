"""Clock times, calendars, time sheets."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param

CLOCK_ENDS = {
    "shift": ("the list of the times, each moved {dir} by {k} minutes", "list[str]"),
    "after": ("the sorted list of all times that are at least {k} minutes after midnight", "list[str]"),
    "round": ("the list of the times, each rounded {dir} to a multiple of {k} minutes after midnight", "list[str]"),
    "gaps": ("the list of the gaps in minutes between times that follow each other when sorted, leaving out gaps below {k} minutes", "list[int]"),
    "within": ("how many pairs of times (at different positions) are less than {k} minutes apart, without going past midnight", "int"),
    "late": ("the latest of the times that are at least {k} minutes before midnight, or an empty string if there is none", "str"),
    "total": ("the sum over all times of the minutes that are missing to the next multiple of {k} minutes after midnight (0 if the time is one)", "int"),
}  # fmt: skip


def _clock(core: Core, draws: Draws) -> Draft:
    end, way, k = core["end"]
    form = core["form"]
    direction = {
        "shift": {"up": "forwards", "down": "backwards"},
        "round": {"up": "up", "down": "down"},
    }.get(end, {}).get(way, "")
    task, returns = (
        text.format(k=k, dir=direction) if "{" in text else text
        for text in CLOCK_ENDS[end]
    )
    sep = form
    name = draws.choice(("times", "alarms", "departures", "clock_times", "stamps"))
    sign = "+" if way == "up" else "-"
    code = {
        "shift": f"[show((minutes($x) {sign} {k}) % 1440) for $x in $xs]",
        "after": f"sorted($x for $x in $xs if minutes($x) >= {k})",
        "round": f"[show({f'-(-minutes($x) // {k}) * {k}' if way == 'up' else f'minutes($x) // {k} * {k}'} % 1440) for $x in $xs]",
        "gaps": f"[$high - $low for $low, $high in zip($parts, $parts[1:]) if $high - $low >= {k}]",
        "within": f"sum(abs($low - $high) < {k} for $i, $low in enumerate($parts) for $high in $parts[:$i])",
        "late": f"max(($x for $x in $xs if 1440 - minutes($x) >= {k}), default='')",
        "total": f"sum(-minutes($x) % {k} for $x in $xs)",
    }[end]
    pre = {
        "gaps": "    $parts = sorted(minutes($x) for $x in $xs)\n",
        "within": "    $parts = [minutes($x) for $x in $xs]\n",
    }.get(end, "")
    to_minutes = {
        "split": f"def minutes($x: str) -> int:\n    hours, rest = $x.split({sep!r})\n    return 60 * int(hours) + int(rest)\n\n\n",
        "slices": "def minutes($x: str) -> int:\n    return int($x[:2]) * 60 + int($x[-2:])\n\n\n",
    }
    show = {
        "split": f"def show(total: int) -> str:\n    return f'{{total // 60:02}}{sep}{{total % 60:02}}'\n\n\n",
        "slices": f"def show(total: int) -> str:\n    hours, rest = divmod(total, 60)\n    return str(hours).zfill(2) + {sep!r} + str(rest).zfill(2)\n\n\n",
    }
    extra = core["extra"]
    extra_rule, extra_code, extra_hand = {
        "all": ("", "", "True"),
        "morning": (
            "Times from 12:00 on are ignored.".replace(":", sep),
            "minutes($x) < 720",
            "not m >= 720",
        ),
        "hours": (
            "Times at full hours are ignored.",
            "minutes($x) % 60",
            "m // 60 * 60 != m",
        ),
        "once": ("Times that occur more than once are used once.", "", "True"),
        "early": (
            "Times before 06:30 are ignored.".replace(":", sep),
            "minutes($x) >= 390",
            "m > 389",
        ),
    }[extra]
    keep = {"": "", "once": "    $xs = list(dict.fromkeys($xs))\n"}.get(
        extra if extra == "once" else "", ""
    )
    if extra_code:
        keep = f"    $xs = [$x for $x in $xs if {extra_code}]\n"
    solutions = {
        style: to_minutes[style]
        + (show[style] if "show(" in code else "")
        + f"$sig\n{keep}{pre}    return {code}"
        for style in ("split", "slices")
    }
    by_hand = {
        "shift": f"[text((m {sign} {k} + 2880) % 1440) for m in kept]",
        "after": f"sorted(text(m) for m in kept if not m < {k})",
        "round": f"[text(next(n for n in range(m, 3000) if n % {k} == 0) % 1440) for m in kept]"
        if way == "up"
        else f"[text(max(n for n in range(m + 1) if n % {k} == 0)) for m in kept]",
        "gaps": f"[b - a for a, b in zip(sorted(kept), sorted(kept)[1:]) if not b - a < {k}]",
        "within": f"len([1 for i in range(len(kept)) for j in range(i) if -{k} < kept[i] - kept[j] < {k}])",
        "late": f"([''] + [text(m) for m in sorted(kept) if m + {k} <= 1440])[-1]",
        "total": f"sum(next(n for n in range({k}) if (m + n) % {k} == 0) for m in kept)",
    }[end]
    rules = [f"Times are strings such as `07{sep}45`, from `00{sep}00` to `23{sep}59`."]
    if end in ("shift", "round"):
        rules.append(f"After `23{sep}59` comes `00{sep}00` again.")
    if extra_rule:
        rules.append(extra_rule)
    return Draft(
        names=(f"{end}_times", f"process_{name}", "clock_report", f"{end}_{name}", "handle_times"),
        params=(Param(name, "list[str]"),),
        returns=returns,
        given=f"a list `{name}` of times of day",
        task=task,
        rules=tuple(rules),
        context=draws.choice(("", "", "A station clock keeps a list of times.", "A nurse writes down when something is due.")),
        solutions=solutions,
        reference=f"CLOCK = [f'{{h:02d}}{sep}{{m:02d}}' for h in range(24) for m in range(60)]\n\n\ndef text(m):\n    return CLOCK[m]\n\n\n"
        f"def reference(times):\n    kept = []\n    for time in times:\n        m = CLOCK.index(time)\n        if {extra_hand}{' and m not in kept' if extra == 'once' else ''}:\n            kept.append(m)\n    return {by_hand}",
        inputs=lambda d: ([_time(d, sep) for _ in range(d.integer(0, 6))],),
        edges=(([],), ([f"00{sep}00", f"23{sep}59", f"12{sep}00", f"12{sep}00"],)),
        fill={"xs": name, "x": "time" if name != "time" else "moment"},
    )  # fmt: skip


def _time(draws: Draws, sep: str) -> str:
    hour = draws.choice((draws.integer(0, 23), draws.integer(7, 9)))
    return f"{hour:02}{sep}{draws.choice((draws.integer(0, 59), 0, 30)):02}"


WORLDS = (
    "A fantasy novel has a calendar of its own.",
    "A colony on Mars uses its own calendar.",
    "A game world has a simple calendar.",
    "Astronomers of a far planet agree on a calendar.",
    "",
)
CALENDAR_ENDS = {
    "date": ("the date on which the day with this number falls, as a tuple (year, month, day)", "tuple[int, int, int]", "(year, month, day)", "(y, m, d)"),
    "first": ("whether the day with this number is the first day of a month", "bool", "day == 1", "d in (1,)"),
    "text": ("the date on which the day with this number falls, as a string such as `3/2/17` (year, month, day)", "str", "f'{{year}}/{{month}}/{{day}}'", "'/'.join([str(y), str(m), str(d)])"),
    "left": ("the number of days that are left in the month after the day with this number", "int", "{long} - day", "{long} - d"),
    "both": ("a tuple of the month and the weekday (from 0 to {w1}) of the day with this number", "tuple[int, int]", "(month, $n % {week})", "(m, w)"),
    "rest": ("whether the day with this number is a day of rest: the last day of the week or the last day of a month", "bool", "$n % {week} == {w1} or day == {long}", "w > {w1} - 1 or d > {long} - 1"),
}  # fmt: skip


def _calendar(core: Core, draws: Draws) -> Draft:
    months, long = core["months"], core["long"]
    end, week = core["end"]
    words = {"w1": week - 1, "week": week, "long": long}
    task, returns, finish, by_hand = (
        text.format(**words) for text in CALENDAR_ENDS[end]
    )
    name = draws.choice(("n", "number", "day_number", "count"))
    year = months * long
    first = core["first"]
    plain = f"$sig\n    year, $left = divmod($n, {year})\n    month, day = divmod($left, {long})\n    year, month, day = year + {first}, month + 1, day + 1\n    return {finish}"
    steps = f"$sig\n    $left = $n\n    year, month = {first}, 1\n    while $left >= {long}:\n        $left -= {long}\n        month += 1\n        if month > {months}:\n            month = 1\n            year += 1\n    day = $left + 1\n    return {finish}"
    return Draft(
        names=("calendar_day", f"{end}_of_day", "convert_day", "day_info", "look_up_day"),
        params=(Param(name, "int"),),
        returns=returns,
        given=f"the number `{name}` of a day (at least 0)",
        task=task,
        rules=(f"Every month has {long} days, every year {months} months and every week {week} days; months and days of a month count from 1.",
               f"Day 0 is the first day of the first month of year {first}, and its weekday is 0."),
        context=draws.choice(WORLDS),
        solutions={"divmod": plain, "loop": steps},
        reference=f"def reference(n):\n    y, m, d, w = {first}, 1, 1, 0\n    for _ in range(n):\n        d, w = d + 1, w + 1\n        if w > {week - 1}:\n            w = 0\n        if d > {long}:\n            d, m = 1, m + 1\n        if m > {months}:\n            m, y = 1, y + 1\n    return {by_hand}",
        inputs=lambda d: (d.choice((d.integer(0, 40), d.integer(0, 900), d.integer(0, 20) * long, d.integer(1, 20) * long - 1)),),
        edges=((0,), (long - 1,), (long,), (year,)),
        fill={"n": name},
    )  # fmt: skip


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
        fill={"xs": name},
    )  # fmt: skip


def _shift(draws: Draws) -> tuple[int, int]:
    start = draws.integer(300, 900)
    return (start, start + draws.integer(0, 520))


FAMILIES = (
    Family("clock-times", "dates and time",
           {"end": (*((end, way, k) for end in ("shift", "round") for way in ("up", "down") for k in (5, 7, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 75, 80, 90, 100)),
                    *((end, "", k) for end in ("after", "gaps", "within", "late", "total") for k in (15, 20, 25, 30, 35, 40, 45, 50, 60, 75, 80, 90, 100, 120, 150, 180, 200, 240))),
            "extra": ("all", "morning", "hours", "once", "early"), "form": (":", ".", "h"), "portion": ("all", "part")}, _clock),
    Family("calendars", "dates and time",
           {"months": (5, 6, 7, 8, 9, 10, 11, 12, 13), "long": (8, 10, 12, 14, 15, 18, 20, 24, 25, 28, 30, 32), "first": (1, 100, 2000),
            "end": (*((end, 7) for end in ("date", "first", "text", "left")), *((end, week) for end in ("both", "rest") for week in (4, 5, 6, 7, 8, 9)))}, _calendar),
    Family("timesheets", "dates and time",
           {"rounding": (("exact", 0), *((one, q) for one in ("up", "down") for q in (5, 10, 15, 20, 30, 60))),
            "pause": (("none", 0), *(("long", b) for b in (120, 180, 200, 240, 300, 360))),
            "end": (*((one, 0, 0) for one in ("total", "longest", "list", "hours")), *(("pay", r, limit) for r in (20, 25, 30, 40) for limit in (0, 120, 180, 240, 300, 400))), "portion": ("all", "part")},
           _timesheet),
)  # fmt: skip
