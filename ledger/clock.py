"""The clock of a journal: it can't be set, so its time never jumps or runs backwards.

A process starts at the machine's clock, or where the last line of the journal stands,
whichever is later, and counts on from there. So times may be wrong by as much as the
machine's clock was at that moment, and durations are right.
"""

from __future__ import annotations

import time


class JournalClock:
    """Milliseconds since 1970, counted by one process."""

    def __init__(self, *, not_before_ms: int = 0) -> None:
        """Start at the machine's clock.

        Args:
            not_before_ms: Of the last line of the journal.
        """
        self._start_ms = max(time.time_ns() // 10**6, not_before_ms)
        self._start_ns = time.monotonic_ns()

    def now_ms(self) -> int:
        """Return the time, never less than before."""
        return self._start_ms + (time.monotonic_ns() - self._start_ns) // 10**6
