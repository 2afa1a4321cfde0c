"""The readers of a source: how a row with parts becomes one text.

Without a reader, a document is what one column or key holds. A reader puts a text
together from several, in the shapes in which such data sets are published; the texts
are shown in docs/readers.md. What a reader writes may change only with its `version`:
another text will be another version, never another meaning of a spec that exists.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from specs.base import SpecValue
from specs.quantities import RuleVersion, Whole


class CommitReader(SpecValue):
    """Reads one file before and after a commit, with the message between the two."""

    kind: Literal["commit"]
    """Names the reader. Columns: `old_contents`, `new_contents`, the message, and
    `old_file` and `new_file` where they are there."""
    message: Literal["message", "subject"] = "message"
    """Column of the message: the whole, or its first line."""
    version: RuleVersion = 1
    """Of the text."""


class NotebookReader(SpecValue):
    """Reads a Jupyter notebook as Markdown, its code cells and outputs fenced."""

    kind: Literal["notebook"]
    """Names the reader."""
    rows: Literal["ipynb", "parsed"] = "ipynb"
    """`ipynb`: the source's `field`, or the whole file, is a notebook's JSON. `parsed`:
    column `cells` with `cell_types` in groups, or with `types` cell by cell."""
    max_output_chars: Annotated[int, Field(ge=0)] = 0
    """Characters kept of the output of each cell; 0 leaves outputs out."""
    version: RuleVersion = 1
    """Of the text."""


class ThreadReader(SpecValue):
    """Reads a question and its answers, the answer with the highest score first."""

    kind: Literal["thread"]
    """Names the reader. Columns: `question`, `answers` (each with `text`, a score as
    `pm_score` or `score`, and `selected`), and `title` where it is there."""
    body: Literal["html", "plain"] = "html"
    """What question and answers are written in; HTML is turned into plain text."""
    min_score: int | None = None
    """Lowest score of an answer that is kept; null: all. An answer without a score is
    kept only if this is null."""
    max_answers: Whole | None = None
    """Most answers kept; null: all."""
    version: RuleVersion = 1
    """Of the text."""


class IssueReader(SpecValue):
    """Reads an issue with its comments in order, each with its author."""

    kind: Literal["issue"]
    """Names the reader."""
    rows: Literal["events", "comments"] = "events"
    """`events`: column `events`, each with `action`, `author`, `title` and `text`.
    `comments`: columns `title`, `body`, `comments`, and `user` and `state` where they
    are there."""
    authors: Literal["numbered", "named", "left_out"] = "numbered"
    """`numbered`: username_0, username_1, ... in the order in which they speak, also
    where a text mentions them as @NAME; `named`: as the rows have them."""
    version: RuleVersion = 1
    """Of the text."""


Reader = Annotated[
    CommitReader | NotebookReader | ThreadReader | IssueReader,
    Field(discriminator="kind"),
]
