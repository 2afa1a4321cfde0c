"""Trees: nested tuples, search trees, lists of parents."""

from __future__ import annotations

from typing import Any

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param, UnsuitableError
from runtime.synth.vocabulary import Condition, conditions

CONDITIONS = conditions(signed=False)

ORDERS = {
    "pre": ("a node comes before its left and its right subtree", "[value] + {l} + {r}", "n"),
    "in": ("a node comes after its left and before its right subtree", "{l} + [value] + {r}", "n"),
    "post": ("a node comes after its left and its right subtree", "{l} + {r} + [value]", "n"),
    "mirror": ("a node comes after its right and before its left subtree", "{r} + [value] + {l}", "n"),
}  # fmt: skip
TREE_ENDS = {
    "list": ("the list of the values in `{t}` that {cond}", "list[int]", "$kept", "kept"),
    "sum": ("the sum of the values in `{t}` that {cond}, each times its place (1, 2, ...) among them", "int", "sum(place * $x for place, $x in enumerate($kept, 1))", "sum((n + 1) * v for n, v in enumerate(kept))"),
    "first": ("the first of the values in `{t}` that {cond}, or -1 if there is none", "int", "$kept[0] if $kept else -1", "(kept + [-1])[0]"),
    "last": ("the last of the values in `{t}` that {cond}, or -1 if there is none", "int", "$kept[-1] if $kept else -1", "([-1] + kept)[-1]"),
    "drops": ("how many of the values in `{t}` that {cond} are followed directly by a smaller one of them", "int", "sum($low > $high for $low, $high in zip($kept, $kept[1:]))", "len([n for n in range(1, len(kept)) if kept[n] < kept[n - 1]])"),
}  # fmt: skip


def _tree(draws: Draws, depth: int = 4) -> Any:
    if depth == 0 or draws.chance(25 if depth < 4 else 8):
        return None
    return (draws.integer(0, 24), _tree(draws, depth - 1), _tree(draws, depth - 1))


def _traversal(core: Core, draws: Draws) -> Draft:
    condition: Condition = core["condition"]
    order, join, _ = ORDERS[core["order"]]
    task, returns, finish, by_hand = TREE_ENDS[core["end"]]
    name = draws.choice(("tree", "root", "node"))
    test = condition.code.format(x="$x")
    calls = {"l": "walk(left)", "r": "walk(right)"}
    recursion = (
        f"def walk($i: tuple | None) -> list[int]:\n    if $i is None:\n        return []\n    value, left, right = $i\n    return {join.format(**calls)}\n\n\n"
        f"$sig\n    $kept = [$x for $x in walk($t) if {test}]\n    return {finish}"
    )
    yields = (
        join.format(l="yield from walk(left)", r="yield from walk(right)")
        .replace("[value]", "yield value")
        .split(" + ")
    )
    generator = (
        "def walk($i: tuple | None):\n    if $i is not None:\n        value, left, right = $i\n"
        + "".join(f"        {one}\n" for one in yields)
        + f"\n\n$sig\n    $kept = [$x for $x in walk($t) if {test}]\n    return {finish}"
    )
    pushes = join.format(l="left", r="right").replace("[value]", "value").split(" + ")
    stack = (
        "$sig\n    $kept = []\n    # What is on top comes next: a subtree to open or a value to look at.\n    $stack = [$t]\n    while $stack:\n        $x = $stack.pop()\n        if $x is None:\n            continue\n        if isinstance($x, tuple):\n            value, left, right = $x\n"
        f"            $stack += [{', '.join(reversed(pushes))}]\n        elif {test}:\n            $kept.append($x)\n    return {finish}"
    )
    return Draft(
        names=("walk_tree", f"{core['order']}_order", f"traverse_{name}", f"tree_{core['end']}", "visit"),
        params=(Param(name, "tuple | None"),),
        returns=returns,
        given=f"a binary tree `{name}`, which is None if it is empty and else a tuple (value, left subtree, right subtree)",
        task=task.format(t=name, cond=condition.text),
        rules=(f"The tree is read in such an order that {order}.", *(("All values are integers and not negative.",) if draws.chance(50) else ())),
        solutions={"recursion": recursion, "generator": generator, "stack": stack},
        reference="def places(tree, path):\n    if tree is None:\n        return []\n    return [(path, tree[0])] + places(tree[1], path + 'L') + places(tree[2], path + 'R')\n\n\n"
        + {
            "pre": "def rank(path):\n    return path.replace('L', '1').replace('R', '2')",
            "in": "def rank(path):\n    return path.replace('L', '0').replace('R', '2') + '1'",
            "post": "def rank(path):\n    return path.replace('L', '0').replace('R', '1') + '2'",
            "mirror": "def rank(path):\n    return path.replace('L', '2').replace('R', '0') + '1'",
        }[core["order"]]
        + f"\n\n\ndef reference(tree):\n    found = sorted(places(tree, ''), key=lambda p: rank(p[0]))\n    kept = [x for _, x in found if {condition.other.format(x='x')}]\n    return {by_hand}",
        inputs=lambda d: (_tree(d),),
        edges=((None,), ((5, None, None),), ((8, (3, None, (6, None, None)), (12, None, None)),)),
        fill={"low": "$earlier", "high": "$later", "t": name, "x": "item" if name != "item" else "x", "i": "branch"},
        level=1,
    )  # fmt: skip


