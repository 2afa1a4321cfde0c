"""Bits of whole numbers: counting, changing, putting in order."""

from __future__ import annotations

import re

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param, UnsuitableError
from runtime.synth.vocabulary import COUNT_STORIES, story

NAMES = ("n", "number", "value", "mask", "word", "flags")

STEPS = {
    "set": ("set bit {k}", "{x} | {p}", "{x} if {x} // {p} % 2 else {x} + {p}"),
    "clear": ("clear bit {k}", "{x} & ~{p}", "{x} - {p} if {x} // {p} % 2 else {x}"),
    "toggle": ("flip bit {k}", "{x} ^ {p}", "{x} - {p} if {x} // {p} % 2 else {x} + {p}"),
    "left": ("shift the bits left by {s} and keep the lowest {w}", "({x} << {s}) & {m}", "{x} * 2 ** {s} % 2 ** {w}"),
    "right": ("shift the bits right by {s}", "{x} >> {s}", "{x} // 2 ** {s}"),
    "invert": ("flip each of the lowest {w} bits", "{x} ^ {m}", "{x} // 2 ** {w} * 2 ** {w} + 2 ** {w} - 1 - {x} % 2 ** {w}"),
    "lowest": ("clear the lowest bit that is set (if there is one)", "{x} & ({x} - 1)", "{x} - max([1] + [2 ** e for e in range(20) if {x} % 2 ** e == 0]) if {x} else 0"),
    "rotate": ("rotate the lowest {w} bits left by {s} and drop all others", "(({x} << {s}) | (({x} & {m}) >> {over})) & {m}", "int((bin({x} % 2 ** {w})[2:].rjust({w}, '0') * 2)[{s}:{s} + {w}], 2)"),
    "gray": ("XOR the number with itself shifted right by {s}", "{x} ^ ({x} >> {s})", "sum(2 ** e for e in range(20) if ({x} // 2 ** e + {x} // 2 ** (e + {s})) % 2)"),
}  # fmt: skip
FINISH = {
    "value": ("the result", "int", "$x", "x"),
    "ones": ("the number of bits that are set in the result", "int", "bin($x).count('1')", "sum(x // 2 ** e % 2 for e in range(24))"),
    "text": ("the result, in binary notation without a prefix,", "str", "format($x, 'b')", "bin(x)[2:]"),
    "length": ("the number of binary digits (0 has none) of the result", "int", "$x.bit_length()", "len(bin(x)[2:].lstrip('0'))"),
    "padded": ("the result, in binary notation with at least 8 digits,", "str", "format($x, '08b')", "bin(x)[2:].zfill(8)"),
}  # fmt: skip


# Kind, bit or distance, number of bits; what a kind does not ask for is 0.
PROGRAM = (
    *((kind, k, 0, 0) for kind in ("set", "clear", "toggle") for k in range(8)),
    *(
        (kind, 0, s, w)
        for kind in ("left", "rotate")
        for s in (1, 2, 3)
        for w in (4, 6, 8)
    ),
    *((kind, 0, s, 0) for kind in ("right", "gray") for s in (1, 2, 3)),
    *(("invert", 0, 0, w) for w in (4, 5, 6, 8)),
    ("lowest", 0, 0, 0),
)


def _numbers(rest: list[int]) -> dict[str, int]:
    k, s, w = rest
    return {"k": k, "p": 2**k, "s": s, "w": w, "m": 2**w - 1, "over": w - s}


