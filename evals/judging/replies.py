"""Two sets of replies to the same prompts, paired."""

from __future__ import annotations

from collections.abc import Mapping

from specs.base import Value
from specs.errors import InputError, Problem

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


def _some(ids: set[str]) -> str:
    shown = ", ".join(sorted(ids)[:_SHOWN_IDS])
    return f"{shown}, ..." if len(ids) > _SHOWN_IDS else shown
