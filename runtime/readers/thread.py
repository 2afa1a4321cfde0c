"""Questions and answers: rows of Stack Exchange as one text.

The shape of a row is that of the Stack Exchange preferences: `question`, and `answers`,
each with `text`, `pm_score` and `selected`. The text has the form of the threads in
RedPajama and SlimPajama, `Q: ...`, then `A: ...` for each answer, so that both can be
mixed; those are texts already and need no reader.
"""

from __future__ import annotations

import math
from typing import Any

from runtime.readers.html_text import html_to_text
from runtime.readers.row import (
    Row,
    RowReader,
    WrongRowError,
    json_name,
    objects_at,
    string_at,
    text_at,
)
from specs.readers import ThreadReader

SCORES = ("pm_score", "score")
"""Keys of an answer's score, the first that is there."""


def thread_reader(reader: ThreadReader) -> RowReader:
    """Build the reader."""

    def plain(text: str) -> str:
        return html_to_text(text) if reader.body == "html" else text.strip()

    def text(row: Row) -> str:
        question = plain(string_at(row, "question"))
        title = text_at(row, "title").strip()
        answers = _chosen(objects_at(row, "answers"), reader)
        parts = [f"Q: {title}", question] if title else [f"Q: {question}"]
        parts += [f"A: {plain(string_at(answer, 'text'))}" for answer in answers]
        return "\n\n".join(parts)

    return RowReader(
        text=text,
        strings=frozenset({"question"}),
        lists=frozenset({"answers"}),
        optional=frozenset({"title"}),
    )


def _chosen(
    answers: list[dict[str, Any]], reader: ThreadReader
) -> list[dict[str, Any]]:
    """Return the answers that are kept, best first; equals as they stand in the row."""
    scored = [(_score(answer), answer) for answer in answers]
    if reader.min_score is not None:
        limit = reader.min_score
        scored = [(s, a) for s, a in scored if s is not None and s >= limit]

    def rank(one: tuple[float | None, Row]) -> tuple[bool, float, bool]:
        score, answer = one
        return score is None, -(score or 0), answer.get("selected") is not True

    return [answer for _, answer in sorted(scored, key=rank)][: reader.max_answers]


def _score(answer: Row) -> float | None:
    value = next((answer[key] for key in SCORES if answer.get(key) is not None), None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WrongRowError(
            f"the score of an answer must be a number, got {json_name(value)}"
        )
    if math.isnan(value):
        raise WrongRowError("the score of an answer must be a number, got NaN")
    return value
