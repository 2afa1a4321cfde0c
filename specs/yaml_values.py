"""YAML 1.2 turned into plain values, with the line of every one.

The parser is ruamel.yaml's. What a scalar means follows the core schema of YAML 1.2
to the letter, as editors and JSON do, so `3e-4` is a number, `on` is a word and
`1_000` is a word too. Anchors, aliases, tags and merge keys are left out of the
language: a spec reads from top to bottom, and no file can grow when it is loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from specs.document import Document, Mark
from specs.errors import Problem, SpecError
from specs.quantities import MAX_COUNT
from specs.rules import Place, dotted

MAX_VALUES = 20_000
MAX_DEPTH = 30
MAX_KEY = 100
"""Characters of a key."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NOTHING = object()


def parse_document(text: str, file: str) -> Document:
    """Parse the text of a spec; see `read_document`."""
    builder = _Builder(file)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except YAMLError as error:
        raise SpecError(_syntax_problem(error, file)) from None
    if builder.problems:
        raise SpecError(builder.problems)
    if not isinstance(builder.root, dict):
        raise SpecError(_not_a_mapping(builder.root, file))
    return Document(builder.root, builder.marks)


@dataclass
class _Level:
    """A mapping or list that is still open."""

    values: dict[str, Any] | list[Any]
    place: Place
    key: str | None = None
    """The key whose value comes next; None: a key comes next."""


@dataclass
class _Builder:
    """Builds plain values from the parser's events, and stops at what may not be."""

    file: str
    root: Any = _NOTHING
    marks: dict[Place, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    open_levels: list[_Level] = field(default_factory=list)
    num_values: int = 0

    def take(self, event: Any) -> None:
        """Take the next event."""
        line = event.start_mark.line + 1
        self._refuse_foreign(event, line)
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self.open_levels.pop()
        if not isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent)):
            return
        self.num_values += 1
        if self.num_values > MAX_VALUES:
            self._stop(line, f"more than {MAX_VALUES:,} values", "use fewer")
        level = self.open_levels[-1] if self.open_levels else None
        if level and isinstance(level.values, dict) and level.key is None:
            self._take_key(level, event, line)
            return
        place = self._next_place(level, line)
        if isinstance(event, ScalarEvent):
            self._put(level, self._scalar(event, place, line))
            return
        if len(self.open_levels) >= MAX_DEPTH:
            self._stop(line, f"nested more than {MAX_DEPTH} deep", "flatten it")
        is_mapping = isinstance(event, MappingStartEvent)
        values: dict[str, Any] | list[Any] = {} if is_mapping else []
        self._put(level, values)
        self.open_levels.append(_Level(values, place))

    def _refuse_foreign(self, event: Any, line: int) -> None:
        """Stop at what YAML has and a spec has not."""
        if isinstance(event, DocumentStartEvent) and self.root is not _NOTHING:
            fix = "one file holds one spec; use `matrix:` for variations"
            self._stop(line, "a second document begins here", fix)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            sign = "*" if isinstance(event, AliasEvent) else "&"
            what = f"anchors and aliases are not part of a spec, got {sign}"
            fix = "write the value out, or share it by `extends:` or a named mixture"
            self._stop(line, f"{what}{anchor[:MAX_KEY]}", fix)
        tag = getattr(event, "tag", None)
        if tag is not None:
            tag = str(tag).replace("tag:yaml.org,2002:", "!!")[:MAX_KEY]
            what = f"tags are not part of a spec, got {tag}"
            self._stop(line, what, "delete the tag")

    def _take_key(self, level: _Level, event: Any, line: int) -> None:
        if not isinstance(event, ScalarEvent):
            fix = "put quotes around text that begins with [ or {"
            self._stop(line, "a key must be a word, got a list or mapping", fix)
        key = event.value
        if len(key) > MAX_KEY:
            self._stop(line, f"a key of more than {MAX_KEY} characters", "shorten it")
        place = (*level.place, key) if key else level.place
        if not isinstance(key if event.style else resolve_scalar(key), str):
            what = f"a key must be a word, got {key or 'nothing'}"
            fix = "put quotes around it" if key else "write a key before the colon"
            self._note(place, line, what, fix)
        elif key == "<<" and not event.style:
            fix = "write the keys out, or share them by `extends:`"
            self._note(place, line, "merge keys are not part of a spec", fix)
        elif key in level.values:
            what = f"repeated key, first in line {self.marks[place].line}"
            self._note(place, line, what, "delete one of them")
        self.marks[place] = Mark(self.file, line)
        level.key = key

    def _next_place(self, level: _Level | None, line: int) -> Place:
        """Return the place of the value that comes, and mark it."""
        if level is None:
            self.marks[()] = Mark(self.file, line)
            return ()
        if level.key is not None:
            return (*level.place, level.key)
        place = (*level.place, len(level.values))
        self.marks[place] = Mark(self.file, line)
        return place

    def _put(self, level: _Level | None, value: Any) -> None:
        if level is None:
            self.root = value
        elif isinstance(level.values, list):
            level.values.append(value)
        elif level.key is not None:
            level.values[level.key] = value
            level.key = None

    def _scalar(self, event: Any, place: Place, line: int) -> Any:
        value = event.value if event.style else resolve_scalar(event.value)
        if isinstance(value, float) and not math.isfinite(value):
            self._note(
                place,
                line,
                f"must be a finite number, got {event.value[:40]}",
                "use a number",
            )
            return 0
        if type(value) is int and abs(value) > MAX_COUNT:
            self._note(
                place,
                line,
                f"whole numbers end at {MAX_COUNT}, got {event.value[:40]}",
                "use a smaller number",
            )
            return 0
        if isinstance(value, str) and any(_surrogates(value)):
            self._note(
                place,
                line,
                "holds half a character (a lone surrogate)",
                "write the character itself",
            )
            return ""
        return value

    def _note(self, place: Place, line: int, what: str, fix: str) -> None:
        """Remember a problem and go on."""
        self.problems.append(
            Problem(file=self.file, line=line, path=dotted(place), what=what, fix=fix)
        )

    def _stop(self, line: int, what: str, fix: str) -> None:
        """Give up at something after which nothing can be made sense of."""
        last = Problem(file=self.file, line=line, what=what, fix=fix)
        raise SpecError([*self.problems, last])


