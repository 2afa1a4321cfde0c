"""Which documents count: the conditions and filters of a source.

A dropped document has one reason, the first rule that objects, named by its place in
the spec: `where.language`, `filters.1.line_length`. So the counts say what a rule
costs.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from runtime.documents import Document
from runtime.filters_rules import Rule, build_rule, fields_of
from specs.data import Not, Scalar
from specs.filters import Filter

Condition = Scalar | list[Scalar] | Not

EMPTY = "empty"
"""The reason for a document without a single character."""

_WHERE: TypeAdapter[dict[str, Condition]] = TypeAdapter(dict[str, Condition])
_FILTERS: TypeAdapter[list[Filter]] = TypeAdapter(list[Filter])


class DocumentFilter:
    """All the conditions and filters of one source."""

    def __init__(self, where: str, filters: str, chosen: str | None = None):
        """Build the rules.

        Args:
            where: Canonical JSON of the conditions, as in `PlannedSource`.
            filters: Canonical JSON of the filters.
            chosen: Canonical JSON of what filters chose; see `PlannedSource.chosen`.
        """
        choices = json.loads(chosen or "{}")
        # Conditions pass through plain JSON: pydantic would read 1 as true.
        conditions = json.loads(where)
        _WHERE.validate_python(conditions)
        declared = _FILTERS.validate_json(filters)
        self.columns = fields_needed(where, filters)
        self._rules: dict[str, Rule] = {
            f"where.{name}": _condition_rule(name, condition)
            for name, condition in conditions.items()
        }
        for index, rule in enumerate(declared):
            reason = f"filters.{index}.{rule.filter}"
            self._rules[reason] = build_rule(rule, choices.get(reason, ()))
        self.reasons = (EMPTY, *self._rules)
        """All reasons to drop a document, in the order in which they are looked at."""

    def reason_to_drop(self, document: Document) -> str | None:
        """Name the first rule that objects, or None where the document is kept."""
        if not document.text:
            return EMPTY
        for reason, rule in self._rules.items():
            if not rule.is_kept(document):
                return reason
        return None

    def measured(self, reason: str, document: Document) -> str | None:
        """Tell what decided against a document; None where the reason says it all."""
        rule = self._rules.get(reason)
        return rule.measured(document) if rule else None


def fields_needed(where: str, filters: str) -> frozenset[str]:
    """Return the keys or columns that conditions and filters look at, text aside."""
    declared = _FILTERS.validate_json(filters)
    return frozenset(json.loads(where)).union(*map(fields_of, declared))


def is_same_scalar(left: Any, right: Any) -> bool:
    """Tell whether two JSON scalars are the same value.

    Python calls `True == 1` true; in JSON they are different values.

    >>> is_same_scalar(1, 1.0), is_same_scalar(True, 1)
    (True, False)
    """
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _condition_rule(name: str, condition: Any) -> Rule:
    is_negated = isinstance(condition, dict)
    wanted = condition["not"] if is_negated else condition
    values = wanted if isinstance(wanted, list) else [wanted]

    def is_kept(document: Document) -> bool:
        # A document without the field has no value, so it has none of the values.
        has_value = name in document.fields and _is_any(document.fields[name], values)
        return has_value != is_negated

    def measured(document: Document) -> str:
        if name not in document.fields:
            return f"no {name!r}"
        return f"{name} is {reprlib.repr(document.fields[name])}"

    return Rule(is_kept, measured)


def _is_any(value: Any, values: Iterable[Any]) -> bool:
    return any(is_same_scalar(value, wanted) for wanted in values)
