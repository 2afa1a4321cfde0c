"""Maps of characters and of costs: islands, paths, neighbours."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param

AREAS = {
    "count": ("the number of connected areas of `{c}`", "int", "len($parts)", "len(areas)"),
    "largest": ("the number of cells of the largest connected area of `{c}`, or 0 if there is none", "int", "max(map(len, $parts), default=0)", "([0] + sorted(map(len, areas)))[-1]"),
    "sizes": ("the sorted list of the sizes of all connected areas of `{c}`", "list[int]", "sorted(map(len, $parts))", "sorted([len(a) for a in areas])"),
    "small": ("how many connected areas of `{c}` have at most {k} cells", "int", "sum(len($kept) <= {k} for $kept in $parts)", "len([a for a in areas if not len(a) > {k}])"),
    "covered": ("the total number of cells of all connected areas of `{c}` that have at least {k} cells", "int", "sum(len($kept) for $kept in $parts if len($kept) >= {k})", "sum(len(a) for a in areas if not len(a) < {k})"),
    "inner": ("how many connected areas of `{c}` of at least {k} cells do not touch the border of the map", "int", "sum(len($kept) >= {k} and all(0 < $i < len($g) - 1 and 0 < $j < len($g[0]) - 1 for $i, $j in $kept) for $kept in $parts)", "len([a for a in areas if len(a) >= {k} and not any(r in (0, h - 1) or c in (0, w - 1) for r, c in a)])"),
    "wide": ("how many connected areas of `{c}` span at least {k} columns", "int", "sum(max($j for _, $j in $kept) - min($j for _, $j in $kept) + 1 >= {k} for $kept in $parts)", "len([a for a in areas if 1 + sorted(c for r, c in a)[-1] - sorted(c for r, c in a)[0] >= {k}])"),
    "tall": ("how many connected areas of `{c}` span at least {k} rows", "int", "sum(max($i for $i, _ in $kept) - min($i for $i, _ in $kept) + 1 >= {k} for $kept in $parts)", "len([a for a in areas if 1 + sorted(r for r, c in a)[-1] - sorted(r for r, c in a)[0] >= {k}])"),
}  # fmt: skip
TOUCH = {
    "sides": ("if they share a side", "((0, 1), (1, 0), (0, -1), (-1, 0))", "abs(r - s) + abs(c - d) == 1"),
    "corners": ("if they share a side or a corner", "[($i, $j) for $i in (-1, 0, 1) for $j in (-1, 0, 1) if $i or $j]", "max(abs(r - s), abs(c - d)) == 1"),
    "rows": ("if they are next to each other in the same row", "((0, 1), (0, -1))", "r == s and abs(c - d) == 1"),
    "columns": ("if they are next to each other in the same column", "((1, 0), (-1, 0))", "c == d and abs(r - s) == 1"),
    "diagonals": ("if they share a corner and no side", "((1, 1), (1, -1), (-1, 1), (-1, -1))", "abs(r - s) == 1 == abs(c - d)"),
    "knight": ("if they are a knight's move of chess apart", "[($i, $j) for $i in (-2, -1, 1, 2) for $j in (-2, -1, 1, 2) if abs($i) != abs($j)]", "{abs(r - s), abs(c - d)} == {1, 2}"),
}  # fmt: skip


def _areas(core: Core, draws: Draws) -> Draft:
    name = draws.choice(("chart", "image", "terrain", "dish", "floor", "photo", "plan"))
    goal, k = core["goal"]
    task, returns, finish, by_hand = AREAS[goal]
    told, steps, touching = TOUCH[core["touch"]]
    full = core["mark"]
    empty = "." if full != "." else "#"
    context = (
        f"A map shows `{full}` and `{empty}`, one character for each cell."
        if draws.chance(60)
        else ""
    )
    wrap = core["wrap"]
    wraps = {
        "no": "",
        "columns": "The left and the right edge of the map are joined: a cell of the last column is next to cells of the first.",
    }[wrap]
    inside = (
        "$low in range(len($g)) and $high in range(len($g[0]))"
        if wrap == "no"
        else "$low in range(len($g))"
    )
    turn = "" if wrap == "no" else " % len($g[0])"
    flood = (
        f"STEPS = {steps.replace('$i', 'down').replace('$j', 'right')}\n\n\n$sig\n    $seen, $parts = set(), []\n    for $i, $row in enumerate($g):\n        for $j, $x in enumerate($row):\n"
        f"            if $x != {full!r} or ($i, $j) in $seen:\n                continue\n            $seen.add(($i, $j))\n            $stack, $kept = [($i, $j)], []\n"
        "            while $stack:\n                spot = $stack.pop()\n                $kept.append(spot)\n                for down, right in STEPS:\n"
        f"                    $low, $high = spot[0] + down, (spot[1] + right){turn}\n                    if not ({inside}):\n                        continue\n"
        f"                    if $g[$low][$high] == {full!r} and ($low, $high) not in $seen:\n                        $seen.add(($low, $high))\n                        $stack.append(($low, $high))\n"
        f"            $parts.append($kept)\n    return {finish.format(c=full, k=k)}"
    ).replace("(spot[1] + right),", "spot[1] + right,")
    if wrap == "no":
        flood = flood.replace("(spot[1] + right)\n", "spot[1] + right\n")
    recursive = (
        f"STEPS = {steps.replace('$i', 'down').replace('$j', 'right')}\n\n\ndef spread($g: list[str], $low: int, $high: int, $seen: set) -> list:\n"
        f"    if not ({inside}):\n        return []\n    if $g[$low][$high] != {full!r} or ($low, $high) in $seen:\n        return []\n    $seen.add(($low, $high))\n    $kept = [($low, $high)]\n"
        f"    for down, right in STEPS:\n        $kept += spread($g, $low + down, ($high + right){turn}, $seen)\n    return $kept\n\n\n"
        "$sig\n    $seen = set()\n    $parts = []\n    for $i in range(len($g)):\n        for $j in range(len($g[0])):\n            $kept = spread($g, $i, $j, $seen)\n"
        f"            if $kept:\n                $parts.append($kept)\n    return {finish.format(c=full, k=k)}"
    )
    if wrap == "no":
        recursive = recursive.replace("($high + right), $seen", "$high + right, $seen")
    near = (
        touching
        if wrap == "no"
        else " or ".join(
            f"({touching.replace('c - d', f'c - d + {s}')})".replace(
                "c == d", f"c == d + {s}" if s != "0" else "c == d"
            )
            for s in ("0", "w", "(-w)")
        )
    )
    return Draft(
        names=("areas", f"{goal}_areas", "find_areas", "analyse_map", f"scan_{name}"),
        params=(Param(name, "list[str]"),),
        returns=returns,
        given=f"a map `{name}` (a list of strings of equal length made of `{full}` and `{empty}`)",
        task=task.format(c=full, k=k),
        rules=tuple(filter(None, (f"Two cells are neighbours {told}.", f"Cells with `{full}` belong to the same area if a chain of neighbours with `{full}` leads from one to the other.", wraps))),
        context=context,
        solutions={"stack": flood, "recursion": recursive},
        reference="def reference(g):\n    h, w = len(g), len(g[0])\n"
        f"    areas = [{{(r, c)}} for r in range(h) for c in range(w) if g[r][c] == {full!r}]\n    merged = True\n    while merged:\n        merged = False\n"
        "        for one in areas:\n            for other in areas:\n"
        f"                if one is not other and any({near} for r, c in one for s, d in other):\n"
        "                    areas = [a for a in areas if a is not one and a is not other] + [one | other]\n                    merged = True\n                    break\n            if merged:\n                break\n"
        f"    return {by_hand.format(k=k)}",
        inputs=lambda d: (_map(d, full, empty),),
        edges=(([empty * 3],), ([full * 3],)),
        fill={"parts": "$areas", "kept": "$area", "i": "$r", "j": "$c", "low": "$r2", "high": "$c2", "g": name, "x": "cell"},
        level=2,
    )  # fmt: skip


def _map(draws: Draws, full: str, empty: str) -> list[str]:
    # Three columns at least, so that a map with joined edges has three different ones.
    width = draws.integer(3, 7)
    share = draws.choice((full + empty, full + full + empty, full * 3 + empty))
    return [draws.text(width, share) for _ in range(draws.integer(1, 6))]


MOVES = {
    "right-down": ("one cell to the right or one cell down", ((0, 1), (1, 0))),
    "with-diagonal": ("one cell to the right, one cell down, or one cell diagonally down to the right", ((0, 1), (1, 0), (1, 1))),
    "jumps": ("one or two cells to the right, or one cell down", ((0, 1), (0, 2), (1, 0))),
    "falls": ("one cell to the right, or one or two cells down", ((0, 1), (1, 0), (2, 0))),
    "slides": ("one, two or three cells to the right, or one cell down", ((0, 1), (0, 2), (0, 3), (1, 0))),
    "both": ("one or two cells to the right, or one or two cells down", ((0, 1), (0, 2), (1, 0), (2, 0))),
    "long": ("one cell to the right, one cell down, or a knight's jump of two right and one down", ((0, 1), (1, 0), (1, 2))),
}  # fmt: skip
CELL_COSTS = {
    "plain": ("the sum of the numbers in all its cells, the first and the last included", "{v}", "{v}"),
    "step": ("the sum of the numbers in all its cells, the first and the last included, and {k} more for each cell", "{v} + {k}", "{k} + {v}"),
    "odd": ("the sum of the numbers in all its cells, the first and the last included, where odd numbers count {k} times", "{v} * ({k} if {v} % 2 else 1)", "{v} * (1, {k})[{v} & 1]"),
    "cap": ("the sum of the numbers in all its cells, the first and the last included, where none counts more than {k}", "min({v}, {k})", "sorted(({v}, {k}))[0]"),
    "floor": ("the sum of the numbers in all its cells, the first and the last included, each counted as at least {k}", "max({v}, {k})", "sorted(({v}, {k}))[1]"),
    "away": ("the sum of the distances of the numbers in its cells from {k}", "abs({v} - {k})", "max({v} - {k}, {k} - {v})"),
}  # fmt: skip


def _grid_path(core: Core, draws: Draws) -> Draft:
    words, moves = MOVES[core["moves"]]
    kind, k = core["cost"]
    cost, code, other = (text.format(v="{v}", k=k) for text in CELL_COSTS[kind])
    end, goal = core["end"], core["goal"]
    name = draws.choice(("grid", "field", "cells", "costs"))
    value = code.format(v="$g[$i][$j]")
    pick = "min" if end == "lowest" else "max"
    back = tuple((-down, -right) for down, right in moves)
    table = (
        f"$sig\n    $rows = [[0] * len($g[0]) for _ in $g]\n    for $i in range(len($g)):\n        for $j in range(len($g[0])):\n"
        f"            $parts = [\n                $rows[$i + down][$j + right]\n                for down, right in {back}\n                if $i + down >= 0 and $j + right >= 0\n            ]\n"
        f"            $rows[$i][$j] = {pick}($parts, default=0) + {value}\n    return "
        + {
            "corner": "$rows[-1][-1]",
            "bottom": f"{pick}($rows[-1])",
            "right": f"{pick}($row[-1] for $row in $rows)",
        }[goal]
    )
    finish = {
        "corner": "cost(len($g) - 1, len($g[0]) - 1)",
        "bottom": f"{pick}(cost(len($g) - 1, $j) for $j in range(len($g[0])))",
        "right": f"{pick}(cost($i, len($g[0]) - 1) for $i in range(len($g)))",
    }[goal]
    memo = (
        "from functools import lru_cache\n\n\n$sig\n    @lru_cache(maxsize=None)\n    def cost($i: int, $j: int) -> int:\n"
        f"        $parts = [cost($i + down, $j + right) for down, right in {back} if $i + down >= 0 and $j + right >= 0]\n"
        f"        return {pick}($parts, default=0) + {value}\n\n    return {finish}"
    )
    where = {
        "corner": "the bottom right cell",
        "bottom": "any cell of the bottom row",
        "right": "any cell of the rightmost column",
    }[goal]
    done = {
        "corner": "r == h - 1 and c == w - 1",
        "bottom": "r == h - 1",
        "right": "c == w - 1",
    }[goal]
    return Draft(
        names=("best_path", f"{end}_path_cost", "path_through_grid", f"cross_{name}", "grid_route"),
        params=(Param(name, "list[list[int]]"),),
        returns="int",
        given=f"a rectangular list of rows `{name}` with integers that are not negative",
        task=f"the {end} cost of a path from the top left cell to {where}",
        rules=(f"Each move goes {words}; a path stays inside the grid.", f"The cost of a path is {cost}.",
               *(("Cells that are jumped over are not entered.",) if core["moves"] in ("jumps", "falls", "long", "slides", "both") else ())),
        context=draws.choice(("", "", "A robot crosses a field of stones.", "A hiker crosses a map on which each cell says how hard it is.")),
        solutions={"table": table, "memo": memo},
        reference=f"def reference(g):\n    h, w = len(g), len(g[0])\n    found = []\n\n    def go(r, c, spent):\n        if r >= h or c >= w:\n            return\n        v = g[r][c]\n        spent += {other.format(v='v')}\n"
        f"        if {done}:\n            found.append(spent)\n        for down, right in {moves}:\n            go(r + down, c + right, spent)\n\n    go(0, 0, 0)\n    return {'sorted(found)[0]' if end == 'lowest' else 'sorted(found)[-1]'}",
        inputs=lambda d: (_costs(d),),
        edges=(([[3]],), ([[1, 9, 1], [1, 9, 1], [1, 1, 1]],)),
        fill={"i": "$r", "j": "$c", "parts": "$options", "g": name},
        level=2,
    )  # fmt: skip


def _costs(draws: Draws) -> list[list[int]]:
    width = draws.integer(1, 4)
    return [draws.integers(width, 0, 12) for _ in range(draws.integer(1, 4))]


FAMILIES = (
    Family("areas-on-maps", "graphs",
           {"goal": (("count", 0), ("largest", 0), ("sizes", 0), *((one, k) for one in ("small", "covered", "inner", "wide", "tall") for k in (1, 2, 3, 4, 5) if (one, k) not in (("covered", 1), ("wide", 1), ("tall", 1)))),
            "touch": tuple(TOUCH), "wrap": ("no", "columns"), "mark": tuple("#1TXo*@+%8")}, _areas),
    Family("grid-paths", "dynamic programming",
           {"moves": tuple(MOVES), "cost": (("plain", 0), *((one, k) for one in ("step", "odd", "cap", "floor", "away") for k in range(2, 17))),
            "end": ("lowest", "highest"), "goal": ("corner", "bottom", "right")}, _grid_path),
)  # fmt: skip
