"""The evals part of a spec: what is scored, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from specs.base import SpecValue
from specs.errors import Problem, SpecError
from specs.quantities import Count, Location, Whole
from specs.rules import Broken, BrokenRules, dotted, raise_broken

OWN_SUITES = ("heldout", "choices")
"""Suites that are no list of benchmark tasks."""

BASELINES = "baselines"
"""Scores of no model, told beside `heldout`; nobody can ask for them."""


def _is_default(value: Any) -> bool:
    """Tell a key that came later than version 1: left out where it says nothing."""
    return value is None


class Evaluation(SpecValue):
    """One suite of scores, or some tasks."""

    suite: (
        Annotated[
            str,
            Field(
                pattern=r"^[a-z][a-z0-9_-]*$",
                examples=["heldout", "choices", "nl-reasoning"],
            ),
        ]
        | None
    ) = None
    """`heldout`, `choices`, or the name of a suite of benchmarks."""

    tasks: Annotated[
        tuple[
            Annotated[str, Field(min_length=1, examples=["boolq", "tasks/mine.yaml"])],
            ...,
        ]
        | None,
        Field(strict=False, exclude_if=_is_default),
    ] = None
    """Tasks in place of a suite: names of tasks that come with codemix, YAML files of
    the workspace, which say what they ask, and `lm-eval:NAME` as lm-eval defines it."""

    file: Annotated[Location, Field(examples=["evals/questions.jsonl"])] | None = None
    """Questions for `choices`: a JSONL file, pinned like a source."""

    every: Annotated[Count | None, Field(exclude_if=_is_default)] = None
    """Tokens of training between scores, taken after the step that completes them;
    null: at the end of every stage only."""

    limit: Annotated[Whole | None, Field(exclude_if=_is_default)] = None
    """Questions of each task at most, in a seeded order; null: what the task says."""

    sandbox: Annotated[Literal["limits"] | None, Field(exclude_if=_is_default)] = None
    """The weakest sandbox that programs of a model may run in: `limits` is none to
    speak of; null: the full one, or the run is refused."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        raise_broken(list(self._broken()))
        return self

    def _broken(self) -> list[Broken]:
        rules: list[Broken] = []
        if self.suite is None and not self.tasks:
            what = "is required, or tasks"
            rules.append(Broken(what, "add 'suite: heldout'", ("suite",)))
        if self.suite is not None and self.tasks is not None:
            what = f"can't be beside suite, which is {self.suite!r}"
            rules.append(Broken(what, "make it another item of evals", ("tasks",)))
        if self.suite == "choices" and self.file is None:
            what = "is required by the suite choices"
            rules.append(Broken(what, "name a file", ("file",)))
        if self.suite != "choices" and self.file is not None:
            named = f"the suite {self.suite}" if self.suite else "tasks"
            rules.append(Broken(f"has no use in {named}", "delete it", ("file",)))
        for key in ("limit", "sandbox"):
            if self.suite in OWN_SUITES and getattr(self, key) is not None:
                what = f"has no use in the suite {self.suite}"
                rules.append(Broken(what, "delete it", (key,)))
        return rules


def asked_items(
    suites: Sequence[str], tasks: Sequence[str], limit: int | None
) -> list[Evaluation]:
    """Return the items of evals that a command line asks for.

    Args:
        suites: Names; each becomes an item.
        tasks: Names and files, which become one.
        limit: Questions of each task at most.

    Raises:
        SpecError: With every suite that can't be asked so.
    """
    wanted: list[dict[str, Any]] = [{"suite": name} for name in dict.fromkeys(suites)]
    if tasks:
        wanted.append({"tasks": tuple(dict.fromkeys(tasks))})
    items: list[Evaluation] = []
    problems: list[Problem] = []
    for one in wanted:
        try:
            items.append(Evaluation(**one, limit=limit))
        except ValidationError as error:
            problems += _asked_wrongly(error, one.get("suite", "tasks"))
    if problems:
        raise SpecError(problems)
    return items


def _asked_wrongly(error: ValidationError, named: str) -> Iterator[Problem]:
    for found in error.errors(include_url=False):
        cause = found.get("ctx", {}).get("error")
        if isinstance(cause, BrokenRules):
            for rule in cause.broken:
                path = f"{named}.{dotted(rule.place)}"
                yield Problem(path=path, what=rule.what, fix=rule.fix)
        else:
            what = f"is no name of a suite or task: {found['msg']}"
            yield Problem(path=named, what=what, fix="see docs/evaluations.md")
