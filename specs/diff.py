"""How one spec differs from another: not in lines but in meaning.

Both are resolved, so defaults, order and `extends` make no difference. What a change
does is found out, not listed: it is made by itself, and the stages' identities before
and after are compared. So a change has a class for what the code really hashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from specs.base import Value
from specs.canonical import canonical_json
from specs.declared import declared_identities
from specs.experiment import NOT_HASHED, Experiment
from specs.lock import Lock
from specs.plan import Plan
from specs.resolve import plan_experiment

ChangeClass = Literal["identity", "scores", "execution", "words"]
"""`identity`: other weights. `scores`: other scores of the same weights. `execution`:
other costs, memory or cadence alone, or nothing at all. `words`: for people."""

CLASSES: tuple[ChangeClass, ...] = ("identity", "scores", "execution", "words")

_TOKENS_SCALE = (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3))

Place = tuple[str | int, ...]


class Change(Value):
    """One thing that the second spec says differently."""

    path: str
    """Dotted place; a stage goes by its name: `stages.text.learning_rate.peak`."""
    was: str | None
    """As a person would write it; null where it was not there."""
    now: str | None
    kind: ChangeClass


class Side(NamedTuple):
    """One of two specs, with all that is known of it."""

    experiment: Experiment
    plan: Plan
    lock: Lock | None = None
    """Counts where both sides have one with stores."""

    @classmethod
    def of(cls, experiment: Experiment, lock: Lock | None = None) -> Side:
        """Plan a spec."""
        return cls(experiment, plan_experiment(experiment), lock)


class _Leaf(NamedTuple):
    """A place that differs: the same in both, but for the index of a stage."""

    path: str
    was_place: Place | None
    now_place: Place | None
    was: Any
    now: Any


def changes_of(was: Side, now: Side) -> tuple[Change, ...]:
    """List what the second spec says differently, what matters most first."""
    judge = _Judge(was.experiment, now.experiment)
    found = [
        Change(
            path=leaf.path,
            was=_written(leaf.path, leaf.was),
            now=_written(leaf.path, leaf.now),
            kind=judge.kind(leaf),
        )
        for leaf in _leaves(was.experiment.to_json(), now.experiment.to_json())
    ]
    return tuple(sorted(found, key=lambda one: (CLASSES.index(one.kind), one.path)))


def stage_pairs(
    was: Sequence[str], now: Sequence[str]
) -> list[tuple[int | None, int | None]]:
    """Pair stages by name, and by place where they were renamed.

    Returns:
        Index in the first and in the second, in order; None where there is no other.

    >>> stage_pairs(["warm", "text"], ["start", "text", "cooldown"])
    [(0, 0), (1, 1), (None, 2)]
    """
    pairs: list[tuple[int | None, int | None]] = []
    matcher = SequenceMatcher(None, was, now, autojunk=False)
    for _, i1, i2, j1, j2 in matcher.get_opcodes():
        both = min(i2 - i1, j2 - j1)
        pairs += [(i1 + index, j1 + index) for index in range(both)]
        pairs += [(index, None) for index in range(i1 + both, i2)]
        pairs += [(None, index) for index in range(j1 + both, j2)]
    return pairs


class _Judge:
    """Makes each change by itself and looks at what comes of it."""

    def __init__(self, was: Experiment, now: Experiment) -> None:
        self._was, self._now = was, now
        self._identities = {id(one): _identities(one) for one in (was, now)}

    def kind(self, leaf: _Leaf) -> ChangeClass:
        top = leaf.path.split(".")[0]
        if top in NOT_HASHED:
            return "words"
        if top == "evals":
            return "scores"
        # A change that can't be made alone, such as of a width without its heads, may
        # be possible the other way round.
        changed = self._changes(self._was, leaf.was_place, leaf.now)
        if changed is None:
            changed = self._changes(self._now, leaf.now_place, leaf.was)
        if changed is None:
            changed = self._identities[id(self._was)] != self._identities[id(self._now)]
        if changed:
            return "identity"
        return "words" if leaf.path.endswith(".name") else "execution"

    def _changes(
        self, base: Experiment, place: Place | None, value: Any
    ) -> bool | None:
        """Whether a change of one place gives other weights; None if it can't be."""
        if place is None:
            return None
        document = base.to_json()
        # Identities go by sizes; the preset beside them is a way of writing them.
        document["model"]["preset"] = None
        inner: Any = document
        for key in place[:-1]:
            inner = inner[key]
        if value is _ABSENT:
            inner.pop(place[-1], None)
        else:
            inner[place[-1]] = value
        try:
            made = Experiment.model_validate(document)
        except ValidationError:
            return None
        return _identities(made) != self._identities[id(base)]


