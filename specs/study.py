"""The study: experiments that belong together, and what is asked of them as a whole.

`StudyFile` is what a `study.yaml` says; `specs.study_file` loads it with its specs.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from specs.base import SpecValue
from specs.claims import EXAMPLE, Parsed, parse_claim
from specs.data import Name
from specs.quantities import Count, ShareAboveZero
from specs.rules import Broken, raise_broken, shown
from specs.search import Search
from specs.study_checks import check_claim, check_pattern, check_study_version

WIN_METRICS = ("win_rate", "wins", "ties", "losses")
"""Numbers of a win-rate; the first is meant where none is named."""

Text = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], Field(strict=False)]


class StudyScore(SpecValue):
    """A number that each point has: a column of the report."""

    suite: Annotated[str, Field(min_length=1, examples=["nl-reasoning"])] | None = None
    """A suite or task, as entries name its scores."""

    metric: (
        Annotated[str, Field(min_length=1, examples=["text.bits_per_byte"])] | None
    ) = None
    """Which number of it, as entries name it; null: the average of a suite, the main
    metric of a task, wins and half of the ties of a win-rate. Of a win-rate it is
    `win_rate`, which is the same, or one of the shares `wins`, `ties`, `losses`."""

    mean: Annotated[Names, Field(examples=[["reasoning", "knowledge"]])] = ()
    """Other scores, in place of a suite: this one is their unweighted mean."""

    win_rate: Annotated[str, Field(min_length=1, examples=["dolly"])] | None = None
    """A task whose replies a judge compares, in place of a suite."""

    against: Name | None = None
    """The point that replies are compared with; a win-rate needs it."""

    unit: Literal["percent", "plain"] = "plain"
    """`percent`: a share of questions, told in hundredths here and in claims. `plain`:
    the number as it is, such as bits per byte."""

    better: Literal["higher", "lower"] = "higher"
    """Which way is better."""

    label: Text | None = None
    """For people; null: its name."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        raise_broken(list(self._broken()))
        return self

    def _broken(self) -> list[Broken]:
        rules = []
        origins = {"suite": self.suite, "mean": self.mean, "win_rate": self.win_rate}
        given = [name for name, value in origins.items() if value]
        if len(given) != 1:
            what = "must have one of suite, mean and win_rate, got "
            fix = "write for instance {suite: nl-reasoning, unit: percent}"
            rules.append(Broken(f"{what}{' and '.join(given) or 'none'}", fix))
        if self.metric is not None and self.mean:
            rules.append(Broken("has no use beside mean", "delete it", ("metric",)))
        if self.win_rate and self.metric not in (None, *WIN_METRICS):
            what = f"a win-rate has no {shown(self.metric)}"
            fix = f"write one of {', '.join(WIN_METRICS)}, or leave it out"
            rules.append(Broken(what, fix, ("metric",)))
        if (self.against is None) == (self.win_rate is not None):
            what = "has no use without win_rate" if self.against else "is required"
            fix = "delete it" if self.against else "name the other point"
            rules.append(Broken(what, fix, ("against",)))
        return rules


class Point(SpecValue):
    """A name for the weights at the end of a stage of an experiment."""

    experiment: Annotated[str, Field(min_length=1, examples=["balanced-to-text-470m"])]
    """Name of an experiment. Without `-seed-N` at its end or within, all experiments
    that differ from each other in that seed alone: they are repeats of the point."""

    after: Name | None = None
    """Name of the stage; null: the last one."""

    label: Text | None = None
    """For people; null: its name."""


class ExpectedRow(SpecValue):
    """Results that were published of one point, as in a row of a table."""

    point: Name
    """Of this study."""

    values: Annotated[
        dict[Name, float],
        Field(examples=[{"reasoning": 49.0}], json_schema_extra={"minProperties": 1}),
    ]
    """Score -> its value, in the score's unit."""

    kind: Literal["printed", "digitised", "inferred"]
    """`printed` as a number, `digitised` from a figure, or `inferred` from others."""

    source: Text
    """Where it stands, such as `Table 2`."""

    reading_error: Annotated[float, Field(ge=0)] = 0.0
    """How far off a digitised value may be, in the score's unit."""

    note: str = ""
    """For people."""


