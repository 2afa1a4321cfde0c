"""The language of judge files: who compares two replies, and how it is asked.

A judge is a YAML file, checked like a spec, with a template file beside it. It is asked
through an endpoint (`endpoint`), or it is a checkpoint of the ledger (`local`).

The template is Jinja, rendered in a sandbox with `instruction`, `answer_a`, `answer_b`
and `fence`: a line that no reply can hold, to set the replies apart with.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from specs.base import SpecValue
from specs.endpoint import OF_THE_WAY_THERE, Address
from specs.quantities import Location, Whole
from specs.rules import broken, shown
from specs.task import TaskName

KINDS = ("endpoint", "local")
"""What a judge can be; it is exactly one of them."""

REMOVED_MARK = "[removed]"
"""Stands in a reply where the words of a verdict stood."""

MAX_PATTERN = 500


def check_pattern(value: str) -> str:
    """Refuse a pattern that can't tell a verdict from any other text.

    >>> check_pattern(r"Preferred: A")
    'Preferred: A'
    """
    if len(value) > MAX_PATTERN:
        raise broken(f"must have at most {MAX_PATTERN} characters", "shorten it")
    try:
        pattern = re.compile(value, re.MULTILINE)
    except re.error as error:
        what = f"must be a regular expression: {error}"
        fix = "escape brackets that are meant as such, as \\( and \\["
        raise broken(what, fix) from None
    if any(pattern.search(text) for text in ("", " ", "x", REMOVED_MARK * 2)):
        fix = "write the words with which the judge states its verdict"
        raise broken(f"must not match just any text, got {shown(value)}", fix)
    return value


def _check_template(value: str) -> str:
    if "://" in value:
        what = f"must be a file beside the judge file, got {shown(value)}"
        raise broken(what, "write it as pairwise.jinja")
    return value


Pattern = Annotated[
    str,
    AfterValidator(check_pattern),
    Field(examples=["Preferred: Answer \\(A\\)"]),
]
"""A regular expression of Python; ^ and $ match at lines."""


class Verdict(SpecValue):
    """How the reply of a judge is read: what it says last counts."""

    a: Pattern
    """Found where the judge prefers the first answer."""

    b: Pattern
    """Found where it prefers the second."""


class Endpoint(Address):
    """A judge behind an address that takes OpenAI's chat completions."""

    verdict: Verdict
    """How its reply is read."""

    max_tokens: Whole = 512
    """Tokens of its reply at most."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Of its sampling."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of its sampling, where the endpoint heeds it."""

    verdict_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """How often it is asked, each time with another seed, until its reply holds a
    verdict."""


class Local(SpecValue):
    """A checkpoint that judges by which verdict is likelier after the template."""

    checkpoint: Annotated[str, Field(min_length=1, examples=["my-run"])]
    """An entry of the ledger; its last weights judge."""

    a: Annotated[str, Field(min_length=1)] = " A"
    """Continuation that prefers the first answer."""

    b: Annotated[str, Field(min_length=1)] = " B"
    """Continuation that prefers the second."""

    preference: Literal["hard", "soft"] = "hard"
    """`hard`: the likelier verdict of each order, and a tie where the orders disagree.
    `soft`: the probability of it, averaged over both orders."""


class Judge(SpecValue):
    """Who compares two replies, and how it is asked."""

    codemix_judge: Literal[1]
    """Version of this language."""

    name: TaskName
    """What the results call it."""

    version: Whole
    """Raised whenever a number could change."""

    description: str = ""
    """For people."""

    assumed: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """What the study leaves unsaid and this declaration chose, for people."""

    template: Annotated[
        Location, AfterValidator(_check_template), Field(examples=["pairwise.jinja"])
    ]
    """File with what the judge is asked, from the folder of this one."""

    system: str | None = None
    """What it is told beforehand, word for word; null: nothing."""

    reply_characters: Whole = 8000
    """Characters of each reply that it is shown at most."""

    remove: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)
    ] = ()
    """Texts that are taken out of the replies beside the words of a verdict, such as
    headings by which the template sets the replies apart."""

    endpoint: Endpoint | None = None
    """Asks through an address."""

    local: Local | None = None
    """Asks a checkpoint."""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            got = " and ".join(kinds) or "none"
            raise broken(
                f"must be of one kind, got {got}", f"keep one of {', '.join(KINDS)}"
            )
        if self.local is not None and self.system is not None:
            what = "has no use for a local judge"
            raise broken(what, "put its text at the top of the template", "system")
        return self

    @model_validator(mode="after")
    def _marks_can_stay(self) -> Self:
        for index, text in enumerate(self.remove):
            if text in REMOVED_MARK * 2:
                what = f"must not be part of the mark {REMOVED_MARK}"
                raise broken(what, "take a longer text", "remove", index)
        return self

    def identity(self) -> dict[str, Any]:
        """Return what of this file can change a verdict; the template is beside it."""
        fields = self.to_json()
        for name in ("description", "assumed", "template"):
            del fields[name]
        if self.endpoint is not None:
            for name in OF_THE_WAY_THERE:
                del fields["endpoint"][name]
        return fields
