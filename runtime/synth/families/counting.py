"""Combinatorics and dynamic programming on small inputs."""

from __future__ import annotations

import re

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param, UnsuitableError
from runtime.synth.vocabulary import COUNT_STORIES, story

STEP_SETS = (
    (1, 2), (1, 3), (2, 3), (1, 2, 3), (1, 4), (2, 5), (1, 2, 4), (1, 3, 5), (2, 3, 7), (1, 5), (3, 4), (1, 2, 5),
    (1, 3, 4), (2, 3, 5), (1, 4, 5), (2, 3, 4), (1, 6), (2, 7), (3, 5), (1, 2, 6), (2, 4, 5), (1, 5, 7), (1, 2, 3, 4), (2, 3, 6),
)  # fmt: skip
STAIRS = (
    ("a staircase with `{n}` steps", "climb", "steps"),
    ("a path of `{n}` tiles", "cross", "tiles"),
    ("a row of length `{n}`", "fill", "pieces of length"),
    ("an amount of `{n}` cents", "pay", "coins of"),
)  # fmt: skip


def _ways(core: Core, draws: Draws) -> Draft:
    sizes: tuple[int, ...] = core["sizes"]
    (order, bad), (asked, limit) = core["order"], core["asked"]
    name = draws.choice(("n", "total", "length", "target"))
    ordered = order == "sequences"
    listed = ", ".join(map(str, sizes[:-1])) + f" or {sizes[-1]}"
    table = (
        "    $parts = [1] + [0] * $n\n    for $i in range(1, $n + 1):\n"
        + (
            f"        if $i % {bad} == 0 and $i < $n:\n            continue\n"
            if bad
            else ""
        )
        + f"        for $step in {sizes}:\n            if $i >= $step:\n                $parts[$i] += $parts[$i - $step]\n"
        if ordered
        else f"    $parts = [1] + [0] * $n\n    for $step in {sizes}:\n        for $i in range($step, $n + 1):\n            $parts[$i] += $parts[$i - $step]\n"
    )
    finish = {
        "count": "$parts[$n]",
        "mod": f"$parts[$n] % {limit}",
        "many": f"$parts[$n] >= {limit}",
    }[asked]
    memo = (
        "from functools import lru_cache\n\n\n$sig\n    @lru_cache(maxsize=None)\n    def count($i: int) -> int:\n"
        "        if $i == 0:\n            return 1\n"
        + (
            f"        if $i < $n and $i % {bad} == 0:\n            return 0\n"
            if bad
            else ""
        )
        + f"        return sum(count($i - $step) for $step in {sizes} if $step <= $i)\n\n"
        f"    return {finish.replace('$parts[$n]', 'count($n)')}"
    )
    pick = (
        f"def count($n: int, $kept: tuple) -> int:\n    if $n == 0:\n        return 1\n    if $n < 0 or not $kept:\n        return 0\n"
        f"    return count($n - $kept[0], $kept) + count($n, $kept[1:])\n\n\n$sig\n    return {finish.replace('$parts[$n]', f'count($n, {sizes})')}"
    )
    how = (
        "Sums that differ in the order of their parts count as different."
        if ordered
        else "The order of the parts does not matter: 1 + 2 and 2 + 1 are the same."
    )
    rules = [how, f"For `{name}` = 0 there is exactly one way: no parts at all."]
    if bad and ordered:
        rules.append(
            f"Adding the parts one after the other, no partial sum below `{name}` may be divisible by {bad} (the empty sum, 0, is allowed)."
        )
    task = {
        "count": "the number of ways in which `{n}` can be written as a sum of parts, each of which is {l}",
        "mod": "the number of ways, modulo {m}, in which `{n}` can be written as a sum of parts, each of which is {l}",
        "many": "whether there are at least {m} ways to write `{n}` as a sum of parts, each of which is {l}",
    }[asked].format(n=name, l=listed, m=limit)
    return Draft(
        names=("count_ways", "ways_to_sum", "compositions", "number_of_sums", "count_sums"),
        params=(Param(name, "int"),),
        returns="bool" if asked == "many" else "int",
        given=f"an integer `{name}` that is not negative",
        task=task,
        rules=tuple(rules),
        context=draws.choice(("", f"A frog jumps along a row of stones, {listed} stones at a time." if ordered else f"A machine gives change in coins of {listed} cents.")),
        solutions={"table": f"$sig\n{table}    return {finish}", "recursion": memo if ordered else pick},
        reference="def ways(left, done, last, n):\n    if left == 0:\n        return 1\n    found = 0\n"
        f"    for part in {sizes}:\n        if part > left:\n            continue\n"
        + (f"        if part < left and (done + part) % {bad} == 0:\n            continue\n" if bad and ordered else "")
        + ("" if ordered else "        if part < last:\n            continue\n")
        + "        found += ways(left - part, done + part, part, n)\n    return found\n\n\n"
        "def reference(n):\n    count = ways(n, 0, 0, n)\n    return "
        + {"count": "count", "mod": f"count - count // {limit} * {limit}", "many": f"not count < {limit}"}[asked],
        inputs=lambda d: (d.integer(0, 13 if sizes[0] == 1 else 18),),
        edges=((0,), (1,), (2,)),
        fill={"parts": "$ways", "step": "part", "n": name},
        level=1,
    )  # fmt: skip


