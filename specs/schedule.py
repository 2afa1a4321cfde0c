"""The learning rate: handed over between stages, and of each step to the bit.

The rate is computed in 50 decimal digits and rounded once to float64. The C library's
`cos` differs between machines in the last bit; this does not.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

from specs.plan import PlannedRate
from specs.stages import Cosine, Linear, Schedule, WarmupStableDecay

# Far more than float64's 17 digits, so that the one rounding at the end is correct.
_CONTEXT = Context(prec=50)
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")


def planned_rate(
    schedule: Schedule, num_steps: int, previous: str | None
) -> PlannedRate:
    """Resolve a schedule to numbers.

    Args:
        schedule: As the spec has it.
        num_steps: Steps in the stage.
        previous: The last rate of the stage before; None in the first stage, where
            nothing refers to it.
    """

    def number(rate: float | str) -> str:
        return decimal(rate) if isinstance(rate, float) else previous or rate

    peak = number(schedule.peak)
    decay_steps, decay = 0, "none"
    if isinstance(schedule, (Cosine, Linear)):
        decay_steps, decay = num_steps - schedule.warmup_steps, schedule.schedule
    elif isinstance(schedule, WarmupStableDecay):
        decay_steps, decay = schedule.decay_steps, schedule.decay
    return PlannedRate.model_validate(
        {
            "schedule": schedule.schedule,
            "warmup_steps": schedule.warmup_steps,
            "warmup_from": number(schedule.warmup_from),
            "peak": peak,
            "final": number(getattr(schedule, "final", schedule.peak)),
            "decay_steps": decay_steps,
            "decay": decay,
        }
    )


def decimal(value: float) -> str:
    """Write a float64 as the shortest decimal that reads back as the same.

    >>> decimal(0.001), decimal(1e-6), decimal(10000)
    ('0.001', '1e-06', '10000.0')
    """
    return repr(float(value))


def learning_rate_at(rate: PlannedRate, stage_step: int, num_steps: int) -> float:
    """Return the learning rate of one step of a stage.

    A stage of N steps has a warm-up of w steps, a constant part, and a decay of d
    steps. Step t, counted from 0, has

        from + (peak - from) * (t + 1) / w      where t < w
        peak                                    where w <= t < N - d
        final + (peak - final) * shape(u)       with u = (t + 1 - (N - d)) / d

    and shape 1 - u (linear), (1 + cos(pi u)) / 2 (cosine; Loshchilov and Hutter, 2017)
    or 1 - sqrt(u) (sqrt; Haegele et al., 2024). The last warm-up step has exactly
    `peak`, the last decay step exactly `final`.

    Args:
        rate: The schedule, with its hand-over resolved.
        stage_step: Counted from 0 within the stage.
        num_steps: Steps in the stage.
    """
    if not 0 <= stage_step < num_steps:
        raise IndexError(f"step {stage_step} is outside 0 to {num_steps - 1}")
    with localcontext(_CONTEXT):
        peak = Decimal(rate.peak)
        if stage_step < rate.warmup_steps:
            start = Decimal(rate.warmup_from)
            return float(start + (peak - start) * (stage_step + 1) / rate.warmup_steps)
        into_decay = stage_step + 1 - (num_steps - rate.decay_steps)
        if into_decay <= 0:
            return float(peak)
        final = Decimal(rate.final)
        shape = _decay_shape(rate.decay, Decimal(into_decay) / rate.decay_steps)
        return float(final + (peak - final) * shape)


def _decay_shape(decay: str, progress: Decimal) -> Decimal:
    """Return what is left of the decay: 1 before it, exactly 0 at its end."""
    if progress == 1:
        return Decimal(0)
    if decay == "cosine":
        return (1 + _cos(_PI * progress)) / 2
    if decay == "sqrt":
        return 1 - progress.sqrt()
    return 1 - progress


def _cos(angle: Decimal) -> Decimal:
    """Cosine by its Taylor series, for angles of at most pi."""
    total = term = Decimal(1)
    square = angle * angle
    index = 0
    # Below this a term changes no digit that decides a float64.
    while abs(term) > Decimal("1e-45"):
        index += 2
        term = -term * square / (index * (index - 1))
        total += term
    return total