ROOT = " (the root has depth 0)"
NODE_FACTS = {
    "leaf": ("have no children", "not children", "kids == []"),
    "inner": ("have children", "children", "kids != []"),
    "deep": ("lie at depth {k} or deeper (the root has depth 0)", "depth >= {k}", "not d < {k}"),
    "level": ("lie at depth {k} exactly (the root has depth 0)", "depth == {k}", "d in ({k},)"),
    "wide": ("have at least {k} children", "len(children) >= {k}", "len(kids) > {k} - 1"),
    "odd": ("lie at an odd depth (the root has depth 0)", "depth % 2", "d & 1 == 1"),
    "even": ("have an even number of children (0 is even)", "len(children) % 2 == 0", "len(kids) in (0, 2, 4, 6)"),
    "above": ("have a value above {k3}", "value > {k3}", "not v <= {k3}"),
    "below": ("have a value below {k3}", "value < {k3}", "not v >= {k3}"),
    "multiple": ("have a value divisible by {k1}", "value % {k1} == 0", "v // {k1} * {k1} == v"),
}  # fmt: skip
FACT_ENDS = {
    "count": ("the number of", "int", "1", "len(found)"),
    "sum": ("the sum of the values of all", "int", "value", "sum(v for v, d in found)"),
    "depths": ("the sum of the depths of all", "int", "depth", "sum(d for v, d in found)"),
    "weighted": ("the sum of the values, each times its depth, of all", "int", "value * depth", "sum(v * d for v, d in found)"),
    "next": ("the sum of the values, each plus {c}, of all", "int", "value + {c}", "sum(v for v, d in found) + {c} * len(found)"),
    "parity": ("the sum of the values, each modulo {c}, of all", "int", "value % {c}", "sum(v - v // {c} * {c} for v, d in found)"),
}  # fmt: skip
NESTED = (
    ("tree", "a tree `{t}`, a tuple (value, list of subtrees)", ""),
    ("company", "a company `{t}` as a tuple (salary, list of teams that are made in the same way)", "Each employee of a company leads any number of others."),
    ("folder", "a folder `{t}` as a tuple (size, list of folders in it, made in the same way)", "A program adds up what lies in nested folders."),
    ("family", "a family tree `{t}` as a tuple (age, list of the trees of the children)", ""),
    ("outline", "an outline `{t}` as a tuple (number of pages, list of sections that are made in the same way)", "A publisher keeps the outline of a book."),
)  # fmt: skip


