"""Graphs given as lists of edges: distances, parts, orders."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param
from runtime.synth.vocabulary import a

STORIES = (
    ("edges", "nodes", "node", "edge", ""),
    ("roads", "towns", "town", "road", "A county has towns that are numbered from 0 and roads between them."),
    ("links", "computers", "computer", "link", "An office has computers that are numbered from 0 and cables between them."),
    ("friendships", "people", "person", "friendship", "In a club, people are numbered from 0, and some of them know each other."),
    ("tunnels", "caves", "cave", "tunnel", "A cave explorer numbers the caves from 0 and lists the tunnels between them."),
    ("flights", "airports", "airport", "flight", "An airline numbers its airports from 0 and lists the connections it serves."),
)  # fmt: skip
BLOCKED = {
    "none": ("", "", "True"),
    "multiple": ("{ones} whose number is a positive multiple of {k} are closed and can't be entered.", "$y == 0 or $y % {k}", "y == 0 or y not in range(0, 99, {k})"),
    "high": ("{ones} whose number is above {k2} are closed and can't be entered.", "$y <= {k2}", "not y > {k2}"),
    "one": ("{One} {k} is closed and can't be entered.", "$y != {k}", "not y == {k}"),
}  # fmt: skip
GOALS = {
    "distance": ("the smallest number of {edges} on a path from {one} 0 to {one} `{n} - 1`, or -1 if there is none", "int", "$seen.get($n - 1, -1)", "best[n - 1] if best[n - 1] < far else -1"),
    "reachable": ("how many {ones} can be reached from {one} 0 (which counts itself)", "int", "len($seen)", "sum(1 for b in best if b < far)"),
    "farthest": ("the largest number of {edges} that any reachable {one} is away from {one} 0, each by its shortest path", "int", "max($seen.values())", "max(b for b in best if b < far)"),
    "at": ("the sorted list of all {ones} whose shortest path from {one} 0 has exactly {d} {edges}", "list[int]", "sorted($x for $x, $step in $seen.items() if $step == {d})", "[v for v, b in enumerate(best) if b == {d}]"),
    "within": ("how many {ones} other than {one} 0 can be reached from it by at most {d} {edges}", "int", "sum(1 for $step in $seen.values() if 0 < $step <= {d})", "len([b for b in best[1:] if b <= {d}])"),
    "sum": ("the sum of the lengths of the shortest paths from {one} 0 to all {ones} that can be reached", "int", "sum($seen.values())", "sum(b for b in best if b < far)"),
    "list": ("a list with, for each {one}, the number of {edges} on a shortest path from {one} 0, or -1 if there is none", "list[int]", "[$seen.get($x, -1) for $x in range($n)]", "[b if b < far else -1 for b in best]"),
    "unreachable": ("the sorted list of all {ones} that can't be reached from {one} 0", "list[int]", "[$x for $x in range($n) if $x not in $seen]", "[v for v, b in enumerate(best) if b >= far]"),
}  # fmt: skip


def _edges(draws: Draws, most: int, count: int) -> tuple[int, list[tuple[int, int]]]:
    size = draws.integer(1, most)
    edges = [
        (draws.below(size), draws.below(size))
        for _ in range(draws.integer(0, count) if size > 1 else 0)
    ]
    return size, [(one, other) for one, other in dict.fromkeys(edges) if one != other]


def _search(core: Core, draws: Draws) -> Draft:
    name, ones, one, edge, context = draws.choice(STORIES)
    goal, d = core["goal"]
    task, returns, finish, by_hand = GOALS[goal]
    (blocked, k), directed = core["blocked"], core["directed"]
    rule, test, other = BLOCKED[blocked]
    words = {
        "ones": ones,
        "one": one,
        "edges": name if name != "friendships" else "steps",
        "n": "n",
        "d": d,
        "One": one.capitalize(),
    }
    test = test.format(k=k, k2=k + 1)
    enter = f" and ({test})" if " or " in test else f" and {test}" if test else ""
    keep, j = core["keep"]
    keep_rule, keep_test, keep_other = (
        text.format(**words, j=j, j1=j + 1) for text in KEEP[keep]
    )
    skip = f"        if not ({keep_test}):\n            continue\n" if keep_test else ""
    add_back = "" if directed else "        $parts[$j].append($i)\n"
    build = f"    $parts = [[] for _ in range($n)]\n    for $i, $j in $edges:\n{skip}        $parts[$i].append($j)\n{add_back}"
    mode = "one way, from the first to the second" if directed else "in both directions"
    bfs = (
        f"from collections import deque\n\n\n$sig\n{build}    $seen = {{0: 0}}\n    $queue = deque([0])\n    while $queue:\n        $x = $queue.popleft()\n"
        f"        for $y in $parts[$x]:\n            if $y not in $seen{enter}:\n                $seen[$y] = $seen[$x] + 1\n                $queue.append($y)\n"
        f"    return {finish.format(**words)}"
    )
    layers = (
        f"$sig\n{build}    $seen = {{0: 0}}\n    $queue, $step = [0], 0\n    while $queue:\n        $step += 1\n        $left = []\n        for $x in $queue:\n"
        f"            for $y in $parts[$x]:\n                if $y not in $seen{enter}:\n                    $seen[$y] = $step\n                    $left.append($y)\n"
        f"        $queue = $left\n    return {finish.format(**words)}"
    )
    rules = [f"Each {edge} is a pair of different {ones} and can be used {mode}."]
    if rule:
        rules.append(
            rule.format(k=k, k2=k + 1, ones=ones.capitalize(), One=one.capitalize())
        )
    if keep_rule:
        rules.append(keep_rule)
    return Draft(
        names=("explore", f"search_{ones}", f"{goal}_from_zero", "breadth_first", "shortest_ways"),
        params=(Param("n", "int"), Param(name, "list[tuple[int, int]]")),
        returns=returns,
        given=f"the number `n` of {ones}, numbered from 0 to `n - 1`, and a list of pairs `{name}`",
        task=task.format(**words),
        rules=tuple(rules),
        context=context,
        solutions={"queue": bfs, "layers": layers},
        reference="def reference(n, edges):\n    far = 10 ** 6\n    best = [0] + [far] * (n - 1)\n    for _ in range(n):\n        for a, b in edges:\n"
        f"            if not ({keep_other}):\n                continue\n            for x, y in {'[(a, b)]' if directed else '[(a, b), (b, a)]'}:\n                if best[x] < far and ({other.format(k=k, k2=k + 1)}):\n"
        f"                    best[y] = min(best[y], best[x] + 1)\n    return {by_hand.format(**words)}",
        inputs=lambda dr: _edges(dr, 8, 14),
        edges=((1, []), (4, [(0, 1), (1, 2), (2, 3)]), (6, [(0, 1), (0, 2), (3, 4), (4, 5), (2, 5)])),
        fill={"parts": "$near", "seen": "$distances", "step": "$distance", "left": "$following", "i": "$end_a", "j": "$end_b", "n": "n", "edges": name, "y": "neighbour", "x": one},
        level=2,
    )  # fmt: skip


PART_GOALS = {
    "count": ("the number of groups of {ones} that are connected with each other", "int", "len($parts)", "len(groups)"),
    "largest": ("the number of {ones} in the largest connected group", "int", "max(map(len, $parts))", "sorted(len(g) for g in groups)[-1]"),
    "sizes": ("the list of the sizes of all connected groups, in ascending order", "list[int]", "sorted(map(len, $parts))", "sorted([len(g) for g in groups])"),
    "small": ("how many connected groups have at most {k} {ones}", "int", "sum(len($kept) <= {k} for $kept in $parts)", "len([g for g in groups if not len(g) > {k}])"),
    "big": ("how many {ones} are in connected groups of at least {k} {ones}", "int", "sum(len($kept) for $kept in $parts if len($kept) >= {k})", "sum([len(g) for g in groups if not len(g) < {k}])"),
    "leaders": ("the sorted list of the smallest member of each connected group of at least {k} {ones}", "list[int]", "sorted(min($kept) for $kept in $parts if len($kept) >= {k})", "sorted(sorted(g)[0] for g in groups if len(g) > {k} - 1)"),
    "ranked": ("the number of {ones} in the connected group that has rank {k} by size (the largest has rank 1), or 0 if there are fewer groups", "int", "sorted(map(len, $parts))[-{k}] if len($parts) >= {k} else 0", "([0] * 20 + sorted(len(g) for g in groups))[20 + len(groups) - {k}]"),
    "same": ("the number of pairs of different {ones} that are in the same connected group, counting groups of at least {k} {ones} only", "int", "sum(len($kept) * (len($kept) - 1) // 2 for $kept in $parts if len($kept) >= {k})", "sum(1 for g in groups for a in g for b in g if a < b and len(g) >= {k})"),
}  # fmt: skip
KEEP = {
    "all": ("", "", "True"),
    "near": ("Only {edges} between {ones} whose numbers differ by at most {j} count.", "abs($i - $j) <= {j}", "-{j} <= a - b <= {j}"),
    "far": ("Only {edges} between {ones} whose numbers differ by at least {j} count.", "abs($i - $j) >= {j}", "a - b >= {j} or b - a >= {j}"),
    "parity": ("Only {edges} between {ones} whose numbers add up to no multiple of {j1} count.", "($i + $j) % {j1}", "(a + b) // {j1} * {j1} != a + b"),
    "low": ("Only {edges} that have an end below {j} count.", "min($i, $j) < {j}", "a < {j} or b < {j}"),
}  # fmt: skip


def _parts(core: Core, draws: Draws) -> Draft:
    name, ones, one, edge, context = draws.choice(STORIES)
    goal, k = core["goal"]
    task, returns, finish, by_hand = PART_GOALS[goal]
    keep, j = core["keep"]
    rule, test, other = KEEP[keep]
    shut = core["shut"]
    words = {
        "ones": ones,
        "one": one,
        "edges": name,
        "k": k,
        "j": j,
        "j1": j + 1,
        "shut": shut,
    }
    if shut:
        test = " and ".join(
            filter(None, (f"({test})" if test else "", "{shut} not in ($i, $j)"))
        )
        other = f"({other}) and a != {{shut}} and b != {{shut}}"
        rule += " {edges} that lead to {one} {shut} do not count.".replace(
            "{edges}", name.capitalize()
        )
        rule = rule.strip()
    skip = (
        f"        if not ({test.format(**words)}):\n            continue\n"
        if test
        else ""
    )
    union = (
        "def find(leader: list[int], $x: int) -> int:\n    while leader[$x] != $x:\n        $x = leader[$x]\n    return $x\n\n\n"
        f"$sig\n    leader = list(range($n))\n    for $i, $j in $edges:\n{skip}        leader[find(leader, $i)] = find(leader, $j)\n"
        "    members = {}\n    for $x in range($n):\n        members.setdefault(find(leader, $x), []).append($x)\n    $parts = list(members.values())\n"
        f"    return {finish.format(**words)}"
    )
    flood = (
        f"$sig\n    near = [[] for _ in range($n)]\n    for $i, $j in $edges:\n{skip}        near[$i].append($j)\n        near[$j].append($i)\n"
        "    $seen, $parts = set(), []\n    for $x in range($n):\n        if $x in $seen:\n            continue\n        $seen.add($x)\n        $stack, $kept = [$x], []\n"
        "        while $stack:\n            $current = $stack.pop()\n            $kept.append($current)\n            for $step in near[$current]:\n                if $step not in $seen:\n"
        f"                    $seen.add($step)\n                    $stack.append($step)\n        $parts.append($kept)\n    return {finish.format(**words)}"
    )
    return Draft(
        names=("connected_groups", f"{goal}_of_groups", f"group_{ones}", "components", "connected_parts"),
        params=(Param("n", "int"), Param(name, "list[tuple[int, int]]")),
        returns=returns,
        given=f"the number `n` of {ones}, numbered from 0 to `n - 1`, and a list `{name}` of pairs of {ones}",
        task=task.format(**words),
        rules=tuple(filter(None, (
            f"Each {edge} connects both ways, and {ones} are in one group if a path leads from one to the other.",
            f"{a(one).capitalize()} without any {edge} is a group of its own.",
            rule.format(**words),
        ))),
        context=context,
        solutions={"union-find": union, "flood fill": flood},
        reference="def reference(n, edges):\n    groups = [{v} for v in range(n)]\n    for a, b in edges:\n"
        f"        if not ({other.format(**words)}):\n            continue\n        ours = [g for g in groups if a in g or b in g]\n"
        "        groups = [g for g in groups if g not in ours] + [set().union(*ours)]\n"
        f"    return {by_hand.format(**words)}",
        inputs=lambda dr: _edges(dr, 9, 10),
        edges=((1, []), (5, [(0, 1), (3, 4)]), (6, [(0, 5), (5, 2), (1, 3)])),
        fill={"parts": "$groups", "kept": "$group", "step": "neighbour", "i": "$end_a", "j": "$end_b", "n": "n", "edges": name, "x": one},
        level=2,
    )  # fmt: skip


COSTS = {
    "plain": ("the sum of the lengths of its {edges}", "$total + $weight", "c + w", "{}"),
    "toll": ("the sum of the lengths of its {edges}, and {k} more for each of them", "$total + $weight + {k}", "c + (w + {k})", "{}"),
    "largest": ("the largest length among its {edges}", "max($total, $weight)", "sorted((c, w))[1]", "{}"),
    "double": ("the sum of the lengths of its {edges}, where lengths above {k} count twice", "$total + ($weight * 2 if $weight > {k} else $weight)", "c + w + (w if not w <= {k} else 0)", "{}"),
    "least": ("the sum of the lengths of its {edges}, each counted as at least {k}", "$total + max($weight, {k})", "c + (w, {k})[w < {k}]", "{}"),
    "rounded": ("the sum of the lengths of its {edges}, each rounded up to a multiple of {k}", "$total + -(-$weight // {k}) * {k}", "c + (w + {k} - 1) // {k} * {k}", "{}"),
}  # fmt: skip
WEIGHTED_GOALS = {
    "last": ("the lowest cost of a path from {one} 0 to {one} `n - 1`, or -1 if there is none", "int", "$best.get($n - 1, -1)", "cost[n - 1] if cost[n - 1] < far else -1"),
    "list": ("the list of the lowest costs of a path from {one} 0 to each {one}, -1 where there is none", "list[int]", "[$best.get($x, -1) for $x in range($n)]", "[c if c < far else -1 for c in cost]"),
    "within": ("how many {ones} can be reached from {one} 0 at a cost of at most {d} ({one} 0 itself counts)", "int", "sum($total <= {d} for $total in $best.values())", "len([c for c in cost if c <= {d}])"),
    "dearest": ("the {one} that is the dearest to reach from {one} 0, among those that can be reached (the one with the lowest number if there are several)", "int", "max(sorted($best), key=$best.get)", "[v for v, c in enumerate(cost) if c == max(x for x in cost if x < far)][0]"),
    "total": ("the sum of the lowest costs of paths from {one} 0 to all {ones} that can be reached", "int", "sum($best.values())", "sum(c for c in cost if c < far)"),
}  # fmt: skip


def _cheapest(core: Core, draws: Draws) -> Draft:
    name, ones, one, edge, context = draws.choice(
        [story for story in STORIES if story[0] != "friendships"]
    )
    goal, d = core["goal"]
    task, returns, finish, by_hand = WEIGHTED_GOALS[goal]
    kind, k = core["cost"]
    cost, code, other, _ = COSTS[kind]
    directed = core["directed"]
    words = {"ones": ones, "one": one, "edges": name, "k": k, "d": d}
    back = "" if directed else "        near[$j].append(($i, $weight))\n"
    build = f"    near = [[] for _ in range($n)]\n    for $i, $j, $weight in $edges:\n        near[$i].append(($j, $weight))\n{back}"
    heap = (
        f"import heapq\n\n\n$sig\n{build}    $best = {{}}\n    $queue = [(0, 0)]\n    while $queue:\n        $total, $x = heapq.heappop($queue)\n        if $x in $best:\n            continue\n"
        f"        $best[$x] = $total\n        for $y, $weight in near[$x]:\n            if $y not in $best:\n                heapq.heappush($queue, ({code.format(**words)}, $y))\n"
        f"    return {finish.format(**words)}"
    )
    scan = (
        f"$sig\n{build}    $best, $left = {{}}, {{0: 0}}\n    while $left:\n        # The nearest one that is not settled yet is final.\n        $x = min($left, key=$left.get)\n        $total = $left.pop($x)\n        $best[$x] = $total\n"
        f"        for $y, $weight in near[$x]:\n            $step = {code.format(**words)}\n            if $y not in $best and $step < $left.get($y, $step + 1):\n                $left[$y] = $step\n"
        f"    return {finish.format(**words)}"
    )
    return Draft(
        names=("cheapest_way", f"{goal}_by_cost", "lowest_cost", f"plan_{name}", "route_costs"),
        params=(Param("n", "int"), Param(name, "list[tuple[int, int, int]]")),
        returns=returns,
        given=f"the number `n` of {ones}, numbered from 0 to `n - 1`, and a list `{name}` of tuples (start, end, length)",
        task=task.format(**words),
        rules=(f"The cost of a path is {cost.format(**words)}.",
               f"Each {edge} can be used {'from its start to its end only' if directed else 'in both directions'}; lengths are positive.",
               f"Being at {one} 0 costs 0."),
        context=context,
        solutions={"heap": heap, "scan": scan},
        reference="def reference(n, edges):\n    far = 10 ** 9\n    cost = [0] + [far] * (n - 1)\n    for _ in range(n):\n        for a, b, w in edges:\n"
        f"            for x, y in {'((a, b),)' if directed else '((a, b), (b, a))'}:\n                c = cost[x]\n                if c < far:\n                    cost[y] = min(cost[y], {other.format(**words)})\n"
        f"    return {by_hand.format(**words)}",
        inputs=lambda dr: _weighted(dr),
        edges=((1, []), (4, [(0, 1, 4), (1, 2, 3), (0, 2, 9), (2, 3, 1)])),
        fill={"best": "$costs", "left": "$tentative", "total": "$spent", "step": "$price", "i": "$end_a", "j": "$end_b", "n": "n", "edges": name, "y": "neighbour", "x": one},
        level=3,
    )  # fmt: skip


def _weighted(draws: Draws) -> tuple[int, list[tuple[int, int, int]]]:
    size, edges = _edges(draws, 7, 12)
    return size, [(one, other, draws.integer(1, 9)) for one, other in edges]


FAMILIES = (
    Family("graph-search", "graphs",
           {"goal": (*((one, 0) for one in ("distance", "reachable", "farthest", "sum", "list", "unreachable")), *(("at", d) for d in (1, 2, 3)), *(("within", d) for d in (1, 2, 3, 4))),
            "blocked": (("none", 0), *((one, k) for one in ("multiple", "high", "one") for k in (2, 3, 4, 5)), *(("one", k) for k in (1, 6)), *(("high", k) for k in (1, 6))),
            "directed": (True, False), "keep": (("all", 0), *((one, j) for one in ("near", "far", "parity", "low") for j in (2, 3)))}, _search),
    Family("graph-parts", "graphs",
           {"goal": (*((one, 0) for one in ("count", "largest", "sizes")), *((one, k) for one in ("small", "big", "leaders", "ranked", "same") for k in (2, 3, 4, 5))),
            "keep": (("all", 0), *((one, j) for one in ("near", "far", "parity", "low") for j in (1, 2, 3, 4, 5, 6))),
            "shut": (0, 1, 2, 3, 4, 5, 6)}, _parts),
    Family("cheapest-ways", "graphs",
           {"goal": (*((one, 0) for one in ("last", "list", "dearest", "total")), *(("within", d) for d in range(8, 68, 3))),
            "cost": (("plain", 0), ("largest", 0), *((one, k) for one in ("toll", "double", "least", "rounded") for k in range(2, 26))),
            "directed": (True, False)}, _cheapest),
)  # fmt: skip
