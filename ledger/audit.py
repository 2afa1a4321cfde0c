"""Audits: which windows of a run are replayed, and what the others may still hide.

A run is cut into segments at the checkpoints that its entry records. A segment can be
replayed where the state at its start is at hand: the initial state always is, others
need their checkpoint. Which of them are replayed is decided by a keyed hash of the
entry's digest: whoever made the entry cannot know them if the seed is chosen later, and
everybody who knows the seed can check the choice.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Collection, Iterable

from ledger.floats import float_text
from specs.base import Value

_ALTERED = (1, 2, 3, 5, 10, 20, 50)
"""Numbers of altered windows whose chance to be missed is told."""


class Window(Value):
    """Steps that are replayed from a recorded state on."""

    start_step: int
    stop_step: int
    """One past the last step."""
    is_to_checkpoint: bool
    """Whether the entry has the tensors at its end."""

    @property
    def num_steps(self) -> int:
        """Steps in the window."""
        return self.stop_step - self.start_step


class AuditFacts(Value):
    """What was looked at, and in numbers what was not."""

    seed: str
    """Decides the windows, together with the entry's digest."""
    is_seed_given: bool
    """Whether the auditor gave it; else it was drawn when the audit began."""
    windows: tuple[Window, ...]
    """The chosen ones, in order."""
    num_possible: int
    """Segments whose first state is at hand."""
    num_segments: int
    """Of the run: from each recorded checkpoint to the next."""
    covered_steps: int
    """Steps of the chosen windows."""
    reachable_steps: int
    """Steps of all windows that could have been chosen; the others no seed finds."""
    total_steps: int
    missed: dict[str, str]
    """Number of altered windows among the possible ones -> probability, as text, that
    none of them was chosen. Outside of windows recorded weights are only chained."""

    @property
    def share(self) -> float:
        """Share of the steps that were covered."""
        return self.covered_steps / self.total_steps


def plan_audit(
    entry: str,
    *,
    recorded: Collection[int],
    at_hand: Collection[int],
    total_steps: int,
    num_windows: int,
    most_steps: int,
    seed: str,
    is_seed_given: bool,
) -> AuditFacts:
    """Choose windows.

    Args:
        entry: Its digest.
        recorded: Steps done at the checkpoints that it records.
        at_hand: Those of them that lie on this machine.
        total_steps: Of the run.
        num_windows: Wanted; fewer if fewer are possible.
        most_steps: Of one window.
        seed: Of the choice.
        is_seed_given: Whether the auditor gave it.
    """
    starts = sorted({0, *recorded} - {total_steps})
    stops = [*starts[1:], total_steps]
    possible = [
        _window(start, stop, most_steps, recorded)
        for start, stop in zip(starts, stops, strict=True)
        if start == 0 or start in at_hand
    ]
    chosen = sorted(possible, key=lambda one: _place(seed, entry, one.start_step))
    windows = sorted(chosen[:num_windows], key=lambda one: one.start_step)
    return AuditFacts(
        seed=seed,
        is_seed_given=is_seed_given,
        windows=tuple(windows),
        num_possible=len(possible),
        num_segments=len(starts),
        covered_steps=_steps(windows),
        reachable_steps=_steps(possible),
        total_steps=total_steps,
        missed={
            str(altered): float_text(
                missed_chance(len(possible), len(windows), altered)
            )
            for altered in _ALTERED
            if altered <= len(possible)
        },
    )


def missed_chance(num_possible: int, num_chosen: int, num_altered: int) -> float:
    """Probability that a random choice has none of the altered windows.

    >>> missed_chance(10, 3, 1)
    0.7
    >>> missed_chance(10, 10, 1)
    0.0
    """
    without = math.comb(num_possible - num_altered, num_chosen)
    return without / math.comb(num_possible, num_chosen)


def _window(
    start: int, stop: int, most_steps: int, recorded: Collection[int]
) -> Window:
    stop = min(stop, start + most_steps)
    return Window(start_step=start, stop_step=stop, is_to_checkpoint=stop in recorded)


def _place(seed: str, entry: str, start: int) -> bytes:
    return hmac.digest(seed.encode(), f"{entry} {start}".encode(), hashlib.sha256)


def _steps(windows: Iterable[Window]) -> int:
    return sum(one.num_steps for one in windows)