def _bit_program(core: Core, draws: Draws) -> Draft:
    task, returns, finish, by_hand = FINISH[core["finish"]]
    name = draws.choice(NAMES)
    chosen = [
        tuple(text.format(x="{x}", **_numbers(rest)) for text in STEPS[kind])
        for kind, *rest in (core["first"], core["second"])
    ]
    if core["first"] == core["second"]:
        raise UnsuitableError
    codes = [code.format(x="$x") for _, code, _ in chosen]
    lines = "".join(
        f"    # {words.capitalize()}.\n    $x = {code}\n"
        for (words, _, _), code in zip(chosen, codes, strict=True)
    )
    helpers = "".join(
        f"def {name_}($x: int) -> int:\n    return {code}\n\n\n"
        for name_, code in zip(("first_step", "second_step"), codes, strict=False)
    )
    calls = "second_step(first_step($x))" if len(codes) == 2 else "first_step($x)"
    words = [one for one, _, _ in chosen]
    return Draft(
        names=("change_bits", "bit_steps", f"bits_{core['first'][0]}", "manipulate", "bit_program"),
        params=(Param(name, "int"),),
        returns=returns,
        given=f"an integer `{name}` from 0 to 65535",
        task=f"{task} of these steps: {', then '.join(words)}",
        rules=("Bit 0 is the lowest bit.",),
        solutions={"steps": f"$sig\n{lines}    return {finish}",
                   "helpers": f"{helpers}$sig\n    $x = {calls}\n    return {finish}"},
        reference="def reference(x):\n" + "".join(f"    x = {one[2].format(x='x')}\n" for one in chosen) + f"    return {by_hand}",
        inputs=lambda d: (d.below(2 ** d.integer(1, 16)),),
        edges=((0,), (1,), (8,), (255,)),
        fill={"x": name},
    )  # fmt: skip


FEATURES = {
    "ones": ("have exactly {k} bits set", "bin({x}).count('1') == {k}", "sum({x} // 2 ** e % 2 for e in range(12)) == {k}"),
    "even": ("have an even number of bits set", "bin({x}).count('1') % 2 == 0", "sum({x} // 2 ** e % 2 for e in range(12)) in (0, 2, 4, 6, 8)"),
    "bit": ("have bit {k} set (bit 0 is the lowest)", "{x} >> {k} & 1", "{x} // 2 ** {k} % 2 == 1"),
    "no-bit": ("do not have bit {k} set (bit 0 is the lowest)", "not {x} >> {k} & 1", "{x} % 2 ** ({k} + 1) < 2 ** {k}"),
    "length": ("need at least {k1} binary digits", "{x}.bit_length() >= {k1}", "{x} >= 2 ** ({k1} - 1)"),
    "adjacent": ("have two neighbouring bits set", "{x} & ({x} >> 1)", "'11' in bin({x})"),
    "power": ("are a power of two (1, 2, 4, ...) times an odd number below {k2}", "{x} and {x} // ({x} & -{x}) < {k2}", "any({x} == 2 ** e * o for e in range(12) for o in range(1, {k2}, 2))"),
    "palindrome": ("read the same in both directions in binary notation", "bin({x})[2:] == bin({x})[:1:-1]", "list(bin({x})[2:]) == list(reversed(bin({x})[2:]))"),
    "trailing": ("end in at least {k} zeros in binary notation (0 does)", "{x} % {p} == 0", "int(bin({x}), 2) & ({p} - 1) == 0"),
}  # fmt: skip
LIMITS: dict[str | int, tuple[str, str, str]] = {
    "none": ("", "", "True"),
    "odd": (" and $x % 2 == 1", " and are odd", "x // 2 * 2 != x"),
    "even": (" and $x % 2 == 0", " and are even", "x // 2 * 2 == x"),
    **{
        t: (f" and $x < {t}", f" and are below {t}", f"x in range({t})")
        for t in (32, 50, 64, 100)
    },
    **{
        -t: (f" and $x >= {t}", f" and are at least {t}", f"not x < {t}")
        for t in (8, 20, 25)
    },
}
FOLDS = {
    "count": ("how many of the {ones} {cond}", "0", "$total += 1", "$total", "len(found)", "int"),
    "xor": ("the bitwise XOR of all {ones} that {cond}", "0", "$total ^= $x", "$total", "fold(found, lambda a, b: (a | b) - (a & b), 0)", "int"),
    "or": ("the bitwise OR of all {ones} that {cond}", "0", "$total |= $x", "$total", "fold(found, lambda a, b: a + b - (a & b), 0)", "int"),
    "sum": ("the sum of all {ones} that {cond}", "0", "$total += $x", "$total", "sum(found)", "int"),
    "and": ("the bitwise AND of 255 and all {ones} that {cond}", "255", "$total &= $x", "$total", "fold(found, lambda a, b: a + b - (a | b), 255)", "int"),
    "list": ("the list of all {ones} that {cond}", "[]", "$total.append($x)", "$total", "found", "list[int]"),
    "bits": ("the total number of bits set in the {ones} that {cond}", "0", "$total += bin($x).count('1')", "$total", "sum(v // 2 ** e % 2 for v in found for e in range(12))", "int"),
}  # fmt: skip


