"""Choosing numbers of a list, changing them, putting them together."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param
from runtime.synth.vocabulary import (
    SIGNED_STORIES,
    Condition,
    conditions,
    story,
)

CONDITIONS = conditions()


@dataclass(frozen=True)
class Change:
    """What is done to each number before it is used."""

    text: str
    code: str
    other: str


CHANGES = (
    Change("{ones}", "{x}", "{x} + 0"),
    Change("the squares of {ones}", "{x} * {x}", "{x} ** 2"),
    Change("the absolute values of {ones}", "abs({x})", "max({x}, -({x}))"),
    *(
        Change(f"{word} {{ones}}", f"{k} * {{x}}", " + ".join(["{x}"] * k))
        for k, word in ((2, "the doubles of"), (3, "the triples of"))
    ),
    *(
        Change(
            f"the remainders modulo {k} of {{ones}}",
            f"{{x}} % {k}",
            f"{{x}} - {{x}} // {k} * {k}",
        )
        for k in (4, 7, 9, 10)
    ),
    *(
        Change(f"the distances from {k} of {{ones}}", f"abs({{x}} - {k})",
               f"max({{x}}, {k}) - min({{x}}, {k})")
        for k in (5, 8, 12)
    ),
)  # fmt: skip
# Name, words, expression over a generator or list, start and loop step.
REDUCTIONS = {
    "sum": ("the sum of {them}", "sum({list})", "0", "$total += {value}"),
    "max": (
        "the largest of {them}",
        "max({list}, default=0)",
        "None",
        "if $total is None or {value} > $total:\n            $total = {value}",
    ),
    "min": (
        "the smallest of {them}",
        "min({list}, default=0)",
        "None",
        "if $total is None or {value} < $total:\n            $total = {value}",
    ),
    "distinct": (
        "how many different values there are among {them}",
        "len(set({list}))",
        "set()",
        "$total.add({value})",
    ),
    "xor": ("the bitwise XOR of {them}", "", "0", "$total ^= {value}"),
    "mod": (
        "the sum of {them}, modulo 1000",
        "sum({list}) % 1000",
        "0",
        "$total = ($total + {value}) % 1000",
    ),
}
RESULT = {
    "max": "0 if $total is None else $total",
    "min": "0 if $total is None else $total",
    "distinct": "len($total)",
}
BY_HAND = {
    "sum": "total = 0\n    for value in found:\n        total = total + value",
    "max": "total = sorted(found)[-1] if found else 0",
    "min": "total = sorted(found)[0] if found else 0",
    "distinct": "total = len([v for i, v in enumerate(found) if v not in found[:i]])",
    "xor": "total = 0\n    for value in found:\n        total = (total | value) - (total & value)",
    "mod": "total = 0\n    for value in found:\n        total += value\n    total -= total // 1000 * 1000",
}  # fmt: skip


def _aggregate(core: Core, draws: Draws) -> Draft:
    condition: Condition = core["condition"]
    change: Change = core["change"]
    words, whole, start, step = REDUCTIONS[core["reduction"]]
    told = story(draws, SIGNED_STORIES)
    ones = f"the {told.plural} in `{told.name}` that {condition.text}"
    value = change.code.format(x="$x")
    test = condition.code.format(x="$x")
    loop = (
        f"$sig\n    $total = {start}\n    for $x in $xs:\n        if {test}:\n"
        f"            {step.format(value=value).replace(chr(10), chr(10) + '    ')}\n"
        f"    return {RESULT.get(core['reduction'], '$total')}"
    )
    chosen = f"[{value} for $x in $xs if {test}]"
    solutions = {
        "loop": loop,
        "guard": loop.replace(
            f"        if {test}:\n            ",
            f"        if not ({test}):\n            continue\n        ",
        ).replace("\n                $total = ", "\n            $total = "),
    }
    if whole:
        lazy = chosen[1:-1] if "default" not in whole else f"({chosen[1:-1]})"
        solutions["expression"] = f"$sig\n    return {whole.format(list=lazy)}"
        solutions["steps"] = (
            f"$sig\n    # Keep what counts, then put it together.\n"
            f"    $kept = {chosen}\n    return {whole.format(list='$kept')}"
        )
    else:
        solutions["reduce"] = (
            "from functools import reduce\nfrom operator import xor\n\n\n"
            f"$sig\n    return reduce(xor, {chosen}, 0)"
        )
    rules = []
    if core["reduction"] in ("max", "min"):
        rules.append(f"If no {told.singular} qualifies, the result is 0.")
    elif draws.chance(60):
        rules.append("The result is 0 if there is none.")
    if "remainders" in change.text and draws.chance(90):
        rules.append("Remainders are never negative, as Python's `%` gives them.")
    return Draft(
        names=(
            f"{core['reduction']}_of_selected", f"selected_{told.plural.split()[0]}",
            f"{core['reduction']}_where", f"summarise_{told.name}", "aggregate",
        ),
        params=(Param(told.name, "list[int]"),),
        returns="int",
        given=f"a list of integers `{told.name}`",
        task=words.format(them=change.text.format(ones=ones)),
        rules=tuple(rules),
        context=told.context,
        solutions=solutions,
        reference=(
            "def reference(numbers):\n    found = []\n    for x in numbers:\n"
            f"        if {condition.other.format(x='x')}:\n"
            f"            found.append({change.other.format(x='x')})\n"
            f"    {BY_HAND[core['reduction']]}\n    return total"
        ),
        inputs=lambda d: (d.integers(d.integer(0, 9), -9, 24),),
        edges=(([],), ([4],), ([-3, -3, 7, 12],)),
        fill={"total": ("$seen" if core["reduction"] == "distinct" else "$best" if core["reduction"] in ("max", "min") else "$total"), "xs": told.name, "x": told.item},
    )  # fmt: skip


FAMILIES = (
    Family(
        "filtered-aggregate",
        "arrays",
        {"condition": CONDITIONS, "change": CHANGES, "reduction": tuple(REDUCTIONS)},
        _aggregate,
    ),
)