class _Absent:
    """Stands for a value that is not there, as null is one."""


_ABSENT: Any = _Absent()


def _identities(experiment: Experiment) -> list[str]:
    return declared_identities(experiment, plan_experiment(experiment))


def _leaves(was: dict[str, Any], now: dict[str, Any]) -> Iterator[_Leaf]:
    """Find every place that differs."""
    for key in sorted({*was, *now}):
        if key in ("stages", "model"):
            continue
        yield from _compared(key, (key,), (key,), was.get(key), now.get(key))
    models = [{**one["model"], "preset": None} for one in (was, now)]
    yield from _compared("model", ("model",), ("model",), *models)
    names = [[stage["name"] for stage in one["stages"]] for one in (was, now)]
    for old, new in stage_pairs(*names):
        yield from _stage_leaves(was["stages"], now["stages"], old, new)


def _stage_leaves(
    was: list[Any], now: list[Any], old: int | None, new: int | None
) -> Iterator[_Leaf]:
    if new is None or old is None:
        gone = _ABSENT if old is None else was[old]
        come = _ABSENT if new is None else now[new]
        name = (gone if new is None else come)["name"]
        yield _Leaf(f"stages.{name}", None, None, gone, come)
        return
    path = f"stages.{was[old]['name']}"
    places = ("stages", old), ("stages", new)
    yield from _compared(path, *places, was[old], now[new])


def _compared(
    path: str, was_place: Place, now_place: Place, was: Any, now: Any
) -> Iterator[_Leaf]:
    if was == now and type(was) is type(now):
        return
    is_deep = isinstance(was, dict) and isinstance(now, dict)
    if not is_deep or _is_one_value(path) or was.get("schedule") != now.get("schedule"):
        yield _Leaf(path, was_place, now_place, was, now)
        return
    for key in sorted({*was, *now}):
        yield from _compared(
            f"{path}.{key}",
            (*was_place, key),
            (*now_place, key),
            was.get(key, _ABSENT),
            now.get(key, _ABSENT),
        )


def _is_one_value(path: str) -> bool:
    """Tell values whose parts mean nothing without each other: weights, conditions."""
    parts = path.split(".")
    return parts[-1] in ("mixture", "where") or (
        parts[0] == "mixtures" and len(parts) == 2
    )


def _written(path: str, value: Any) -> str | None:
    """Write a value as a person would in a spec."""
    if value is _ABSENT:
        return None
    if path.rpartition(".")[2] in ("tokens", "sample_bytes") and isinstance(value, int):
        return _count(value)
    if isinstance(value, dict) and "tokens" in value:
        value = {**value, "tokens": _count(value["tokens"])}
    if isinstance(value, dict):
        return ", ".join(f"{key} {_inner(one)}" for key, one in value.items()) or "none"
    return _inner(value)


def _inner(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return canonical_json(value).decode()


def _count(value: int) -> str:
    """Write a count with the largest unit that is exact.

    >>> _count(200_000_000_000), _count(1_500_000), _count(4096)
    ('200B', '1.5M', '4096')
    """
    for unit, size in _TOKENS_SCALE:
        if value >= size and value * 100 % size == 0:
            return f"{value / size:g}{unit}"
    return str(value)
