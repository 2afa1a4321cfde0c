"""Which entries to list, and what of them: filters, columns, order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, get_args

from ledger.conditions import Cell, Condition, is_number, number_of
from ledger.index import LedgerIndex, Progress, read_index
from ledger.labels import Labels, labels_of
from ledger.later_rows import NO_LATER, Later, later_by_weights
from ledger.log import entries_on_disk
from ledger.rows import Row
from specs.errors import InputError, Problem

SPEC_PREFIX = "spec."
"""Begins a column that is a place in the resolved spec, such as `spec.model.width`."""

KINDS = ("run", "replay", "evaluation", "annotation", "attestation")
USUAL_KINDS = ("run", "replay")


class Listed(NamedTuple):
    """One entry that was asked for."""

    row: Row
    labels: Labels
    cells: dict[str, Cell]
    """Column -> value, of the columns that were asked for."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which entries, which columns, in which order; all conditions hold at once."""

    names: tuple[str, ...] = ()
    """Patterns with `*` and `?`, one of which fits."""
    tags: tuple[str, ...] = ()
    """All of them."""
    kinds: tuple[str, ...] = USUAL_KINDS
    results: tuple[str, ...] = ()
    """One of them; how a run ended, or a grade, in any case of letters."""
    since_ms: int | None = None
    until_ms: int | None = None
    """Excluded."""
    conditions: tuple[Condition, ...] = ()
    columns: tuple[str, ...] = ()
    sort: str | None = None
    """Column; null: order of arrival. What has no value there comes last."""
    reverse: bool = False
    limit: int | None = None
    """So many of the last ones in order of arrival, or of the first ones if sorted."""


class _Known(NamedTuple):
    """An entry with what can be asked of it."""

    row: Row
    labels: Labels
    spec: dict[str, Any] | None
    later: Later
    """What evaluations of its final weights say of a run."""


FIXED: dict[str, Callable[[_Known], Cell]] = {
    "digest": lambda one: one.row.digest,
    "name": lambda one: one.row.name,
    "kind": lambda one: one.row.kind,
    "recorded": lambda one: one.row.unix_ms,
    "result": lambda one: one.row.result,
    "steps": lambda one: one.row.num_steps,
    "seconds": lambda one: None if one.row.seconds is None else float(one.row.seconds),
    "seed": lambda one: one.row.seed,
    "weights": lambda one: one.row.weights_digest,
    "of": lambda one: one.row.original,
    "identity": lambda one: one.row.identity,
    "evaluations": lambda one: one.later.number if one.row.kind == "run" else None,
    "tags": lambda one: " ".join(one.labels.tags),
    "note": lambda one: one.labels.notes[-1].text if one.labels.notes else None,
}
"""Columns that every entry may have, with their values."""


def list_entries(
    folder: Path, question: Question, progress: Progress = lambda done, total: None
) -> list[Listed]:
    """Return the entries that a question asks for.

    Args:
        folder: Of the ledger.
        question: Says which.
        progress: Told while the index of the ledger is made.

    Raises:
        InputError: It names a column that no entry has.
    """
    index = _healed_index(folder, progress)
    _check_results(question.results, index.rows)
    labels = labels_of(index.rows)
    columns = question.columns
    asked = [*(one.column for one in question.conditions), *columns]
    asked += [question.sort] if question.sort is not None else []
    later = later_by_weights(index.rows)
    has_specs = any(column.startswith(SPEC_PREFIX) for column in asked)
    specs = index.specs() if has_specs else [None] * len(index.rows)
    known = [
        _Known(row, labels.get(row.digest, Labels()), spec, _later(row, later))
        for row, spec in zip(index.rows, specs, strict=True)
    ]
    _check_columns(asked, known)
    found = [one for one in known if _is_asked_for(one, question)]
    return [
        Listed(
            one.row, one.labels, {name: _cell(one, name) for name in question.columns}
        )
        for one in _in_order(found, question)
    ]


def _later(row: Row, found: Mapping[str, Later]) -> Later:
    is_run = row.kind == "run" and row.weights_digest is not None
    return found.get(row.weights_digest or "", NO_LATER) if is_run else NO_LATER


def rows_of(folder: Path) -> tuple[Row, ...]:
    """Return a row per document of a ledger, in order of arrival."""
    return _healed_index(folder, lambda done, total: None).rows


def _healed_index(folder: Path, progress: Progress) -> LedgerIndex:
    index = read_index(folder, progress)
    if entries_on_disk(folder) <= {row.digest for row in index.rows}:
        return index
    # A crash between an entry and its line is mended by opening the ledger.
    from ledger.store import Ledger

    Ledger.open(folder.parents[1])
    return read_index(folder, progress)


