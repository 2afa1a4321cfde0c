"""Issues: a title, then what each author wrote, in order.

The shapes are those of The Stack's GitHub issues (a list of events) and of GitHub's own
interface (title, body, comments). Names of authors are numbered unless the spec says
otherwise, as for StarCoder: a model has no use for who it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from runtime.readers.row import (
    Row,
    RowReader,
    WrongRowError,
    json_name,
    list_at,
    objects_at,
    text_at,
)
from specs.readers import IssueReader

MENTION = re.compile(r"(?<![\w@])@([A-Za-z0-9-]++)")
MASKED = re.compile(r"username_[0-9]+")
"""A name that was numbered by those who published the rows."""

STATES = {"opened": "open", "reopened": "open", "closed": "closed"}
"""Action of an event -> what state the issue is in after it."""


@dataclass(frozen=True, slots=True)
class _Said:
    """One message."""

    author: str
    """Empty where the row does not say."""
    text: str


@dataclass(frozen=True, slots=True)
class _Issue:
    """What both shapes of rows come to."""

    title: str
    said: tuple[_Said, ...]
    is_closed: bool


def issue_reader(reader: IssueReader) -> RowReader:
    """Build the reader."""
    if reader.rows == "events":
        return RowReader(
            text=lambda row: _written(_from_events(row), reader),
            lists=frozenset({"events"}),
        )
    return RowReader(
        text=lambda row: _written(_from_comments(row), reader),
        strings=frozenset({"title"}),
        lists=frozenset({"comments"}),
        optional=frozenset({"body", "user", "state"}),
    )


def _from_events(row: Row) -> _Issue:
    events = objects_at(row, "events")
    said: list[_Said] = []
    title, state = "", ""
    for event in events:
        title = title or text_at(event, "title").strip()
        action = text_at(event, "action")
        state = STATES.get(action, state)
        # Where authors are masked already, texts speak of them by these names.
        author = text_at(event, "masked_author") or text_at(event, "author")
        message = _Said(author, text_at(event, "text").strip())
        # An event that closes or reopens an issue may come with the body again.
        if action not in ("closed", "reopened") or message not in said:
            said.append(message)
    return _Issue(title, tuple(said), state == "closed")


def _from_comments(row: Row) -> _Issue:
    said = [_Said(_author(row), text_at(row, "body").strip())]
    for index, comment in enumerate(list_at(row, "comments")):
        if isinstance(comment, str):
            said.append(_Said("", comment.strip()))
        elif isinstance(comment, dict):
            text = text_at(comment, "body") or text_at(comment, "text")
            said.append(_Said(_author(comment), text.strip()))
        else:
            kind = json_name(comment)
            what = f"'comments.{index}' must be a string or an object, got {kind}"
            raise WrongRowError(what)
    is_closed = text_at(row, "state") == "closed"
    return _Issue(text_at(row, "title").strip(), tuple(said), is_closed)


def _author(row: Row) -> str:
    """Return who wrote a message: a name, or an object with a `login`."""
    user: Any = row.get("user")
    if isinstance(user, dict):
        return text_at(user, "login")
    return text_at(row, "user") or text_at(row, "author")


def _written(issue: _Issue, reader: IssueReader) -> str:
    said = [one for one in issue.said if one.text]
    name, text = _naming((one.author for one in said), reader.authors)
    parts = [f"Title: {issue.title}"] if issue.title else []
    for one in said:
        author = name(one.author)
        parts.append(f"{author}: {text(one.text)}" if author else text(one.text))
    if parts and issue.is_closed:
        parts.append("Status: closed")
    return "\n\n".join(parts)


def _naming(
    authors: Iterable[str], how: str
) -> tuple[Callable[[str], str], Callable[[str], str]]:
    """Return what becomes of an author's name, and of a text that may mention it."""
    if how == "named":
        return (lambda author: author), (lambda text: text)
    if how == "left_out":
        return (lambda _: ""), (lambda text: text)
    numbered: dict[str, str] = {}
    for author in filter(None, authors):
        number = f"username_{len(numbered)}"
        is_masked = MASKED.fullmatch(author) is not None
        numbered.setdefault(author.lower(), author if is_masked else number)

    def mention(found: re.Match[str]) -> str:
        number = numbered.get(found[1].lower())
        return found[0] if number is None else f"@{number}"

    return (
        lambda author: numbered[author.lower()] if author else "",
        lambda text: MENTION.sub(mention, text),
    )
