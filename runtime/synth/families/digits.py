"""Number theory: digits, divisors, primes, bases, sequences."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param, UnsuitableError
from runtime.synth.vocabulary import Condition, conditions

CONDITIONS = conditions(signed=False)
NAMES = ("n", "number", "value", "num", "start")
BASES = {2: "binary", 3: "ternary", 4: "base 4", 5: "base 5", 6: "base 6", 7: "base 7", 8: "octal", 9: "base 9", 10: "decimal", 12: "base 12"}  # fmt: skip

PER_DIGIT = {
    "sum": ("sum of its digits", "{d}", "{d}"),
    "squares": ("sum of the squares of its digits", "{d} * {d}", "{d} ** 2"),
    "cubes": ("sum of the cubes of its digits", "{d} ** 3", "{d} * {d} * {d}"),
    "plus": ("sum of its digits (each increased by {k})", "{d} + {k}", "{k} + {d}"),
    "times": ("sum of its digits (each multiplied by {k})", "{d} * {k}", "sum([{d}] * {k})"),
    "distance": ("sum of the distances of its digits from {k}", "abs({d} - {k})", "max({d}, {k}) - min({d}, {k})"),
    "above": ("sum of its digits that are at least {k}", "({d} if {d} >= {k} else 0)", "{d} * ({d} > {k} - 1)"),
    "parity": ("sum of its even digits plus {k} times the number of its odd digits", "({k} if {d} % 2 else {d})", "[{d}, {k}][{d} & 1]"),
}  # fmt: skip
ASKED = {
    "once": "the {what}",
    "root": "the single digit that is left when `{n}` is replaced by the {what}, again and again, until it has a single digit",
    "steps": "how many times `{n}` must be replaced by the {what} until it is at most {limit}",
    "repeat": "what is left after `{n}` was replaced {times} times by the {what}",
    "mod": "the {what}, modulo {mod}",
}  # fmt: skip


def _digit_process(core: Core, draws: Draws) -> Draft:
    base, k, asked = core["base"], core["k"], core["asked"]
    words, code, other = PER_DIGIT[core["per_digit"]]
    name = draws.choice(NAMES)
    if (
        core["per_digit"] in ("sum", "squares", "cubes")
        and asked in ("once", "root")
        and k > 2
    ):
        # Nothing depends on k here, so one of its values stands for all.
        raise UnsuitableError
    if core["per_digit"] in ("sum", "squares", "cubes"):
        times, mod = k, k + 7
    else:
        times, mod = 2, 10
    what = words.format(k=k)
    decimal = base == 10
    where = (
        ""
        if decimal
        else f" in {BASES[base]} notation"
        if "base" not in BASES[base]
        else f" in {BASES[base]}"
    )
    helper = (
        f"def digit_total($x: int) -> int:\n    $total = 0\n    while $x > 0:\n        $i = $x % {base}\n"
        f"        $total += {code.format(d='$i', k=k)}\n        $x //= {base}\n    return $total\n\n\n"
    )
    if decimal:
        short = (
            f"def digit_total($x: int) -> int:\n    return sum({code.format(d='int($i)', k=k)} for $i in str($x)) if $x else 0\n\n\n"
            if "int" not in code
            else ""
        )
    else:
        short = (
            f"def digit_total($x: int) -> int:\n    if $x == 0:\n        return 0\n    $x, $i = divmod($x, {base})\n"
            f"    return {code.format(d='$i', k=k)} + digit_total($x)\n\n\n"
        )
    limit = base * 3 + k
    body = {
        "once": "    return digit_total($n)",
        "root": f"    $left = $n\n    for _ in range(50):\n        if $left < {base}:\n            break\n        $left = digit_total($left)\n    return $left",
        "steps": f"    $count = 0\n    while $n > {limit} and $count < 50:\n        $n = digit_total($n)\n        $count += 1\n    return $count",
        "repeat": f"    for _ in range({times}):\n        $n = digit_total($n)\n    return $n",
        "mod": f"    return digit_total($n) % {mod}",
    }[asked]
    rules = (
        [f"Here 'digits' means the digits of the number{where}."] if not decimal else []
    )
    if asked in ("root", "steps"):
        rules.append("Stop after 50 replacements at the latest.")
    rules.append("The digits of 0 add nothing: their sum is 0.")
    return Draft(
        names=("digit_game", f"digit_{core['per_digit']}", f"{asked}_of_digits", "process_digits", "reduce_number"),
        params=(Param(name, "int"),),
        returns="int",
        given=f"an integer `{name}` that is not negative",
        task=ASKED[asked].format(what=what.replace("its digits", f"the digits of `{name}`").replace("its even", "the even").replace("its odd", "the odd") if asked in ("once", "mod") else what, limit=limit, times=times, mod=mod, n=name),
        rules=tuple(rules),
        solutions={"arithmetic": f"{helper}$sig\n{body}", **({"other": f"{short}$sig\n{body}"} if short else {})},
        reference="def digits(n):\n    found = []\n    power = 1\n    while power <= n:\n"
        f"        found.append(n // power % {base})\n        power *= {base}\n    return found\n\n\n"
        f"def total(n):\n    return sum([{other.format(d='d', k=k)} for d in digits(n)])\n\n\ndef reference(n):\n"
        + {
            "once": "    return total(n)",
            "root": "    seen = 0\n    while len(digits(n)) > 1 and seen < 50:\n        n, seen = total(n), seen + 1\n    return n",
            "steps": f"    for step in range(50):\n        if n <= {limit}:\n            return step\n        n = total(n)\n    return 50",
            "repeat": "    " + "n = total(n)\n    " * times + "return n",
            "mod": f"    t = total(n)\n    while t >= {mod}:\n        t -= {mod}\n    return t",
        }[asked],
        inputs=lambda d: (d.integer(0, 10 ** d.integer(1, 7)),),
        edges=((0,), (base - 1,), (base,)),
        fill={"i": "digit", "n": name, "x": "rest" if name != "rest" else "m"},
        level=int(asked in ("root", "steps")),
    )  # fmt: skip


DIVISOR_RESULTS = {
    "count": ("the number of {those}", "len({l})", "sum(1 for _ in {l})", "int"),
    "sum": ("the sum of {them}", "sum({l})", "sum(list({l}))", "int"),
    "list": ("the list of {them}, in ascending order", "{l}", "sorted({l})", "list[int]"),
    "largest": ("the largest of {them}, or 0 if there is none", "max({l}, default=0)", "([0] + sorted({l}))[-1]", "int"),
    "spread": ("the difference between the largest and the smallest of {them}, or 0 if there is none", "max({l}) - min({l}) if {l} else 0", "(sorted({l})[-1] - sorted({l})[0]) if {l} else 0", "int"),
}  # fmt: skip
KINDS = {
    "divisors": ("the positive divisors of `{n}`", "{n} % {x} == 0", "1", "{n} + 1", "any(d * e == n for e in range(1, n + 1))"),
    "proper": ("the positive divisors of `{n}` other than `{n}` itself", "{n} % {x} == 0", "1", "{n}", "d != n and n // d * d == n"),
    "coprime": ("the numbers from 1 to `{n}` that share no divisor above 1 with it", "gcd({x}, {n}) == 1", "1", "{n} + 1", "not any(n % e == 0 and d % e == 0 for e in range(2, n + 1))"),
    "primes": ("the prime numbers up to `{n}`", "all({x} % $i for $i in range(2, isqrt({x}) + 1))", "2", "{n} + 1", "[e for e in range(1, d + 1) if d % e == 0] == [1, d] and d > 1"),
    "factors": ("the prime numbers that divide `{n}`", "{n} % {x} == 0 and all({x} % $i for $i in range(2, isqrt({x}) + 1))", "2", "{n} + 1", "d > 1 and n % d == 0 and not any(d % e == 0 for e in range(2, d))"),
    "residues": ("the remainders of the squares 1*1, 2*2, ..., `{n}`*`{n}` when divided by `{n}` (each counted once)", "any($i * $i % {n} == {x} for $i in range(1, {n} + 1))", "0", "{n}", "d in [e ** 2 % n for e in range(n)]"),
}  # fmt: skip


def _divisors(core: Core, draws: Draws) -> Draft:
    condition: Condition = core["condition"]
    words, test, start, stop, other = KINDS[core["kind"]]
    task, finish, by_hand, returns = DIVISOR_RESULTS[core["result"]]
    name = draws.choice(NAMES[:4])
    test, start, stop = (one.format(n="$n", x="$x") for one in (test, start, stop))
    extra = condition.code.format(x="$x")
    imports = "".join(
        f"from math import {one}\n" for one in ("gcd", "isqrt") if f"{one}(" in test
    )
    imports += "\n\n" if imports else ""
    joint = "and that" if " that " in words else "that"
    them = f"{words.format(n=name)} {joint} {condition.text}"
    result = finish.format(l="$kept")
    return Draft(
        names=(f"{core['result']}_of_{core['kind']}", "divisor_query", f"find_{core['kind']}", "number_facts"),
        params=(Param(name, "int"),),
        returns=returns,
        given=f"a positive integer `{name}`",
        task=task.format(them=them, those=them.removeprefix("the ")),
        rules=() if draws.chance(50) else ("Trial division is fast enough: the argument is below 1000.",),
        solutions={
            "comprehension": f"{imports}$sig\n    $kept = [$x for $x in range({start}, {stop}) if {test} and {extra}]\n    return {result}",
            "loop": f"{imports}$sig\n    $kept = []\n    for $x in range({start}, {stop}):\n        if not ({extra}):\n            continue\n"
            f"        if {test}:\n            $kept.append($x)\n    return {result}",
            "helper": f"{imports}def fits($x: int, $n: int) -> bool:\n    return {test}\n\n\n$sig\n"
            f"    $kept = [$x for $x in range({start}, {stop}) if fits($x, $n) and {extra}]\n    return {result}",
        },
        reference=f"def reference(n):\n    found = []\n    for d in range({'0, n' if core['kind'] == 'residues' else '1, n + 1'}):\n"
        f"        if ({condition.other.format(x='d')}) and ({other}):\n            found.append(d)\n    return {by_hand.format(l='found')}",
        inputs=lambda d: (d.integer(1, 90),),
        edges=((1,), (2,), (60,)),
        fill={"n": name, "x": draws.choice(("candidate", "d", "k"))},
        level=int(core["kind"] in ("primes", "factors", "coprime")),
    )  # fmt: skip


def _recurrence(core: Core, draws: Draws) -> Draft:
    p, q, c, first, second = (core[name] for name in ("p", "q", "c", "first", "second"))
    modulus = core["modulus"]
    asked = core["asked"]
    name = draws.choice(("n", "index", "k", "count"))
    twist = core["twist"]
    terms = f"{_times(p, 'a')} + {_times(q, 'b')}" + (f" + {c}" if c else "")
    odd = {"none": "", "index": " + $i", "even": " + $i % 2"}[twist]
    said_odd = {"none": "", "index": " + i", "even": " + (1 if i is odd, else 0)"}[
        twist
    ]
    step = terms.replace("a", "$current").replace("b", "$previous") + odd
    said = (
        f"a(i) = {_times(p, 'a(i - 1)')} + {_times(q, 'a(i - 2)')}"
        + (f" + {c}" if c else "")
        + said_odd
    )
    turn = "$i" if odd else "_"
    loop_mod = f"({step}) % {modulus}"
    task, returns = {
        "term": (f"a({name})", "int"),
        "list": (f"the list of the first `{name}` terms a(0), a(1), ...", "list[int]"),
        "sum": (f"the sum of the first `{name}` terms a(0), a(1), ...", "int"),
        "even": (
            f"the number of even terms among the first `{name}` terms a(0), a(1), ...",
            "int",
        ),
    }[asked]
    finish = {
        "list": "$parts[:$n]",
        "sum": "sum($parts[:$n])",
        "even": "sum($x % 2 == 0 for $x in $parts[:$n])",
        "term": "$parts[$n]",
    }[asked]
    return Draft(
        names=("sequence", f"sequence_{asked}", "recurrence", "linear_sequence", "series"),
        params=(Param(name, "int"),),
        returns=returns,
        given=f"an integer `{name}` that is at least 0",
        task=f"{task} of the sequence that is defined below",
        rules=(
            f"The sequence starts with a(0) = {first} and a(1) = {second}.",
            f"For i >= 2, {said}, taken modulo {modulus}.",
        ),
        solutions={
            "list": f"$sig\n    $parts = [{first}, {second}]\n    for {turn} in range(2, $n + 1):\n"
            f"        $parts.append(({step.replace('$current', '$parts[-1]').replace('$previous', '$parts[-2]')}) % {modulus})\n    return {finish}",
            "two variables": {
                "term": f"$sig\n    $previous, $current = {first}, {second}\n    if $n == 0:\n        return $previous\n    for {turn} in range(2, $n + 1):\n"
                f"        $previous, $current = $current, {loop_mod}\n    return $current",
            }.get(
                asked,
                f"def terms():\n    $previous, $current{', $i' if odd else ''} = {first}, {second}{', 1' if odd else ''}\n    while True:\n        yield $previous\n{'        $i += 1' + chr(10) if odd else ''}"
                f"        $previous, $current = $current, {loop_mod}\n\n\n$sig\n    $parts = []\n    for $x in terms():\n        if len($parts) >= $n:\n            break\n        $parts.append($x)\n    return {finish}",
            ),
            "recursion": "from functools import lru_cache\n\n\n@lru_cache(maxsize=None)\ndef term($i: int) -> int:\n"
            f"    if $i == 0:\n        return {first}\n    if $i == 1:\n        return {second}\n"
            f"    return ({step.replace('$current', 'term($i - 1)').replace('$previous', 'term($i - 2)')}) % {modulus}\n\n\n$sig\n"
            + {"term": "    return term($n)", "list": "    return [term($j) for $j in range($n)]", "sum": "    return sum(term($j) for $j in range($n))",
               "even": "    return sum(1 for $j in range($n) if term($j) % 2 == 0)"}[asked],
        },
        reference=f"def reference(n):\n    table = {{0: {first}, 1: {second}}}\n    for i in range(2, n + 1):\n"
        f"        value = {p} * table[i - 1] + {q} * table[i - 2] + {c}{odd.replace('$i', '(i)')}\n        table[i] = value - value // {modulus} * {modulus}\n"
        "    first = [table[i] for i in range(n)]\n"
        + {"term": "    return table[n]", "list": "    return first", "sum": "    return sum(first)", "even": "    return len([v for v in first if not v & 1])"}[asked],
        inputs=lambda d: (d.integer(0, 25),),
        edges=((0,), (1,), (2,)),
        fill={"parts": "$terms", "n": name, "x": "term_value" if asked == "list" else "value"},
        level=1,
    )  # fmt: skip


def _times(factor: int, term: str) -> str:
    return term if factor == 1 else f"{factor} * {term}"


FAMILIES = (
    Family(
        "digit-process", "number theory",
        {"base": tuple(BASES), "per_digit": tuple(PER_DIGIT), "asked": tuple(ASKED), "k": (2, 3, 4, 5, 6, 7, 8)},
        _digit_process,
    ),
    Family(
        "divisors-and-primes", "number theory",
        {"condition": CONDITIONS, "kind": tuple(KINDS), "result": tuple(DIVISOR_RESULTS)},
        _divisors,
    ),
    Family(
        "recurrences", "number theory",
        {"p": (1, 2, 3), "q": (1, 2, 3), "c": (0, 1, 2, 3), "first": (0, 1, 2, 3), "second": (1, 2, 3, 5),
         "modulus": (97, 100, 1000, 10007), "twist": ("none", "index", "even"), "asked": ("term", "list", "sum", "even")},
        _recurrence,
    ),
)  # fmt: skip