def _are_all_nodes(facts: dict[str, int]) -> bool:
    """Say whether every node is of one of two kinds.

    >>> _are_all_nodes({"above": 1, "below": 2}), _are_all_nodes({"above": 2, "below": 1})
    (True, False)
    """
    if {"above", "below"} <= set(facts):
        return facts["below"] > facts["above"]
    return {"leaf", "inner"} <= set(facts)


def _nested(core: Core, draws: Draws) -> Draft:
    *facts, joint = core["facts"]
    if joint == "or" and _are_all_nodes(dict(facts)):
        raise UnsuitableError
    end, c = core["end"]
    task, returns, value, by_hand = (
        text.replace("{c}", str(c)) for text in FACT_ENDS[end]
    )
    told = []
    for fact, k in facts:
        told.append(
            [
                text.replace("{k3}", str(k + 3))
                .replace("{k1}", str(k + 1))
                .replace("{k}", str(k))
                for text in NODE_FACTS[fact]
            ]
        )
    words = (
        f"nodes that {told[0][0]} {joint} {told[1][0].removeprefix('have ')}"
        if told[0][0].startswith("have ") and told[1][0].startswith("have ")
        else f"nodes that {told[0][0]} {joint} that {told[1][0]}"
    )
    test = f"{told[0][1]} {joint} {told[1][1]}"
    other = f"({told[0][2]}) {joint} ({told[1][2]})"
    name, given, context = draws.choice(NESTED)
    recursion = f"def total_of($i: tuple, depth: int) -> int:\n    value, children = $i\n    $total = {value} if {test} else 0\n    for child in children:\n        $total += total_of(child, depth + 1)\n    return $total\n\n\n$sig\n    return total_of($t, 0)"
    counted = "depth" in test + value
    levels = f"$sig\n    $total, {'depth, ' * counted}$queue = 0, {'0, ' * counted}[$t]\n    while $queue:\n        $left = []\n        for value, children in $queue:\n            if {test}:\n                $total += {value}\n            $left.extend(children)\n        $queue = $left\n{'        depth += 1' + chr(10) if counted else ''}    return $total"
    stack = f"$sig\n    $total, $stack = 0, [($t, 0)]\n    while $stack:\n        (value, children), depth = $stack.pop()\n        if {test}:\n            $total += {value}\n        for child in children:\n            $stack.append((child, depth + 1))\n    return $total"
    return Draft(
        names=(f"{end}_in_{name}", f"measure_{name}", "tree_total", f"summarise_{name}", "collect_nodes"),
        params=(Param(name, "tuple"),),
        returns=returns,
        given=given.format(t=name),
        # Once is enough.
        task=f"{task} {words}".replace(ROOT, "", words.count(ROOT) - 1),
        rules=() if name == "tree" and draws.chance(50) else ("Every such tuple is a node; its first entry is the node's value, and the tuples in its list are its children." ,),
        context=context,
        solutions={"recursion": recursion, "levels": levels, "stack": stack},
        reference="def flat(node, d):\n    v, kids = node\n    rows = [(v, d, kids)]\n    for kid in kids:\n        rows = rows + flat(kid, d + 1)\n    return rows\n\n\n"
        f"def reference(node):\n    found = [(v, d) for v, d, kids in flat(node, 0) if {other}]\n    return {by_hand}",
        inputs=lambda dr: (_bush(dr, 3),),
        edges=(((4, []),), ((7, [(2, []), (5, [(9, []), (6, [])])]),)),
        fill={"left": "$below", "t": name, "i": "node"},
        level=1,
    )  # fmt: skip


def _bush(draws: Draws, depth: int) -> tuple[int, list[Any]]:
    count = draws.integer(0, 3) if depth else 0
    return (draws.integer(0, 12), [_bush(draws, depth - 1) for _ in range(count)])