LIMITS = {
    "adjacent": ("no two of which are next to each other in the list", "not any(m >> i & 1 and m >> (i + 1) & 1 for i in range(n))"),
    "near": ("no two of which are less than three positions apart", "all(b - a > 2 for a, b in zip(p, p[1:]))"),
    "apart": ("no two of which are less than four positions apart", "all(b - a > 3 for a, b in zip(p, p[1:]))"),
    "pairs": ("no three of which are next to each other in the list", "not any(i in p and i + 1 in p and i + 2 in p for i in range(n))"),
}  # fmt: skip
WORTHS = {
    "plain": ("the sum of the chosen {ones}", "{x}", "v[i]"),
    "fee": ("the sum of the chosen {ones} minus {k} for each of them", "{x} - {k}", "(v[i] - {k})"),
    "position": ("the sum over the chosen {ones} of the {one} times its position in the list (counted from 0)", "{x} * $i", "v[i] * i"),
    "even": ("the sum of the chosen {ones}, plus {k} for each that is even", "{x} + ({k} if {x} % 2 == 0 else 0)", "(v[i], v[i] + {k})[(v[i] + 1) % 2]"),
    "odd": ("the sum of the chosen {ones}, where each that is odd counts {k} times", "{x} * ({k} if {x} % 2 else 1)", "(v[i] * (1, {k})[v[i] % 2])"),
    "capped": ("the sum of the chosen {ones}, where none counts more than {k2}", "min({x}, {k2})", "sorted((v[i], {k2}))[0]"),
    "distance": ("the sum of the distances of the chosen {ones} from {k2}", "abs({x} - {k2})", "max(v[i] - {k2}, {k2} - v[i])"),
}  # fmt: skip


