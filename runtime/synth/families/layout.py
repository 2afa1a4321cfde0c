"""Text for people: numbers in groups, columns, wrapped lines."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param
from runtime.synth.vocabulary import WORD_STORIES, WORDS, story

SIGNS = {
    "minus": ("Negative numbers begin with `-`.", "'-' if {x} < 0 else ''", "'-' * ({x} < 0)", "", ""),
    "brackets": ("Negative numbers stand in round brackets, without a sign.", "'(' if {x} < 0 else ''", "'(' * ({x} < 0)", "')' if {x} < 0 else ''", "')' * ({x} < 0)"),
    "both": ("Negative numbers begin with `-`, positive ones with `+`.", "'-' if {x} < 0 else '+' if {x} > 0 else ''", "'+' * ({x} > 0) + '-' * ({x} < 0)", "", ""),
    "after": ("Negative numbers end with `-`.", "", "''", "'-' if {x} < 0 else ''", "'-' * ({x} < 0)"),
}  # fmt: skip
SEPARATORS = {
    ",": "a comma",
    ".": "a full stop",
    " ": "a blank",
    "'": "an apostrophe",
    "_": "an underscore",
}
PADS = {"none": 0, "zeros": 6, "dots": 10, "stars": 12, "blanks": 9}
FILL_WORDS = {
    "zeros": "zeros",
    "dots": "dots",
    "stars": "asterisks",
    "blanks": "blanks",
}
FILLS = {"zeros": "0", "dots": ".", "stars": "*", "blanks": " "}


def _grouped(core: Core, draws: Draws) -> Draft:
    rule, before, before_hand, after, after_hand = SIGNS[core["sign"]]
    sep, size, pad, unit = core["separator"], core["size"], core["pad"], core["unit"]
    name = draws.choice(("number", "amount", "value", "n", "total"))
    width = PADS[pad]
    head = f" + ({before.format(x='$n')})" if before else ""
    tail = f" + ({after.format(x='$n')})" if after else ""
    signed = f"{head[3:] + ' + ' if head else ''}$result{tail}"
    end = f"    $result = {signed}\n" if head or tail else ""
    if unit:
        end += f"    $result += {unit!r}\n"
    if width:
        end += f"    return $result.rjust({width}, {FILLS[pad]!r})"
    else:
        end += "    return $result"
    rules = [
        f"The digits are put into groups of {size}, counted from the right, with {SEPARATORS[sep]} between the groups; the group on the left may be smaller.",
        rule,
    ]
    if unit:
        rules.append(f"The string `{unit}` is put at the end.")
    if width:
        rules.append(
            f"A result of fewer than {width} characters is filled up with {FILL_WORDS[pad]} on the left."
        )
    return Draft(
        names=("format_number", f"show_{name}", f"write_{name}", "group_digits", "pretty_number"),
        params=(Param(name, "int"),),
        returns="str",
        given=f"an integer `{name}`",
        task=f"`{name}` as a string in the format described below",
        rules=tuple(rules),
        context=draws.choice(("", "", "A report shows its figures in a format of its own.", "A till prints amounts on its receipts.", "A scoreboard shows large numbers.")),
        solutions={
            "slices": f"$sig\n    $left, $parts = str(abs($n)), []\n    while $left:\n        $parts.insert(0, $left[-{size}:])\n        $left = $left[:-{size}]\n    $result = {sep!r}.join($parts)\n{end}",
            "digits": f"$sig\n    $result = ''\n    for $i, digit in enumerate(reversed(str(abs($n)))):\n        if $i and $i % {size} == 0:\n            $result = {sep!r} + $result\n        $result = digit + $result\n{end}",
            "recursion": f"def grouped($left: str) -> str:\n    if len($left) <= {size}:\n        return $left\n    return grouped($left[:-{size}]) + {sep!r} + $left[-{size}:]\n\n\n$sig\n    $result = grouped(str(abs($n)))\n{end}",
        },
        reference=f"def reference(n):\n    size = n if n >= 0 else -n\n    groups = []\n    while size >= 10 ** {size}:\n        groups = [str(10 ** {size} + size % 10 ** {size})[1:]] + groups\n        size = size // 10 ** {size}\n    groups = [str(size)] + groups\n"
        f"    text = groups[0]\n    for group in groups[1:]:\n        text += {sep!r} + group\n    text = ({before_hand.format(x='n')}) + text + ({(after_hand or repr('')).format(x='n')}) + {unit!r}\n    while len(text) < {width}:\n        text = {FILLS.get(pad, ' ')!r} + text\n    return text",
        inputs=lambda d: (d.integer(0, 10 ** d.integer(1, 9)) * d.choice((1, 1, -1)),),
        edges=((0,), (-(10**size),), (10**size - 1,), (1234567,)),
        fill={"parts": "$groups", "n": name},
    )  # fmt: skip


ALIGNED = {
    "left": ("to the left", "{w}.ljust({n})", "{w} + ' ' * ({n} - len({w}))"),
    "right": ("to the right", "{w}.rjust({n})", "' ' * ({n} - len({w})) + {w}"),
    "dots": ("to the left and filled up with dots", "{w}.ljust({n}, '.')", "{w} + '.' * ({n} - len({w}))"),
    "stars": ("to the right and filled up with `*`", "{w}.rjust({n}, '*')", "'*' * ({n} - len({w})) + {w}"),
}  # fmt: skip
DECORATIONS = {
    "none": ("", "", ""),
    "pipes": ("Every line begins and ends with `|`.", "'|' + {line} + '|'", "'|'.join(['', {line}, ''])"),
    "numbers": ("Every line begins with its number (from 1), a `.` and a blank.", "str($i) + '. ' + {line}", "'. '.join([str(n), {line}])"),
    "arrow": ("Every line begins with `> `.", "'> ' + {line}", "' '.join(['>', {line}])"),
    "quotes": ("Every line stands in double quotation marks.", "'\"' + {line} + '\"'", "chr(34) + {line} + chr(34)"),
}  # fmt: skip
CASES = {
    "plain": ("", "", ""),
    "upper": ("All words are written in upper case.", ".upper()", ".upper()"),
    "capital": ("Every word begins with a capital letter.", ".capitalize()", ""),
}


def _columns(core: Core, draws: Draws) -> Draft:
    said, align, align_hand = ALIGNED[core["align"]]
    rule, decorate, decorate_hand = DECORATIONS[core["decoration"]]
    case_rule, case, _ = CASES[core["case"]]
    per, gap, least = core["per"], core["gap"], core["least"]
    told = story(draws, WORD_STORIES)
    cell = align.format(w=f"$w{case}", n="width")
    width = f"max([{least}] + [len($w) for $w in $words])"
    line = (
        f"{' ' * gap!r}.join({align.format(w=f'$w{case}', n='width')} for $w in $row)"
    )
    shown = decorate.format(line="$step") if decorate else "$step"
    counter = "$i" in shown
    place = "        $i = len($parts) + 1\n" if counter else ""
    loop = f"$sig\n    width = {width}\n    $parts = []\n    for $j in range(0, len($words), {per}):\n        $row = $words[$j:$j + {per}]\n        $step = {line}\n{place}        $parts.append({shown})\n    return $parts"
    helper = (
        f"def make_line($row: list[str], width: int) -> str:\n    return {line}\n\n\n$sig\n    width = {width}\n    $rows = [$words[$j:$j + {per}] for $j in range(0, len($words), {per})]\n"
        f"    return [{shown.replace('$step', 'make_line($row, width)')} for {'$i, $row in enumerate($rows, 1)' if counter else '$row in $rows'}]"
    )
    del cell
    hand = {"plain": "w", "upper": "w.upper()", "capital": "w[:1].upper() + w[1:]"}[
        core["case"]
    ]
    decorated = decorate_hand.format(line="text") if decorate_hand else "text"
    return Draft(
        names=("layout_words", f"{told.name}_in_columns", "make_lines", "format_table", f"arrange_{told.name}"),
        params=(Param(told.name, "list[str]"),),
        returns="list[str]",
        given=f"a list of lower-case words `{told.name}`",
        task=f"a list of lines that show the {told.plural} in columns, {per} to a line",
        rules=tuple(filter(None, (
            f"Every {told.singular} is aligned {said}, in a column as wide as the longest {told.singular}, but at least {least} characters wide.",
            f"Between two columns {'stands nothing' if not gap else 'stands a blank' if gap == 1 else f'stand {gap} blanks'}; the last line may have fewer columns than the others.",
            rule, case_rule,
        ))),
        context=told.context,
        solutions={"loop": loop, "helper": helper},
        reference=f"def reference(words):\n    wide = {least}\n    for w in words:\n        wide = len(w) if len(w) > wide else wide\n    lines, text, n = [], '', 1\n    for k, w in enumerate(words):\n        w = {hand}\n        text += {align_hand.format(w='w', n='wide')}\n"
        f"        if (k + 1) % {per} == 0 or k + 1 == len(words):\n            lines.append({decorated})\n            text, n = '', n + 1\n        else:\n            text += ' ' * {gap}\n    return lines",
        inputs=lambda d: ([d.choice(WORDS) for _ in range(d.integer(0, 7))],),
        edges=(([],), (["ox"],), (["apple", "ice", "planet"],)),
        fill={"step": "$line", "parts": "$lines", "j": "start", "words": told.name, "w": told.item},
        level=1,
    )  # fmt: skip


HANGS = {
    "none": ("", ""),
    "indent": ("Every line but the first begins with two blanks, which count.", "  "),
    "dash": ("Every line but the first begins with `- `, which counts.", "- "),
}
LONG = {
    "alone": "A longer word stands on a line of its own.",
    "cut": "Of every word only the first {k} characters are kept.",
}
WRAP_ENDS = {"lines": ("the list of the lines", "list[str]", "$parts", "lines"), "text": ("a string of the lines, joined by line breaks,", "str", "'\\n'.join($parts)", "chr(10).join(lines)"),
             "count": ("the number of lines", "int", "len($parts)", "sum(1 for _ in lines)"), "longest": ("the length of the longest line (0 for no line)", "int", "max(map(len, $parts), default=0)", "sorted([0] + [len(t) for t in lines])[-1]"),
             "last": ("the last line, or an empty string if there is none,", "str", "$parts[-1] if $parts else ''", "([''] + lines)[-1]")}  # fmt: skip


def _wrap(core: Core, draws: Draws) -> Draft:
    width, joint, end = core["width"], core["joint"], core["end"]
    hang_rule, hang = HANGS[core["hang"]]
    task, returns, finish, by_hand = WRAP_ENDS[end]
    name = draws.choice(("text", "message", "paragraph", "note"))
    long, k = core["long"]
    cut = long == "cut"
    begin = f"({hang!r} if $parts else '')" if hang else "''"
    shorten = f"        $w = $w[:{k}]\n" if cut else ""
    loop = (
        f"$sig\n    $parts, $current = [], ''\n    for $w in $xs.split():\n{shorten}        if $current and len($current) + {len(joint)} + len($w) > {width}:\n            $parts.append($current)\n            $current = ''\n"
        f"        if $current:\n            $current += {joint!r} + $w\n        else:\n            $current = {f'{begin} + $w' if hang else '$w'}\n    if $current:\n        $parts.append($current)\n    return {finish}"
    )
    lists = (
        f"$sig\n    $rows = []\n    for $w in $xs.split():\n{shorten}        $row = $rows[-1] + [$w] if $rows else [$w]\n"
        + (f"        indent = {len(hang)} if len($rows) > 1 else 0\n" if hang else "")
        + f"        if $rows and len({joint!r}.join($row)) {'+ indent ' if hang else ''}<= {width}:\n            $rows[-1] = $row\n        else:\n            $rows.append([$w])\n"
        + (
            f"    $parts = [{hang!r} * ($i > 0) + {joint!r}.join($row) for $i, $row in enumerate($rows)]\n"
            if hang
            else f"    $parts = [{joint!r}.join($row) for $row in $rows]\n"
        )
        + f"    return {finish}"
    )
    between = {
        " ": "a blank",
        "-": "a `-`",
        ", ": "a comma and a blank",
        "/": "a `/`",
        "  ": "two blanks",
    }[joint]
    return Draft(
        names=("wrap_words", f"wrap_{name}", "break_lines", "fill_lines", f"lay_out_{name}"),
        params=(Param(name, "str"),),
        returns=returns,
        given=f"a string `{name}` of words with blanks between them",
        task=f"{task} that result when the words are put into lines of at most {width} characters" if end in ("lines", "text") else f"{task} when the words are put into lines of at most {width} characters",
        rules=tuple(filter(None, (
            f"Words are put on a line as long as they fit, with {between} between two of them.",
            LONG[long].format(k=k), hang_rule,
        ))),
        context=draws.choice(("", "", "A small display shows text in narrow lines.", "A typewriter breaks lines between words.")),
        solutions={"string": loop, "lists": lists},
        reference=f"def reference(text):\n    lines = []\n    for w in text.split():\n        if {cut}:\n            w = ''.join(c for n, c in enumerate(w) if n < {k})\n        wider = lines[-1] + {joint!r} + w if lines else ''\n"
        f"        if lines and len(wider) <= {width}:\n            lines[-1] = wider\n        elif lines:\n            lines.append({hang!r} + w)\n        else:\n            lines.append(w)\n    return {by_hand}",
        inputs=lambda d: (" ".join(d.choice(WORDS) for _ in range(d.integer(0, 9))),),
        edges=(("",), ("tree",), ("window of a planet",)),
        fill={"current": "$line", "parts": "$lines", "xs": name, "w": "word"},
        level=1,
    )  # fmt: skip


FAMILIES = (
    Family("grouped-digits", "text formatting",
           {"sign": tuple(SIGNS), "separator": tuple(SEPARATORS), "size": (2, 3, 4, 5), "pad": tuple(PADS), "unit": ("", " EUR", "%", " km", " pts", "!", " kg", ";", " m")}, _grouped),
    Family("columns", "text formatting",
           {"align": tuple(ALIGNED), "decoration": tuple(DECORATIONS), "case": tuple(CASES), "per": (2, 3, 4, 5), "gap": (0, 1, 2, 3), "least": (3, 5, 7, 8, 9)}, _columns),
    Family("wrapping", "text formatting",
           {"width": tuple(range(9, 33)), "joint": (" ", "-", ", ", "/", "  "), "end": tuple(WRAP_ENDS), "hang": tuple(HANGS), "long": (("alone", 0), *(("cut", k) for k in (3, 4, 5)))}, _wrap),
)  # fmt: skip
