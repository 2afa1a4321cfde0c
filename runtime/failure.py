"""What to tell of a step that is not finite."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.train_step import StepOutput
from specs.errors import Problem, RunError
from specs.plan import PlannedStage


def not_finite(
    stage: PlannedStage,
    step: int,
    output: StepOutput,
    learning_rate: float,
    drawn: Mapping[str, int],
) -> RunError:
    """Name the step, what it was trained on and where the state before it is.

    Args:
        stage: The step's.
        step: Of the whole run.
        output: What the step told.
        learning_rate: Of the step.
        drawn: Source -> sequences of the step.
    """
    mixed = ", ".join(f"{count} of {name}" for name, count in drawn.items())
    return RunError(
        Problem(
            path=f"stages.{stage.name}",
            what=(
                f"step {step} is not finite: loss {output.loss}, "
                f"gradient norm {output.grad_norm}, learning rate "
                f"{learning_rate:g}; its sequences: {mixed}; the state "
                f"before it is in checkpoint {step}"
            ),
            fix="lower the learning rate or lengthen the warm-up; "
            f"`codemix batch SPEC --step {step}` shows what the model saw",
        )
    )
