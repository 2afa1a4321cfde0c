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
        context=draws.choice(("", "", "A station master keeps a list of times.", "A nurse writes down when each medicine is due.")),
        solutions=solutions,
        reference=f"CLOCK = [f'{{h:02d}}{sep}{{m:02d}}' for h in range(24) for m in range(60)]\n\n\ndef text(m):\n    return CLOCK[m]\n\n\n"
        f"def reference(times):\n    kept = []\n    for time in times:\n        m = CLOCK.index(time)\n        if {extra_hand}{' and m not in kept' if extra == 'once' else ''}:\n            kept.append(m)\n    return {by_hand}",
        inputs=lambda d: ([_time(d, sep) for _ in range(d.integer(0, 6))],),
        edges=(([],), ([f"00{sep}00", f"23{sep}59", f"12{sep}00", f"12{sep}00"],)),
        fill={"parts": "$moments", "low": "first", "high": "second", "xs": name, "x": "time" if name != "time" else "moment"},
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

LONG = (8, 10, 12, 14, 15, 18, 20, 24, 25, 28, 30, 32)
MONTHS = (5, 6, 7, 8, 9, 10, 11, 12, 13)
# Months of a year, days of a month, first year, and what is asked. Each is another
# question: where the year is not asked for, the first year and, where the month is not
# either, the number of months would change nothing.
CALENDARS = (
    *((m, n, y, (end, 7)) for m in MONTHS for n in LONG for y in range(1, 2001, 50) for end in ("date", "text")),
    *((m, n, 1, ("both", w)) for m in MONTHS for n in LONG for w in (4, 5, 6, 7, 8, 9)),
    *((10, n, 1, (end, 7)) for n in range(8, 34) for end in ("first", "left")),
    *((12, n, 1, ("rest", w)) for n in range(8, 34) for w in (4, 5, 6, 7, 8, 9)),
)  # fmt: skip


def _calendar(core: Core, draws: Draws) -> Draft:
    months, long, first, (end, week) = core["when"]
    words = {"w1": week - 1, "week": week, "long": long}
    task, returns, finish, by_hand = (
        text.format(**words) for text in CALENDAR_ENDS[end]
    )
    name = draws.choice(("n", "number", "day_number", "count"))
    year = months * long
    # What is not asked for is not computed.
    needs = {part for part in ("year", "month", "day") if part in finish}
    plain, steps = ("$sig\n" + code(needs, long, months, first) + f"    return {finish}"
                    for code in (_by_division, _by_counting))  # fmt: skip
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


def _by_division(needs: set[str], long: int, months: int, first: int) -> str:
    """Compute the parts of a date that are needed, by dividing."""
    plus = f" + {first}" if first else ""
    lines = {
        "year": f"    year = $n // {months * long}{plus}\n",
        "month": f"    month = $n // {long} % {months} + 1\n",
        "day": f"    day = $n % {long} + 1\n",
    }
    return "".join(line for part, line in lines.items() if part in needs)


def _by_counting(needs: set[str], long: int, months: int, first: int) -> str:
    """Compute the same by going from month to month."""
    code = "    $left = $n\n"
    code += f"    year = {first}\n" if "year" in needs else ""
    code += "    month = 1\n" if needs & {"year", "month"} else ""
    code += f"    while $left >= {long}:\n        $left -= {long}\n"
    if needs & {"year", "month"}:
        code += (
            f"        month += 1\n        if month > {months}:\n            month = 1\n"
        )
    code += "            year += 1\n" if "year" in needs else ""
    return code + ("    day = $left + 1\n" if "day" in needs else "")


FAMILIES = (
    Family("clock-times", "dates and time",
           {"end": (*((end, way, k) for end in ("shift", "round") for way in ("up", "down") for k in (5, 7, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 75, 80, 90, 100)),
                    *((end, "", k) for end in ("after", "gaps", "within", "late", "total") for k in (15, 20, 25, 30, 35, 40, 45, 50, 60, 75, 80, 90, 100, 120, 150, 180, 200, 240))),
            "extra": ("all", "morning", "hours", "once", "early"), "form": (":", ".", "h"), "portion": ("all", "part")}, _clock),
    Family("calendars", "dates and time",
           {"when": CALENDARS}, _calendar),
)  # fmt: skip
