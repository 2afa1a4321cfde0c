"""Lists of whole numbers: filter, change, reduce, scan, window, pair."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param
from runtime.synth.vocabulary import (
    COUNT_STORIES,
    SIGNED_STORIES,
    Condition,
    a,
    conditions,
    singular,
    story,
)

CONDITIONS = conditions()


SCANS = {
    "sum": ("sum", "{a} + {b}"),
    "max": ("maximum", "max({a}, {b})"),
    "min": ("minimum", "min({a}, {b})"),
    "alternate": ("difference (what was kept so far subtracted from the new one)", "{b} - {a}"),
    "mod": ("sum modulo 100", "({a} + {b}) % 100"),
}  # fmt: skip


def _running(core: Core, draws: Draws) -> Draft:
    condition: Condition = core["condition"]
    kind, formula = SCANS[core["scan"]]
    start, at = core["start"], core["at"]
    told = story(draws, SIGNED_STORIES)
    update = "$current = " + formula.format(a="$current", b="$x")
    test = condition.code.format(x="$x")
    one = singular(condition)
    reset = f"if {test}:\n            $current = {start}"
    body = (
        f"        {update}\n        {reset}"
        if at == "after"
        else f"        {reset}\n        {update}"
    )
    loop = f"$sig\n    $current = {start}\n    $result = []\n    for $x in $xs:\n{body}\n        $result.append($current)\n    return $result"
    generator = (
        f"def running($xs: list[int]):\n    $current = {start}\n    for $x in $xs:\n{body}\n"
        "        yield $current\n\n\n$sig\n    return list(running($xs))"
    )
    when = (
        f"After {a(told.singular)} that {one} was taken in, the running value goes back to "
        f"{start}, and {start} is what is listed for it."
        if at == "after"
        else f"Before {a(told.singular)} that {one} is taken in, the running value goes "
        f"back to {start}."
    )
    return Draft(
        names=(f"running_{core['scan']}", "scan", f"running_{told.name}", "accumulate_with_reset"),
        params=(Param(told.name, "list[int]"),),
        returns="list[int]",
        given=f"a list of integers `{told.name}`",
        task=f"the list of running values, one for each of the {told.plural}",
        rules=(
            f"The running value starts at {start}; each {told.singular} replaces it by the "
            f"{kind} of the running value and the {told.singular}."
            if core["scan"] != "alternate"
            else f"The running value starts at {start}; each {told.singular} replaces it by "
            f"the {told.singular} minus the running value.",
            when,
        ),
        context=told.context,
        solutions={"loop": loop, "generator": generator},
        reference=(
            "def reference(numbers):\n    def value(i):\n        if i < 0:\n"
            f"            return {start}\n        x = numbers[i]\n        hit = {condition.other.format(x='x')}\n"
            + (
                f"        return {start} if hit else {formula.format(a='value(i - 1)', b='x')}\n"
                if at == "after"
                else f"        a = {start} if hit else value(i - 1)\n        return {formula.format(a='a', b='x')}\n"
            )
            + "    return [value(i) for i in range(len(numbers))]"
        ),
        inputs=lambda d: (d.integers(d.integer(0, 8), -9, 24),),
        edges=(([],), ([12],)),
        fill={"xs": told.name, "x": told.item},
        level=1,
    )  # fmt: skip


STATISTICS = {
    "sum": ("sum", "sum({w})", "eval('+'.join(map(str, {w})).replace('+-', '-'))"),
    "max": ("maximum", "max({w})", "sorted({w})[-1]"),
    "min": ("minimum", "min({w})", "sorted({w})[0]"),
    "spread": (
        "spread (maximum minus minimum)",
        "max({w}) - min({w})",
        "sorted({w})[-1] - sorted({w})[0]",
    ),
    "distinct": (
        "number of different values",
        "len(set({w}))",
        "len([v for n, v in enumerate({w}) if v not in {w}[:n]])",
    ),
}
SUMMARIES = {
    "list": ("the list that holds, for each run of {k} consecutive {ones}, its {stat}", "{all}", "list[int]"),
    "above": ("how many runs of {k} consecutive {ones} have a {stat} above {t}",
              "sum(1 for $value in {all} if $value > {t})", "int"),
    "largest": ("the largest {stat} of any run of {k} consecutive {ones}",
                "max({all}, default=0)", "int"),
    "smallest": ("the smallest {stat} of any run of {k} consecutive {ones}",
                 "min({all}, default=0)", "int"),
    "multiples": ("how many runs of {k} consecutive {ones} have a {stat} divisible by {t}",
                  "sum(1 for $value in {all} if $value % {t} == 0)", "int"),
}  # fmt: skip


def _window(core: Core, draws: Draws) -> Draft:
    words, code, other = STATISTICS[core["statistic"]]
    summary, limit = core["summary"]
    task, whole, returns = SUMMARIES[summary]
    size, stride = core["size"], core["stride"]
    if summary == "above" and core["statistic"] == "sum":
        # A sum grows with the run, so the limit does too.
        limit *= size
    told = story(draws, COUNT_STORIES)
    every = (
        f"range(0, len($xs) - {size - 1}, {stride})"
        if stride > 1
        else f"range(len($xs) - {size - 1})"
    )
    windows = f"$xs[$i:$i + {size}]"
    stats = f"[{code.format(w=windows)} for $i in {every}]"
    in_all = whole.format(all="$parts", t=limit)
    helper = (
        f"def measure($row: list[int]) -> int:\n    return {code.format(w='$row')}\n\n\n"
        f"$sig\n    $parts = [measure({windows}) for $i in {every}]\n    return {in_all}"
    )
    loop = (
        f"$sig\n    $parts = []\n    for $i in {every}:\n        $row = {windows}\n"
        f"        $parts.append({code.format(w='$row')})\n    return {in_all}"
    )
    rules = [f"If there are fewer than {size} {told.plural}, the result is "
             f"{'an empty list' if returns != 'int' else 0}."]  # fmt: skip
    if stride > 1:
        rules.append(
            f"Runs begin at every {_ordinal(stride)} position only: 0, {stride}, {2 * stride} and so on."
        )
    return Draft(
        names=(f"window_{core['statistic']}", f"{summary}_window", "sliding_window",
               f"{told.plural.split()[0]}_by_window"),
        params=(Param(told.name, "list[int]"),),
        returns=returns,
        given=f"a list of integers `{told.name}`",
        task=task.format(stat=words, k=size, ones=told.plural, t=limit),
        rules=tuple(rules),
        context=told.context,
        solutions={"loop": loop, "helper": helper,
                   "two steps": f"$sig\n    $parts = {stats}\n    return {in_all}"},
        reference=(
            "def reference(numbers):\n    found = []\n    for start, _ in enumerate(numbers):\n"
            f"        run = [numbers[start + d] for d in range({size}) if start + d < len(numbers)]\n"
            f"        if len(run) == {size} and start % {stride} == 0:\n            found.append({other.format(w='run')})\n"
            + {
                "list": "    return found",
                "above": f"    return len([v for v in found if not v <= {limit}])",
                "largest": "    return sorted(found)[-1] if found else 0",
                "smallest": "    return sorted(found)[0] if found else 0",
                "multiples": f"    return len([v for v in found if v // {limit} * {limit} == v])",
            }[summary]
        ),
        inputs=lambda d: (d.integers(d.integer(0, 2 * size + 8), 0, 12),),
        edges=(([],), ([3] * size,)),
        fill={"parts": "$measures", "row": "$window", "value": "$measured", "xs": told.name, "x": told.item},
        level=1,
    )  # fmt: skip


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third", 4: "fourth"}[number]


FAMILIES = (
    Family(
        "running-value",
        "arrays",
        {
            "condition": CONDITIONS,
            "scan": tuple(SCANS),
            "start": (0, 1, 5, 10, 20, 50, -1),
            "at": ("before", "after"),
        },
        _running,
    ),
    Family(
        "windows",
        "arrays",
        {
            "statistic": tuple(STATISTICS),
            "summary": (
                ("list", 0),
                ("largest", 0),
                ("smallest", 0),
                *((one, t) for one in ("above", "multiples") for t in range(2, 12)),
            ),
            "size": (2, 3, 4, 5, 6),
            "stride": (1, 2, 3),
            "portion": ("all", "part"),
        },
        _window,
    ),
)