def _bit_queries(core: Core, draws: Draws) -> Draft:
    words, code, other = FEATURES[core["feature"]]
    task, start, step, result, by_hand, returns = FOLDS[core["fold"]]
    k = core["k"]
    # Features that don't depend on k: instead it is added first.
    shift = k if core["feature"] in ("even", "adjacent", "palindrome") else 0
    numbers = {"k": k, "k1": k + 2, "k2": 2 * k + 3, "p": 2**k}
    told = story(draws, COUNT_STORIES)
    x = f"($x + {shift})" if shift else "$x"
    test = code.format(x=x, **numbers)
    before = f" after {shift} was added to them" if shift else ""
    bound, said, hand = LIMITS[core["limit"]]
    if bound:
        test = f"({test})" if " or " in test or test.startswith("not") else test
    whole = f"{test}{bound}"
    # A number that is not zero would do in a condition; a predicate says yes or no.
    answer = whole if re.search(r"[=<>] |^not |^\(not ", whole) else f"bool({whole})"
    if not bound and " & " in whole and not re.search("[=<>]=|not", whole):
        answer = f"bool({whole})"
    return Draft(
        names=("bit_query", f"{core['fold']}_by_bits", f"select_{told.name}", "scan_bits"),
        params=(Param(told.name, "list[int]"),),
        returns=returns,
        given=f"a list `{told.name}` of integers from 0 to 255",
        task=task.format(ones=told.plural, cond=f"{words.format(**numbers)}{before}{said}"),
        rules=("For an empty list the result is 255.",) if core["fold"] == "and" else (),
        context=told.context,
        solutions={
            "loop": f"$sig\n    $total = {start}\n    for $x in $xs:\n        if {test}{bound}:\n            {step}\n    return {result}",
            "helper": f"def matches($x: int) -> bool:\n    return {answer}\n\n\n$sig\n"
            + ("    return sum(1 for $x in $xs if matches($x))" if core["fold"] == "count"
               else f"    $total = {start}\n    for $x in filter(matches, $xs):\n        {step}\n    return {result}"),
        },
        reference="def fold(values, function, start):\n    for value in values:\n        start = function(start, value)\n    return start\n\n\n"
        f"def reference(numbers):\n    found = []\n    for x in numbers:\n        if ({other.format(x=f'(x + {shift})', **numbers)}) and ({hand}):\n"
        f"            found.append(x)\n    return {by_hand}",
        inputs=lambda d: ([d.below(2 ** d.integer(2, 8)) for _ in range(d.integer(0, 10))],),
        edges=(([],), ([0, 3, 5, 7],)),
        fill={"total": ({"count": "$count", "list": "$kept"}.get(core["fold"], "$total")), "xs": told.name, "x": told.item},
    )  # fmt: skip


FAMILIES = (
    Family("bit-program", "bits",
           {"first": PROGRAM, "second": PROGRAM, "finish": tuple(FINISH)}, _bit_program),
    Family("bit-queries", "bits",
           {"feature": tuple(FEATURES), "fold": tuple(FOLDS), "k": (1, 2, 3, 4, 5, 6),
            "limit": tuple(LIMITS), "portion": ("all", "part")}, _bit_queries),
)  # fmt: skip
