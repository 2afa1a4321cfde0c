"""The ways in which a task asks its questions, and how each is scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from specs.base import SpecValue
from specs.quantities import Whole

Template = Annotated[str, Field(examples=["Question: {{ question }}\nAnswer:"])]
"""Jinja, with the fields of a row as variables."""


class Choices(SpecValue):
    """The likeliest of several continuations."""

    texts: Annotated[tuple[Template, ...], Field(strict=False)] | Template
    """The continuations: templates, or one template that names a list of a row."""

    right: Template
    """Renders to the index of the right one, from 0."""

    contexts: Annotated[tuple[Template, ...], Field(strict=False)] | None = None
    """Where the choice is in the middle: a prompt per choice, and `texts` holds the one
    continuation whose likelihood is compared."""

    delimiter: str = " "
    """Between the prompt and a continuation."""

    score: Literal["accuracy", "accuracy_per_character", "accuracy_per_byte"] = (
        "accuracy"
    )
    """Which of the numbers stands for the task in averages; all are reported."""


class Answer(SpecValue):
    """A generated answer, right if it equals one of several after normalising."""

    accepted: Template
    """Names the list of right answers of a row, or renders to the only one."""

    stop: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    """Strings at which generation ends; they are not part of the answer."""

    max_tokens: Whole = 32
    """Tokens generated at most."""

    normalise: Annotated[
        tuple[Literal["lower", "punctuation", "articles", "spaces"], ...],
        Field(strict=False),
    ] = ()
    """What is taken out of both sides before they are compared, in this order."""


class Program(SpecValue):
    """A generated program, right if its tests pass."""

    source: Template
    """The program that is run; `completion` is what was generated."""

    solution: Template
    """A completion that must pass: the task is checked with it."""

    stop: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    """Strings at which generation ends; they are not part of the completion."""

    max_tokens: Whole = 512
    """Tokens generated at most."""

    samples: Whole = 1
    """Completions per question."""

    k: Annotated[tuple[Whole, ...], Field(strict=False, min_length=1)] = (1,)
    """pass@k for these; the first stands for the task in averages."""

    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    """0: the likeliest token always."""

    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the probability from which a token is drawn, likeliest first."""

    seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Until a program counts as failed."""


class Reply(SpecValue):
    """A generated reply, compared with another's by a judge."""

    reference: Template | None = None
    """A reply to compare with where there is no other model; null: there is none."""

    stop: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Strings at which generation ends; they are not part of the reply."""

    max_tokens: Whole = 512
    """Tokens generated at most."""


class Stock(SpecValue):
    """A definition of lm-evaluation-harness: its prompt, its choices, its metrics.

    Its data are not taken: the rows are those of `data`, in the form of the data set
    that the definition was written for.
    """

    task: Annotated[str, Field(min_length=1, examples=["arc_challenge"])]
    """What lm-eval calls it."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Digest over the files of its definition; null: of those that are installed when
    the spec is pinned."""

    score: Annotated[str, Field(min_length=1)] = "accuracy"
    """Which of its metrics stands for it in averages, as results call it."""
