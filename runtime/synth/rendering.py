"""From templates to source: names, signatures, docstrings, comments, hints."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.synth.draws import Draws
from runtime.synth.family import Draft
from runtime.synth.line_breaks import WIDTH, broken
from runtime.synth.local_names import LOCALS, TOGETHER
from runtime.synth.tidying import tidied

_PLACEHOLDER = re.compile(r"\$([a-z_][a-z0-9_]*)")
_NAME = re.compile(r"\b[A-Za-z_]\w*\b")


@dataclass(frozen=True, kw_only=True)
class Style:
    """How code is written down; changes nothing of what it does."""

    entry: str
    """Name of the function that is asked for."""
    solution: str
    """Which of the draft's solutions."""
    has_hints: bool
    has_comments: bool
    locals: Mapping[str, str]
    """Local name in the template -> name in the code."""


def draw_style(draft: Draft, draws: Draws) -> Style:
    """Draw a style in which no two names collide."""
    entry = draws.choice(draft.names)
    # A solution whose lines are too long for a page is for want of another.
    options = draws.shuffled(sorted(draft.solutions))
    solution = min(options, key=lambda one: max(WIDTH, _longest_line(draft, one)))
    template = draft.solutions[solution]
    for _ in range(3):
        template = _filled(template, draft.fill)
    taken = set(_NAME.findall(_PLACEHOLDER.sub("", template)))
    taken |= {entry, *(param.name for param in draft.params)}
    words = [
        word
        for word in dict.fromkeys(_PLACEHOLDER.findall(template))
        if word not in ("sig", "f")
    ]
    names = _local_names(words, taken, draws)
    return Style(
        entry=entry,
        solution=solution,
        has_hints=draws.chance(50),
        has_comments=draws.chance(50),
        locals=names,
    )


def _local_names(words: list[str], taken: set[str], draws: Draws) -> dict[str, str]:
    """Draw a name for each word; words that belong together get names that do."""
    names: dict[str, str] = {}
    places: dict[tuple[str, ...], int] = {}
    taken = set(taken)
    for word in words:
        listed = LOCALS.get(word, (word,))
        options = draws.shuffled(listed)
        # The first of the list is the plainest, so it gets half of the cases.
        if draws.chance(40):
            options.insert(0, listed[0])
        family = next((one for one in TOGETHER if word in one), (word,))
        if family in places:
            options.insert(0, listed[min(places[family], len(listed) - 1)])
        name = next((one for one in options if one not in taken), f"{word}_")
        if name in listed:
            places.setdefault(family, listed.index(name))
        names[word] = name
        taken.add(name)
    return names


def solution_code(draft: Draft, style: Style, *, docstring: str = "") -> str:
    """Return the solution in a style, with a docstring if there is one.

    Args:
        draft: The problem.
        style: As `draw_style` made it for this draft.
        docstring: Its text, neither indented nor quoted.
    """
    code = draft.solutions[style.solution].strip("\n")
    for _ in range(3):
        code = _filled(code, draft.fill)
    head = _signature(draft, style)
    if docstring:
        head += "\n" + textwrap.indent(_quoted(docstring), "    ")
    code = code.replace("$sig", head, 1)
    code = _filled(code, {**style.locals, "f": style.entry})
    lines = code.split("\n")
    if not style.has_comments:
        lines = [line for line in lines if not line.lstrip().startswith("# ")]
    if not style.has_hints:
        lines = [_without_hints(line) for line in lines]
    lines = [part for line in lines for part in broken(tidied(line))]
    return "\n".join(lines).rstrip() + "\n"


def reference_code(draft: Draft) -> str:
    """Return the independent solution."""
    code = draft.reference.strip("\n")
    for _ in range(3):
        code = _filled(code, draft.fill)
    assert "$" not in code, code
    return code + "\n"


def wrapped(text: str, width: int) -> str:
    """Wrap each paragraph of a text; list items and code keep their lines.

    >>> wrapped("- one two three", 9).splitlines()
    ['- one two', '  three']
    """
    paragraphs = []
    for line in text.split("\n"):
        is_code = line.startswith(("    ", ">>>"))
        hanging = "  " if line.startswith("- ") else ""
        filled = textwrap.fill(
            line, width, subsequent_indent=hanging, break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
        paragraphs.append(line if is_code else filled)
    return "\n".join(paragraphs)


def _longest_line(draft: Draft, solution: str) -> int:
    code = draft.solutions[solution]
    for _ in range(3):
        code = _filled(code, draft.fill)
    return max(map(len, code.split("\n")))


def _filled(text: str, fill: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: fill.get(match[1], match[0]), text)


def _signature(draft: Draft, style: Style) -> str:
    params = [f"{param.name}: {param.type}" for param in draft.params]
    line = f"def {style.entry}({', '.join(params)}) -> {draft.returns}:"
    if not style.has_hints:
        return _without_hints(line)
    if len(line) <= WIDTH:
        return line
    listed = "".join(f"    {param},\n" for param in params)
    return f"def {style.entry}(\n{listed}) -> {draft.returns}:"


def _without_hints(line: str) -> str:
    """Take the hints off a line that begins a function on one line."""
    stripped = line.lstrip()
    if not (stripped.startswith("def ") and stripped.endswith(":")):
        return line
    tree = ast.parse(f"{stripped} pass")
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    for argument in function.args.args:
        argument.annotation = None
    function.returns = None
    indent = line[: len(line) - len(stripped)]
    return indent + ast.unparse(function).split("\n")[0]


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    if "\n" not in text and len(text) <= WIDTH - 10:
        return f'"""{text}"""'
    return f'"""{text}\n"""'
