"""Rectangles, triangles and polygons with whole-numbered corners."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param

STORIES = (
    ("rectangles", "rectangle", ""), ("windows", "window", "A desktop shows windows that may overlap."),
    ("plots", "plot", "A land registry lists rectangular plots."), ("posters", "poster", "Posters hang on a wall, some over others."),
    ("carpets", "carpet", "Carpets lie on the floor of a hall, some over others."),
)  # fmt: skip
OUTCOMES = {
    "covered": ("the number of unit squares that are covered by at least {k} {ones}", "sum($count >= {k} for $count in $parts.values())", "len([c for c in cover if not c < {k}])"),
    "exactly": ("the number of unit squares that are covered by exactly {k} {ones}", "sum($count == {k} for $count in $parts.values())", "len([c for c in cover if c == {k}])"),
    "deepest": ("the largest number of {ones} that cover the same unit square", "max($parts.values(), default=0)", "sorted([0] + cover)[-1]"),
    "excess": ("the sum of the areas of all {ones} minus the area that they cover together", "sum($parts.values()) - len($parts)", "sum(cover) - len([c for c in cover if c])"),
    "odd": ("the number of unit squares that are covered by an odd number of {ones}", "sum($count % 2 for $count in $parts.values())", "len([c for c in cover if c & 1])"),
}  # fmt: skip
CLIPS = {
    "none": ("", "True", "True"),
    "right": ("Only unit squares whose left edge is at x = {c} or further to the right count.", "$i >= {c}", "not x < {c}"),
    "below": ("Only unit squares whose lower edge is below y = {c} count.", "$j < {c}", "y <= {c} - 1"),
    "checker": ("Only unit squares count for which the sum of the coordinates of the lower left corner is divisible by {d}.", "($i + $j) % {d} == 0", "(x + y) // {d} * {d} == x + y"),
    "column": ("Unit squares whose left edge is at x = {c} do not count.", "$i != {c}", "not x == {c}"),
}  # fmt: skip
SIZES = {
    "all": ("", "", "True"),
    "large": ("{Ones} with an area below {a} are left out.", "($x[2] - $x[0]) * ($x[3] - $x[1]) >= {a}", "(r[2] - r[0]) * (r[3] - r[1]) > {a} - 1"),
    "wide": ("{Ones} that are higher than wide are left out.", "$x[2] - $x[0] >= $x[3] - $x[1]", "not r[2] - r[0] < r[3] - r[1]"),
    "high": ("{Ones} that are wider than high are left out.", "$x[2] - $x[0] <= $x[3] - $x[1]", "not r[2] - r[0] > r[3] - r[1]"),
    "square": ("{Ones} that are squares are left out.", "$x[2] - $x[0] != $x[3] - $x[1]", "not r[2] - r[0] == r[3] - r[1]"),
}  # fmt: skip


def _rectangle(draws: Draws) -> tuple[int, int, int, int]:
    x, y = draws.integer(0, 4), draws.integer(0, 4)
    return (x, y, x + draws.integer(1, 6), y + draws.integer(1, 6))


def _rectangles(core: Core, draws: Draws) -> Draft:
    name, one, context = draws.choice(STORIES)
    outcome, k = core["outcome"]
    task, finish, by_hand = OUTCOMES[outcome]
    (clip, c), (size, a) = core["clip"], core["size"]
    words = {"k": k, "c": c, "d": c, "a": a, "ones": name, "Ones": name.capitalize()}
    clip_rule, clip_test, clip_other = (text.format(**words) for text in CLIPS[clip])
    size_rule, size_test, size_other = (text.format(**words) for text in SIZES[size])
    guard = (
        f"                if {clip_test}:\n                    $parts[$i, $j] = $parts.get(($i, $j), 0) + 1\n"
        if clip != "none"
        else "                $parts[$i, $j] = $parts.get(($i, $j), 0) + 1\n"
    )
    skip = f"        if not ({size_test}):\n            continue\n" if size_test else ""
    loop = f"$sig\n    $parts = {{}}\n    for $x in $xs:\n{skip}        $low, $high = $x[0], $x[2]\n        for $i in range($low, $high):\n            for $j in range($x[1], $x[3]):\n{guard}    return {finish.format(**words)}"
    if_clip = f" if {clip_test}" if clip != "none" else ""
    kept = f"[$x for $x in $xs if {size_test}]" if size_test else "$xs"
    counter = (
        "from collections import Counter\n\n\ndef squares($x: tuple[int, int, int, int]):\n    for $i in range($x[0], $x[2]):\n        for $j in range($x[1], $x[3]):\n"
        + (
            f"            if {clip_test}:\n                yield $i, $j\n"
            if if_clip
            else "            yield $i, $j\n"
        )
        + f"\n\n$sig\n    $kept = {kept}\n    $parts = Counter(spot for $x in $kept for spot in squares($x))\n    return {finish.format(**words)}"
    )
    return Draft(
        names=("covered_squares", f"{outcome}_squares", f"overlap_of_{name}", f"{name}_area", "count_squares"),
        params=(Param(name, "list[tuple[int, int, int, int]]"),),
        returns="int",
        given=f"a list `{name}` of tuples (left, bottom, right, top) of integers",
        task=task.format(**words),
        rules=tuple(filter(None, (f"The sides of each {one} are parallel to the axes, with left < right and bottom < top.", clip_rule, size_rule))),
        context=context,
        solutions={"dict": loop, "counter": counter},
        reference=f"def reference(rectangles):\n    rectangles = [r for r in rectangles if {size_other}]\n    cover = []\n    for x in range(12):\n        for y in range(12):\n            if {clip_other}:\n"
        f"                cover.append(sum(1 for r in rectangles if r[0] <= x and x + 1 <= r[2] and r[1] <= y and y + 1 <= r[3]))\n    return {by_hand.format(**words)}",
        inputs=lambda d: ([_rectangle(d) for _ in range(d.integer(2, 8))],),
        edges=(([],), ([(0, 0, 2, 3), (1, 1, 4, 2)],)),
        fill={"parts": "$tally", "low": "left", "high": "right", "i": "x", "j": "y", "xs": name, "x": one if one != name else "item"},
        level=1,
    )  # fmt: skip


KINDS = {
    "right": ("right-angled", "$low * $low + $current * $current == $high * $high", "a ** 2 + b ** 2 == c ** 2"),
    "equal": ("equilateral (all three sides equal)", "$low == $high", "a == b == c"),
    "two": ("isosceles (at least two sides equal)", "$low == $current or $current == $high", "len({a, b, c}) < 3"),
    "acute": ("acute (the square of the longest side is less than the sum of the squares of the others)", "$low ** 2 + $current ** 2 > $high ** 2", "c * c < a * a + b * b"),
    "obtuse": ("obtuse (the square of the longest side is more than the sum of the squares of the others)", "$low ** 2 + $current ** 2 < $high ** 2", "c * c > a * a + b * b"),
    "flat": ("narrow (the longest side is more than {k} times as long as the shortest)", "$high > {k} * $low", "c - {k} * a > 0"),
    "even": ("even (their perimeter is divisible by {k})", "($low + $current + $high) % {k} == 0", "(a + b + c) // {k} * {k} == a + b + c"),
    "small": ("small (their perimeter is at most {k10})", "$low + $current + $high <= {k10}", "not a + b + c > {k10}"),
    "long": ("long (their longest side is at least {k3})", "$high >= {k3}", "c > {k3} - 1"),
}  # fmt: skip
TRIANGLE_RESULTS = {
    "count": ("how many of them are triangles that are {kind}", "int", "0", "$result += 1", "len(found)"),
    "perimeters": ("the list of the perimeters of all triangles among them that are {kind}", "list[int]", "[]", "$result.append($low + $current + $high)", "[a + b + c for a, b, c in found]"),
    "longest": ("the sum of the longest sides of all triangles among them that are {kind}", "int", "0", "$result += $high", "sum(c for a, b, c in found)"),
    "sorted": ("the list of all triangles among them that are {kind}, the sides of each sorted in ascending order", "list[list[int]]", "[]", "$result.append([$low, $current, $high])", "[[a, b, c] for a, b, c in found]"),
    "areas": ("the sum of the values (shortest side times middle side) of all triangles among them that are {kind}", "int", "0", "$result += $low * $current", "sum(a * b for a, b, c in found)"),
}  # fmt: skip


def _triangles(core: Core, draws: Draws) -> Draft:
    *kinds, joint = core["kinds"]
    task, returns, start, step, by_hand = TRIANGLE_RESULTS[core["result"]]
    facts = []
    for kind, k in kinds:
        facts.append(
            [
                text.replace("{k10}", str(k + 10))
                .replace("{k3}", str(k + 3))
                .replace("{k}", str(k))
                for text in KINDS[kind]
            ]
        )
    words = f" {joint} ".join(fact[0] for fact in facts)
    test = f" {joint} ".join(
        f"({fact[1]})" if len(facts) > 1 and " or " in fact[1] else fact[1]
        for fact in facts
    )
    other = f" {joint} ".join(f"({fact[2]})" for fact in facts)
    name = draws.choice(("triples", "sides", "shapes", "triangles"))
    strict = core["strict"]
    bad = (
        "$low + $current <= $high" if strict == "strict" else "$low + $current < $high"
    )
    return Draft(
        names=("check_triangles", f"{core['result']}_of_triangles", f"sort_out_{name}", "triangle_report"),
        params=(Param(name, "list[tuple[int, int, int]]"),),
        returns=returns,
        given=f"a list `{name}` of tuples of three positive integers, the lengths of three sides in any order",
        task=task.format(kind=words),
        rules=(f"Three lengths make a triangle if the two shorter ones together are {'longer than' if strict == 'strict' else 'at least as long as'} the longest.",),
        solutions={
            "loop": f"$sig\n    $result = {start}\n    for $x in $xs:\n        $low, $current, $high = sorted($x)\n        if {bad}:\n            continue\n        if {test}:\n            {step}\n    return $result",
            "helper": f"def fits($low: int, $current: int, $high: int) -> bool:\n    if {bad}:\n        return False\n    return {test}\n\n\n$sig\n    $result = {start}\n    for $x in $xs:\n        $low, $current, $high = sorted($x)\n        if fits($low, $current, $high):\n            {step}\n    return $result",
        },
        reference="def reference(triples):\n    found = []\n    for sides in triples:\n        c = max(sides)\n        a = min(sides)\n        b = sum(sides) - a - c\n"
        f"        if all(x + y {'>' if strict == 'strict' else '>='} z for x, y, z in ((a, b, c), (b, c, a), (a, c, b))) and ({other}):\n            found.append((a, b, c))\n    return {by_hand}",
        inputs=lambda d: ([_sides(d) for _ in range(d.integer(0, 7))],),
        edges=(([],), ([(5, 3, 4), (2, 2, 2), (1, 2, 3), (9, 2, 2)],)),
        fill={"low": "$side_a", "current": "$side_b", "high": "$side_c", "xs": name, "x": "triple" if name != "triple" else "item"},
    )  # fmt: skip


def _sides(draws: Draws) -> tuple[int, int, int]:
    if draws.chance(25):
        return draws.choice(
            ((3, 4, 5), (5, 12, 13), (8, 6, 10), (4, 4, 4), (7, 7, 3), (2, 3, 5))
        )
    return (draws.integer(1, 9), draws.integer(1, 9), draws.integer(1, 9))


TRIANGLE_KINDS = (*((kind, 0) for kind in ("right", "equal", "two", "acute", "obtuse")),
                  *((kind, k) for kind in ("flat", "even", "small", "long") for k in (2, 3, 4)))  # fmt: skip
EXCLUSIVE = (
    {"acute", "obtuse"},
    {"right", "obtuse"},
    {"right", "acute"},
    {"equal", "two"},
    {"equal", "right"},
    {"equal", "obtuse"},
    {"equal", "acute"},
    {"equal", "flat"},
)
"""Kinds of which one says that a triangle is or is not of the other."""
JOINED = (
    *((one, "and") for one in TRIANGLE_KINDS),
    *((one, other, joint) for n, one in enumerate(TRIANGLE_KINDS) for other in TRIANGLE_KINDS[n + 1 :]
      if one[0] != other[0] and {one[0], other[0]} not in EXCLUSIVE for joint in ("and", "or")),
)  # fmt: skip
FAMILIES = (
    Family("rectangles", "geometry",
           {"outcome": (("deepest", 0), ("excess", 0), ("odd", 0), *((one, k) for one in ("covered", "exactly") for k in (1, 2, 3, 4))),
            "clip": (("none", 0), *((one, c) for one in ("right", "below", "checker", "column") for c in (1, 2, 3, 4, 5, 6) if (one, c) != ("checker", 1))),
            "size": (("all", 0), ("wide", 0), ("high", 0), ("square", 0), *(("large", a) for a in (2, 3, 4, 5, 6, 7, 8))), "portion": ("all", "part")}, _rectangles),
    Family("triangles", "geometry",
           {"kinds": JOINED, "result": tuple(TRIANGLE_RESULTS), "strict": ("strict", "loose")}, _triangles),
)  # fmt: skip
