"""`matrix:`, many experiments in one file.

A matrix maps dotted places to lists of values. Every combination of one value from
each list is an experiment; the first list varies slowest.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from specs.document import Document
from specs.errors import Problem, SpecError
from specs.experiment import Experiment
from specs.names import did_you_mean
from specs.rules import BrokenRules, Place, broken, shown

MAX_EXPERIMENTS = 1000
MAX_NAME = 128

_NOT_VARIED = frozenset({"amends", "codemix", "extends", "matrix", "name"})


@dataclass(frozen=True)
class _Axis:
    """One line of the matrix."""

    key: str
    """The dotted place, as written."""
    place: Place
    values: list[Any]


def variations(document: Document) -> list[Document]:
    """Return the documents that a matrix stands for; without one, the document.

    Each has the values of its combination in place, with the lines where the matrix
    writes them, and a name that says which they are.

    Raises:
        SpecError: With everything that is wrong with the matrix.
    """
    if "matrix" not in document.value:
        return [document]
    plain = document.without("matrix")
    axes = _axes(document, plain.value)
    picks = list(itertools.product(*(range(len(axis.values)) for axis in axes)))
    names = _names(plain.value.get("name"), axes, picks)
    return [
        _varied(plain, axes, pick, name)
        for pick, name in zip(picks, names, strict=True)
    ]


def _axes(document: Document, plain: dict[str, Any]) -> list[_Axis]:
    matrix = document.value["matrix"]
    if not isinstance(matrix, dict) or not matrix:
        what = "must be a mapping of dotted places to lists of values"
        fix = "write for instance matrix: {seed: [1, 2]}"
        raise SpecError(document.problem(("matrix",), what, fix))
    axes: list[_Axis] = []
    problems: list[Problem] = []
    for key, values in matrix.items():
        wrong = _values_problem(values)
        place: Place = ()
        try:
            place = _place(key, plain)
        except BrokenRules as error:
            wrong = (error.broken[0].what, error.broken[0].fix)
        if wrong is None:
            axes.append(_Axis(key, place, values))
        else:
            problems.append(document.problem(("matrix", key), *wrong))
    for one, other in itertools.permutations(axes, 2):
        if other.place[: len(one.place)] == one.place:
            what = f"lies within {one.key!r}, which varies too"
            fix = "vary only one of them"
            problems.append(document.problem(("matrix", other.key), what, fix))
    total = math.prod(len(axis.values) for axis in axes)
    if not problems and total > MAX_EXPERIMENTS:
        what = f"comes to {total} experiments, more than {MAX_EXPERIMENTS}"
        problems.append(document.problem(("matrix",), what, "split the file"))
    if problems:
        raise SpecError(problems)
    return axes


def _values_problem(values: Any) -> tuple[str, str | None] | None:
    if not isinstance(values, list) or not values:
        return "must be a list of values", "write for instance [1, 2]"
    for index, value in enumerate(values):
        if value in values[:index]:
            return f"value {index} is repeated", "delete it"
    return None


def _place(key: str, plain: dict[str, Any]) -> Place:
    """Return the place that a key of the matrix names."""
    parts = key.split(".")
    if parts[0] in _NOT_VARIED:
        raise broken(f"{parts[0]} can't vary", "vary something else")
    if parts[0] not in Experiment.model_fields:
        fix = did_you_mean(parts[0], list(Experiment.model_fields))
        raise broken(f"unknown key {shown(parts[0])}", fix)
    place: list[str | int] = []
    found: Any = plain
    for index, part in enumerate(parts):
        above = ".".join(parts[:index])
        if isinstance(found, list):
            if not part.isdecimal() or int(part) >= len(found):
                fix = f"use a number from 0 to {len(found) - 1}"
                raise broken(f"{above} has no item {shown(part)}", fix)
            place.append(int(part))
            found = found[int(part)]
        elif isinstance(found, Mapping):
            # What is not written has its defaults; validation finds a typo there.
            place.append(part)
            found = found.get(part, {})
        else:
            raise broken(f"{above} holds no other values", f"write {above!r}")
    return tuple(place)


def _varied(
    plain: Document, axes: list[_Axis], pick: tuple[int, ...], name: Any
) -> Document:
    value: Any = {**plain.value, "name": name} if name is not None else plain.value
    marks = plain.marks
    for axis, index in zip(axes, pick, strict=True):
        value = _with(value, axis.place, axis.values[index])
        depth = len(axis.place)
        moved = ("matrix", axis.key, index)
        marks = {
            place: mark for place, mark in marks.items() if place[:depth] != axis.place
        } | {
            (*axis.place, *place[3:]): mark
            for place, mark in plain.marks.items()
            if place[:3] == moved
        }
    return Document(value, marks)


def _with(value: Any, place: Place, new: Any) -> Any:
    """Return a copy of a value with another one at a place."""
    if not place:
        return new
    first, rest = place[0], place[1:]
    if isinstance(value, list):
        return [
            _with(one, rest, new) if index == first else one
            for index, one in enumerate(value)
        ]
    return {**value, first: _with(value.get(first, {}), rest, new)}


def _names(
    base: Any, axes: list[_Axis], picks: list[tuple[int, ...]]
) -> Iterator[str | None] | list[str]:
    """Name each combination after its values, or else by its number."""
    if not isinstance(base, str):
        return itertools.repeat(None, len(picks))
    names = [
        "-".join(
            [base, *(_label(a, index) for a, index in zip(axes, pick, strict=True))]
        )
        for pick in picks
    ]
    if len(set(names)) == len(names) and max(map(len, names)) <= MAX_NAME:
        return names
    return [f"{base}-{number}" for number in range(len(picks))]


def _label(axis: _Axis, index: int) -> str:
    """Say briefly what a value is, such as `seed-1` or `mixture-text50-code50`."""
    key = str(axis.place[-1])
    value = axis.values[index]
    if isinstance(value, Mapping):
        inner = [f"{name}{part}" for name, part in value.items()]
        simple = not any(isinstance(part, (dict, list)) for part in value.values())
        text = "-".join(inner) if simple else str(index)
    else:
        text = str(index) if isinstance(value, list) else str(value)
    return re.sub(r"[^a-z0-9.]+", "-", f"{key}-{text}".lower()).strip("-.")
