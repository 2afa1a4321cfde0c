"""The training loop: from a state to the end of the plan, or to where it is stopped.

Everything is handed in: batches, recorder, checkpoints, scores. The loop decides only
when what happens. Steps are reported one step late, so that the devices always have the
next one to work on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jax import Array

from ledger.recorder import StepRecord, TensorFacts
from ledger.weights import weights_digest
from runtime.batches import BatchReader
from runtime.failure import not_finite
from runtime.fingerprint import fingerprint_hex, words_hex
from runtime.progress import TrainingProgress
from runtime.state import (
    Layout,
    TrainState,
    build_layout,
    change_layout,
    with_fresh_optimizer,
)
from runtime.train_step import (
    StepOutput,
    TrainStep,
    build_train_step,
    read_output,
)
from runtime.training import Training
from specs.errors import RunError
from specs.plan import Plan, PlannedStage
from specs.schedule import learning_rate_at


class _Placed(NamedTuple):
    """What one step is trained with, on the devices."""

    tokens: Array
    learning_rate: Array
    rate: float
    """The same, to be reported."""


@dataclass(frozen=True, kw_only=True)
class _Pending:
    """A step that the devices may still be working on."""

    step: int
    learning_rate: float
    told: Array


def train(training: Training, state: TrainState, layout: Layout, step: int) -> int:
    """Train from a state on.

    Args:
        training: What to train with. Its recorder has begun.
        state: After `step` steps; used up.
        layout: Of the state.
        step: Steps done.

    Returns:
        Steps done: the plan's, or fewer if it was stopped. The state of that step is
        in the checkpoints.

    Raises:
        RunError: A loss or gradient is not finite; a checkpoint has the state before.
        InputError: The disk is full, or a batch can't be read.
        Diverged: The recorder says that a step is not what it was before.
    """
    plan = training.plan
    steps = _Steps(plan, training.eos_id)
    pairs = list(zip(plan.stages, training.identities, strict=True))
    for stage, identity in pairs[training.num_reused :]:
        if step > stage.stop_step:
            continue
        if step < stage.stop_step:
            if training.is_enough(step):
                return step
            state, layout = _enter(plan, stage, state, layout, step)
        loop = _StageLoop(training, stage, steps.of(stage, layout), state, step)
        loop.run()
        if loop.step < stage.stop_step:
            return loop.step
        loop.end(identity)
        state, step = loop.state, loop.step
        if loop.is_stopping and stage is not plan.stages[-1]:
            return step
    return step


class _Steps:
    """The compiled steps of a plan; stages of one shape share theirs."""

    def __init__(self, plan: Plan, eos_id: int) -> None:
        self._plan = plan
        self._eos_id = eos_id
        self._built: dict[tuple[object, ...], TrainStep] = {}

    def of(self, stage: PlannedStage, layout: Layout) -> TrainStep:
        shape = (
            stage.sequences_per_step,
            stage.sequence_length,
            stage.lane_sequences,
            stage.accumulation,
            stage.remat,
        )
        if shape not in self._built:
            self._built[shape] = build_train_step(
                self._plan, stage, layout, self._eos_id
            )
        return self._built[shape]


class _StageLoop:
    """One stage, or what is left of it."""

    def __init__(
        self,
        training: Training,
        stage: PlannedStage,
        take_step: TrainStep,
        state: TrainState,
        step: int,
    ) -> None:
        self.state = state
        self.step = step
        self.is_stopping = training.is_enough(step)
        """Whether somebody asked to stop: the signal, or `stop_after`."""
        self._training = training
        self._stage = stage
        self._take_step = take_step
        self._layout = take_step.layout
        self._rows_here = take_step.rows_here()
        self._pending: _Pending | None = None
        self._initial_words = (
            words_hex(take_step.tensor_words(state.weights)) if step == 0 else None
        )
        self._last_report = time.monotonic()
        self._weights_digest = ""
        """Of the last checkpoint that was reported."""

    def run(self) -> None:
        """Take steps to the end of the stage, or until asked to stop."""
        self._training.recorder.stage_begin(self._stage.name, self._stage.start_step)
        stop_step = self._stage.stop_step
        with BatchReader(self._placed, stop_step=stop_step) as batches:
            self._take_steps(batches)

    def _placed(self, step: int) -> _Placed:
        """Bring a batch to the devices; on the reader's thread, ahead of its step."""
        stage = self._stage
        tokens = self._training.read_batch(step, self._rows_here)
        rate = learning_rate_at(
            stage.learning_rate, step - stage.start_step, stage.num_steps
        )
        return _Placed(
            tokens=self._take_step.place_tokens(tokens),
            learning_rate=self._take_step.place_rate(rate),
            rate=rate,
        )

    def _take_steps(self, batches: Callable[[int], _Placed]) -> None:
        training, stage = self._training, self._stage
        while self.step < stage.stop_step and not self.is_stopping:
            before, self._pending = self._pending, self._dispatch(batches)
            self._report(before)
            self.step += 1
            self.is_stopping |= training.is_enough(self.step)
            is_saved = self.is_stopping or _is_due(
                self.step, training.cadence.every_steps
            )
            is_scored = training.score.is_due(self.step)
            is_ended = self.step == stage.stop_step
            if is_saved or is_scored or is_ended:
                self._report(self._pending)
                self._pending = None
            # Scores first: a resume from this checkpoint would not come by them again.
            if is_scored and not is_ended:
                training.score(self.state, self._layout, step=self.step)
            self._tell_saved(is_waiting=False)
            if is_saved and not is_ended:
                self._save(is_stage_end=False)
        if self.is_stopping:
            self._tell_saved(is_waiting=True)

    def end(self, identity: str) -> None:
        """Save, score and close the stage; after a resume, once more to compare."""
        training, stage, step = self._training, self._stage, self.step
        self._save(is_stage_end=True)
        training.score(self.state, self._layout, step=step)
        self._tell_saved(is_waiting=True)
        training.recorder.stage_end(
            stage.name, step, identity=identity, weights_digest=self._weights_digest
        )

    def _dispatch(self, batches: Callable[[int], _Placed]) -> _Pending:
        """Hand the devices one more step; does not wait for it."""
        placed = batches(self.step)
        wants_stop = self._training.is_stopping.is_set()
        self.state, told = self._take_step(
            self.state, placed.tokens, placed.learning_rate, wants_stop
        )
        return _Pending(step=self.step, learning_rate=placed.rate, told=told)

    def _report(self, pending: _Pending | None) -> None:
        """Wait for a step and report it; note whether some process asks to stop."""
        if pending is None:
            return
        training, stage = self._training, self._stage
        output = read_output(pending.told)
        if output.is_failed:
            raise self._failure(pending, output)
        now = time.monotonic()
        tokens = stage.sequences_per_step * stage.sequence_length
        speed = tokens / max(now - self._last_report, 1e-9)
        self._last_report = now
        metrics = {
            "loss": output.loss,
            "grad_norm": output.grad_norm,
            "learning_rate": pending.learning_rate,
        }
        is_logged = _is_due(pending.step + 1, training.logging.every_steps)
        training.recorder.step(
            StepRecord(
                step=pending.step,
                batch=fingerprint_hex(output.batch),
                weights=fingerprint_hex(output.weights),
                tensor_words=words_hex(output.tensor_words),
                initial_words=self._initial_words if pending.step == 0 else None,
                metrics=metrics if is_logged else None,
                timings={"tokens_per_second": speed} if is_logged else None,
            )
        )
        training.progress(
            TrainingProgress(
                stage=stage.name,
                step=pending.step + 1,
                num_steps=training.plan.num_steps,
                loss=metrics["loss"],
                tokens_per_second=speed,
            )
        )
        self.is_stopping |= output.num_stop > 0

    def _save(self, *, is_stage_end: bool) -> None:
        """Begin to save the state, unless it was restored from that very checkpoint."""
        training, step = self._training, self.step
        self._tell_saved(is_waiting=True)
        tensors = training.checkpoints.tensors(step)
        if tensors is None:
            training.checkpoints.start_saving(
                self.state, self._layout, step=step, is_stage_end=is_stage_end
            )
        else:
            self._tell(step, tensors)
        self._last_report = time.monotonic()

    def _tell_saved(self, *, is_waiting: bool) -> None:
        """Report a save that has ended."""
        saved = self._training.checkpoints.saved(is_waiting=is_waiting)
        if saved is not None:
            self._tell(*saved)

    def _tell(self, step: int, tensors: Mapping[str, TensorFacts]) -> None:
        self._training.recorder.checkpoint(step, tensors)
        self._weights_digest = weights_digest(tensors)

    def _failure(self, pending: _Pending, output: StepOutput) -> RunError:
        """Diagnose a step that was not finite, and keep the state before it."""
        self.step = pending.step
        # A failed step leaves the state as it was, and so do those after it.
        self._save(is_stage_end=False)
        self._tell_saved(is_waiting=True)
        drawn = self._training.sources_of(self.step)
        return not_finite(self._stage, self.step, output, pending.learning_rate, drawn)


def _enter(
    plan: Plan, stage: PlannedStage, state: TrainState, old: Layout, step: int
) -> tuple[TrainState, Layout]:
    """Bring a state into a stage: its rows, and a fresh optimizer where it resets."""
    layout = build_layout(plan, stage, old.mesh, old.gather)
    state = change_layout(state, old, layout)
    if step == stage.start_step and stage.optimizer == "reset":
        state = with_fresh_optimizer(state.weights, layout)
    return state, layout


def _is_due(step: int, every_steps: int | None) -> bool:
    return every_steps is not None and step % every_steps == 0