FACTS = (
    *((fact, 0) for fact in ("leaf", "inner", "odd", "even")),
    *(
        (fact, k)
        for fact in ("deep", "level", "wide", "above", "below", "multiple")
        for k in (1, 2, 3)
    ),
)
# Two facts of different kinds, in one order.
JOINED = tuple(
    (one, other, joint)
    for n, one in enumerate(FACTS)
    for other in FACTS[n + 1 :]
    if one[0] != other[0]
    for joint in ("and", "or")
)
PARENT_ENDS = {
    "depths": ("the list of the depths of all {ones} (the depth of the root is {root})", "list[int]", "$parts", "depths"),
    "deepest": ("the largest depth of any {one} (the depth of the root is {root})", "int", "max($parts)", "sorted(depths)[-1]"),
    "at": ("how many {ones} have the depth {kr} (the depth of the root is {root})", "int", "$parts.count({kr})", "len([d for d in depths if d == {kr}])"),
    "total": ("the sum of the depths of all {ones} whose number is divisible by {k1} (the depth of the root is {root})", "int", "sum($parts[::{k1}])", "sum(d for n, d in enumerate(depths) if n % {k1} == 0)"),
    "sizes": ("the list of the sizes of the subtrees of all {ones} (each counts itself)", "list[int]", "$kept", "sizes"),
    "large": ("how many {ones} have a subtree of at least {k1} {ones} (counting the {one} itself)", "int", "sum($x >= {k1} for $x in $kept)", "len([s for s in sizes if not s < {k1}])"),
    "leaves": ("the sorted list of all {ones} with a subtree of exactly {k} {ones} (counting the {one} itself)", "list[int]", "[$i for $i, $x in enumerate($kept) if $x == {k}]", "[n for n, s in enumerate(sizes) if s in ({k},)]"),
    "heavy": ("the number of the {one} with the largest product of depth and size of its subtree (the smallest number, if there are several)", "int", "max(range(len($parts)), key=lambda $i: $parts[$i] * $kept[$i])", "[n for n in range(len(sizes)) if sizes[n] * depths[n] == max(s * d for s, d in zip(sizes, depths))][0]"),
}  # fmt: skip
HIERARCHIES = (
    ("nodes", "node", "parents", "its parent", ""), ("employees", "employee", "bosses", "its boss", "A company numbers its employees; the boss of all has the number 0."),
    ("folders", "folder", "outer", "the folder that it lies in", "A disk numbers its folders; folder 0 contains all others."), ("rivers", "river", "flows_into", "the river that it flows into", "A map numbers the rivers of a region; river 0 reaches the sea."),
    ("comments", "comment", "replies_to", "the comment that it replies to", "A forum numbers the comments below an article; comment 0 is the first."),
)  # fmt: skip
GRAFTS = {
    "none": ("", "", "p"),
    "even": ("Before anything is counted, every {one} whose number is positive and divisible by {g} is hung directly below {one} 0.", "0 if $i > 0 and $i % {g} == 0 else $x", "0 if n and n // {g} * {g} == n else p"),
    "late": ("Before anything is counted, every {one} with a number above {g} is hung directly below {one} 0.", "0 if $i > {g} else $x", "p if n <= {g} else 0"),
    "low": ("Before anything is counted, every {one} from number 1 to number {g} is hung directly below {one} 0.", "0 if 0 < $i <= {g} else $x", "0 if n in range(1, {g} + 1) else p"),
    "chain": ("Before anything is counted, every {one} whose number is divisible by {g} and positive is hung below the {one} with the number one lower.", "$i - 1 if $i > 0 and $i % {g} == 0 else $x", "n - 1 if n in range({g}, 99, {g}) else p"),
}  # fmt: skip