def _best_choice(core: Core, draws: Draws) -> Draft:
    words, worth, by_hand = WORTHS[core["worth"][0]]
    (_, k), end, first = core["worth"], core["end"], core["first"]
    numbers = {"k": k, "k2": k + 4}
    told = story(draws, COUNT_STORIES)
    said, test = LIMITS[core["limit"]]
    value = worth.format(x="$xs[$i]", **numbers)
    pick = "max" if end == "largest" else "min"
    skip_first = "1" if first == "not" else "0"
    offset = {"adjacent": 2, "near": 3, "apart": 4}.get(core["limit"])
    if offset:
        table = (
            f"    $parts = [0] * (len($xs) + {offset})\n    for $i in range(len($xs) - 1, {int(skip_first) - 1}, -1):\n"
            f"        $parts[$i] = {pick}($parts[$i + 1], {value} + $parts[$i + {offset}])\n    return $parts[{skip_first}]"
        )
        memo = (
            "    @lru_cache(maxsize=None)\n    def best_from($i: int) -> int:\n        if $i >= len($xs):\n            return 0\n"
            f"        return {pick}(best_from($i + 1), {value} + best_from($i + {offset}))\n\n    return best_from({skip_first})"
        )
    else:
        table = (
            f"    # Best results that end with 0, 1 and 2 neighbours taken.\n    $low, $current, $high = 0, None, None\n    for $i in range({skip_first}, len($xs)):\n"
            f"        $result = {pick}(x for x in ($low, $current, $high) if x is not None)\n        $step = {value}\n"
            "        $high = None if $current is None else $current + $step\n        $current = $low + $step\n        $low = $result\n"
            f"    return {pick}(x for x in ($low, $current, $high) if x is not None)"
        )
        memo = (
            "    @lru_cache(maxsize=None)\n    def best_from($i: int, $row: int) -> int:\n        if $i >= len($xs):\n            return 0\n"
            f"        $result = best_from($i + 1, 0)\n        if $row < 2:\n            $result = {pick}($result, {value} + best_from($i + 1, $row + 1))\n        return $result\n\n"
            f"    return best_from({skip_first}, 0)"
        )
    words = words.format(ones=told.plural, one=told.singular, **numbers)
    rules = [
        f"The worth of a choice is {words}.",
        "Choosing none is allowed and has the worth 0.",
    ]
    if first == "not":
        rules.append(f"The first {told.singular} (at position 0) may not be chosen.")
    return Draft(
        names=("best_choice", f"{end}_choice", f"choose_{told.name}", "pick_apart", "optimal_subset"),
        params=(Param(told.name, "list[int]"),),
        returns="int",
        given=f"a list of integers `{told.name}`",
        task=f"the {end} possible worth of a choice of {told.plural} {said}",
        rules=tuple(rules),
        context=told.context,
        solutions={"table": f"$sig\n{table}", "memo": f"from functools import lru_cache\n\n\n$sig\n{memo}"},
        reference="def reference(v):\n    n, best = len(v), 0\n    for m in range(2 ** n):\n        p = [i for i in range(n) if m >> i & 1]\n"
        f"        if {'0 in p' if first == 'not' else 'False'} or not ({test}):\n            continue\n"
        f"        total = sum({by_hand.format(**numbers)} for i in p)\n        best = {pick}(best, total)\n    return best",
        inputs=lambda d: (d.integers(d.integer(0, 7), *((-9, 12) if end == "smallest" else (0, 12))),),
        edges=(([],), ([5],), ([3, 8, 4],)),
        fill={"parts": "$best", "low": "after_none", "current": "after_one", "high": "after_two", "step": "worth", "row": "taken", "xs": told.name},
        level=2,
    )  # fmt: skip


TARGETS = {
    "sum": ("add up to {t}", "$total == {t}", "sum(c) == {t}"),
    "below": ("add up to less than {t}", "$total < {t}", "not sum(c) >= {t}"),
    "multiple": ("have a sum divisible by {m}", "$total % {m} == 0", "sum(c) // {m} * {m} == sum(c)"),
    "between": ("have a sum from {t} to {u}", "{t} <= $total <= {u}", "sum(c) in range({t}, {u} + 1)"),
    "odd": ("have a sum that leaves the remainder {r} when divided by {m}", "$total % {m} == {r}", "(sum(c) - {r}) % {m} == 0"),
}  # fmt: skip
# Kind, sum, divisor, remainder; what a kind does not ask for is 0.
SUBSET_TARGETS = (
    *((kind, t, 0, 0) for kind in ("sum", "below", "between") for t in range(4, 33)),
    *(("multiple", 0, m, 0) for m in range(3, 12)),
    *(("odd", 0, m, r) for m in range(3, 10) for r in range(1, m)),
)
SUBSET_RESULTS = {
    "count": ("the number of selections of {ones}", "int"), "largest": ("the largest number of {ones} in any selection", "int"),
    "smallest": ("the smallest number of {ones} in any selection", "int"), "sum": ("the largest sum of any selection of {ones}", "int"),
}  # fmt: skip


