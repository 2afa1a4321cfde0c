"""Which lane, rematerialisation and gathering fit a slice, by asking the compiler.

Of what a spec leaves open, every choice is put in the order of the step time that the
formulas of `runtime.forecast` give, the quickest first; among equals, what sends less
and then what needs less memory. Choices that need more memory than a device has by
formula alone, a lower bound, are passed over. The rest are handed to the compiler, and
the first that it finds room for is taken. Where it refuses one it says what that needs;
what that is above the formula, per sequence worked on at once, is expected of others
too, as compiling takes minutes. It is asked for the most frugal one in any case.

A step that leaves hardly any room may be slow, for the compiler computes twice what it
has no room for. Then the next that should leave room is compiled too, and the quicker
one is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from runtime.accelerators import Slice, slices_of
from runtime.candidates import (
    Candidate,
    candidates_for,
    distinct_stages,
    shape_of_batch,
)
from runtime.compiled import CompiledStep, CompileJob, Refusal
from runtime.forecast import Spread
from runtime.roofline import time_of_step
from specs.errors import InputError
from specs.experiment import Experiment
from specs.left_open import Choice, LeftOpen
from specs.plan import Plan

SQUEEZED = 0.9
"""Of a device's memory: a step that takes more may have been squeezed in."""

MOST_FITTING = 3
"""Steps that fit which are compared, at most."""

Compile = Callable[[CompileJob], CompiledStep | Refusal]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A choice that was looked at."""

    choice: Choice
    fits: bool
    needed_bytes: int
    """Per device, at least."""
    by: str
    """`compiler`, `formula`, or `estimate`: with what the compiler wanted for others,
    above the formula, there would not be enough, or hardly any room left."""
    largest: tuple[str, ...] = ()
    """The largest buffers, where the compiler listed them."""
    step_seconds: float | None = None
    """Of the first stage, where it fits."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What was chosen, and what the compiler says of it."""

    plan: Plan
    spread: Spread
    choice: Choice
    steps: dict[str, CompiledStep | None]
    """Stage -> its compiled step; None where there is no compiler for the machine."""
    tried: tuple[Tried, ...] = ()
    """In order."""


class DoesNotFit(InputError):
    """No choice that the spec leaves fits the slice."""

    def __init__(self, what: str, fix: str, tried: tuple[Tried, ...]) -> None:
        """Take the words of the error and what was tried."""
        super().__init__(what, path="--on", fix=fix)
        self.tried = tried


def choose(
    experiment: Experiment, is_open: LeftOpen, where: Slice, compile_step: Compile
) -> Fit:
    """Return the quickest choice that fits a slice.

    Raises:
        InputError: The slice has more devices than the batch has lanes.
        DoesNotFit: None fits; with the smallest slice of the family on which one does.
    """
    candidates = candidates_for(experiment, is_open, where)
    fit, tried = _first_that_fits(candidates, where, compile_step)
    if fit is not None:
        return fit
    frugal = min(tried, key=lambda one: one.needed_bytes)
    what = (
        f"{experiment.name} does not fit {where.name}: a device has "
        f"{_gib(_memory(where))}, the most frugal choice that the spec leaves "
        f"({_named(frugal.choice)}) needs at least {_gib(frugal.needed_bytes)}"
    )
    raise DoesNotFit(what, _fix(experiment, is_open, where, compile_step), tuple(tried))


def _first_that_fits(
    candidates: list[Candidate], where: Slice, compile_step: Compile
) -> tuple[Fit | None, list[Tried]]:
    limit = _memory(where)
    tried: list[Tried] = []
    fitting: list[Fit] = []
    # What the compiler adds to the formula grows with what is worked on at once.
    excess_per_sequence: float | None = None
    for one in candidates:
        excess = (excess_per_sequence or 0) * one.sequences_at_once
        expected = one.memory + round(excess)
        if expected > limit:
            by = "formula" if one.memory > limit else "estimate"
            tried.append(_tried(one, False, expected, by))
            continue
        fit = _ask(one, where, compile_step, tried)
        needed = tried[-1].needed_bytes
        if fit is not None:
            fitting.append(fit)
            roomy = round(SQUEEZED * _memory(where))
            if needed <= roomy or len(fitting) == MOST_FITTING:
                break
            limit = roomy
        over = max(0, needed - one.memory) / one.sequences_at_once
        excess_per_sequence = min(over, excess_per_sequence or over)
    if not fitting:
        fitting = _last_word(candidates, where, compile_step, tried)
    if not fitting:
        return None, tried
    return replace(min(fitting, key=_run_seconds), tried=tuple(tried)), tried


