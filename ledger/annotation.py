"""What people say of an entry afterwards: tags and notes, documents like all others.

An entry never changes. A tag or a note is a document of its own that names it, so it
is chained, checked and signed like everything else, and a later one may take it back.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ledger.facts import Sha256
from specs.base import Value

Tag = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/=-]*$", max_length=64)]
"""A word to find entries by: lower-case letters, digits, `.`, `_`, `/`, `=`, `-`."""


class Annotation(Value):
    """Tags put on an entry or taken off, and a note."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    """Version of this document."""
    kind: Literal["annotation"] = "annotation"
    name: str
    """Of the entry that it is about."""
    subject: Sha256
    """Digest of that entry."""
    add_tags: tuple[Tag, ...] = ()
    remove_tags: tuple[Tag, ...] = ()
    note: str = ""
    """Anything; empty where it is about tags alone."""
    unix_ms: int
    """When it was said, by the clock of the machine."""