class Claim(SpecValue):
    """What a study should find."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
    """Unique in the study."""

    says: Annotated[str, AfterValidator(check_claim), Field(examples=[EXAMPLE])]
    """The claim, in the language of claims."""

    source: Text | None = None
    """Where it was made, such as `3.1`."""

    note: str = ""
    """For people."""

    @property
    def parsed(self) -> Parsed:
        """What it says, as typed values."""
        return parse_claim(self.says)


class Axis(SpecValue):
    """Where the points of a line stand."""

    values: Annotated[
        tuple[float, ...], Field(strict=False, examples=[[0, 25, 50, 100]])
    ]
    """One for each point, in their order."""

    label: Text
    """What the values are."""


class Figure(SpecValue):
    """A figure of the report."""

    kind: Literal["bars", "line", "stages"]
    """`bars`: points side by side. `line`: points along `x`. `stages`: how scores go on
    from stage to stage; a line joins points whose stages go on from each other."""

    title: Text
    """Above the figure."""

    points: Names
    """What is shown, in this order."""

    scores: Names
    """What is shown of them, a panel for each."""

    x: Axis | None = None
    """Of a line, which needs it."""

    source: Text | None = None
    """The published figure that it stands beside."""

    @model_validator(mode="after")
    def _has_its_axis(self) -> Self:
        rules = [
            Broken("must name at least one", "add one", (name,))
            for name in ("points", "scores")
            if not getattr(self, name)
        ]
        if self.kind == "line" and self.x is None:
            rules.append(
                Broken("is required by a line", "add x: {values, label}", ("x",))
            )
        if self.kind != "line" and self.x is not None:
            what = f"has no use in a figure of kind {self.kind}"
            rules.append(Broken(what, "delete it", ("x",)))
        elif self.x is not None and len(self.x.values) != len(self.points):
            what = f"must have a value for each of {len(self.points)} points, got "
            fix = "add or delete values"
            rules.append(Broken(f"{what}{len(self.x.values)}", fix, ("x", "values")))
        raise_broken(rules)
        return self


class StatedCost(SpecValue):
    """What a run of some length is said to have cost."""

    model: Annotated[str, Field(min_length=1, examples=["470m"])]
    """Preset of the model."""

    tokens: Annotated[Count, Field(examples=["200B"])]
    """Trained on."""

    chip_hours: Annotated[float, Field(gt=0)]
    """As stated."""

    source: Text
    """Where."""


class Cost(SpecValue):
    """What is assumed where chip-hours and money are told."""

    chip: Annotated[str, Field(min_length=1, examples=["v5e"])]
    """Name of the accelerator, as in `codemix plan --on v5e-256` without the number."""

    mfu: Annotated[
        dict[str, ShareAboveZero], Field(examples=[{"470m": "26.3%", "other": "30%"}])
    ]
    """Preset of the model, or `other` -> the share of a chip's peak that training
    reaches: matrix products as `codemix plan` counts them, attention included."""

    price: Annotated[float, Field(ge=0)] | None = None
    """Of a chip-hour; null: money is not told."""

    stated: Annotated[tuple[StatedCost, ...], Field(strict=False)] = ()
    """Costs published elsewhere, to compare with."""


class StudyFile(SpecValue):
    """A study, version 1."""

    study: Annotated[Literal[1], BeforeValidator(check_study_version)]
    """Version of this language."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9._-]*$",
            max_length=128,
            examples=["code-in-pretraining"],
        ),
    ]
    """For people: lower-case letters, digits, dots, dashes."""

    description: str = ""
    """For people."""

    experiments: Annotated[
        tuple[Annotated[Text, AfterValidator(check_pattern)], ...],
        Field(strict=False, examples=[["initialisation.yaml", "sweep-*.yaml"]]),
    ] = ()
    """Spec files beside this one, or patterns; their order is that of the study. None:
    all `*.yaml` but this one, tasks, suites, judges, and names that begin with `_`."""

    baseline: Name | None = None
    """The point that others are compared with."""

    scores: dict[Name, StudyScore] = {}
    """Name -> what is looked at; none: what the experiments' `evals` ask for."""

    points: dict[Name, Point] = {}
    """Name -> which weights; none: every stage's end of every experiment."""

    expected: Annotated[tuple[ExpectedRow, ...], Field(strict=False)] = ()
    """Results published elsewhere."""

    claims: Annotated[tuple[Claim, ...], Field(strict=False)] = ()
    """What the study should find."""

    figures: Annotated[tuple[Figure, ...], Field(strict=False)] = ()
    """What the report shows; none: what suits the points."""

    cost: Cost | None = None
    """What chip-hours are computed with; null: they are not."""

    search: Search | None = Field(default=None, exclude_if=lambda one: one is None)
    """What `codemix study --search` varies."""