def _parents(core: Core, draws: Draws) -> Draft:
    ones, one, name, above, context = draws.choice(HIERARCHIES)
    end, k, root = core["end"]
    graft, g = core["graft"]
    words = {
        "ones": ones,
        "one": one,
        "k": k,
        "k1": k + 1,
        "g": g,
        "root": root,
        "kr": k + root,
    }
    task, returns, finish, by_hand = (text.format(**words) for text in PARENT_ENDS[end])
    rule, code, other = (text.format(**words) for text in GRAFTS[graft])
    plus = "" if root == 1 else f" - 1 + {root}" if root else " - 1"
    move = (
        f"    $row = [{code} for $i, $x in enumerate($xs)]\n"
        if code
        else "    $row = $xs\n"
    )
    depth = f"    $parts = [{root}] * len($row)\n    for $i in range(1, len($row)):\n        # Parents have smaller numbers, so theirs is known already.\n        $parts[$i] = $parts[$row[$i]] + 1\n"
    size = "    $kept = [1] * len($row)\n    for $i in range(len($row) - 1, 0, -1):\n        $kept[$row[$i]] += $kept[$i]\n"
    used = (depth if "$parts" in finish else "") + (size if "$kept" in finish else "")
    climb = (
        "def path_up($row: list[int], $i: int) -> list[int]:\n    $result = []\n    while $i >= 0:\n        $result.append($i)\n        $i = $row[$i]\n    return $result\n\n\n"
        f"$sig\n{move}"
        + (
            f"    $parts = [len(path_up($row, $i)){plus} for $i in range(len($row))]\n"
            if "$parts" in finish
            else ""
        )
        + (
            "    $kept = [0] * len($row)\n    for $i in range(len($row)):\n        for $j in path_up($row, $i):\n            $kept[$j] += 1\n"
            if "$kept" in finish
            else ""
        )
        + f"    return {finish}"
    )
    return Draft(
        names=("tree_facts", f"{one}_{end}", f"measure_{ones}", f"{ones}_report", "from_parents"),
        params=(Param(name, "list[int]"),),
        returns=returns,
        given=f"a list `{name}` that holds for each of the {ones} 0, 1, 2, ... the number of {above}",
        task=task,
        rules=tuple(filter(None, (f"{one.capitalize()} 0 is the root, and its entry is -1; all other entries are smaller than their position.", rule))),
        context=context,
        solutions={"tables": f"$sig\n{move}{used}    return {finish}", "paths": climb},
        reference=f"def reference(parents):\n    parents = [{other} for n, p in enumerate(parents)]\n    below = [{{n}} for n in range(len(parents))]\n    for _ in parents:\n        for n, p in enumerate(parents):\n            if p >= 0:\n                below[p] = below[p] | below[n]\n"
        f"    sizes = [len(b) for b in below]\n    depths = [sum(1 for b in below if n in b) - 1 + {root} for n in range(len(parents))]\n    return {by_hand}",
        inputs=lambda d: ([-1, *(d.below(i) if d.chance(60) else max(0, i - 1 - d.below(2)) for i in range(1, d.integer(1, 9)))],),
        edges=(([-1],), ([-1, 0, 0, 1, 1, 2],)),
        fill={"parts": "$depths", "kept": "$sizes", "row": "$links", "xs": name, "x": "above" if name != "above" else "x"},
        level=1,
    )  # fmt: skip


FAMILIES = (
    Family("traversals", "trees", {"condition": CONDITIONS, "order": tuple(ORDERS), "end": tuple(TREE_ENDS)}, _traversal),
    Family("nested-trees", "trees",
           {"facts": JOINED, "end": (("count", 0), ("sum", 0), ("depths", 0), ("weighted", 0), *((one, c) for one in ("next", "parity") for c in (2, 3, 5)))}, _nested),
    Family("parents", "trees",
           {"end": (("sizes", 0, 0), *((one, 0, root) for one in ("depths", "deepest", "heavy") for root in (0, 1, 2, 10)),
                    *((one, k, 0) for one in ("large", "leaves") for k in (1, 2, 3, 4, 5)), *((one, k, root) for one in ("at", "total") for k in (1, 2, 3, 4) for root in (0, 1, 2, 10))),
            "graft": (("none", 0), *((one, g) for one in ("even", "late", "low", "chain") for g in range(2, 9)))}, _parents),
)  # fmt: skip
