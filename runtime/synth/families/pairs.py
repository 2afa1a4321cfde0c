"""Pairs and runs of numbers in a list."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param, UnsuitableError
from runtime.synth.vocabulary import (
    COUNT_STORIES,
    story,
)

PAIRS = {
    "sum-multiple": ("whose sum is divisible by {k}", "({x} + {y}) % {k} == 0", "({x} % {k} + {y} % {k}) in (0, {k})"),
    "difference": ("that differ by exactly {k}", "abs({x} - {y}) == {k}", "{x} + {k} == {y} or {y} + {k} == {x}"),
    "near": ("that differ by at most {k}", "abs({x} - {y}) <= {k}", "max({x}, {y}) - min({x}, {y}) < {k} + 1"),
    "product": ("whose product is greater than {k} times 10", "{x} * {y} > {k}0", "sum([{x}] * {y}) > {k} * 10"),
    "total": ("that add up to exactly {k}", "{x} + {y} == {k}", "{x} == {k} - {y}"),
    "descent": ("where the first is larger than the second by more than {k}", "{x} > {y} + {k}", "{x} - {y} - {k} > 0"),
}  # fmt: skip
DISTANCES = {
    "any": ("", "range($i + 1, len($xs))", "b > a"),
    "near": (" and that stand at most {d} positions apart", "range($i + 1, min($i + {d1}, len($xs)))", "0 < b - a <= {d}"),
    "far": (" and that stand at least {d} positions apart", "range($i + {d}, len($xs))", "b - a >= {d}"),
}  # fmt: skip
PAIR_RESULTS = {
    "count": ("the number of pairs", "int", "0", "$count += 1", "$count", "len(found)"),
    "sum": ("the sum of all numbers in the pairs", "int", "0", "$count += $xs[$i] + $xs[$j]", "$count", "sum(map(sum, found))"),
    "largest": ("the largest sum of a pair", "int", "0", "$count = max($count, $xs[$i] + $xs[$j])", "$count", "max([sum(p) for p in found] + [0])"),
    "starts": ("the list of the positions of the first number of each pair", "list[int]", "[]", "$count.append($i)", "$count", "[a for a, b in places]"),
}  # fmt: skip


def _pairs(core: Core, draws: Draws) -> Draft:
    text, code, other = PAIRS[core["relation"]]
    distance, gap = core["distance"]
    far, inner, apart = DISTANCES[distance]
    task, returns, start, step, result, by_hand = PAIR_RESULTS[core["result"]]
    k = core["k"]
    if core["relation"] == "sum-multiple" and k == 1:
        # Every sum is divisible by 1.
        raise UnsuitableError
    told = story(draws, COUNT_STORIES)
    test = code.format(x="$xs[$i]", y="$xs[$j]", k=k)
    rules = [
        f"A pair is made of two {told.plural} at different positions, the one at the lower "
        "position first."
    ]
    if core["result"] == "starts":
        rules.append(
            "A position is listed once for each pair; positions count from 0 and ascend."
        )
    elif core["result"] != "count":
        rules.append("If there is no such pair, the result is 0.")
    return Draft(
        names=(f"{core['result']}_of_pairs", "matching_pairs", f"{told.name}_pairs", "pair_up"),
        params=(Param(told.name, "list[int]"),),
        returns=returns,
        given=f"a list of integers `{told.name}`",
        task=f"{task} of {told.plural} {text.format(k=k)}{far.format(d=gap)}"
        if core["result"] == "count"
        else f"{task}, taken over all pairs of {told.plural} {text.format(k=k)}{far.format(d=gap)}",
        rules=tuple(rules),
        context=told.context,
        solutions={
            "nested loops": f"$sig\n    $count = {start}\n    for $i in range(len($xs)):\n"
            f"        for $j in {inner.format(d=gap, d1=gap + 1)}:\n            if {test}:\n"
            f"                {step}\n    return {result}",
            "helper": "def matches($low: int, $high: int) -> bool:\n    return "
            f"{code.format(x='$low', y='$high', k=k)}\n\n\n$sig\n    $count = {start}\n"
            f"    for $i in range(len($xs)):\n        for $j in {inner.format(d=gap, d1=gap + 1)}:\n"
            f"            if matches($xs[$i], $xs[$j]):\n                {step}\n"
            f"    return {result}",
        },
        reference="def reference(numbers):\n    size = range(len(numbers))\n"
        "    places = [(a, b) for a in size for b in size if "
        f"{apart.format(d=gap)} and ({other.format(x='numbers[a]', y='numbers[b]', k=k)})]\n"
        "    found = [(numbers[a], numbers[b]) for a, b in places]\n"
        f"    return {by_hand}",
        inputs=lambda d: (d.integers(d.integer(0, 9), 0, 16 + (k > 9) * 12),),
        edges=(([],), ([k, 0],)),
        fill={"count": ({"sum": "$total", "largest": "$best", "starts": "$positions"}.get(core["result"], "$count")), "low": "$earlier", "high": "$later", "xs": told.name, "x": told.item},
        level=1,
    )  # fmt: skip


RUNS = {
    "rising": ("each {one} is more than {k} above the one before it", "{b} > {a} + {k}", "{b} - {a} > {k}"),
    "falling": ("each {one} is more than {k} below the one before it", "{b} < {a} - {k}", "{a} - {b} > {k}"),
    "steady": ("neighbours differ by at most {k}", "abs({b} - {a}) <= {k}", "-{k} <= {b} - {a} <= {k}"),
    "jumpy": ("neighbours differ by more than {k}", "abs({b} - {a}) > {k}", "not (-{k} <= {a} - {b} <= {k})"),
    "modular": ("all {ones} leave the same remainder when divided by {m}", "{b} % {m} == {a} % {m}", "({b} - {a}) % {m} == 0"),
    "bounded": ("the sum of every two neighbours is at most {s}", "{a} + {b} <= {s}", "{b} <= {s} - {a}"),
}  # fmt: skip
RUN_RESULTS = {
    "length": ("the length", "int", "len($best)", "0"),
    "sum": ("the sum", "int", "sum($best)", "0"),
    "itself": ("a copy", "list[int]", "$best", "an empty list"),
    "ends": ("the sum of the first and the last element", "int", "$best[0] + $best[-1] if $best else 0", "0"),
    "spread": ("the largest minus the smallest element", "int", "max($best) - min($best) if $best else 0", "0"),
}  # fmt: skip


def _longest_run(core: Core, draws: Draws) -> Draft:
    text, code, other = RUNS[core["relation"]]
    result, returns, expression, nothing = RUN_RESULTS[core["result"]]
    limit = core["limit"]
    numbers = {"k": limit, "m": limit + 2, "s": limit + 12}
    told = story(draws, COUNT_STORIES)
    last_wins = core["tie"] == "last"
    beats = ">=" if last_wins else ">"
    test = code.format(a="$xs[$i - 1]", b="$xs[$i]", **numbers)
    text = text.format(one=told.singular, ones=told.plural, **numbers)
    floor = core["floor"]
    guard = f" and len($current) >= {floor}" if floor > 1 else ""
    rules = [
        f"A run is made of consecutive {told.plural} such that {text}; a single "
        f"{told.singular} is a run too.",
        f"If several runs are equally long, the {core['tie']} of them counts.",
    ]
    if floor > 1:
        rules.append(
            f"Runs of fewer than {floor} {told.plural} are ignored; if no run is left, "
            f"the result is {nothing}."
        )
    elif draws.chance(60):
        rules.append(f"For an empty list the result is {nothing}.")
    else:
        rules.append(f"If there are no {told.plural} at all, the result is {nothing}.")
    return Draft(
        names=("longest_run", f"longest_{core['relation']}_run", f"best_{core['relation']}_stretch", "find_run"),
        params=(Param(told.name, "list[int]"),),
        returns=returns,
        given=f"a list of integers `{told.name}`",
        task=f"{result} of the longest run of {told.plural} as defined below",
        rules=tuple(rules),
        context=told.context,
        solutions={
            "scan": "$sig\n    $best, $current = [], []\n    for $i in range(len($xs)):\n"
            f"        if $i > 0 and {test}:\n            $current.append($xs[$i])\n"
            "        else:\n            $current = [$xs[$i]]\n"
            f"        if len($current) {beats} len($best){guard}:\n"
            f"            $best = $current[:]\n    return {expression}",
            "split first": "def split_runs($xs: list[int]) -> list[list[int]]:\n    $parts = []\n"
            f"    for $i, $x in enumerate($xs):\n        if $i > 0 and {test.replace('$xs[$i]', '$x')}:\n"
            "            $parts[-1].append($x)\n        else:\n            $parts.append([$x])\n"
            "    return $parts\n\n\n$sig\n    $best = []\n    for $current in split_runs($xs):\n"
            f"        if len($current) {beats} len($best){guard}:\n            $best = $current\n"
            f"    return {expression}",
        },
        reference="def reference(numbers):\n    n = len(numbers)\n    found = []\n"
        "    for i in range(n):\n        for j in range(i + 1, n + 1):\n            run = numbers[i:j]\n"
        f"            if all({other.format(a='a', b='b', **numbers)} for a, b in zip(run, run[1:])):\n"
        "                found.append((len(run), "
        f"{'i' if last_wins else '-i'}, run))\n    best = max(found)[2] if found else []\n"
        + (f"    if len(best) < {floor}:\n        best = []\n" if floor > 1 else "")
        + f"    return {expression.replace('$best', 'best')}",
        inputs=lambda d: (d.integers(d.integer(0, 10), 0, 9 + limit),),
        edges=(([],), ([4],), ([1, 2, 3, 1, 2, 3],)),
        fill={"current": "$run", "xs": told.name, "x": told.item},
        level=1,
    )  # fmt: skip


FAMILIES = (
    Family(
        "pairs",
        "arrays",
        {
            "relation": tuple(PAIRS),
            "k": tuple(range(1, 13)),
            "distance": (
                ("any", 0),
                *((one, d) for one in ("near", "far") for d in (2, 3, 4, 5)),
            ),
            "result": tuple(PAIR_RESULTS),
            "portion": ("all", "part"),
        },
        _pairs,
    ),
    Family(
        "longest-run",
        "arrays",
        {
            "relation": tuple(RUNS),
            "result": tuple(RUN_RESULTS),
            "limit": tuple(range(1, 14)),
            "tie": ("first", "last"),
            "floor": (1, 2, 3),
            "portion": ("all", "part"),
        },
        _longest_run,
    ),
)
