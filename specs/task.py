"""The language of evaluation tasks: what is asked, how it is scored, what is pinned.

A task is a YAML file, checked like a spec. It asks its questions in one of five ways:
`choices` (the likeliest of several), `answer` (generated text against right answers),
`program` (generated code against tests), `reply` (generated text, for a judge) or
`lm_eval` (as lm-evaluation-harness defines it).

Templates are Jinja, rendered in a sandbox with the fields of one row as variables.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from specs.base import SpecValue
from specs.canonical import digest_of
from specs.quantities import Location, Whole
from specs.rules import broken
from specs.task_ways import Answer, Choices, Program, Reply, Stock, Template

TASK_VERSION = 1

TaskName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64, examples=["boolq"])
]

WAYS = ("choices", "answer", "program", "reply", "lm_eval")
"""The ways to ask; a task has exactly one of them."""


class TaskData(SpecValue):
    """The questions: where they are, and what they must be to the byte."""

    file: Location
    """Where the questions lie in the workspace: JSONL (plain, `.gz`, `.zst`), parquet
    or Arrow."""

    published: Annotated[str, Field(min_length=1)] | None = None
    """Where one gets them, for people: repository, revision, path."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Digest of the rows, whatever the format of their file: SHA-256 over the canonical
    JSON of each row's `fields`, with a newline after each. Null: what `codemix pin`
    finds."""

    rows: Whole | None = None
    """How many there are; null: as many as there are."""

    split: Annotated[str, Field(min_length=1)]
    """Which part of the published set this is, such as `validation`."""

    licence: Annotated[str, Field(min_length=1)]
    """Under which it is published, as far as is known."""

    fields: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    """What a row must have; nothing else of it is seen."""


class Shots(SpecValue):
    """Solved examples before each question."""

    number: Annotated[int, Field(ge=0, le=1000)] = 0
    """Examples per question."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Chooses them, for each question by its own key."""

    data: TaskData | None = None
    """Where they come from; null: the task's own other questions."""

    joined_by: str = "\n\n"
    """Between examples, and before the question."""


class Overlap(SpecValue):
    """How a question is looked for in training text."""

    fields: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    """Fields of a row that are looked for."""

    ngram: Annotated[int, Field(ge=3, le=64)] | None = None
    """Words in a row that count as found; null: the 5th percentile of the questions'
    lengths, within 8 to 13 (GPT-3)."""


class Task(SpecValue):
    """One evaluation task."""

    codemix_task: Literal[1]
    """Version of this language."""

    name: TaskName
    """Unique among the tasks of an experiment."""

    version: Whole
    """Raised whenever a number could change."""

    description: str = ""
    """For people."""

    assumed: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """What the study leaves unsaid and this declaration chose, for people."""

    data: TaskData
    """The questions."""

    prompt: Template | None = None
    """What the model sees before a continuation; required but by `lm_eval`."""

    choices: Choices | None = None
    """Asks for the likeliest of several."""

    answer: Answer | None = None
    """Asks for a text that equals a right answer."""

    program: Program | None = None
    """Asks for code that passes tests."""

    reply: Reply | None = None
    """Asks for a text that a judge compares."""

    lm_eval: Stock | None = None
    """Asks what lm-evaluation-harness asks."""

    shots: Shots = Shots()
    """Solved examples before each question."""

    limit: Whole | None = None
    """Questions asked at most, chosen by a seeded order; null: all."""

    cluster: str | None = None
    """Field whose equal values make questions depend on each other, such as a passage
    with several questions; null: each stands alone."""

    chance: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """What guessing scores."""

    contamination: Overlap | None = None
    """How its questions are looked for in training text; null: it can't be."""

    @model_validator(mode="after")
    def _asks_in_one_way(self) -> Self:
        ways = [way for way in WAYS if getattr(self, way) is not None]
        if len(ways) != 1:
            got = " and ".join(ways) or "none"
            raise broken(
                f"must ask in one way, got {got}", f"keep one of {', '.join(WAYS)}"
            )
        return self

    @model_validator(mode="after")
    def _has_its_own_prompt_or_that_of_a_definition(self) -> Self:
        if self.lm_eval is None and self.prompt is None:
            raise broken("is required", "add 'prompt:'", "prompt")
        if self.lm_eval is not None and self.prompt is not None:
            what = "can't be beside lm_eval, whose definition has its own"
            raise broken(what, "delete it", "prompt")
        if self.lm_eval is not None and self.shots.number:
            what = "can't be beside lm_eval, whose definition has its own"
            raise broken(what, "delete it", "shots")
        return self

    @property
    def way(self) -> str:
        """How it asks: the one of `WAYS` that it has."""
        return next(way for way in WAYS if getattr(self, way) is not None)


_FOR_PEOPLE = {"description", "assumed", "contamination"}
_FOR_FINDING = {"file", "published", "licence", "split"}


def task_digest(task: Task) -> str:
    """Digest over all of a declaration that can change what the task gives."""
    return digest_of(what_counts(task))


def what_counts(task: Task) -> dict[str, Any]:
    """Return all of a declaration that can change what the task gives.

    Where its questions lie does not count, and what they are does.
    """
    counted = task.to_json()
    for key in _FOR_PEOPLE:
        del counted[key]
    for data in (counted["data"], counted["shots"]["data"] or {}):
        for key in _FOR_FINDING & data.keys():
            del data[key]
    return counted


class Suite(SpecValue):
    """Tasks that are averaged."""

    codemix_suite: Literal[1]
    """Version of this language."""

    name: TaskName
    """What a spec calls it."""

    version: Whole
    """Raised whenever a number could change."""

    description: str = ""
    """For people."""

    tasks: Annotated[tuple[TaskName, ...], Field(strict=False, min_length=1)]
    """Averaged with equal weights."""

    limit: Whole | None = None
    """Questions of each task at most, chosen by a seeded order; null: what the task
    says."""

    assumed: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """What the study leaves unsaid and this list chose, for people."""
