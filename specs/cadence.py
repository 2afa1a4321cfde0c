"""When something is due that is asked for every so many tokens."""

from __future__ import annotations

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
