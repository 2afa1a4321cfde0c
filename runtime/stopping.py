"""Stopping on purpose: the step under way is finished and its state saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set; a second Ctrl-C ends at once."""
    is_stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield is_stopping
        return

    def stop(number: int, _: object) -> None:
        is_stopping.set()
        signal.signal(number, before[number])

    numbers = (int(signal.SIGINT), int(signal.SIGTERM))
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield is_stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