def resolve_scalar(text: str) -> str | int | float | bool | None:
    """Read a plain scalar by the core schema of YAML 1.2.

    >>> [resolve_scalar(text) for text in ("3e-4", "on", "0x10", "2.0", "true", "~")]
    [0.0003, 'on', 16, 2, True, None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        # Python itself refuses to read thousands of digits.
        return int(text) if len(text) < 25 else MAX_COUNT + 1
    if _OTHER_BASE.fullmatch(text):
        return int(text[:25], 0)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    if _FLOAT.fullmatch(text):
        return as_json_number(float(text))
    return text


def as_json_number(value: float) -> int | float:
    """Return the whole number that JSON can't tell from a float such as 2.0."""
    if value.is_integer() and abs(value) <= MAX_COUNT:
        return int(value)
    return value


def _surrogates(text: str) -> Iterator[bool]:
    return ("\ud800" <= character <= "\udfff" for character in text)


def _syntax_problem(error: YAMLError, file: str) -> Problem:
    """Turn the parser's error into one line."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or "special characters are not allowed"
    context = getattr(error, "context", None)
    begun = getattr(error, "context_mark", None)
    if context:
        what = f"{what} {context}"
    if begun is not None and mark is not None and begun.line != mark.line:
        what = f"{what} that begins in line {begun.line + 1}"
    fix = "check the indentation, quotes and brackets there and in the line above"
    if "'\\t'" in what or "tab" in what:
        what, fix = "a tab can't indent or separate in YAML", "use spaces"
    elif "mapping values are not allowed" in what:
        what = "a second colon in one line"
        fix = "put quotes around text that holds a colon"
    elif "@" in what or "`" in what or "%" in what:
        fix = "put quotes around the text"
    return Problem(
        file=file,
        line=mark.line + 1 if mark is not None else None,
        what=f"not YAML: {' '.join(what.split())}",
        fix=fix,
    )


def _not_a_mapping(root: Any, file: str) -> Problem:
    fix = "begin with `codemix: 1`"
    if root is _NOTHING or root is None:
        return Problem(file=file, what="the file is empty", fix=fix)
    what = f"must be a mapping, got {'a list' if isinstance(root, list) else 'a value'}"
    return Problem(file=file, line=1, what=what, fix=fix)
