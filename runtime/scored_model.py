"""A model with the weights of a state, as evaluations ask it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from runtime.asked_weights import Asked
from runtime.continuations import Continuations
from runtime.fused import Parameters
from runtime.generation import Generation
from runtime.scoring import (
    Continuation,
    ContinuationLosses,
    LossFunction,
    Prompt,
    Sampling,
)
from runtime.state import Layout, Rows
from runtime.token_losses import TokenLosses
from specs.plan import Plan, PlannedStage


class ModelPrograms:
    """What is compiled to ask the model of one stage, whatever its weights."""

    def __init__(
        self, plan: Plan, stage: PlannedStage, layout: Layout, eos_id: int
    ) -> None:
        """Compile nothing yet."""
        self.asked = Asked(plan, stage, layout, eos_id)
        self.losses = TokenLosses(plan, stage, layout, eos_id)
        self.continuations = Continuations(self.asked)
        self.generation = Generation(self.asked)


class AskedModel:
    """Weights of a state; see `runtime.scoring.ScoredModel` for the calls."""

    def __init__(self, programs: ModelPrograms, weights: Rows) -> None:
        """Gather nothing yet.

        Args:
            programs: Of the stage that the weights belong to.
            weights: Of a state in the programs' layout.
        """
        self._programs = programs
        self._weights = weights
        self.rows = programs.losses.rows
        self.length = programs.asked.stage.sequence_length
        self.eos_id = programs.asked.eos_id

    @cached_property
    def losses(self) -> LossFunction:
        """The loss of each token of windows."""
        return self._programs.losses.of(self._weights)

    def continuations(
        self, requests: Sequence[Continuation], /
    ) -> list[ContinuationLosses]:
        """Score continuations."""
        return self._programs.continuations.score(self._held, requests)

    def generate(
        self,
        prompts: Sequence[Prompt],
        /,
        *,
        sampling: Sampling,
        is_done: Callable[[Sequence[int]], bool],
    ) -> list[tuple[int, ...]]:
        """Go on from prompts."""
        generation = self._programs.generation
        return generation.answers(self._held_by_layer, prompts, sampling, is_done)

    @cached_property
    def _held(self) -> Parameters:
        return self._programs.asked.hold(self._weights)

    @cached_property
    def _held_by_layer(self) -> Parameters:
        return self._programs.generation.programs.hold(self._held)