def _last_word(
    candidates: list[Candidate],
    where: Slice,
    compile_step: Compile,
    tried: list[Tried],
) -> list[Fit]:
    """Ask for the most frugal one too, if it was passed over on an estimate alone."""
    frugal = min(candidates, key=lambda one: one.memory)
    doubted = [one for one in tried if one.choice == frugal.choice]
    if doubted[0].by != "estimate":
        return []
    tried.remove(doubted[0])
    fit = _ask(frugal, where, compile_step, tried)
    return [fit] if fit is not None else []


def _run_seconds(fit: Fit) -> float:
    return sum(
        stage.num_steps
        * time_of_step(fit.plan, stage, fit.spread, fit.steps[stage.name]).seconds
        for stage in fit.plan.stages
    )


def _ask(
    one: Candidate, where: Slice, compile_step: Compile, tried: list[Tried]
) -> Fit | None:
    """Compile a candidate and note what came of it; None if it was refused."""
    answers = _answers(one, where, compile_step)
    refused = [a for a in answers.values() if isinstance(a, Refusal)]
    if refused:
        needed = refused[0].needed_bytes
        tried.append(_tried(one, False, needed, "compiler", refused[0].largest))
        return None
    steps = {n: a for n, a in answers.items() if not isinstance(a, Refusal)}
    tried.append(_accepted(one, steps))
    return Fit(plan=one.plan, spread=one.spread, choice=one.choice, steps=steps)


def _answers(
    one: Candidate, where: Slice, compile_step: Compile
) -> dict[str, CompiledStep | Refusal | None]:
    """Return stage -> what the compiler says; None of a machine it does not know."""
    if where.chip.kind == "gpu":
        return dict.fromkeys(stage.name for stage in one.plan.stages)
    return {**_compile_stages(one, compile_step)}


def _accepted(one: Candidate, steps: Mapping[str, CompiledStep | None]) -> Tried:
    peaks = [step.peak_bytes for step in steps.values() if step is not None]
    found = _tried(one, True, max(peaks, default=one.memory), "compiler")
    stage = one.plan.stages[0]
    time = time_of_step(one.plan, stage, one.spread, steps[stage.name])
    by = "compiler" if peaks else "formula"
    return replace(found, by=by, step_seconds=time.seconds)


def _compile_stages(
    one: Candidate, compile_step: Compile
) -> dict[str, CompiledStep | Refusal]:
    """Compile each shape of batch, until one is refused."""
    answers: dict[tuple[int, ...], CompiledStep | Refusal] = {}
    for shape, stage in distinct_stages(one.plan).items():
        answers[shape] = compile_step(
            CompileJob(
                plan=one.plan,
                stage=one.plan.stages.index(stage),
                slice_name=one.spread.where.name,
                slices=one.spread.slices,
                gather=one.spread.gather,
            )
        )
        if isinstance(answers[shape], Refusal):
            return {stage.name: answers[shape]}
    return {stage.name: answers[shape_of_batch(stage)] for stage in one.plan.stages}


def _fix(
    experiment: Experiment, is_open: LeftOpen, where: Slice, compile_step: Compile
) -> str:
    """Say what would fit: the same spec on more chips, or a spec that leaves more."""
    for larger in slices_of(where.family):
        if larger.num_chips <= where.num_chips:
            continue
        try:
            candidates = candidates_for(experiment, is_open, larger)
        except InputError:
            break  # more devices than lanes
        # One compilation per slice: if the most frugal choice does not fit, none does.
        frugal = min(candidates, key=lambda one: one.memory)
        fit, _ = _first_that_fits([frugal], larger, compile_step)
        if fit is not None:
            return f"use {larger.name}, the smallest {where.family} that it fits"
    if not (is_open.lane and is_open.remat and is_open.gather):
        return "leave batch.lane, batch.remat and parallel.gather to `auto`"
    return (
        f"no slice of {where.family} that the batch has lanes for has room: raise "
        "parallel.tensor, or use chips with more memory"
    )


def _memory(where: Slice) -> int:
    return where.chip.memory_bytes // where.chip.devices


def _tried(
    one: Candidate,
    fits: bool,
    needed: int,
    by: str,
    largest: tuple[str, ...] = (),
) -> Tried:
    return Tried(
        choice=one.choice, fits=fits, needed_bytes=needed, by=by, largest=largest
    )


def _named(choice: Choice) -> str:
    return f"lane {choice.lane}, remat {choice.remat}, gather {choice.gather}"


def _gib(size: int) -> str:
    return f"{size / 1024**3:.2f} GiB"
