"""Stopping on purpose: the step under way is finished and its state saved.

Ctrl-C is a person who stops a run; SIGTERM is a machine that is wanted back. Every
scheduler and cloud announces the latter so, Cloud TPU and Kubernetes included.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from runtime.processes import Processes
from specs.errors import Preempted

Reason = Literal["", "interrupted", "preempted"]


@dataclass
class Stopping:
    """Whether, and why, this process was asked to stop."""

    event: threading.Event = field(default_factory=threading.Event)
    reason: Reason = ""

    def raise_reason(self, processes: Processes, what: str, fix: str) -> None:
        """Raise what any of the processes was stopped by; nothing if none was.

        Args:
            processes: All of them have stopped, and call this.
            what: How far they are, and what is kept of it.
            fix: What to do now.

        Raises:
            Preempted: By SIGTERM.
            KeyboardInterrupt: By Ctrl-C.
        """
        reasons = processes.gather("stopped", self.reason)
        if "preempted" in reasons:
            raise Preempted(f"SIGTERM: {what}", fix=fix)
        if "interrupted" in reasons:
            raise KeyboardInterrupt


@contextmanager
def stopping_on_signals() -> Iterator[Stopping]:
    """Yield what Ctrl-C and SIGTERM set; a second signal ends the process at once."""
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return

    def stop(number: int, _: object) -> None:
        stopping.reason = "preempted" if number == signal.SIGTERM else "interrupted"
        stopping.event.set()
        signal.signal(number, before[number])

    numbers = (int(signal.SIGINT), int(signal.SIGTERM))
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
