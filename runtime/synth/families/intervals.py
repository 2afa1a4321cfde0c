"""Intervals of whole numbers, and rectangles and points in the plane."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param

STORIES = (
    ("intervals", "interval", "intervals", ""),
    ("meetings", "meeting", "meetings", "A calendar lists meetings by the hour in which they start and the hour in which they end."),
    ("shifts", "shift", "shifts", "A hospital plans its shifts by start and end."),
    ("bookings", "booking", "bookings", "A hotel writes down the first and the last night of its bookings."),
    ("segments", "segment", "segments", "A road is repaired in segments from one kilometre mark to another."),
    ("rentals", "rental", "rentals", "A bicycle shop notes from when to when its bicycles are rented out."),
)  # fmt: skip
AFTER_MERGE = {
    "list": ("the list of the merged {ones} as tuples, in ascending order", "list[tuple[int, int]]", "$parts", "blocks"),
    "count": ("the number of {ones} that are left after merging", "int", "len($parts)", "len(blocks)"),
    "total": ("the total length (end minus start) of the merged {ones}", "int", "sum($high - $low for $low, $high in $parts)", "sum(b - a for a, b in blocks)"),
    "longest": ("the length (end minus start) of the longest merged {one}, or 0 if there is none", "int", "max(($high - $low for $low, $high in $parts), default=0)", "sorted([0] + [b - a for a, b in blocks])[-1]"),
    "gaps": ("the list of the gaps between neighbouring merged {ones}, as tuples (end of one, start of the next)", "list[tuple[int, int]]", "[($earlier[1], $later[0]) for $earlier, $later in zip($parts, $parts[1:])]", "[(blocks[n][1], blocks[n + 1][0]) for n in range(len(blocks) - 1)]"),
    "widest": ("the width of the widest gap between neighbouring merged {ones}, or 0 if there is none", "int", "max(($later[0] - $earlier[1] for $earlier, $later in zip($parts, $parts[1:])), default=0)", "max([0] + [blocks[n + 1][0] - blocks[n][1] for n in range(len(blocks) - 1)])"),
    "long": ("how many merged {ones} are at least {t} long (end minus start)", "int", "sum($high - $low >= {t} for $low, $high in $parts)", "len([1 for a, b in blocks if not b - a < {t}])"),
}  # fmt: skip
KEEP = {
    "all": ("", "", "True"),
    "min": ("{Ones} shorter than {m} (end minus start) are ignored.", "$high - $low >= {m}", "b - a > {m} - 1"),
    "max": ("{Ones} longer than {m2} (end minus start) are ignored.", "$high - $low <= {m2}", "not b - a > {m2}"),
    "late": ("{Ones} that start before {m} are ignored.", "$low >= {m}", "not a < {m}"),
    "even": ("{Ones} whose start is divisible by {m1} are ignored.", "$low % {m1}", "a // {m1} * {m1} != a"),
}  # fmt: skip


def _interval(draws: Draws, high: int = 24, long: int = 7) -> tuple[int, int]:
    low = draws.integer(0, high)
    return (low, low + draws.integer(0, long))


def _merge(core: Core, draws: Draws) -> Draft:
    name, one, ones, context = draws.choice(STORIES)
    result, t = core["result"]
    task, returns, finish, by_hand = AFTER_MERGE[result]
    keep, m = core["keep"]
    rule, test, other = KEEP[keep]
    gap = core["gap"]
    words = {
        "one": one,
        "ones": ones,
        "Ones": ones.capitalize(),
        "t": t,
        "m": m,
        "m1": m + 1,
        "m2": m + 3,
    }
    test, other = test.format(**words), other.format(**words)
    chosen = (
        f"sorted(($low, $high) for $low, $high in $xs if {test})"
        if test
        else "sorted($xs)"
    )
    near = f"$parts[-1][1] + {gap}" if gap else "$parts[-1][1]"
    loop = (
        f"$sig\n    $parts = []\n    for $low, $high in {chosen}:\n        if $parts and $low <= {near}:\n            $parts[-1] = ($parts[-1][0], max($parts[-1][1], $high))\n"
        f"        else:\n            $parts.append(($low, $high))\n    return {finish.format(**words)}"
    )
    pairs = (
        f"$sig\n    $parts = []\n    start = stop = None\n    for $low, $high in {chosen}:\n        if stop is not None and $low <= stop{f' + {gap}' if gap else ''}:\n            stop = max(stop, $high)\n            continue\n"
        f"        if stop is not None:\n            $parts.append((start, stop))\n        start, stop = $low, $high\n    if stop is not None:\n        $parts.append((start, stop))\n    return {finish.format(**words)}"
    )
    overlap = (
        f"if they share at least one point, or if at most {gap} lies between the end of one and the start of the other"
        if gap
        else "if they share at least one point (a common end point is enough)"
    )
    return Draft(
        names=("merge_" + name, "merged", f"{result}_after_merging", f"combine_{name}", "merge_overlaps"),
        params=(Param(name, "list[tuple[int, int]]"),),
        returns=returns,
        given=f"a list `{name}` of tuples (start, end) of integers",
        task=task.format(**words),
        rules=tuple(filter(None, (f"Each start is at most the end. Two {ones} are merged into one {overlap}; this goes on until none can be merged.", rule.format(**words)))),
        context=context,
        solutions={"last one": loop, "open one": pairs},
        reference=f"def reference(intervals):\n    blocks = [(a, b) for a, b in intervals if {other}]\n    again = True\n    while again:\n        again = False\n        for x in blocks:\n            for y in blocks:\n"
        f"                if x is not y and x[0] <= y[1] + {gap} and y[0] <= x[1] + {gap}:\n                    blocks = [z for z in blocks if z is not x and z is not y]\n                    blocks.append((min(x[0], y[0]), max(x[1], y[1])))\n"
        f"                    again = True\n                    break\n            if again:\n                break\n    blocks = sorted(blocks)\n    return {by_hand.format(**words)}",
        inputs=lambda d: ([_interval(d) for _ in range(d.integer(0, 7))],),
        edges=(([],), ([(3, 5)],), ([(1, 4), (6, 8), (4, 5), (12, 20)],)),
        fill={"parts": "$merged", "xs": name},
        level=1,
    )  # fmt: skip


LOADS = {
    "most": ("the largest number of {ones} that cover the same point", "int", "max($parts.values(), default=0)", "sorted([0] + cover)[-1]"),
    "points": ("the number of whole-numbered points that are covered by at least {k} {ones}", "int", "sum($count >= {k} for $count in $parts.values())", "len([c for c in cover if not c < {k}])"),
    "exact": ("the sorted list of all whole-numbered points that are covered by exactly {k} {ones}", "list[int]", "sorted($x for $x, $count in $parts.items() if $count == {k})", "[p for p, c in enumerate(cover) if c == {k}]"),
    "first": ("the smallest whole-numbered point that is covered by at least {k} {ones}, or -1 if there is none", "int", "min(($x for $x, $count in $parts.items() if $count >= {k}), default=-1)", "([p for p, c in enumerate(cover) if c > {k} - 1] + [-1])[0]"),
    "last": ("the largest whole-numbered point that is covered by at least {k} {ones}, or -1 if there is none", "int", "max(($x for $x, $count in $parts.items() if $count >= {k}), default=-1)", "([-1] + [p for p, c in enumerate(cover) if c > {k} - 1])[-1]"),
    "sum": ("the sum of all whole-numbered points that are covered by fewer than {k1} {ones} but by at least one", "int", "sum($x for $x, $count in $parts.items() if $count < {k1})", "sum(p for p, c in enumerate(cover) if 0 < c <= {k1} - 1)"),
}  # fmt: skip


def _coverage(core: Core, draws: Draws) -> Draft:
    name, one, ones, context = draws.choice(STORIES)
    goal, k = core["goal"]
    task, returns, finish, by_hand = LOADS[goal]
    keep, m = core["keep"]
    rule, test, other = KEEP[keep]
    closed, step = core["closed"], core["step"]
    words = {
        "one": one,
        "ones": ones,
        "Ones": ones.capitalize(),
        "k": k,
        "k1": k + 1,
        "m": m,
        "m1": m + 1,
        "m2": m + 3,
    }
    test, other = test.format(**words), other.format(**words)
    skip = f"        if not ({test}):\n            continue\n" if test else ""
    stop = "$high + 1" if closed else "$high"
    points = f"range($low, {stop})" if step == 1 else f"range($low, {stop}, {step})"
    return Draft(
        names=("coverage", f"{goal}_covered", f"cover_{name}", f"{name}_by_point", "busy_points"),
        params=(Param(name, "list[tuple[int, int]]"),),
        returns=returns,
        given=f"a list `{name}` of tuples (start, end) of integers",
        task=task.format(**words),
        rules=tuple(filter(None, (
            f"A{'n' if one[0] in 'aeiou' else ''} {one} covers its start{' and its end' if closed else ' but not its end'}, and the points between them"
            + (f", but of these only every {'second' if step == 2 else 'third'} one, counted from the start: start, start + {step}, start + {2 * step} and so on." if step > 1 else "."),
            rule.format(**words),
        ))),
        context=context,
        solutions={
            "dict": f"$sig\n    $parts = {{}}\n    for $low, $high in $xs:\n{skip}        for $x in {points}:\n            $parts[$x] = $parts.get($x, 0) + 1\n    return {finish.format(**words)}",
            "counter": f"from collections import Counter\n\n\n$sig\n    $parts = Counter()\n    for $low, $high in $xs:\n{skip}        $parts.update({points})\n    return {finish.format(**words)}",
        },
        reference="def reference(intervals):\n    cover = []\n    for p in range(60):\n        cover.append(0)\n        for a, b in intervals:\n"
        f"            if ({other}) and a <= p {'<=' if closed else '<'} b and (p - a) % {step} == 0:\n                cover[p] += 1\n    return {by_hand.format(**words)}",
        inputs=lambda d: ([_interval(d, 9) for _ in range(d.integer(1, 10))],),
        edges=(([],), ([(3, 5)],), ([(1, 4), (2, 8), (4, 4)],)),
        fill={"parts": "$tally", "low": "start", "high": "end", "xs": name, "x": "point" if name != "point" else "x"},
        level=1,
    )  # fmt: skip


METRICS = {
    "manhattan": ("distance (horizontal plus vertical difference)", "abs({a}[0] - {b}[0]) + abs({a}[1] - {b}[1])", "max({a}[0] - {b}[0], {b}[0] - {a}[0]) + max({a}[1] - {b}[1], {b}[1] - {a}[1])"),
    "chebyshev": ("distance (the larger of the horizontal and the vertical difference)", "max(abs({a}[0] - {b}[0]), abs({a}[1] - {b}[1]))", "sorted(map(abs, ({a}[0] - {b}[0], {a}[1] - {b}[1])))[1]"),
    "squared": ("squared Euclidean distance", "({a}[0] - {b}[0]) ** 2 + ({a}[1] - {b}[1]) ** 2", "sum((p - q) * (p - q) for p, q in zip({a}, {b}))"),
    "narrow": ("distance (the smaller of the horizontal and the vertical difference)", "min(abs({a}[0] - {b}[0]), abs({a}[1] - {b}[1]))", "sorted(map(abs, ({a}[0] - {b}[0], {a}[1] - {b}[1])))[0]"),
    "height": ("distance (the vertical difference plus twice the horizontal one)", "2 * abs({a}[0] - {b}[0]) + abs({a}[1] - {b}[1])", "sum(abs({a}[n] - {b}[n]) for n in (0, 0, 1))"),
}  # fmt: skip
POINT_GOALS = {
    "nearest": ("the point that is nearest to {p}, or None if there are no points", "tuple[int, int] | None", "min($xs, key=lambda $x: {m}, default=None)", "best(list(points), {p}, 1)"),
    "farthest": ("the point that is farthest from {p}, or None if there are no points", "tuple[int, int] | None", "max($xs, key=lambda $x: {m}, default=None)", "best(list(points), {p}, -1)"),
    "within": ("how many points have a distance of at most {r} from {p}", "int", "sum({m} <= {r} for $x in $xs)", "len([q for q in points if not far(q, {p}) > {r}])"),
    "outside": ("the list of all points, in their original order, that are farther than {r} from {p}", "list[tuple[int, int]]", "[$x for $x in $xs if {m} > {r}]", "[q for q in points if not far(q, {p}) <= {r}]"),
    "sorted": ("the list of all points by growing distance from {p}; points of equal distance keep their order", "list[tuple[int, int]]", "sorted($xs, key=lambda $x: {m})", "order(list(points), {p})"),
    "total": ("the sum of the distances of all points from {p}", "int", "sum({m} for $x in $xs)", "sum([far(q, {p}) for q in points])"),
    "ring": ("how many points have a distance of more than {h} and at most {r} from {p}", "int", "sum({h} < {m} <= {r} for $x in $xs)", "len([q for q in points if far(q, {p}) in range({h} + 1, {r} + 1)])"),
}  # fmt: skip


def _points(core: Core, draws: Draws) -> Draft:
    metric, code, other = METRICS[core["metric"]]
    goal, r = core["goal"]
    task, returns, finish, by_hand = POINT_GOALS[goal]
    place = core["place"]
    name, context = draws.choice((("points", ""), ("points", ""), ("stations", "A city lists the positions of its fire stations on a square grid."),
                                  ("trees", "A gardener writes down where the trees of a park stand."), ("ships", "A radar reports the positions of ships."), ("shops", "A delivery service keeps the positions of its shops.")))  # fmt: skip
    words = {"p": str(place), "r": r, "h": r // 2}
    measure = (
        code.format(a="$x", b=str(place))
        .replace(f"{place}[0]", str(place[0]))
        .replace(f"{place}[1]", str(place[1]))
    )
    measure = measure.replace("- -", "+ ")
    measure = measure.replace(" - 0)", ")")
    call = finish.format(m="gap($x)", **words)
    rules = [
        f"Points are tuples (x, y); {metric.split(' (')[0] if '(' not in metric else 'the distance is ' + metric.split('(')[1].rstrip(')')}"
        + (" is used as the distance." if "(" not in metric else ".")
    ]
    if "(" not in metric:
        rules = [f"Points are tuples (x, y); the {metric} is used as the distance."]
    if goal in ("nearest", "farthest"):
        rules.append("Of several such points the first in the list counts.")
    return Draft(
        names=(f"{goal}_points", "point_query", f"locate_{name}", "around_point", f"{goal}_by_distance"),
        params=(Param(name, "list[tuple[int, int]]"),),
        returns=returns,
        given=f"a list `{name}` of points with integer coordinates",
        task=task.format(**words),
        rules=tuple(rules),
        context=context,
        solutions={
            "direct": f"$sig\n    return {finish.format(m=measure, **words)}",
            "helper": f"def gap($x: tuple[int, int]) -> int:\n    return {measure}\n\n\n$sig\n    return {call.replace('lambda $x: gap($x)', 'gap')}",
            "constant": f"CENTRE = {place}\n\n\ndef gap($x: tuple[int, int]) -> int:\n    return {code.format(a='$x', b='CENTRE')}\n\n\n$sig\n    return {call.replace('lambda $x: gap($x)', 'gap')}",
        },
        reference=f"def far(a, b):\n    return {other.format(a='a', b='b')}\n\n\ndef best(points, p, sign):\n    found = None\n    for q in points:\n        if found is None or sign * far(q, p) < sign * far(found, p):\n            found = q\n    return found\n\n\n"
        "def order(points, p):\n    found = []\n    while points:\n        q = best(points, p, 1)\n        points.remove(q)\n        found.append(q)\n    return found\n\n\n"
        f"def reference(points):\n    return {by_hand.format(**words)}",
        inputs=lambda d: ([(d.integer(-6, 8), d.integer(-6, 8)) for _ in range(d.integer(0, 7))],),
        edges=(([],), ([(0, 0), (1, 2), (-3, 4)],)),
        fill={"xs": name, "x": "point" if name != "point" else "p"},
    )  # fmt: skip


FAMILIES = (
    Family("merge-intervals", "intervals",
           {"result": (*((one, 0) for one in AFTER_MERGE if one != "long"), *(("long", t) for t in (2, 3, 4, 5, 6, 8, 10))),
            "keep": (("all", 0), *((one, m) for one in ("min", "max", "late", "even") for m in (2, 3, 4, 5, 6))), "gap": tuple(range(8)), "portion": ("all", "part")}, _merge),
    Family("coverage", "intervals",
           {"goal": (("most", 0), *((one, k) for one in LOADS if one != "most" for k in (1, 2, 3, 4))),
            "keep": (("all", 0), *((one, m) for one in ("min", "max", "late", "even") for m in (2, 3, 4, 5))), "closed": (True, False), "step": (1, 2, 3), "portion": ("all", "part")}, _coverage),
    Family("points", "geometry",
           {"metric": tuple(METRICS), "goal": (("nearest", 0), ("farthest", 0), ("sorted", 0), ("total", 0), *((one, r) for one in ("within", "outside", "ring") for r in (3, 4, 5, 6, 7, 8, 9, 11))),
            "place": tuple((x, y) for x in (-3, -1, 0, 2, 4) for y in (-2, 0, 1, 3, 5)), "portion": ("all", "part")}, _points),
)  # fmt: skip
