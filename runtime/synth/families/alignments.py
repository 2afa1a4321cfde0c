"""Dynamic programming over two sequences, and choices under a limit."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param
from runtime.synth.vocabulary import a

PAIRS = (
    ("first", "second"),
    ("source", "target"),
    ("a", "b"),
    ("old", "new"),
    ("left_text", "right_text"),
)
SUBSTITUTE = {
    "flat": ("Replacing a character by another costs {r}.", "0 if $x == $y else {r}", "(x != y) * {r}"),
    "vowel": ("Replacing a character by another costs {r}, but only 1 if both are vowels (a, e, i, o, u).", "0 if $x == $y else 1 if $x in 'aeiou' and $y in 'aeiou' else {r}", "0 if x == y else (1 if {{x, y}} <= set('aeiou') else {r})"),
    "near": ("Replacing a character by another costs {r}, but only 1 if they are neighbours in the alphabet.", "0 if $x == $y else 1 if abs(ord($x) - ord($y)) == 1 else {r}", "0 if x == y else (1 if ord(x) - ord(y) in (1, -1) else {r})"),
    "never": ("A character can't be replaced by another.", "0 if $x == $y else 10 ** 6", "0 if x == y else 10 ** 6"),
}  # fmt: skip


def _edits(core: Core, draws: Draws) -> Draft:
    (kind, r), insert, delete, swap = (
        core["replace"],
        core["insert"],
        core["delete"],
        core["swap"],
    )
    rule, code, other = (text.format(r=r) for text in SUBSTITUTE[kind])
    one, two = draws.choice(PAIRS)
    by_delete, by_insert = ("" if k == 1 else f" * {k}" for k in (delete, insert))
    step = code.replace("$x", "$xs[$i - 1]").replace("$y", "$ys[$j - 1]")
    swap_code = (
        f"            if $i > 1 and $j > 1 and $xs[$i - 2:$i] == $ys[$j - 1] + $ys[$j - 2]:\n                $rows[$i][$j] = min($rows[$i][$j], $rows[$i - 2][$j - 2] + {swap})\n"
        if swap
        else ""
    )
    table = (
        f"$sig\n    $rows = [[0] * (len($ys) + 1) for _ in range(len($xs) + 1)]\n    for $i in range(len($xs) + 1):\n        for $j in range(len($ys) + 1):\n            if $i == 0 or $j == 0:\n                $rows[$i][$j] = $i{by_delete} + $j{by_insert}\n                continue\n"
        f"            change = {step}\n            $rows[$i][$j] = min(\n                $rows[$i - 1][$j] + {delete},\n                $rows[$i][$j - 1] + {insert},\n                $rows[$i - 1][$j - 1] + change,\n            )\n{swap_code}    return $rows[-1][-1]"
    )
    memo_swap = (
        f"        if $i > 1 and $j > 1 and $xs[$i - 2:$i] == $ys[$j - 1] + $ys[$j - 2]:\n            $best = min($best, cost($i - 2, $j - 2) + {swap})\n"
        if swap
        else ""
    )
    memo = (
        f"from functools import lru_cache\n\n\n$sig\n    @lru_cache(maxsize=None)\n    def cost($i: int, $j: int) -> int:\n        if $i == 0 or $j == 0:\n            return $i{by_delete} + $j{by_insert}\n        change = {step}\n"
        f"        $best = min(cost($i - 1, $j) + {delete}, cost($i, $j - 1) + {insert}, cost($i - 1, $j - 1) + change)\n{memo_swap}        return $best\n\n    return cost(len($xs), len($ys))"
    )
    rules = [
        f"Inserting a character costs {insert}, deleting one costs {delete}.",
        rule,
    ]
    if swap:
        rules.append(
            f"Exchanging two characters that stand next to each other costs {swap}; they can't be changed further."
        )
    return Draft(
        names=("edit_cost", "change_cost", "cheapest_edit", "distance", "transform_cost"),
        params=(Param(one, "str"), Param(two, "str")),
        returns="int",
        given=f"two strings `{one}` and `{two}` of lower-case letters",
        task=f"the lowest cost at which `{one}` can be turned into `{two}`, going through both from left to right",
        rules=tuple(rules),
        context=draws.choice(("", "", "A spelling checker looks for the word that is nearest to what was typed.", "A program compares two versions of a text.")),
        solutions={"table": table, "memo": memo},
        reference="def reference(a, b):\n    if not a:\n        return sum([" + str(insert) + "] * len(b))\n    if not b:\n        return sum([" + str(delete) + f"] * len(a))\n    x, y = a[0], b[0]\n    found = [reference(a[1:], b) + {delete}, reference(a, b[1:]) + {insert}, reference(a[1:], b[1:]) + ({other})]\n"
        + (f"    if len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0]:\n        found.append({swap} + reference(a[2:], b[2:]))\n" if swap else "")
        + "    return sorted(found)[0]",
        inputs=lambda d: (d.text(d.integer(0, 4), "abceit"), d.text(d.integer(0, 4), "abceit")),
        edges=(("", ""), ("abc", ""), ("abe", "bae")),
        fill={"xs": one, "ys": two},
        level=2,
    )  # fmt: skip


BAGS = (
    ("items", "item", "weight", "value", "A hiker packs a bag."),
    (
        "projects",
        "project",
        "duration",
        "profit",
        "A workshop chooses between projects.",
    ),
    ("songs", "song", "length", "score", "A radio station fills a programme."),
    ("plants", "plant", "area", "harvest", "A gardener fills a bed."),
    ("files", "file", "size", "importance", "A backup has to fit on a disk."),
)
GOALS = {
    "best": ("the largest total {v} of a choice of {ones}", "max(worth for load, worth in {all})", "sorted(worth for load, worth in found)[-1]"),
    "least": ("the smallest total {w} of a choice of {ones} that has the largest possible total {v}", "min((-worth, load) for load, worth in {all})[1]", "min(load for load, worth in found if worth == max(other for _, other in found))"),
    "ways": ("the number of different totals of {v} that choices of {ones} can have", "len({{worth for load, worth in {all}}})", "len([n for n in range(200) if n in [worth for _, worth in found]])"),
    "exact": ("the largest total {v} of a choice of {ones} with a total {w} of exactly {c}, or -1 if there is none", "max((worth for load, worth in {all} if load == {c}), default=-1)", "sorted([-1] + [worth for load, worth in found if load == {c}])[-1]"),
    "rest": ("the smallest {w} that can be left unused by a choice of {ones}", "{c} - max(load for load, worth in {all})", "min({c} - load for load, _ in found)"),
}  # fmt: skip
EXTRAS = {
    "none": ("", "$value", "v"),
    "light": ("The {v} of {ones} with {a_w} below {e} counts twice.", "($value * 2 if $weight < {e} else $value)", "v * (1 + (w < {e}))"),
    "heavy": ("The {v} of {ones} with {a_w} of at least {e} counts one more.", "($value + 1 if $weight >= {e} else $value)", "v + (not w < {e})"),
    "cap": ("{A_v} above {e2} counts as {e2}.", "min($value, {e2})", "sorted((v, {e2}))[0]"),
}  # fmt: skip


def _bag(core: Core, draws: Draws) -> Draft:
    name, one, w, v, context = draws.choice(BAGS)
    goal, c, (extra, e), copies = (
        core["goal"],
        core["limit"],
        core["extra"],
        core["copies"],
    )
    words = {"ones": name, "one": one, "w": w, "v": v, "c": c, "e": e, "e2": e + 3,
             "a_w": a(w), "A_v": a(v).capitalize()}  # fmt: skip
    task, finish, by_hand = GOALS[goal]
    rule, worth, worth_hand = (text.format(**words) for text in EXTRAS[extra])
    repeat = f" * {copies}" if copies > 1 else ""
    pairs = f"$sig\n    reached = {{(0, 0)}}\n    for $weight, $value in $xs{repeat}:\n        gain = {worth}\n        reached |= {{\n            (load + $weight, worth + gain)\n            for load, worth in reached\n            if load + $weight <= {c}\n        }}\n    return {finish.format(all='reached', **words)}"
    recursion = (
        f"def choices($xs: list[tuple[int, int]], room: int) -> set[tuple[int, int]]:\n    if not $xs:\n        return {{(0, 0)}}\n    ($weight, $value), *others = $xs\n    $kept = choices(others, room)\n    if $weight <= room:\n        gain = {worth}\n        $kept = $kept | {{(load + $weight, worth + gain) for load, worth in choices(others, room - $weight)}}\n    return $kept\n\n\n"
        f"$sig\n    $parts = choices($xs{repeat}, {c})\n    return {finish.format(all='$parts', **words)}"
    )
    rules = [f"Each {one} is a tuple ({w}, {v}) of integers; a choice may have a total {w} of at most {c}.",
             f"Every {one} can be chosen {'once' if copies == 1 else 'up to twice' if copies == 2 else 'up to three times'}; choosing none is allowed."]  # fmt: skip
    if rule:
        rules.append(rule)
    return Draft(
        names=("fill_bag", f"choose_{name}", f"best_{name}", "knapsack", f"select_{name}"),
        params=(Param(name, "list[tuple[int, int]]"),),
        returns="int",
        given=f"a list `{name}` of at most four tuples",
        task=task.format(**words),
        rules=tuple(rules),
        context=context,
        solutions={"pairs": pairs, "recursion": recursion},
        reference=f"from itertools import product\n\n\ndef reference(items):\n    found = []\n    for times in product(range({copies + 1}), repeat=len(items)):\n        load = sum(t * w for t, (w, v) in zip(times, items))\n        if load <= {c}:\n            found.append((load, sum(t * ({worth_hand}) for t, (w, v) in zip(times, items))))\n    return {by_hand.format(**words)}",
        inputs=lambda d: ([(d.integer(1, 8), d.integer(1, 9)) for _ in range(d.integer(0, 4))],),
        edges=(([],), ([(3, 5)],), ([(2, 3), (4, 4), (5, 9)],)),
        fill={"parts": "$reached", "xs": name, "weight": w, "value": v},
        level=2,
    )  # fmt: skip


FAMILIES = (
    Family("edit-costs", "dynamic programming",
           {"replace": (("never", 0), *((kind, r) for kind in ("flat", "vowel", "near") for r in range(2, 9))), "insert": (1, 2, 3, 4, 5), "delete": (1, 2, 3, 4, 5, 6), "swap": (0, 1, 2, 3, 4)}, _edits),
    Family("bags", "dynamic programming",
           {"goal": tuple(GOALS), "limit": tuple(range(6, 24)), "extra": (("none", 0), *((kind, e) for kind in ("light", "heavy", "cap") for e in (2, 3, 4, 5, 6))), "copies": (1, 2, 3)}, _bag),
)  # fmt: skip
