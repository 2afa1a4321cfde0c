"""Strings: choosing characters, shifting letters, runs of characters."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param, UnsuitableError
from runtime.synth.vocabulary import TEXT_STORIES, story

MIXED = "abcdeiouxyzABEMOZ0123789  .,!-"

# Words, test in code, the same otherwise.
CLASSES = {
    "vowels": ("vowels (a, e, i, o, u, in either case)", "{c} in 'aeiouAEIOU'", "{c}.lower() in list('aeiou')"),
    "consonants": ("consonants (letters other than a, e, i, o, u)", "{c}.isalpha() and {c} not in 'aeiouAEIOU'", "{c}.lower() in list('bcdfghjklmnpqrstvwxyz')"),
    "digits": ("digits", "{c}.isdigit()", "'0' <= {c} <= '9'"),
    "upper": ("upper-case letters", "{c}.isupper()", "'A' <= {c} <= 'Z'"),
    "lower": ("lower-case letters", "{c}.islower()", "'a' <= {c} <= 'z'"),
    "letters": ("letters", "{c}.isalpha()", "'a' <= {c}.lower() <= 'z'"),
    "marks": ("characters that are neither letters nor digits", "not {c}.isalnum()", "{c} in list(' .,!-')"),
    "even": ("even digits", "{c} in '02468'", "'0' <= {c} <= '9' and int({c}) % 2 == 0"),
    "early": ("letters from the first half of the alphabet (a to m, in either case)", "'a' <= {c}.lower() <= 'm'", "{c}.upper() in list('ABCDEFGHIJKLM')"),
    "spaceless": ("characters other than blanks", "{c} != ' '", "bool({c}.strip())"),
}  # fmt: skip
UNCASED = ("digits", "even", "marks")
TREATMENTS = {
    "remove": ("removed", "", "''"),
    "star": ("replaced by `*`", "'*'", "'*'"),
    "upper": ("turned into upper case", "{c}.upper()", "{c}.upper()"),
    "swap": ("turned into the other case (where they have one)", "{c}.swapcase()", "{c}.lower() if {c}.isupper() else {c}.upper()"),
    "double": ("doubled", "{c} * 2", "{c} + {c}"),
    "triple": ("written three times", "{c} * 3", "{c} + {c} + {c}"),
    "bracket": ("put in square brackets", "'[' + {c} + ']'", "''.join(['[', {c}, ']'])"),
    "angle": ("put in angle brackets", "'<' + {c} + '>'", "''.join(['<', {c}, '>'])"),
    "hash": ("replaced by `#`", "'#'", "'#'"),
    "quote": ("put in single quotation marks", "\"'\" + {c} + \"'\"", "chr(39) + {c} + chr(39)"),
}  # fmt: skip
WHERE = {
    "all": ("", "", "True"),
    "even": (" at even positions", "$i % 2 == 0", "i in range(0, len(text), 2)"),
    "odd": (" at odd positions", "$i % 2 == 1", "i in range(1, len(text), 2)"),
    "third": (" at every third position (0, 3, 6, ...)", "$i % 3 == 0", "i in range(0, len(text), 3)"),
    "fourth": (" at every fourth position (3, 7, 11, ...)", "$i % 4 == 3", "i in range(3, len(text), 4)"),
    "middle": (" from position 2 to position 7", "2 <= $i <= 7", "1 < i < 8"),
    "tail": (" after the first three characters", "$i >= 3", "i > 2"),
    "head": (" among the first five characters", "$i < 5", "i <= 4"),
}  # fmt: skip
AFTER = {
    "plain": ("", "{r}", "found"),
    "reverse": (" and the whole string is then reversed", "{r}[::-1]", "''.join(reversed(found))"),
    "strip": (" and blanks at both ends are then removed", "{r}.strip(' ')", "strip_by_hand(found)"),
    "length": ("", "len({r})", "sum(1 for _ in found)"),
}  # fmt: skip


def _treat_characters(core: Core, draws: Draws) -> Draft:
    words, test, other = CLASSES[core["class"]]
    done, new, new_other = TREATMENTS[core["treatment"]]
    where, place, place_other = WHERE[core["where"]]
    end, finish, finish_other = AFTER[core["after"]]
    if core["treatment"] in ("upper", "swap") and core["class"] in UNCASED:
        # What has no case can't be given another one.
        raise UnsuitableError
    told = story(draws, TEXT_STORIES)
    test = test.format(c="$x")
    both = " and ".join(filter(None, (place, f"({test})" if " or " in test else test)))
    new_code = new.format(c="$x")
    loop = "for $i, $x in enumerate($xs)" if place else "for $x in $xs"
    is_length = core["after"] == "length"
    body = f"        if {both}:\n            $result += {new_code}\n        else:\n            $result += $x\n"
    if not new:
        body = f"        if not ({both}):\n            $result += $x\n"
    one_line = (
        f"{new_code} if {both} else $x {loop}" if new else f"$x {loop} if not ({both})"
    )
    whole = f"a copy of `{told.name}` in which all {words}{where} are {done}{end}"
    return Draft(
        names=("rewrite", f"treat_{core['class']}", f"{core['treatment']}_{core['class']}", f"edit_{told.name}", "transform"),
        params=(Param(told.name, "str"),),
        returns="int" if is_length else "str",
        given=f"a string `{told.name}`",
        task=f"the length of {whole}" if is_length else whole,
        rules=("Positions count from 0 and refer to the original string.",)
        if place
        else ("The string holds ASCII characters only.",) if draws.chance(40) else (),
        solutions={
            "loop": f"$sig\n    $result = ''\n    {loop}:\n{body}    return {finish.format(r='$result')}",
            "join": f"$sig\n    $result = ''.join({one_line})\n    return {finish.format(r='$result')}",
            "list": f"$sig\n    $parts = []\n    {loop}:\n"
            + (
                f"        $parts.append({new_code} if {both} else $x)\n"
                if new
                else f"        if {both}:\n            continue\n        $parts.append($x)\n"
            )
            + f"    return {finish.format(r=chr(39) * 2 + '.join($parts)')}",
        },
        reference="def strip_by_hand(text):\n    while text[:1] == ' ':\n        text = text[1:]\n"
        "    while text[-1:] == ' ':\n        text = text[:-1]\n    return text\n\n\n"
        "def reference(text):\n    found = ''\n    for i in range(len(text)):\n        c = text[i]\n"
        f"        hit = {place_other} and ({other.format(c='c')})\n"
        f"        found += ({new_other.format(c='c')}) if hit else c\n    return {finish_other}",
        inputs=lambda d: (d.text(d.integer(0, 14), MIXED),),
        edges=(("",), ("a",), ("  Ab 9!  ",)),
        fill={"xs": told.name, "x": told.item},
    )  # fmt: skip


DIRECTIONS = {
    "all": ("every letter", "", "{k}"),
    "alternate": ("every letter", " Letters at even positions of the string move forwards, those at odd positions backwards.", "{k} if $i % 2 == 0 else -{k}"),
    "growing": ("every letter", " The letter at position i (counting from 0) moves by i places more than that.", "{k} + $i"),
    "upper": ("every letter", " Upper-case letters move backwards instead.", "-{k} if $x.isupper() else {k}"),
    "vowels": ("every letter", " Vowels (a, e, i, o, u, in either case) move by twice as many places.", "{k} * 2 if $x in 'aeiouAEIOU' else {k}"),
    "early": ("every letter", " Letters a to m, in either case, move by one place more.", "{k} + 1 if $x.lower() <= 'm' else {k}"),
    "late": ("every letter", " Letters n to z, in either case, move backwards instead.", "-{k} if $x.lower() > 'm' else {k}"),
}  # fmt: skip
OTHERS = {
    "keep": ("All other characters stay as they are.", "$result += $x", "found.append(c)"),
    "drop": ("All other characters are left out.", "continue", "pass"),
    "dash": ("Every other character becomes a `-`.", "$result += '-'", "found.append('-')"),
    "digit": ("Digits become their difference to 9, all other characters stay as they are.", "$result += str(9 - int($x)) if $x.isdigit() else $x", "found.append('9876543210'['0123456789'.index(c)] if c in '0123456789' else c)"),
}  # fmt: skip


def _shift_letters(core: Core, draws: Draws) -> Draft:
    who, extra, amount = DIRECTIONS[core["direction"]]
    rule, other, by_hand = OTHERS[core["others"]]
    k, case = core["k"], core["case"]
    told = story(draws, TEXT_STORIES)
    shift = amount.format(k=k)
    needs_place = "$i" in shift
    loop = "for $i, $x in enumerate($xs):" if needs_place else "for $x in $xs:"
    last = {
        "keep": "",
        "upper": ".upper()",
        "lower": ".lower()",
        "flip": ".swapcase()",
    }[case]
    case_rule = {
        "keep": "Upper-case letters stay upper case and lower-case letters stay lower case.",
        "upper": "At the end, the whole result is turned into upper case.",
        "lower": "At the end, the whole result is turned into lower case.",
        "flip": "At the end, upper and lower case are exchanged in the whole result.",
    }[case]
    helper_args = "$x, $i" if needs_place else "$x"
    helper_sig = "$x: str, $i: int" if needs_place else "$x: str"
    return Draft(
        names=("encode", "shift_letters", f"encrypt_{told.name}", "cipher", "rotate_letters"),
        params=(Param(told.name, "str"),),
        returns="str",
        given=f"a string `{told.name}` of ASCII characters",
        task=f"the encoding of `{told.name}`, in which {who} moves forwards by {k} place{'s' if k > 1 else ''} in the alphabet",
        rules=tuple(filter(None, (
            extra.strip(), "After `z` comes `a` again, and before `a` comes `z`.", rule, case_rule,
        ))),
        context=draws.choice(("", "", "Two friends write to each other in a simple cipher.", "A puzzle magazine prints its solutions in a cipher.")),
        solutions={
            "ord and chr": f"$sig\n    $result = ''\n    {loop}\n        if not $x.isalpha():\n            {other}\n"
            + ("            continue\n" if other != "continue" else "")
            + f"        base = ord('A') if $x.isupper() else ord('a')\n        $step = {shift}\n"
            f"        $result += chr((ord($x) - base + $step) % 26 + base)\n    return $result{last}",
            "alphabet": "import string\n\n\n"
            f"def shift({helper_sig}) -> str:\n"
            "    letters = string.ascii_uppercase if $x.isupper() else string.ascii_lowercase\n"
            f"    return letters[(letters.index($x) + ({shift})) % 26]\n\n\n"
            f"$sig\n    $result = ''\n    {loop}\n        if $x.isalpha():\n"
            f"            $result += shift({helper_args})\n"
            + ("" if other == "continue" else f"        else:\n            {other}\n")
            + f"    return $result{last}",
        },
        reference="def reference(text):\n    alphabet = 'abcdefghijklmnopqrstuvwxyz'\n    found = []\n"
        "    for i, c in enumerate(text):\n        if c.lower() in alphabet:\n            place = alphabet.index(c.lower())\n"
        f"            for _ in range(abs({shift.replace('$i', 'i').replace('$x', 'c')})):\n"
        f"                place += 1 if ({shift.replace('$i', 'i').replace('$x', 'c')}) > 0 else -1\n"
        "                place = 0 if place == 26 else 25 if place == -1 else place\n"
        "            found.append(alphabet[place].upper() if c != c.lower() else alphabet[place])\n"
        f"        else:\n            {by_hand}\n    return ''.join(found){last}",
        inputs=lambda d: (d.text(d.integer(0, 12), "abcmnxyzAEMNZ09 !"),),
        edges=(("",), ("xyz",), ("Hello, World 42",)),
        fill={"step": "$places", "xs": told.name, "x": told.item},
        level=1,
    )  # fmt: skip


FORMATS = {
    "after": ("the character followed by the length", "{c} + str({n})", "a3"),
    "before": ("the length followed by the character", "str({n}) + {c}", "3a"),
    "star": ("the length, a `*` and the character", "str({n}) + '*' + {c}", "3*a"),
    "brackets": ("the character and the length in round brackets", "{c} + '(' + str({n}) + ')'", "a(3)"),
    "colon": ("the character, a `:` and the length", "{c} + ':' + str({n})", "a:3"),
    "power": ("the character, a `^` and the length", "{c} + '^' + str({n})", "a^3"),
}  # fmt: skip
JOINS = {
    "": "nothing",
    "-": "a `-`",
    " ": "a blank",
    ",": "a comma",
    "|": "a `|`",
    "/": "a `/`",
}


def _run_lengths(core: Core, draws: Draws) -> Draft:
    words, pair, example = FORMATS[core["format"]]
    (least, short), most, join = core["least"], core["most"], core["join"]
    told = story(draws, TEXT_STORIES)
    written = pair.format(c="$x", n="$count")
    plain = {"repeat": "$x * $count", "single": "$x", "drop": "''"}[short]
    one = written if least == 1 else f"{written} if $count >= {least} else {plain}"
    if short == "drop":
        one = written
    split = f" and ${'j'} - $i < {most}" if most else ""
    keep = (
        f"        if $count >= {least}:\n            $parts.append({written})\n"
        if short == "drop"
        else f"        $parts.append({one})\n"
    )
    rules = [
        f"Each run of equal characters is written as {words}; a run of three `a` becomes `{example}`."
    ]
    if least > 1:
        rules.append({
            "repeat": f"Runs of fewer than {least} characters are written out as they are.",
            "single": f"Of a run of fewer than {least} characters only a single character is written, without a length.",
            "drop": f"Runs of fewer than {least} characters are left out.",
        }[short])  # fmt: skip
    if most:
        rules.append(
            f"A run of more than {most} equal characters is first cut into runs of {most}, the last of which may be shorter."
        )
    rules.append(f"Between the parts stands {JOINS[join]}.")
    group = "from itertools import groupby\n\n\n"
    solutions = {
        "two pointers": f"$sig\n    $parts = []\n    $i = 0\n    while $i < len($xs):\n        $j = $i\n"
        f"        while $j < len($xs) and $xs[$j] == $xs[$i]{split}:\n            $j += 1\n"
        f"        $x, $count = $xs[$i], $j - $i\n{keep}        $i = $j\n    return {join!r}.join($parts)",
    }
    if not most:
        solutions["groupby"] = (
            f"{group}$sig\n    $parts = []\n    for $x, $row in groupby($xs):\n        $count = len(list($row))\n"
            f"{keep}    return {join!r}.join($parts)"
        )
    full = f" and runs[-1][1] < {most}" if most else ""
    solutions["runs first"] = (
        "def split_runs($xs: str) -> list[list]:\n    runs = []\n    for $x in $xs:\n"
        f"        if runs and runs[-1][0] == $x{full}:\n            runs[-1][1] += 1\n        else:\n"
        f"            runs.append([$x, 1])\n    return runs\n\n\n$sig\n    $parts = []\n"
        f"    for $x, $count in split_runs($xs):\n{keep}    return {join!r}.join($parts)"
    )
    by_hand = pair.format(c="c", n="n")
    shorter = (
        {"repeat": "c * n", "single": "c", "drop": "None"}[short]
        if least > 1
        else by_hand
    )
    return Draft(
        names=("compress", "encode_runs", "run_length", f"shorten_{told.name}", "pack"),
        params=(Param(told.name, "str"),),
        returns="str",
        given=f"a string `{told.name}`",
        task="its run-length encoding in the format described below",
        rules=tuple(rules),
        solutions=solutions,
        reference="import re\n\n\ndef reference(text):\n    found = []\n"
        f"    for match in re.finditer(r'(.)\\1*', text):\n        c, whole = match[1], len(match[0])\n"
        f"        sizes = []\n        while whole > 0:\n            sizes.append(min(whole, {most or 10**6}))\n            whole -= sizes[-1]\n"
        f"        for n in sizes:\n            part = {by_hand} if n >= {least} else {shorter}\n"
        f"            if part is not None:\n                found.append(part)\n    return {join!r}.join(found)",
        inputs=lambda d: ("".join(d.choice("abcx") * d.integer(1, 6) for _ in range(d.integer(0, 5))),),
        edges=(("",), ("a",), ("aabbbbc",)),
        fill={"j": "end", "xs": told.name, "x": "char" if told.name != "char" else "c"},
        level=1,
    )  # fmt: skip


FAMILIES = (
    Family(
        "treat-characters", "strings",
        {"class": tuple(CLASSES), "treatment": tuple(TREATMENTS), "where": tuple(WHERE),
         "after": tuple(AFTER)},
        _treat_characters,
    ),
    Family(
        "letter-cipher", "strings",
        {"direction": tuple(DIRECTIONS), "others": tuple(OTHERS), "k": tuple(range(1, 26)),
         "case": ("keep", "upper", "lower", "flip")},
        _shift_letters,
    ),
    Family(
        "run-length", "strings",
        {"format": tuple(FORMATS), "least": ((1, "repeat"), *((least, short) for least in (2, 3, 4) for short in ("repeat", "single", "drop"))),
         "most": (0, 2, 3, 4, 5, 6), "join": tuple(JOINS), "portion": ("all", "part")},
        _run_lengths,
    ),
)  # fmt: skip
