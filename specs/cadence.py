"""When something is due that is asked for every so many tokens."""

from __future__ import annotations

from specs.experiment import Experiment
from specs.plan import Plan


def tokens_after(plan: Plan, step: int) -> int:
    """Return the tokens trained on after `step` steps of the whole run."""
    return sum(
        stage.sequences_per_step
        * stage.sequence_length
        * (min(step, stage.stop_step) - stage.start_step)
        for stage in plan.stages
        if step > stage.start_step
    )


def is_due(plan: Plan, step: int, every_tokens: int) -> bool:
    """Whether the last of `step` steps completed another `every_tokens` tokens."""
    now, before = tokens_after(plan, step), tokens_after(plan, step - 1)
    return now // every_tokens > before // every_tokens


def items_due(experiment: Experiment, plan: Plan, step: int) -> tuple[int, ...]:
    """Return which items of a spec's evals are scored after `step` steps.

    At the end of a stage all are; within one those that ask for it, and held-out loss
    where the spec's logging does.
    """
    items = range(len(experiment.evals))
    if any(step == stage.stop_step for stage in plan.stages):
        return tuple(items)
    steps = experiment.logging.heldout_every_steps
    is_logged = steps is not None and step % steps == 0
    return tuple(
        item
        for item in items
        if (
            (every := experiment.evals[item].every) is not None
            and is_due(plan, step, every)
        )
        or (is_logged and experiment.evals[item].suite == "heldout")
    )
