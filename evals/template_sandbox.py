"""Jinja for templates that anybody may have written: no code, no long work.

A template reads the fields of one row and nothing else. What would make it a program is
not there: assignments, macros, includes, nested loops, `range`, chance. Of values only
the attributes below can be had, and what multiplies text is bounded before it is done.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_CHARACTERS = 4_000_000
"""Of what a template makes, and of each text on the way."""

MAX_TEMPLATE_CHARACTERS = 20_000
"""Of a template itself."""

_FILTERS = """
    abs capitalize count default first float int items join last length list lower map
    max min reject rejectattr replace reverse select selectattr sort string title trim
    unique upper
"""
_OF_TEXTS = """
    capitalize count endswith find index isdigit join lower lstrip partition
    removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split
    splitlines startswith strip title upper
"""

ALLOWED_FILTERS = tuple(_FILTERS.split())

ALLOWED_ATTRIBUTES: Mapping[type, frozenset[str]] = {
    str: frozenset(_OF_TEXTS.split()),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    dict: frozenset({"get", "items", "keys", "values"}),
    LoopContext: frozenset({"first", "index", "index0", "last", "length"}),
}

_REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.Block: "block",
    nodes.CallBlock: "call",
    nodes.Extends: "extends",
    nodes.FilterBlock: "filter",
    nodes.FromImport: "import",
    nodes.Import: "import",
    nodes.Include: "include",
    nodes.Macro: "macro",
    nodes.Pow: "**",
    nodes.ScopedEvalContextModifier: "autoescape",
    nodes.With: "with",
}


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """An environment whose templates can only arrange what a row holds."""

    intercepted_binops = frozenset({"*", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True)
        self.globals.clear()
        self.filters = {name: FILTERS[name] for name in ALLOWED_FILTERS}
        self.filters["replace"] = _bounded_replace
        self.filters["join"] = _bounded_join

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether an attribute is on the list of its type."""
        return attr in ALLOWED_ATTRIBUTES.get(type(obj), frozenset())

    def wrap_str_format(self, value: Any) -> None:
        """Leave `str.format` an attribute like any other: not allowed."""

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Multiply and take remainders of numbers, not of texts and lists."""
        if not all(isinstance(value, int | float) for value in (left, right)):
            raise SecurityError(f"{operator} works on numbers only")
        return super().call_binop(context, operator, left, right)

    def call(
        __self,
        __context: Any,
        __obj: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Call a method of a row's value, if its result is of bounded length."""
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str) and __obj.__name__ == "replace":
            return _bounded_replace(owner, *args, **kwargs)
        if isinstance(owner, str) and __obj.__name__ == "join":
            (values,) = args
            return _bounded_join(values, owner)
        return super().call(__context, __obj, *args, **kwargs)

    def refusals(self, template: nodes.Template) -> list[str]:
        """Return what a parsed template has and may not have."""
        found = [
            f"{word!r} is not part of templates"
            for kind, word in _REFUSED.items()
            if template.find(kind)
        ]
        for loop in template.find_all(nodes.For):
            inside = nodes.Template([*loop.body, *loop.else_])
            if loop.recursive or inside.find(nodes.For):
                found.append("a loop within a loop is not part of templates")
        return list(dict.fromkeys(found))


def _bounded_replace(text: str, old: str, new: str, count: int | None = None) -> str:
    """Replace, if the longest thing that could come of it is short enough."""
    text, old, new = str(text), str(old), str(new)
    pieces = len(text) + 1 if old == "" else text.count(old)
    _check_length(len(text) + pieces * len(new))
    return text.replace(old, new, -1 if count is None else count)


def _bounded_join(
    values: Iterable[Any], between: str = "", attribute: Any = None
) -> str:
    """Join, if what comes of it is short enough."""
    if attribute is not None:
        raise SecurityError("join takes no attribute; use map(attribute=...)")
    texts = [str(value) for value in values]
    _check_length(sum(map(len, texts)) + len(texts) * len(between))
    return between.join(texts)


def _check_length(length: int) -> None:
    if length > MAX_CHARACTERS:
        raise SecurityError(f"a text would have more than {MAX_CHARACTERS} characters")


@functools.cache
def sandbox() -> TemplateSandbox:
    """Return the environment of all templates."""
    return TemplateSandbox()
