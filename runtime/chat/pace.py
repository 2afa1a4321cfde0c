"""When a call may begin: so many a minute, and not before a server wants it."""

from __future__ import annotations

import threading
import time

from runtime.keys import key


class Stopped(Exception):
    """All of it ends, so that nobody waits for this call any more."""


class Pace:
    """What all calls to one endpoint wait for."""

    def __init__(self, requests_per_minute: int | None) -> None:
        per_minute = requests_per_minute
        self._interval_seconds = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._held_until = 0.0
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def wait_for_turn(self) -> None:
        """Wait until a call may begin.

        Raises:
            Stopped: It need not begin.
        """
        with self._lock:
            begin = max(time.monotonic(), self._next)
            self._next = begin + self._interval_seconds
        # A server may ask for peace while we wait.
        while (left := max(begin, self._held_until) - time.monotonic()) > 0:
            self.sleep(left)
        self.sleep(0)

    def hold(self, seconds: float) -> None:
        """Let no call begin for a while."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            Stopped: There is nothing to wait for.
        """
        if self._stopping.wait(seconds):
            raise Stopped

    def stop(self) -> None:
        """Let no call begin any more."""
        self._stopping.set()


def back_off_seconds(request_key: str, attempt: int, *, first: float) -> float:
    """Return how long to wait before a call is made again.

    It doubles up to a minute; up to half of it is left out, by a key of the request, so
    that calls that failed together do not come back together.

    >>> 2 <= back_off_seconds("some request", 2, first=1.0) <= 4
    True
    """
    longest = min(60.0, first * 2.0 ** min(attempt, 30))
    share = key(0, "judge", "back-off", request_key, attempt) / 2**64
    return longest * (1 - share / 2)
