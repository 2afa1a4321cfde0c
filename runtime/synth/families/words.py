"""Lists of words: choosing, ordering, joining, grouping."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param
from runtime.synth.vocabulary import WORD_STORIES, WORDS, story

PICKS = {
    "longer-{k}": ("have more than {k} letters", "len({w}) > {k}", "{w}[{k}:] != ''"),
    "shorter-{k}": ("have fewer than {k} letters", "len({w}) < {k}", "sum(1 for _ in {w}) <= {k} - 1"),
    "exactly-{k}": ("have exactly {k} letters", "len({w}) == {k}", "{w}[{k} - 1:] != '' and {w}[{k}:] == ''"),
    "multiple-{m}": ("have a number of letters that is divisible by {m}", "len({w}) % {m} == 0", "len({w}) in range(0, 40, {m})"),
    "starts-{c}": ("start with one of the letters {cs}", "{w}[:1] in {ct!r}", "any({w}.startswith(c) for c in {ct!r})"),
    "ends-{c}": ("end with one of the letters {cs}", "{w}[-1:] in {ct!r}", "any({w}.endswith(c) for c in {ct!r})"),
    "has-{c}": ("contain at least one of the letters {cs}", "any($x in {w} for $x in {ct!r})", "set({w}) & set({ct!r}) != set()"),
    "lacks-{c}": ("contain none of the letters {cs}", "not any($x in {w} for $x in {ct!r})", "set({w}).isdisjoint({ct!r})"),
    "vowels-{v}": ("contain at least {v} vowels (a, e, i, o, u)", "sum($x in 'aeiou' for $x in {w}) >= {v}", "len([c for c in 'aeiou' for d in {w} if c == d]) > {v} - 1"),
    "palindrome": ("read the same forwards and backwards", "{w} == {w}[::-1]", "all({w}[n] == {w}[-1 - n] for n in range(len({w})))"),
    "repeats": ("contain some letter more than once", "len(set({w})) < len({w})", "any({w}.count(c) > 1 for c in {w})"),
}  # fmt: skip
LETTER_SETS = (
    ("a", "e"),
    ("i", "o", "u"),
    ("b", "r", "s"),
    ("l", "n", "t"),
    ("e", "n", "r"),
)
PICKED = tuple(
    (words.format(k=k, m=m, v=v, cs=", ".join(cs[:-1]) + " and " + cs[-1], ct=cs) if "{cs}" not in words
     else words.replace("{cs}", ", ".join(cs[:-1]) + " or " + cs[-1]),
     code.replace("{k}", str(k)).replace("{m}", str(m)).replace("{v}", str(v)).replace("{ct!r}", repr(cs)),
     other.replace("{k} - 1", str(k - 1)).replace("{v} - 1", str(v - 1)).replace("{k}", str(k)).replace("{m}", str(m)).replace("{ct!r}", repr(cs)))
    for name, (words, code, other) in PICKS.items()
    for k, m, v, cs in (
        ((3, 2, 2, LETTER_SETS[0]), (4, 3, 3, LETTER_SETS[1]), (5, 4, 1, LETTER_SETS[2]),
         (6, 5, 4, LETTER_SETS[3]))
        if "{" in name else ((3, 2, 2, LETTER_SETS[0]),)
    )
)  # fmt: skip
ORDERS = {
    "given": ("in their original order", "{l}", "{l}"),
    "alphabetical": ("in alphabetical order", "sorted({l})", "by_hand({l}, lambda w: w)"),
    "length": ("from the shortest to the longest, words of equal length in alphabetical order",
               "sorted({l}, key=lambda $x: (len($x), $x))", "by_hand({l}, lambda w: chr(len(w)) + w)"),
    "longest": ("from the longest to the shortest, words of equal length in alphabetical order",
                "sorted({l}, key=lambda $x: (-len($x), $x))", "by_hand({l}, lambda w: chr(99 - len(w)) + w)"),
    "last": ("ordered by their last letter, and alphabetically where that is the same",
             "sorted({l}, key=lambda $x: ($x[-1], $x))", "by_hand({l}, lambda w: w[-1] + w)"),
    "reverse": ("in reverse alphabetical order", "sorted({l}, reverse=True)", "by_hand({l}, lambda w: w)[::-1]"),
}  # fmt: skip
SHAPES = {
    "list": ("the list of the {them}", "list[str]", "{l}", "[w for w in {l}]"),
    "join": ("a string of the {them}, joined by `, `", "str", "', '.join({l})", "''.join(', ' + w for w in {l})[2:]"),
    "initials": ("a string of the first letters of the {them}", "str", "''.join($x[0] for $x in {l})", "''.join(map(lambda w: w[:1], {l}))"),
    "lengths": ("the list of the lengths of the {them}", "list[int]", "[len($x) for $x in {l}]", "list(map(len, {l}))"),
    "title": ("the list of the {them}, each with its first letter in upper case", "list[str]", "[$x.capitalize() for $x in {l}]", "[w[0].upper() + w[1:] for w in {l}]"),
    "first": ("the first of the {them}, or an empty string if there is none", "str", "next(iter({l}), '')", "(list({l}) + [''])[0]"),
    "dashes": ("a string of the {them} with a `-` before each", "str", "''.join('-' + $x for $x in {l})", "'-' * ({l} != []) + '-'.join({l})"),
    "numbered": ("the list of the {them}, each with its place in front, like `1.apple`", "list[str]", "[f'{{$i}}.{{$x}}' for $i, $x in enumerate({l}, 1)]", "[str({l}.index(w) + 1) + '.' + w for w in {l}]"),
}  # fmt: skip
BY_HAND = (
    "def by_hand(words, key):\n    left, found = list(words), []\n    while left:\n"
    "        best = left[0]\n        for word in left:\n            if key(word) < key(best):\n"
    "                best = word\n        left.remove(best)\n        found.append(best)\n    return found\n\n\n"
)


def _select_words(core: Core, draws: Draws) -> Draft:
    words, test, other = core["pick"]
    order, sort, sort_by_hand = ORDERS[core["order"]]
    task, returns, finish, by_hand = SHAPES[core["shape"]]
    told = story(draws, WORD_STORIES)
    repeats = core["repeats"]
    test = test.format(w="$w")
    unique = "list(dict.fromkeys($kept))" if repeats == "once" else "$kept"
    base = f"    $kept = [$w for $w in $words if {test}]\n"
    if repeats == "once":
        base += f"    $kept = {unique}\n"
    elif core["shape"] == "numbered":
        finish = finish.replace("{l}", "{l}")
    last = f"    return {finish.format(l=sort.format(l='$kept'))}"
    loop = (
        f"$sig\n    $kept = []\n    for $w in $words:\n        if {test}"
        + (" and $w not in $kept" if repeats == "once" else "")
        + f":\n            $kept.append($w)\n{last}"
    )
    helper = (
        f"def fits($w: str) -> bool:\n    return {test}\n\n\n$sig\n    $kept = [$w for $w in $words if fits($w)]\n"
        + (f"    $kept = {unique}\n" if repeats == "once" else "")
        + last
    )
    dedupe = (
        "            if w not in found:\n                found.append(w)\n"
        if repeats == "once"
        else "            found.append(w)\n"
    )
    numbered = (
        "[str(n + 1) + '.' + found[n] for n in range(len(found))]"
        if core["shape"] == "numbered"
        else by_hand.format(l="found")
    )
    return Draft(
        names=("select_words", f"pick_{told.name}", f"{core['shape']}_of_{told.name}", f"choose_{told.name}", "filter_words"),
        params=(Param(told.name, "list[str]"),),
        returns=returns,
        given=f"a list of lower-case words `{told.name}`",
        task=task.format(them=f"{told.plural} that {words}")
        + ("" if core["order"] == "given" and draws.chance(50) else f", {order}" if core["shape"] != "first" else ""),
        rules=(
            *((f"The {told.plural} are taken {order}.",) if core["shape"] == "first" else ()),
            f"{told.singular.capitalize()}s that occur more than once are used once only."
            if repeats == "once"
            else f"{told.singular.capitalize()}s that occur more than once are used each time.",
        ),
        context=told.context,
        solutions={"comprehension": f"$sig\n{base}{last}", "loop": loop, "helper": helper},
        reference=BY_HAND + "def reference(words):\n    found = []\n    for w in words:\n"
        f"        if {other.format(w='w')}:\n{dedupe}    found = {sort_by_hand.format(l='found')}\n    return {numbered}",
        inputs=lambda d: ([d.choice(WORDS) for _ in range(d.integer(0, 9))],),
        edges=(([],), (["eye", "eye", "banana", "olive"],)),
        fill={"words": told.name, "w": told.item},
    )  # fmt: skip


KEYS = {
    "length": ("their length", "len({w})", "sum(1 for _ in {w})", "int"),
    "first": ("their first letter", "{w}[0]", "{w}[:1]", "str"),
    "last": ("their last letter", "{w}[-1]", "{w}[::-1][0]", "str"),
    "vowels": ("the number of vowels (a, e, i, o, u) in them", "sum($x in 'aeiou' for $x in {w})", "sum(map({w}.count, 'aeiou'))", "int"),
    "parity": ("whether their length is even (`'even'`) or odd (`'odd'`)", "'odd' if len({w}) % 2 else 'even'", "['even', 'odd'][len({w}) & 1]", "str"),
    "distinct": ("the number of different letters in them", "len(set({w}))", "sum(c not in {w}[:n] for n, c in enumerate({w}))", "int"),
    "smallest": ("the one of their letters that comes first in the alphabet", "min({w})", "sorted({w})[0]", "str"),
    "largest": ("the one of their letters that comes last in the alphabet", "max({w})", "sorted({w})[-1]", "str"),
    "prefix": ("their first two letters", "{w}[:2]", "''.join({w}[n] for n in range(min(2, len({w}))))", "str"),
    "sum": ("the sum of the places of their letters in the alphabet (a is 1), modulo 5", "sum(ord($x) - 96 for $x in {w}) % 5", "sum(' abcdefghijklmnopqrstuvwxyz'.index(c) for c in {w}) % 5", "int"),
}  # fmt: skip
VALUES = {
    "words": ("the list of its {ones} in their original order", "list[str]", "{g}"),
    "sorted": ("the list of its {ones} in alphabetical order", "list[str]", "sorted({g})"),
    "count": ("the number of its {ones}", "int", "len({g})"),
    "longest": ("the length of its longest {one}", "int", "max(map(len, {g}))"),
    "first": ("its first {one} in alphabetical order", "str", "min({g})"),
    "joined": ("its {ones} in their original order, joined by `+`", "str", "'+'.join({g})"),
    "total": ("the total number of letters of its {ones}", "int", "sum(map(len, {g}))"),
}  # fmt: skip


def _group_words(core: Core, draws: Draws) -> Draft:
    key, code, other, key_type = KEYS[core["key"]]
    value, value_type, finish = VALUES[core["value"]]
    least, order, shortest = core["least"], core["order"], core["shortest"]
    told = story(draws, WORD_STORIES)
    code = code.format(w="$w")
    guard = (
        f"        if len($w) < {shortest}:\n            continue\n"
        if shortest > 1
        else ""
    )
    skip = f" if len($kept) >= {least}" if least > 1 else ""
    groups = "sorted($parts.items())" if order == "sorted" else "$parts.items()"
    if order == "reverse":
        groups = "sorted($parts.items(), reverse=True)"
    result = f"[($step, {finish.format(g='$kept')}) for $step, $kept in {groups}{skip}]"
    fill_default = f"    $parts = defaultdict(list)\n    for $w in $words:\n{guard}        $parts[{code}].append($w)\n"
    fill_plain = f"    $parts = {{}}\n    for $w in $words:\n{guard}        $parts.setdefault({code}, []).append($w)\n"
    rules = [
        {"sorted": "The pairs are sorted by the key, the smallest first.",
         "reverse": "The pairs are sorted by the key, the largest first.",
         "first": "The pairs stand in the order in which their keys first occur."}[order]
    ]  # fmt: skip
    if least > 1:
        rules.append(f"Groups of fewer than {least} {told.plural} are left out.")
    if shortest > 1:
        rules.append(
            f"{told.plural.capitalize()} of fewer than {shortest} letters are ignored."
        )
    final = {
        "sorted": "sorted(found)",
        "reverse": "sorted(found)[::-1]",
        "first": "found",
    }[order]
    return Draft(
        names=(f"group_by_{core['key']}", f"group_{told.name}", "grouped", "collect_groups"),
        params=(Param(told.name, "list[str]"),),
        returns=f"list[tuple[{key_type}, {value_type}]]",
        given=f"a list of lower-case words `{told.name}`",
        task=f"a list of pairs, one for each group of {told.plural} that share {key}; a pair "
        f"holds the key of the group and {value.format(one=told.singular, ones=told.plural)}",
        rules=tuple(rules),
        context=told.context,
        solutions={
            "defaultdict": f"from collections import defaultdict\n\n\n$sig\n{fill_default}    return {result}",
            "setdefault": f"$sig\n{fill_plain}    return {result}",
            "class": "class Groups:\n    def __init__(self):\n        self.members = {}\n\n    def add(self, $w: str):\n"
            f"        $step = {code}\n        if $step not in self.members:\n            self.members[$step] = []\n"
            f"        self.members[$step].append($w)\n\n\n$sig\n    groups = Groups()\n    for $w in $words:\n{guard}"
            f"        groups.add($w)\n    return {result.replace('$parts.', 'groups.members.')}",
        },
        reference="def reference(words):\n    found, done = [], []\n"
        f"    words = [w for w in words if not len(w) < {shortest}]\n    for w in words:\n        k = {other.format(w='w')}\n"
        f"        if k in done:\n            continue\n        done.append(k)\n        group = [w for w in words if ({other.format(w='w')}) == k]\n"
        f"        if len(group) > {least - 1}:\n            found.append((k, {finish.format(g='group')}))\n    return {final}",
        inputs=lambda d: ([d.choice(WORDS) for _ in range(d.integer(0, 9))],),
        edges=(([],), (["egg", "eye", "ash", "ash", "banana"],)),
        fill={"step": "key", "parts": "$groups", "kept": "$members", "words": told.name, "w": told.item},
        level=1,
    )  # fmt: skip


FAMILIES = (
    Family(
        "select-words", "strings",
        {"pick": PICKED, "order": tuple(ORDERS), "shape": tuple(SHAPES), "repeats": ("once", "each"), "portion": ("all", "part")},
        _select_words,
    ),
    Family(
        "group-words", "strings",
        {"key": tuple(KEYS), "value": tuple(VALUES), "least": (1, 2, 3),
         "order": ("sorted", "first", "reverse"), "shortest": (1, 3, 4, 5), "portion": ("all", "part")},
        _group_words,
    ),
)  # fmt: skip
