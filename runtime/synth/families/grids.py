"""Matrices and grids: walking, turning, rows and columns, islands, cheapest paths."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param
from runtime.synth.vocabulary import Condition, conditions, singular

CONDITIONS = conditions(signed=False)
OF_ANY = conditions()
NAMES = ("grid", "matrix", "table", "board", "rows")


def _matrix(
    draws: Draws, high: int, *, most: int = 4, square: bool = False
) -> list[list[int]]:
    height, width = draws.integer(1, most), draws.integer(1, most)
    return [draws.integers(height if square else width, 0, high) for _ in range(height)]


WALKS = {
    "rows": ("row by row from the top, each from left to right", "[$x for $row in $g for $x in $row]", "[g[r][c] for r in range(h) for c in range(w)]"),
    "columns": ("column by column from the left, each from top to bottom", "[$x for $row in zip(*$g) for $x in $row]", "[g[r][c] for c in range(w) for r in range(h)]"),
    "snake": ("row by row from the top, the first from left to right, the next from right to left, and so on in turn", "[$x for $i, $row in enumerate($g) for $x in ($row[::-1] if $i % 2 else $row)]", "[g[r][c if r % 2 == 0 else w - 1 - c] for r in range(h) for c in range(w)]"),
    "column-snake": ("column by column from the left, the first downwards, the next upwards, and so on in turn", "[$x for $i, $row in enumerate(zip(*$g)) for $x in ($row[::-1] if $i % 2 else $row)]", "[g[r if c % 2 == 0 else h - 1 - r][c] for c in range(w) for r in range(h)]"),
    "bottom": ("row by row from the bottom, each from left to right", "[$x for $row in reversed($g) for $x in $row]", "[g[h - 1 - r][c] for r in range(h) for c in range(w)]"),
    "diagonals": ("diagonal by diagonal: first all cells whose row and column number add up to 0, then those that add up to 1 and so on, each from top to bottom", "[$g[$i][$j - $i] for $j in range(len($g) + len($g[0]) - 1) for $i in range(len($g)) if 0 <= $j - $i < len($g[0])]", "[g[r][c] for s in range(h + w) for r in range(h) for c in range(w) if r + c == s]"),
    "border": ("along the border only, row by row from the top, each from left to right", "[$x for $i, $row in enumerate($g) for $j, $x in enumerate($row) if $i in (0, len($g) - 1) or $j in (0, len($row) - 1)]", "[g[r][c] for r in range(h) for c in range(w) if r == 0 or c == 0 or r + 1 == h or c + 1 == w]"),
    "checkers": ("row by row from the top, each from left to right, but only the cells whose row and column number add up to an even number", "[$x for $i, $row in enumerate($g) for $j, $x in enumerate($row) if ($i + $j) % 2 == 0]", "[g[r][c] for r in range(h) for c in range(w) if r % 2 == c % 2]"),
}  # fmt: skip
COLLECT = {
    "list": ("the list of {them}", "list[int]", "{l}", "found"),
    "sum": ("the sum of {them}", "int", "sum({l})", "sum(found)"),
    "first": ("the first of {them}, or -1 if there is none", "int", "next(iter({l}), -1)", "found[0] if found else -1"),
    "last": ("the last of {them}, or -1 if there is none", "int", "({l} or [-1])[-1]", "([-1] + found)[-1]"),
    "changes": ("how often neighbours differ in the list of {them}", "int", "sum($low != $high for $low, $high in zip({l}, {l}[1:]))", "len([n for n in range(1, len(found)) if found[n] != found[n - 1]])"),
}  # fmt: skip


def _walk(core: Core, draws: Draws) -> Draft:
    condition: Condition = core["condition"]
    way, walk, walk_other = WALKS[core["walk"]]
    task, returns, finish, by_hand = COLLECT[core["collect"]]
    name = draws.choice(NAMES[:4])
    test = condition.code.format(x="$x")
    kept = "$kept"
    them = f"the numbers in `{name}` that {condition.text}"
    return Draft(
        names=("walk_grid", f"{core['walk'].replace('-', '_')}_walk", f"traverse_{name}", "read_cells"),
        params=(Param(name, "list[list[int]]"),),
        returns=returns,
        given=f"a rectangular grid `{name}` (a list of rows of integers that are not negative)",
        task=task.format(them=them),
        rules=(f"The grid is read {way}.", *(("Rows and columns are numbered from 0.",) if "number" in way else ())),
        solutions={
            "comprehensions": f"$sig\n    $parts = {walk}\n    $kept = [$x for $x in $parts if {test}]\n    return {finish.format(l=kept)}",
            "generator": f"def cells($g: list[list[int]]):\n    yield from {walk.replace('[', '(', 1)[:-1]})\n\n\n$sig\n    $kept = []\n    for $x in cells($g):\n"
            f"        if {test}:\n            $kept.append($x)\n    return {finish.format(l=kept)}",
        },
        reference=f"def reference(g):\n    h, w = len(g), len(g[0])\n    found = []\n    for x in {walk_other}:\n        if {condition.other.format(x='x')}:\n"
        f"            found.append(x)\n    return {by_hand}",
        inputs=lambda d: (_matrix(d, 24, most=5),),
        edges=(([[5]],), ([[1, 12, 3], [4, 15, 6]],)),
        fill={"parts": "$numbers", "low": "$earlier", "high": "$later", "g": name, "x": draws.choice(("cell", "value", "x"))},
        level=1,
    )  # fmt: skip


TURNS = {
    "right": ("turned by 90 degrees to the right", "[list($row) for $row in zip(*{g}[::-1])]", "[[g[h - 1 - c][r] for c in range(h)] for r in range(w)]"),
    "left": ("turned by 90 degrees to the left", "[list($row) for $row in zip(*{g})][::-1]", "[[g[c][w - 1 - r] for c in range(h)] for r in range(w)]"),
    "half": ("turned by 180 degrees", "[$row[::-1] for $row in {g}[::-1]]", "[[g[h - 1 - r][w - 1 - c] for c in range(w)] for r in range(h)]"),
    "mirror": ("mirrored from left to right", "[$row[::-1] for $row in {g}]", "[[g[r][w - 1 - c] for c in range(w)] for r in range(h)]"),
    "flip": ("flipped upside down", "{g}[::-1]", "[[g[h - 1 - r][c] for c in range(w)] for r in range(h)]"),
    "transpose": ("transposed", "[list($row) for $row in zip(*{g})]", "[[g[c][r] for c in range(h)] for r in range(w)]"),
    "rotate-rows": ("changed by moving its last row to the top", "{g}[-1:] + {g}[:-1]", "[[g[(r - 1) % h][c] for c in range(w)] for r in range(h)]"),
    "rotate-columns": ("changed by moving the last column to the left side", "[$row[-1:] + $row[:-1] for $row in {g}]", "[[g[r][(c - 1) % w] for c in range(w)] for r in range(h)]"),
    "sort-rows": ("changed by sorting each row in ascending order", "[sorted($row) for $row in {g}]", "[[sorted(g[r])[c] for c in range(w)] for r in range(h)]"),
    "sort-columns": ("changed by sorting each column in ascending order from the top", "[list($row) for $row in zip(*[sorted(column) for column in zip(*{g})])]", "[[sorted(g[i][c] for i in range(h))[r] for c in range(w)] for r in range(h)]"),
    "running": ("changed by replacing each row by its running totals", "[[sum($row[:$i + 1]) for $i in range(len($row))] for $row in {g}]", "[[sum(g[r][i] for i in range(c + 1)) for c in range(w)] for r in range(h)]"),
    "differences": ("changed by subtracting from each row except the first the row above it (as it was)", "[{g}[0]] + [[$high - $low for $low, $high in zip(upper, lower)] for upper, lower in zip({g}, {g}[1:])]", "[[g[r][c] - (g[r - 1][c] if r else 0) for c in range(w)] for r in range(h)]"),
    **{
        f"times-{k}": (f"changed by multiplying every number by {k}", f"[[{k} * $x for $x in $row] for $row in {{g}}]", f"[[sum([g[r][c]] * {k}) for c in range(w)] for r in range(h)]")
        for k in (2, 3, 5)
    },
    **{
        f"plus-{k}": (f"changed by adding {k} to every number", f"[[$x + {k} for $x in $row] for $row in {{g}}]", f"[[{k} + g[r][c] for c in range(w)] for r in range(h)]")
        for k in (1, 4, 10)
    },
    "border": ("changed by putting a border of zeros around it", "[[0] * (len({g}[0]) + 2)] + [[0, *$row, 0] for $row in {g}] + [[0] * (len({g}[0]) + 2)]", "[[g[r - 1][c - 1] if 0 < r <= h and 0 < c <= w else 0 for c in range(w + 2)] for r in range(h + 2)]"),
}  # fmt: skip


MOVES = {"right", "left", "half", "mirror", "flip", "transpose"}
# The eight movements of a rectangle make up each other, and steps done twice say little.
STEPS = tuple(
    (first, second, third)
    for first in TURNS
    for second in TURNS
    for third in TURNS
    if not {first, second} <= MOVES
    and not {second, third} <= MOVES
    and len({one.split("-")[0] for one in (first, second, third)}) == 3
)


def _turns(core: Core, draws: Draws) -> Draft:
    steps = [TURNS[name] for name in core["steps"]]
    name = draws.choice(NAMES)
    lines = "".join(f"    $g = {code.format(g='$g')}\n" for _, code, _ in steps)
    helpers = "".join(
        f"def {title}_step($g: list[list[int]]) -> list[list[int]]:\n    return {code.format(g='$g')}\n\n\n"
        for title, (_, code, _) in zip(("first", "second", "third"), steps, strict=True)
    )
    return Draft(
        names=("change_grid", f"transform_{name}", "apply_steps", "rearrange_cells"),
        params=(Param(name, "list[list[int]]"),),
        returns="list[list[int]]",
        given=f"a rectangular list of rows `{name}` with integers in the cells",
        task=f"a copy of it that was first {steps[0][0]}, then {steps[1][0]}, and finally {steps[2][0]}",
        rules=(f"The argument `{name}` must stay as it is.",) if draws.chance(60) else (),
        solutions={"in order": f"$sig\n{lines}    return $g", "helpers": f"{helpers}$sig\n    return third_step(second_step(first_step($g)))"},
        reference="def reference(g):\n" + "".join(f"    h, w = len(g), len(g[0])\n    g = {other}\n" for _, _, other in steps) + "    return g",
        inputs=lambda d: (_matrix(d, 9),),
        edges=(([[7]],), ([[1, 2, 3], [4, 5, 6]],)),
        fill={"low": "above", "high": "below", "g": name, "x": "value"},
    )  # fmt: skip


LINES = {
    "row": ("row", "$g", "g"),
    "column": (
        "column",
        "zip(*$g)",
        "[[g[r][c] for r in range(len(g))] for c in range(len(g[0]))]",
    ),
}
MEASURES = {
    "sum": ("sum", "sum({l})", "sum(v for v in {l})"), "max": ("largest number", "max({l})", "sorted({l})[-1]"),
    "min": ("smallest number", "min({l})", "sorted({l})[0]"), "spread": ("difference between the largest and the smallest number", "max({l}) - min({l})", "sorted({l})[-1] - sorted({l})[0]"),
    "distinct": ("number of different values", "len(set({l}))", "len([v for n, v in enumerate({l}) if v not in list({l})[:n]])"),
    "ends": ("sum of the first and the last number", "{l}[0] + {l}[-1]", "{l}[0] + list(reversed({l}))[0]"),
    "odd": ("number of odd values", "sum($x % 2 for $x in {l})", "len([v for v in {l} if v & 1])"),
    "alternating": ("alternating sum (first minus second plus third and so on)", "sum({l}[::2]) - sum({l}[1::2])", "sum(v * (-1) ** n for n, v in enumerate({l}))"),
}  # fmt: skip


def _line_stats(core: Core, draws: Draws) -> Draft:
    condition: Condition = core["condition"]
    line, lines, lines_other = LINES[core["line"]]
    words, code, other = MEASURES[core["measure"]]
    asked = core["asked"]
    name = draws.choice(NAMES[:4])
    measure = code.format(l="$row")
    test = condition.code.format(x="$step")
    task, returns = {
        "count": (f"how many {line}s have a {words} that {singular(condition)}", "int"),
        "places": (
            f"the sorted list of the positions (counted from 0) of all {line}s whose {words} {singular(condition)}",
            "list[int]",
        ),
        "values": (
            f"a list with the {words} of each {line} for which it {singular(condition)}",
            "list[int]",
        ),
        "total": (
            f"the sum of these values: for each {line} its {words}, if it {singular(condition)}",
            "int",
        ),
    }[asked]
    add = {
        "count": "$result += 1",
        "places": "$result.append($i)",
        "values": "$result.append($step)",
        "total": "$result += $step",
    }[asked]
    start = "[]" if returns != "int" else "0"
    loop = "for $i, $row in enumerate" if asked == "places" else "for $row in "
    over = f"{loop}({lines}):" if asked == "places" else f"{loop}{lines}:"
    short = {
        "count": "sum(1 for $step in $parts if {t})",
        "places": "[$i for $i, $step in enumerate($parts) if {t}]",
        "values": "[$step for $step in $parts if {t}]",
        "total": "sum($step for $step in $parts if {t})",
    }[asked]
    by_hand = {
        "count": "len(found)",
        "places": "[n for n, v in found]",
        "values": "[v for n, v in found]",
        "total": "sum(v for n, v in found)",
    }[asked]
    return Draft(
        names=(f"{line}_{asked}", f"{line}_{core['measure']}_{asked}", f"check_{line}s", f"{name}_{line}s"),
        params=(Param(name, "list[list[int]]"),),
        returns=returns,
        given=f"a rectangular list of rows `{name}` with integers that are not negative",
        task=task,
        rules=(),
        context=draws.choice(("", "", "A teacher keeps marks in a table.", "A theatre counts its guests by row and evening.", "A farmer notes the harvest of each bed of a field.")),
        solutions={
            "loop": f"$sig\n    $result = {start}\n    {over}\n        $step = {measure}\n        if {test}:\n            {add}\n    return $result",
            "two steps": f"$sig\n    $parts = [{measure} for $row in {lines}]\n    return {short.format(t=test)}",
            "helper": f"def measure($row: list[int]) -> int:\n    return {measure}\n\n\n$sig\n    $parts = list(map(measure, {lines}))\n    return {short.format(t=test)}",
        },
        reference=f"def reference(g):\n    found = []\n    for n, line in enumerate({lines_other}):\n        v = {other.format(l='line')}\n"
        f"        if {condition.other.format(x='v')}:\n            found.append((n, v))\n    return {by_hand}",
        inputs=lambda d: (_matrix(d, d.choice((5, 9, 20)), most=5),),
        edges=(([[5]],), ([[1, 2, 3], [4, 15, 6]],)),
        fill={"parts": "$measures", "step": "$measured", "g": name, "x": "value" if name != "value" else "x"},
    )  # fmt: skip


FAMILIES = (
    Family("grid-walks", "matrices", {"condition": CONDITIONS, "walk": tuple(WALKS), "collect": tuple(COLLECT)}, _walk),
    Family("grid-steps", "matrices", {"steps": STEPS}, _turns),
    Family("row-statistics", "matrices", {"condition": OF_ANY, "line": tuple(LINES), "measure": tuple(MEASURES),
                                          "asked": ("count", "places", "values", "total")}, _line_stats),
)  # fmt: skip
