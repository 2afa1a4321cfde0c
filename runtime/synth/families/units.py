"""Quantities with units, written as text."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param

UNITS = (
    ((("d", 1440), ("h", 60), ("m", 1)), "minutes", "duration"),
    ((("h", 3600), ("m", 60), ("s", 1)), "seconds", "duration"),
    ((("w", 7), ("d", 1)), "days", "period"),
    ((("y", 12), ("m", 1)), "months", "age"),
    ((("km", 1000), ("m", 1)), "metres", "distance"),
    ((("kg", 1000), ("g", 1)), "grams", "weight"),
    ((("l", 1000), ("ml", 1)), "millilitres", "volume"),
    ((("ft", 12), ("in", 1)), "inches", "height"),
    ((("gb", 1024), ("mb", 1)), "megabytes", "size"),
)  # fmt: skip
JOINERS = {"": "nothing", " ": "a blank", "+": "a `+`", ":": "a `:`"}


def _units(core: Core, draws: Draws) -> Draft:
    units, small, what = core["units"]
    joiner, (goal, limit) = draws.choice(tuple(JOINERS)), core["goal"]
    bad = core["bad"]
    table = dict(units)
    task, returns = {
        "sum": (f"the sum of all of them in {small}", "int"),
        "longest": (f"the largest of them in {small}, or 0 if there is none", "int"),
        "list": (f"the list of the values in {small}", "list[int]"),
        "above": (f"how many of them are above {limit} {small}", "int"),
        "rounded": (
            f"the list of the values in {small}, each rounded up to a multiple of {limit}",
            "list[int]",
        ),
        "excess": (
            f"the total in {small} by which they are above {limit} {small}, adding up those that are above only",
            "int",
        ),
    }[goal]
    name = draws.choice((f"{what}s", "texts", "entries", "labels"))
    finish = {"sum": "sum($parts)", "longest": "max($parts, default=0)", "list": "$parts", "above": f"sum($x > {limit} for $x in $parts)",
              "rounded": f"[-(-$x // {limit}) * {limit} for $x in $parts]", "excess": f"sum($x - {limit} for $x in $parts if $x > {limit})"}[goal]  # fmt: skip
    by_hand = {"sum": "sum(found)", "longest": "sorted([0] + found)[-1]", "list": "found", "above": f"len([v for v in found if not v <= {limit}])",
               "rounded": f"[(v + {limit} - 1) // {limit} * {limit} for v in found]", "excess": f"sum(max(0, v - {limit}) for v in found)"}[goal]  # fmt: skip
    order = sorted(table, key=len, reverse=True)
    pattern = "(\\d+)(" + "|".join(order) + ")"
    count = {"zero": "0", "one": "1"}[bad]
    regex = (
        f"import re\n\nUNITS = {table!r}\n\n\ndef amount(text: str) -> int:\n    $total = {count} if not text else 0\n    for $low, $high in re.findall(r'{pattern}', text):\n        $total += int($low) * UNITS[$high]\n    return $total\n\n\n"
        f"$sig\n    $parts = [amount(text) for text in $xs]\n    return {finish}"
    )
    scan = (
        f"UNITS = {table!r}\n\n\ndef amount(text: str) -> int:\n    if not text:\n        return {count}\n    $total, digits, unit = 0, '', ''\n    for char in text:\n        if char.isdigit():\n            if unit:\n                $total += int(digits) * UNITS[unit]\n                digits = unit = ''\n            digits += char\n"
        f"        elif char.isalpha():\n            unit += char\n    return $total + int(digits) * UNITS[unit]\n\n\n$sig\n    $parts = []\n    for text in $xs:\n        $parts.append(amount(text))\n    return {finish}"
    )
    sizes = ", ".join(f"1{unit} = {size} {small}" for unit, size in units if size > 1)
    example = joiner.join(
        f"{n}{unit}" for n, (unit, _) in zip((1, 20, 5), units, strict=False)
    )
    return Draft(
        names=(f"add_{what}s", f"parse_{what}s", f"{what}s_in_{small}", f"{goal}_of_{what}s", "convert_all"),
        params=(Param(name, "list[str]"),),
        returns=returns,
        given=f"a list `{name}` of {what}s such as `{example}`",
        task=task,
        rules=(f"A {what} is made of whole numbers with units, the larger units first, and {JOINERS[joiner]} between them; units may be missing.".replace("A age", "An age"),
               f"The units are {sizes} and 1{units[-1][0]} = 1 {small[:-1] if small != 'inches' else 'inch'}.".replace("feet", "foot"),
               f"An empty string stands for {count} {small if count == '0' else (small[:-1] if small != 'inches' else 'inch')}."),
        solutions={"regular expression": regex, "scan": scan},
        reference=f"def value(text):\n    total = 0\n    for unit, size in {units!r}:\n        for n in range(100):\n            for part in text.split({joiner!r}) if {joiner!r} else cut(text):\n                if part == str(n) + unit:\n                    total += n * size\n    return total if text else {count}\n\n\n"
        "def cut(text):\n    parts = ['']\n    for i, c in enumerate(text):\n        if i and c in '0123456789' and text[i - 1] not in '0123456789':\n            parts.append('')\n        parts[-1] += c\n    return parts\n\n\n"
        f"def reference(texts):\n    found = [value(text) for text in texts]\n    return {by_hand}",
        inputs=lambda d: ([_quantity(d, units, joiner) for _ in range(d.integer(0, 5))],),
        edges=(([],), ([""],), ([example],)),
        fill={"parts": "$amounts", "low": "digits", "high": "unit", "xs": name, "x": "value"},
        level=1,
    )  # fmt: skip


def _quantity(draws: Draws, units: tuple[tuple[str, int], ...], joiner: str) -> str:
    return joiner.join(
        f"{draws.integer(0, 12)}{unit}" for unit, _ in units if draws.chance(65)
    )


LIMITS = (*range(4, 60, 2), 7, 15, 25, 45, 75, 90, 100, 120, 150, 200, 250)
FAMILIES = (
    Family(
        "units",
        "parsing",
        {
            "units": UNITS,
            "goal": (
                *((one, 0) for one in ("sum", "longest", "list")),
                *((one, t) for one in ("above", "rounded", "excess") for t in LIMITS),
            ),
            "bad": ("zero", "one"),
            "portion": ("all", "part"),
        },
        _units,
    ),
)
