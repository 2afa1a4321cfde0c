"""Two sets of replies to the same prompts, paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evals.rendering import Row, rendered_prompt, rendered_reference
from evals.results import TaskResult
from specs.base import Value
from specs.errors import InputError, Problem
from specs.task import Task

_SHOWN_IDS = 5


class Pair(Value):
    """Two replies to one prompt."""

    id: str
    """Of the question, as in `evals.results.QuestionResult`."""
    instruction: str
    """The prompt, as the models saw it."""
    a: str
    b: str
    cluster: str | None = None
    """Prompts of one cluster depend on each other; null: it stands alone."""


class Comparison(Value):
    """What is compared: A against B."""

    task: str
    """Name of the task that asked for the replies."""
    task_fingerprint: str
    """Of that task."""
    a: str
    """Whose replies win: such as the digest of an entry."""
    b: str
    """Whom they are compared with; `reference` for the task's own replies."""
    pairs: tuple[Pair, ...]


def comparison_of(
    task: Task,
    rows: Sequence[Row],
    *,
    a: TaskResult,
    b: TaskResult | None,
    names: tuple[str, str],
) -> Comparison:
    """Put the replies of two evaluations side by side.

    Args:
        task: That asked for the replies.
        rows: All of its rows.
        a: What A replied.
        b: What B replied; null: A is compared with the task's reference replies.
        names: What A and B are called, such as digests of entries.

    Raises:
        InputError: The task asks for no replies or has no references, or A and B were
            not asked the same.
        SpecError: A template of the task is wrong.
    """
    if task.reply is None:
        what = f"asks for {task.way}, and a judge compares replies"
        raise InputError(what, path=f"tasks.{task.name}", fix="name a task with reply")
    if b is not None and b.fingerprint != a.fingerprint:
        raise InputError(
            "A and B were not asked the same: the fingerprints of the task are "
            f"{a.fingerprint[:12]} and {b.fingerprint[:12]}",
            path=f"tasks.{task.name}",
            fix="evaluate both with the same task, version of codemix and length",
        )
    asked = {one.id: rows[int(one.id)] for one in a.questions}
    replies_of_b = _references(task, asked) if b is None else _replies(b)
    pairs = pair_replies(
        {id: rendered_prompt(task, row) for id, row in asked.items()},
        a=_replies(a),
        b=replies_of_b,
        clusters={one.id: one.cluster for one in a.questions},
    )
    return Comparison(
        task=task.name,
        task_fingerprint=a.fingerprint,
        a=names[0],
        b=names[1],
        pairs=pairs,
    )


def pair_replies(
    instructions: Mapping[str, str],
    *,
    a: Mapping[str, str],
    b: Mapping[str, str],
    clusters: Mapping[str, str | None] | None = None,
) -> tuple[Pair, ...]:
    """Pair the replies of two models.

    Args:
        instructions: Id of a question -> its prompt, in the order of the rows.
        a: Id -> reply of A.
        b: Id -> reply of B, or the reference.
        clusters: Id -> cluster.

    Raises:
        InputError: One of them has no reply to some question, or one too many.
    """
    problems = [
        Problem(what=f"{name} has {what} {len(ids)} questions: {_some(ids)}", fix=fix)
        for name, replies in (("A", a), ("B", b))
        for what, ids, fix in (
            ("no reply to", instructions.keys() - replies, "evaluate the task again"),
            ("replies to other", replies.keys() - instructions, "compare one task"),
        )
        if ids
    ]
    if problems:
        raise InputError(problems)
    if not instructions:
        raise InputError("there are no replies to compare", fix="see the task's rows")
    of_id = clusters or {}
    return tuple(
        Pair(id=id, instruction=text, a=a[id], b=b[id], cluster=of_id.get(id))
        for id, text in instructions.items()
    )


def _replies(result: TaskResult) -> dict[str, str]:
    return {one.id: one.output["texts"][0] for one in result.questions}


def _references(task: Task, asked: Mapping[str, Row]) -> dict[str, str]:
    found: dict[str, str] = {}
    for id, row in asked.items():
        reference = rendered_reference(task, row)
        if reference is None:
            raise InputError(
                "the task has no reference replies to compare with",
                path=f"tasks.{task.name}.reply.reference",
                fix="name another model to compare with, or add the references",
            )
        found[id] = reference
    return found


def _some(ids: set[str]) -> str:
    shown = ", ".join(sorted(ids)[:_SHOWN_IDS])
    return f"{shown}, ..." if len(ids) > _SHOWN_IDS else shown
