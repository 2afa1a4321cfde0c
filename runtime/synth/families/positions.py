"""Lists of whole numbers: parts, pairs, runs, ranks, chunks."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param
from runtime.synth.vocabulary import (
    SIGNED_STORIES,
    Condition,
    conditions,
    singular,
    story,
)

CONDITIONS = conditions()

ORDERS = {
    "kept": ("in their original order", "{l}", "{l}[:]"),
    "ascending": ("in ascending order", "sorted({l})", "sort_by_hand({l})"),
    "descending": ("in descending order", "sorted({l}, reverse=True)", "sort_by_hand({l})[::-1]"),
    "reversed": ("in reverse of their original order", "{l}[::-1]", "list(reversed({l}))"),
    "distinct": ("in ascending order and without repeats", "sorted(set({l}))",
                 "[v for n, v in enumerate(sort_by_hand({l})) if n == 0 or sort_by_hand({l})[n - 1] != v]"),
}  # fmt: skip
SORT_BY_HAND = (
    "def sort_by_hand(values):\n    found = []\n    for value in values:\n"
    "        place = 0\n        while place < len(found) and found[place] <= value:\n"
    "            place += 1\n        found.insert(place, value)\n    return found\n\n\n"
)


def _partition(core: Core, draws: Draws) -> Draft:
    condition: Condition = core["condition"]
    first, second, gap = core["first"], core["second"], core["between"]
    told = story(draws, SIGNED_STORIES)
    test = condition.code.format(x="$x")
    one, other = ORDERS[first], ORDERS[second]
    middle = {"nothing": "", "zero": " + [0]", "size": " + [len($kept)]"}[gap]
    join = f"{one[1].format(l='$kept')}{middle} + {other[1].format(l='$left')}"
    separator = {
        "nothing": (),
        "zero": (
            "Between the two groups stands a single 0, even if a group is empty.",
        ),
        "size": (
            "Between the two groups stands one number: the size of the first group.",
        ),
    }[gap]
    return Draft(
        names=("regroup", "split_and_join", f"arrange_{told.name}", "two_groups", "rearrange"),
        params=(Param(told.name, "list[int]"),),
        returns="list[int]",
        given=f"a list of integers `{told.name}`",
        task=f"a new list with the {told.plural} that {condition.text} {one[0]}, followed "
        f"by all other {told.plural} {other[0]}",
        rules=(*separator, f"The list `{told.name}` itself must not change.")
        if draws.chance(60)
        else separator,
        context=told.context,
        solutions={
            "comprehensions": f"$sig\n    $kept = [$x for $x in $xs if {test}]\n"
            f"    $left = [$x for $x in $xs if not ({test})]\n    return {join}",
            "loop": f"$sig\n    $kept, $left = [], []\n    for $x in $xs:\n        if {test}:\n"
            f"            $kept.append($x)\n        else:\n            $left.append($x)\n"
            f"    return {join}",
            "helper": f"def belongs($x: int) -> bool:\n    return {test}\n\n\n$sig\n"
            "    $kept = list(filter(belongs, $xs))\n"
            f"    $left = [$x for $x in $xs if not belongs($x)]\n    return {join}",
        },
        reference=SORT_BY_HAND
        + "def reference(numbers):\n    ones, others = [], []\n    for x in numbers:\n"
        f"        (ones if {condition.other.format(x='x')} else others).append(x)\n"
        f"    return [*{one[2].format(l='ones')}, "
        + {"nothing": "", "zero": "0, ", "size": "len(ones), "}[gap]
        + f"*{other[2].format(l='others')}]",
        inputs=lambda d: (d.integers(d.integer(0, 9), -9, 24),),
        edges=(([],), ([5, 5, 8],)),
        fill={"left": "$others", "xs": told.name, "x": told.item},
    )  # fmt: skip


RANKS = {1: "", 2: "second ", 3: "third ", 4: "fourth ", 5: "fifth "}


def _ranked(core: Core, draws: Draws) -> Draft:
    condition: Condition = core["condition"]
    rank, end, repeats = core["rank"], core["end"], core["repeats"]
    told = story(draws, SIGNED_STORIES)
    test = condition.code.format(x="$x")
    fallback = core["fallback"]
    size = "largest" if end == "max" else "smallest"
    sort = ", reverse=True" if end == "max" else ""
    pool = "{%s}" if repeats == "once" else "[%s]"
    chosen = pool % f"$x for $x in $xs if {test}"
    default = {"none": "None", "zero": "0", "minus": "-1"}[fallback]
    rules = [
        "Equal values count once."
        if repeats == "once"
        else "Equal values count as often as they occur.",
        f"If there are fewer than {rank} such values, the result is `{default}`."
        if rank > 1
        else f"If there is no such value, the result is `{default}`.",
    ]
    order = "$low < $x" if end == "max" else "$low > $x"
    insert = (
        f"$sig\n    $kept = []\n    for $x in $xs:\n        if not ({test}):\n            continue\n"
        + (
            "        if $x in $kept:\n            continue\n"
            if repeats == "once"
            else ""
        )
        + f"        $i = 0\n        while $i < len($kept) and $kept[$i] {'>' if end == 'max' else '<'} $x:\n"
        f"            $i += 1\n        $kept.insert($i, $x)\n"
        f"    return $kept[{rank - 1}] if len($kept) >= {rank} else {default}"
    )
    del order
    return Draft(
        names=(f"{(RANKS[rank].strip() or 'the')}_{size}", "ranked", f"pick_{told.item}", "nth_value"),
        params=(Param(told.name, "list[int]"),),
        returns="int | None" if fallback == "none" else "int",
        given=f"a list of integers `{told.name}`",
        task=f"the {RANKS[rank]}{size} of the {told.plural} that {condition.text}",
        rules=tuple(rules),
        context=told.context,
        solutions={
            "sort": f"$sig\n    $kept = sorted({chosen}{sort})\n    if len($kept) < {rank}:\n"
            f"        return {default}\n    return $kept[{rank - 1}]",
            "heap": f"import heapq\n\n\n$sig\n    $kept = heapq.n{size}({rank}, {chosen})\n"
            f"    return $kept[-1] if len($kept) == {rank} else {default}",
            "insertion": insert,
        },
        reference="def reference(numbers):\n    left = []\n    for x in numbers:\n"
        f"        if {condition.other.format(x='x')}"
        + (" and x not in left" if repeats == "once" else "")
        + f":\n            left.append(x)\n    for _ in range({rank - 1}):\n        if left:\n"
        f"            left.remove({end}(left))\n    return {end}(left) if left else {default}",
        inputs=lambda d: (d.integers(d.integer(0, 12 + 3 * rank), -6, 22),),
        edges=(([],), ([4, 4, 4, 15, 15],)),
        fill={"xs": told.name, "x": told.item},
    )  # fmt: skip


def _neighbours(core: Core, draws: Draws) -> Draft:
    condition: Condition = core["condition"]
    told = story(draws, SIGNED_STORIES)
    side, action, k = core["side"], core["action"], core["k"]
    test = condition.code.format(x="$xs[$j]")
    places = {
        "left": "$i - 1,",
        "right": "$i + 1,",
        "both": "$i - 1, $i + 1",
        "near": "$i - 2, $i - 1, $i + 1, $i + 2",
    }[side]
    where = {
        "left": "its left neighbour",
        "right": "its right neighbour",
        "both": "each of its two neighbours",
        "near": "each of the four elements at most two positions away",
    }[side]
    change = {"add": ("adds", "$result[$i] += {k}"), "subtract": ("subtracts", "$result[$i] -= {k}"),
              "copy": ("adds", "$result[$i] += $xs[$j]"), "scale": ("multiplies", "$result[$i] *= {k}")}[action]  # fmt: skip
    if action == "copy" and k != 2:
        where_value = f"{k} times its own value"
        step = f"$result[$i] += {k} * $xs[$j]"
    else:
        where_value, step = "its own value", change[1].format(k=k)
    effect = {
        "add": f"adds {k} to the {told.singular}",
        "subtract": f"subtracts {k} from the {told.singular}",
        "copy": f"adds {where_value} to the {told.singular}",
        "scale": f"multiplies the {told.singular} by {k}",
    }[action]
    by_hand = {
        "add": f"v + {k}",
        "subtract": f"v - {k}",
        "copy": f"v + {k if k != 2 else 1} * numbers[j]",
        "scale": f"v * {k}",
    }[action]
    offsets = {
        "left": "(-1,)",
        "right": "(1,)",
        "both": "(-1, 1)",
        "near": "(-2, -1, 1, 2)",
    }[side]
    copy = (
        f"$sig\n    $result = list($xs)\n    for $i in range(len($xs)):\n"
        f"        for $j in ({places}):\n            if 0 <= $j < len($xs) and {test}:\n"
        f"                {step}\n    return $result"
    )
    if side in ("left", "right"):
        # One neighbour needs no loop over neighbours.
        there = f"$xs[$i {'-' if side == 'left' else '+'} 1]"
        whole = "range(1, len($xs))" if side == "left" else "range(len($xs) - 1)"
        copy = (
            f"$sig\n    $result = list($xs)\n    for $i in {whole}:\n"
            f"        if {test}:\n            {step}\n    return $result"
        ).replace("$xs[$j]", there)
    helper = (
        f"def neighbours($i: int, size: int) -> list[int]:\n    return [$j for $j in ({places}) if 0 <= $j < size]\n\n\n"
        f"$sig\n    $result = $xs[:]\n    for $i in range(len($xs)):\n        for $j in neighbours($i, len($xs)):\n"
        f"            if {test}:\n                {step}\n    return $result"
    )
    if side in ("left", "right"):
        value = step.replace("$result[$i]", "$x").replace("$xs[$j]", "neighbour")
        sign, operand = value.removeprefix("$x ").split("= ")
        helper = (
            "def adjusted($x: int, neighbour: int) -> int:\n"
            f"    if {condition.code.format(x='neighbour')}:\n        return $x {sign} {operand}\n    return $x\n\n\n"
            f"$sig\n    $result = $xs[:]\n    for $i in {whole}:\n        $result[$i] = adjusted($xs[$i], {there})\n    return $result"
        )
    return Draft(
        names=("apply_neighbours", "neighbour_effects", f"adjust_{told.name}", "next_generation"),
        params=(Param(told.name, "list[int]"),),
        returns="list[int]",
        given=f"a list of integers `{told.name}`",
        task=f"a new list in which every {told.singular} is adjusted by its neighbours",
        rules=(
            f"For every {told.singular}, look at {where}, where it exists: if it {singular(condition)}, it {effect}.",
            "All adjustments look at the original list, not at values that were already adjusted.",
        ),
        context=told.context,
        solutions={
            "copy": copy,
            "helper": helper,
        },
        reference="def reference(numbers):\n    found = []\n    for i, v in enumerate(numbers):\n"
        f"        for d in {offsets}:\n            j = i + d\n            if j < 0 or j >= len(numbers):\n"
        "                continue\n            x = numbers[j]\n"
        f"            if {condition.other.format(x='x')}:\n                v = {by_hand}\n"
        "        found.append(v)\n    return found",
        inputs=lambda d: (d.integers(d.integer(0, 8), -9, 22),),
        edges=(([],), ([3],), ([1, 6],)),
        fill={"xs": told.name, "x": told.item},
        level=1,
    )  # fmt: skip


FAMILIES = (
    Family(
        "partition",
        "arrays",
        {
            "condition": CONDITIONS,
            "first": tuple(ORDERS),
            "second": tuple(ORDERS),
            "between": ("nothing", "zero", "size"),
        },
        _partition,
    ),
    Family(
        "ranked-value",
        "arrays",
        {
            "condition": CONDITIONS,
            "rank": (1, 2, 3, 4, 5),
            "end": ("max", "min"),
            "repeats": ("once", "each"),
            "fallback": ("none", "zero", "minus"),
        },
        _ranked,
    ),
    Family(
        "neighbours",
        "arrays",
        {
            "condition": CONDITIONS,
            "side": ("left", "right", "both", "near"),
            "action": ("add", "subtract", "copy", "scale"),
            "k": (2, 3, 4, 5),
        },
        _neighbours,
    ),
)