def _is_asked_for(one: _Known, question: Question) -> bool:
    row = one.row
    names, results = question.names, question.results
    return (
        row.kind in question.kinds
        and (not names or any(fnmatchcase(row.name, name) for name in names))
        and (not results or row.result.lower() in {name.lower() for name in results})
        and (question.since_ms is None or row.unix_ms >= question.since_ms)
        and (question.until_ms is None or row.unix_ms < question.until_ms)
        and set(question.tags) <= set(one.labels.tags)
        and all(
            condition.is_met_by(_cell(one, condition.column))
            for condition in question.conditions
        )
    )


def _in_order(found: list[_Known], question: Question) -> list[_Known]:
    if question.sort is None:
        chosen = found[-question.limit :] if question.limit is not None else found
        return chosen[::-1] if question.reverse else chosen
    with_cells = [(one, _cell(one, question.sort)) for one in found]
    there = [pair for pair in with_cells if not _is_nothing(pair[1])]
    # Numbers before texts; equal ones stay in order of arrival.
    there.sort(key=lambda pair: _sort_key(pair[1]), reverse=question.reverse)
    last = [pair for pair in with_cells if _is_nothing(pair[1])]
    return [one for one, _ in [*there, *last]][: question.limit]


def _sort_key(cell: Cell) -> tuple[bool, int | float, str]:
    return (False, cell, "") if is_number(cell) else (True, 0, str(cell))


def _is_nothing(cell: Cell) -> bool:
    return cell is None or cell != cell


def _cell(one: _Known, column: str) -> Cell:
    """Return one value of an entry; null if it has none."""
    if column in FIXED:
        return FIXED[column](one)
    if column.startswith(SPEC_PREFIX):
        value: Cell = _at(one.spec, column.removeprefix(SPEC_PREFIX))
        return None if isinstance(value, dict | list) else value
    text = one.row.scores.get(column, one.row.metrics.get(column))
    text = one.later.scores.get(column, text)
    return None if text is None else float(text)


def _at(value: Any, path: str) -> Any:
    """Follow a dotted path; null where it leads nowhere. Keys may hold dots."""
    if isinstance(value, dict):
        if path in value:
            return value[path]
        for key, inner in value.items():
            if path.startswith(f"{key}."):
                return _at(inner, path[len(key) + 1 :])
    if isinstance(value, list):
        place, _, rest = path.partition(".")
        number = number_of(place)
        if isinstance(number, int) and 0 <= number < len(value):
            return _at(value[number], rest) if rest else value[number]
    return None


def _check_columns(asked: Iterable[str], known: Sequence[_Known]) -> None:
    """Refuse columns that no entry has; of an empty ledger nothing is known."""
    names: set[str] = set(FIXED)
    for one in known:
        names |= {*one.row.metrics, *one.row.scores, *one.later.scores}
    problems = []
    for column in dict.fromkeys(asked):
        is_spec = column.startswith(SPEC_PREFIX)
        if column in names or not known:
            continue
        if is_spec and any(_cell(one, column) is not None for one in known):
            continue
        choices = {name for one in known for name in _paths(one)} if is_spec else names
        close = get_close_matches(column, sorted(choices), n=1)
        listed = ", ".join(sorted(names - set(FIXED)))
        problems.append(
            Problem(
                what=f"no entry has a column {column!r}",
                fix=f"did you mean {close[0]!r}?"
                if close
                else f"one of {', '.join(FIXED)}, a place in the spec such as "
                f"spec.model.width, or a number: {listed or 'none yet'}",
            )
        )
    if problems:
        raise InputError(problems)


def _check_results(results: Iterable[str], rows: Iterable[Row]) -> None:
    """Refuse words that are neither an end of a run nor a grade."""
    unseen = {name.lower() for name in results} - {row.result.lower() for row in rows}
    if not unseen:
        return
    from ledger.recorder import Outcome
    from ledger.verdict import Verdict

    words = get_args(Outcome.model_fields["status"].annotation)
    words += get_args(Verdict.model_fields["grade"].annotation)
    for name in sorted(unseen - {word.lower() for word in words}):
        close = get_close_matches(name, [word.lower() for word in words], n=1)
        raise InputError(
            f"no run ends and no replay is graded {name!r}",
            fix=f"did you mean {close[0]!r}?" if close else f"use {', '.join(words)}",
        )


def _paths(one: _Known) -> Iterable[str]:
    def walk(path: str, value: Any) -> Iterable[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(f"{path}.{key}", inner)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                yield from walk(f"{path}.{number}", inner)
        else:
            yield path

    return walk(SPEC_PREFIX[:-1], one.spec) if one.spec is not None else ()