def _subsets(core: Core, draws: Draws) -> Draft:
    kind, t, m, r = core["target"]
    if kind == "sum" and core["asked"] == "sum":
        # The sum that is asked for would be the one that is given.
        raise UnsuitableError
    words, test, other = TARGETS[kind]
    asked, size = core["asked"], core["size"]
    numbers = {"t": t, "m": m, "u": t + 4, "r": r}
    told = story(draws, COUNT_STORIES)
    test = test.format(**numbers)
    need = {
        "any": "",
        "even": " and $count % 2 == 0",
        "two": " and $count >= 2",
        "three": " and $count <= 3",
    }[size]
    said = {
        "any": "",
        "even": "have an even number of members",
        "two": "have at least two members",
        "three": "have at most three members",
    }[size]
    hand = {
        "any": "True",
        "even": "len(c) in (0, 2, 4, 6, 8)",
        "two": "not len(c) < 2",
        "three": "len(c) < 4",
    }[size]
    task = SUBSET_RESULTS[asked][0].format(ones=told.plural)
    gather = {
        "count": "len($kept)",
        "largest": "max($kept, default=-1)",
        "smallest": "min($kept, default=-1)",
        "sum": "max($kept, default=-1)",
    }[asked]
    what = {
        "count": "$count",
        "largest": "$count",
        "smallest": "$count",
        "sum": "$total",
    }[asked]
    many = asked == "count"
    which = words.format(**numbers)
    if not many:
        which = re.sub("^add ", "adds ", re.sub("^have ", "has ", which))
    which = (f"{said} and " if said else "") + which
    if not many:
        which = which.replace("have ", "has ", 1)
    rules = [f"A selection is made of {told.plural} at different positions; the empty selection counts and has the sum 0.",
             f"Equal {told.plural} at different positions are different."]  # fmt: skip
    if asked != "count":
        rules.append("If there is no such selection, the result is -1.")
    grow = (
        f"    $parts = [(0, 0)]\n    for $x in $xs:\n        $parts += [($total + $x, $count + 1) for $total, $count in $parts]\n"
        f"    $kept = [{what} for $total, $count in $parts if {test}{need}]\n    return {gather}"
    )
    combos = (
        "from itertools import combinations\n\n\n$sig\n    $kept = []\n    for $count in range(len($xs) + 1):\n"
        f"        for $row in combinations($xs, $count):\n            $total = sum($row)\n            if {test}{need}:\n"
        f"                $kept.append({what})\n    return {gather}"
    )
    masks = (
        "    $kept = []\n    for $j in range(1 << len($xs)):\n        $row = [$x for $i, $x in enumerate($xs) if $j >> $i & 1]\n"
        f"        $total, $count = sum($row), len($row)\n        if {test}{need}:\n            $kept.append({what})\n    return {gather}"
    )
    value = {"count": "1", "largest": "len(c)", "smallest": "len(c)", "sum": "sum(c)"}[
        asked
    ]
    return Draft(
        names=("count_selections" if asked == "count" else "best_selection", "subset_sums", f"select_{told.name}", "subsets"),
        params=(Param(told.name, "list[int]"),),
        returns="int",
        given=f"a list of at most 8 integers `{told.name}`",
        task=f"{task} that {which}",
        rules=tuple(rules),
        context=told.context,
        solutions={"grow": f"$sig\n{grow}", "combinations": combos, "masks": f"$sig\n{masks}"},
        reference="def all_of(v):\n    if not v:\n        return [[]]\n    rest = all_of(v[1:])\n    return rest + [[v[0]] + c for c in rest]\n\n\n"
        f"def reference(v):\n    found = [{value} for c in all_of(v) if ({other.format(**numbers)}) and {hand}]\n    return "
        + {"count": "len(found)", "largest": "sorted(found)[-1] if found else -1", "smallest": "sorted(found)[0] if found else -1", "sum": "sorted(found)[-1] if found else -1"}[asked],
        inputs=lambda d: (d.integers(d.integer(0, 6), 0, 9),),
        edges=(([],), ([t or m],)),
        fill={"parts": "$sums", "j": "mask", "row": "$members", "xs": told.name, "x": told.item},
        level=1,
    )  # fmt: skip


FAMILIES = (
    Family("sums-of-parts", "combinatorics",
           {"sizes": STEP_SETS,
            "order": (("sets", 0), *(("sequences", bad) for bad in (0, 3, 4, 5, 6, 7, 8, 9, 10))),
            "asked": (("count", 0), *(("mod", m) for m in range(3, 14)), *(("many", m) for m in range(3, 13)))},
           _ways),
    Family("best-choice", "dynamic programming",
           {"worth": (("plain", 0), ("position", 0), *((kind, k) for kind in WORTHS if kind not in ("plain", "position") for k in range(2, 41))),
            "limit": tuple(LIMITS), "end": ("largest", "smallest"),
            "first": ("any", "not")}, _best_choice),
    Family("selections", "combinatorics",
           {"target": SUBSET_TARGETS, "asked": tuple(SUBSET_RESULTS), "size": ("any", "even", "two", "three"),
            "portion": ("all", "part")}, _subsets),
)  # fmt: skip
