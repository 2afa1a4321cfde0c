"""Text with a structure: brackets, key-value lines, expressions, durations."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param

PAIRS = ("()", "[]", "{}", "<>", "()[]", "()<>", "[]{}", "()[]{}", "<>[]")
BRACKET_RESULTS = {
    "valid": ("whether its brackets are balanced", "bool", "True", "False"),
    "depth": ("the largest depth of nesting of its brackets, or -1 if they are not balanced", "int", "$best", "-1"),
    "place": ("-1 if its brackets are balanced, else the position of the first mistake", "int", "-1", None),
    "pairs": ("the number of pairs of brackets, or -1 if they are not balanced", "int", "$count", "-1"),
    "weight": ("the sum of the depths of all pairs of brackets, or -1 if they are not balanced (a pair that is in no other has depth 1)", "int", "$total", "-1"),
    "inner": ("how many pairs of brackets have nothing but other characters than brackets between them, or -1 if the brackets are not balanced", "int", "$hits", "-1"),
    "outer": ("how many pairs of brackets are in no other pair, or -1 if the brackets are not balanced", "int", "$top", "-1"),
}  # fmt: skip
SKIPS = {
    "none": ("", "", ""),
    "escape": ("A bracket directly after a `{e}` is an ordinary character; a `{e}` never counts as escaped itself.", "$i > 0 and $xs[$i - 1] == {e!r}", "i and s[i - 1] == {e!r}"),
    "digit": ("A bracket directly after a digit is an ordinary character.", "$i > 0 and $xs[$i - 1].isdigit()", "i and '0' <= s[i - 1] <= '9'"),
    "comment": ("Everything from the first `{e}` on is ignored.", "{e!r} in $xs[:$i]", "0 <= s.find({e!r}) < i"),
    "same": ("A bracket directly after the same bracket is ignored.", "$i > 0 and $xs[$i - 1] == $x", "i and s[i - 1:i] == s[i:i + 1]"),
}  # fmt: skip


def _brackets(core: Core, draws: Draws) -> Draft:
    pairs: str = core["pairs"]
    skip, mark = core["skip"]
    result, limit = core["result"], core["limit"]
    task, returns, good, bad = BRACKET_RESULTS[result]
    opening, closing = pairs[::2], pairs[1::2]
    rule, test, other = (
        text.format(e=mark) if "{e" in text else text for text in SKIPS[skip]
    )
    name = draws.choice(("text", "s", "code", "line", "source"))
    guard = f"        if {test}:\n            continue\n" if test else ""
    fail = "$i" if bad is None else bad
    end = "$stack[0][1]" if bad is None else bad
    deep = (
        f"            if len($stack) == {limit}:\n                return {fail}\n"
        if limit
        else ""
    )
    track = {
        "depth": (
            "    $best = 0\n",
            "            $best = max($best, len($stack))\n",
            "",
        ),
        "pairs": ("    $count = 0\n", "", "            $count += 1\n"),
        "weight": ("    $total = 0\n", "            $total += len($stack)\n", ""),
        "inner": (
            "    $hits, $previous = 0, ''\n",
            "            $previous = $x\n",
            f"            $hits += $previous != '' and $previous in {opening!r}\n            $previous = $x\n",
        ),
        "outer": ("    $top = 0\n", "", "            $top += not $stack\n"),
    }.get(result, ("", "", ""))
    partner = dict(zip(closing, opening, strict=True))
    scan = (
        f"$sig\n    partners = {partner!r}\n{track[0]}    $stack = []\n    for $i, $x in enumerate($xs):\n{guard}        if $x in {opening!r}:\n{deep}            $stack.append(($x, $i))\n{track[1]}"
        f"        elif $x in partners:\n            if not $stack or $stack[-1][0] != partners[$x]:\n                return {fail}\n            $stack.pop()\n{track[2]}"
        f"    return {end} if $stack else {good}"
    )
    flat = (
        f"OPENING, CLOSING = {opening!r}, {closing!r}\n\n\n$sig\n{track[0]}    $stack = []\n    for $i in range(len($xs)):\n        $x = $xs[$i]\n{guard}        if $x in OPENING:\n{deep}            $stack.append((CLOSING[OPENING.index($x)], $i))\n{track[1]}"
        f"        elif $x in CLOSING:\n            wanted = $stack.pop()[0] if $stack else None\n            if $x != wanted:\n                return {fail}\n{track[2]}"
        f"    if $stack:\n        return {end}\n    return {good}"
    ).replace("$stack[0][1]", "$stack[0][1]")
    kinds = ", ".join(
        f"`{one}{two}`" for one, two in zip(opening, closing, strict=True)
    )
    rules = [
        f"The brackets are {kinds}; all other characters are ignored.",
        "Brackets are balanced if each opening one is closed by a matching one, in the right order.",
    ]
    if rule:
        rules.append(rule)
    if limit:
        rules.append(
            f"Brackets that are nested more than {limit} deep count as not balanced."
            if result != "place"
            else f"An opening bracket that would be nested more than {limit} deep is a mistake."
        )
    if result == "place":
        rules.append(
            "A closing bracket that does not match is a mistake; if there is none, the first opening bracket that is never closed is one."
        )
    return Draft(
        names=("check_brackets", f"bracket_{result}", "scan_brackets", "inspect_nesting", f"parse_{name}"),
        params=(Param(name, "str"),),
        returns=returns,
        given=f"a string `{name}`",
        task=task,
        rules=tuple(rules),
        context=draws.choice(("", "", "An editor checks source code while it is typed.", "A calculator checks what is typed before it computes.")),
        solutions={"pairs": scan, "partners": flat},
        reference="def reference(s):\n"
        f"    marks = [(c, i) for i, c in enumerate(s) if c in {pairs!r} and not ({other or 'False'})]\n    depth, deepest, total, outer = 0, 0, 0, 0\n    wrong = None\n"
        f"    for n, (c, i) in enumerate(marks):\n        if c in {opening!r}:\n            depth += 1\n            deepest = max(deepest, depth)\n            total += depth\n            outer += depth == 1\n            if {limit} and depth > {limit}:\n                wrong = i\n                break\n"
        f"        else:\n            depth -= 1\n            inner, k = 0, n - 1\n            while k >= 0 and (inner or marks[k][0] in {closing!r}):\n                inner += 1 if marks[k][0] in {closing!r} else -1\n                k -= 1\n"
        f"            if k < 0 or {pairs!r}.index(marks[k][0]) + 1 != {pairs!r}.index(c):\n                wrong = i\n                break\n"
        "    if wrong is None and depth:\n        left = []\n"
        f"        for c, i in marks:\n            if c in {opening!r}:\n                left.append(i)\n            else:\n                left.pop()\n        wrong = left[0]\n"
        f"    hits = sum(1 for n in range(1, len(marks)) if marks[n][0] in {closing!r} and marks[n - 1][0] in {opening!r})\n"
        + {
            "valid": "    return wrong is None", "depth": "    return deepest if wrong is None else -1", "place": "    return -1 if wrong is None else wrong",
            "pairs": "    return len(marks) // 2 if wrong is None else -1", "weight": "    return total if wrong is None else -1",
            "inner": "    return hits if wrong is None else -1", "outer": "    return outer if wrong is None else -1",
        }[result],
        inputs=lambda d: (_nested(d, pairs, mark or "5"),),
        edges=(("",), (pairs[:2],), (pairs[0] + pairs,)),
        fill={"xs": name, "x": "char" if name != "char" else "c"},
        level=2,
    )  # fmt: skip


def _nested(draws: Draws, pairs: str, mark: str) -> str:
    found = ""
    for _ in range(draws.integer(0, 7)):
        which = 2 * draws.below(len(pairs) // 2)
        place = draws.integer(0, len(found))
        found = (
            found[:place]
            + pairs[which]
            + draws.choice(("", "", "a", "7", mark))
            + pairs[which + 1]
            + found[place:]
        )
    if found and draws.chance(25):
        place = draws.below(len(found))
        found = found[:place] + draws.choice((*pairs, "")) + found[place + 1 :]
    return found


SEPARATORS = (
    ("=", ";"),
    (":", ","),
    ("=", "&"),
    ("->", "|"),
    (":", ";"),
    ("=", ","),
    ("~", "/"),
    (":", "\n"),
    ("=", "\n"),
)
SPELLED = {
    "\n": "line break",
    ";": "`;`",
    ",": "`,`",
    "&": "`&`",
    "|": "`|`",
    "/": "`/`",
}
TWICE = {
    "last": ("If a key occurs more than once, the last value counts.", "$result[$i] = {v}", "found[k] = v"),
    "first": ("If a key occurs more than once, the first value counts.", "$result.setdefault($i, {v})", "found[k] = found.get(k, v)"),
    "sum": ("If a key occurs more than once, its values are added.", "$result[$i] = $result.get($i, 0) + {v}", "found[k] = v + (found[k] if k in found else 0)"),
    "max": ("If a key occurs more than once, its largest value counts.", "$result[$i] = max({v}, $result.get($i, {v}))", "found[k] = v if k not in found or v > found[k] else found[k]"),
}  # fmt: skip
BROKEN = {
    "skip": ("Parts without a `{eq}` are ignored.", "                continue\n", "continue"),
    "zero": ("A part without a `{eq}` is a key with the value {d}.", None, "k, v = part.strip(), {d}"),
}  # fmt: skip
KEY_RULES = {
    "plain": ("", "", ""),
    "lower": ("Keys are turned into lower case.", ".lower()", ".lower()"),
    "upper": ("Keys are turned into upper case.", ".upper()", ".upper()"),
    "prefix": ("Only the first three characters of a key count.", "[:3]", "[0:3]"),
}  # fmt: skip
OUTPUTS = {
    "dict": ("a dictionary from key to value", "dict[str, int]", "$result", "found"),
    "total": ("the sum of the values of all keys", "int", "sum($result.values())", "sum(found[k] for k in found)"),
    "sorted": ("a list of tuples (key, value), sorted by key", "list[tuple[str, int]]", "sorted($result.items())", "[(k, found[k]) for k in sorted(found)]"),
    "keys": ("the sorted list of all keys with a value above {t}", "list[str]", "sorted($i for $i, $x in $result.items() if $x > {t})", "[k for k in sorted(found) if not found[k] <= {t}]"),
    "largest": ("the key with the largest value (the first in the alphabet if there are several), or an empty string if there is no key", "str", "min($result, key=lambda $i: (-$result[$i], $i), default='')", "([k for k in sorted(found) if found[k] == max(found.values())] + [''])[0]"),
}  # fmt: skip


def _settings(core: Core, draws: Draws) -> Draft:
    eq, sep = core["separators"]
    rule, store, store_other = TWICE[core["twice"]]
    broken, d = core["broken"]
    broken_rule, skip, broken_other = BROKEN[broken]
    key_rule, key_code, key_other = KEY_RULES[core["keys"]]
    output, t = core["output"]
    task, returns, finish, by_hand = (
        text.format(t=t) if "{t}" in text else text for text in OUTPUTS[output]
    )
    name = draws.choice(("text", "line", "config", "settings", "record"))
    value = "int($x)"
    body = (
        f"        $i, found, $x = part.partition({eq!r})\n"
        + ("        if not found:\n            continue\n" if skip else "")
        + f"        $i = $i.strip(){key_code}\n"
        + (
            f"        {store.format(v=value)}\n"
            if skip
            else f"        $step = int($x) if found else {d}\n        {store.format(v='$step')}\n"
        )
    )
    empty = "        if not part.strip():\n            continue\n"
    loop = f"$sig\n    $result = {{}}\n    for part in $xs.split({sep!r}):\n{empty}{body}    return {finish}"
    helper = (
        f"def parse_part(part: str) -> tuple[str, int] | None:\n    if {eq!r} not in part:\n"
        + (
            "        return None\n"
            if skip
            else f"        return part.strip(){key_code}, {d}\n"
        )
        + f"    $i, $x = part.split({eq!r}, 1)\n    return $i.strip(){key_code}, int($x)\n\n\n"
        f"$sig\n    $result = {{}}\n    for part in $xs.split({sep!r}):\n"
        + (
            "        pair = parse_part(part)\n        if pair is None:\n            continue\n        $i, $x = pair\n"
            if skip
            else "        if not part.strip():\n            continue\n        $i, $x = parse_part(part)\n"
        )
        + f"        {store.format(v='$x')}\n    return {finish}"
    ).replace(" | None:", ":" if not skip else " | None:")
    return Draft(
        names=("parse_settings", f"read_{name}", "parse_pairs", "load_values", f"{output}_of_settings"),
        params=(Param(name, "str"),),
        returns=returns,
        given=f"a string `{name}` of parts such as `a{eq}1`, separated by {SPELLED[sep]}s" if sep == "\n" else f"a string `{name}` of parts such as `a{eq}1`, with {SPELLED[sep]} between them",
        task=task,
        rules=tuple(filter(None, (
            f"Each part is a key, `{eq}` and an integer; blanks around keys and values do not count, and empty parts are ignored.",
            rule, broken_rule.format(eq=eq, d=d), key_rule,
        ))),
        context=draws.choice(("", "", "A program keeps its settings in a single line of text.", "A sensor sends its readings as text.")),
        solutions={"partition": loop, "helper": helper},
        reference=f"def reference(text):\n    found = {{}}\n    parts, part = [], ''\n    for c in text:\n        if c == {sep!r}:\n            parts.append(part)\n            part = ''\n        else:\n            part += c\n    parts.append(part)\n"
        f"    for part in parts:\n        if part.strip() == '':\n            continue\n        place = part.find({eq!r})\n        if place < 0:\n            {broken_other.format(d=d)}\n        else:\n            k, v = part[:place].strip(), int(part[place + {len(eq)}:].strip())\n"
        f"        k = k{key_other}\n        {store_other}\n    return {by_hand}",
        inputs=lambda dr: (_line(dr, eq, sep),),
        edges=(("",), (f"a{eq}1",), (f"a{eq}1{sep} B {eq} 22{sep}{sep}a{eq}5",)),
        fill={"step": "$number", "xs": name, "x": "value", "i": "key"},
        level=1,
    )  # fmt: skip


def _line(draws: Draws, eq: str, sep: str) -> str:
    parts = []
    for _ in range(draws.integer(0, 6)):
        key = draws.choice(("a", "b", "size", "Size", "speed", "width", "Width", "B"))
        blank = draws.choice(("", "", " "))
        parts.append(
            f"{blank}{key}{blank}{eq}{draws.choice(('', ' '))}{draws.integer(-3, 30)}"
            if draws.chance(85)
            else draws.choice((key, "", " "))
        )
    return sep.join(parts)


FAMILIES = (
    Family(
        "brackets",
        "parsing",
        {
            "pairs": PAIRS,
            "skip": (
                *((skip, "") for skip in ("none", "digit", "same")),
                *(("escape", mark) for mark in "\\!~^"),
                *(("comment", mark) for mark in "#%;"),
            ),
            "result": tuple(BRACKET_RESULTS),
            "limit": (0, 1, 2, 3, 4, 5),
        },
        _brackets,
    ),
    Family(
        "settings",
        "parsing",
        {
            "separators": SEPARATORS,
            "twice": tuple(TWICE),
            "broken": (("skip", 0), ("zero", 0), ("zero", 1), ("zero", -1)),
            "keys": tuple(KEY_RULES),
            "output": (
                *((one, 0) for one in OUTPUTS if one != "keys"),
                *(("keys", t) for t in (0, 3, 5, 10, 15)),
            ),
        },
        _settings,
    ),
)
