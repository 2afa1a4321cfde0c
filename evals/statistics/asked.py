"""Whether two results are answers to the same questions, asked alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evals.results import TaskResult
from specs.base import Value

HowAsked = Mapping[str, Any]
"""All that counts of a declaration, see `specs.task.what_counts`, and what else is the
same wherever a task is asked alike."""

_ABSENT = "absent"


class Refusal(Value):
    """A task that is not compared, because it was asked otherwise."""

    task: str
    field: str
    """The first thing that differs, such as `prompt` or `data.sha256`."""
    was: str
    now: str


def first_difference(
    was: TaskResult, now: TaskResult, asked: tuple[HowAsked | None, HowAsked | None]
) -> Refusal | None:
    """Return the first thing in which two results of a task can't be compared.

    Data and prompts must be the same. In other shapes, or by other code, the same
    question may get another answer in the last bits; that is compared all the same.

    Args:
        was: The first result.
        now: The second result.
        asked: How each was asked, where it is known.
    """
    for field, old, new in _fields(was, now, asked):
        if old != new:
            return Refusal(task=was.task, field=field, was=str(old), now=str(new))
    return None


def _fields(
    was: TaskResult, now: TaskResult, asked: tuple[HowAsked | None, HowAsked | None]
) -> Iterator[tuple[str, Any, Any]]:
    old, new = asked
    if was.fingerprint != now.fingerprint:
        if old is None or new is None:
            # Nothing says what it is made of.
            yield "fingerprint", was.fingerprint, now.fingerprint
        else:
            before, after = dict(_flat(old)), dict(_flat(new))
            for field in sorted(before.keys() | after.keys()):
                yield field, before.get(field, _ABSENT), after.get(field, _ABSENT)
    yield "main", was.main, now.main
    yield "chance", was.chance, now.chance
    yield "questions", len(was.questions), len(now.questions)
    for one, other in zip(was.questions, now.questions, strict=True):
        yield f"questions.{one.id}.id", one.id, other.id
        yield f"questions.{one.id}.cluster", one.cluster, other.cluster
    metrics = ({*one.values} for one in (*was.questions, *now.questions))
    for present in metrics:
        yield "metrics", was.main in present, True


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf by its dotted path."""
    if not isinstance(value, dict):
        yield path, value
        return
    for name, inner in value.items():
        yield from _flat(inner, f"{path}.{name}" if path else name)
