"""Trying again: how often, and how long to wait between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from runtime.keys import key
from runtime.remote.places import Interrupted, Refused

Result = TypeVar("Result")

GOES_ON = "run the same command again: it goes on where it stopped"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long anything is waited for."""

    tries: int = 6
    """In a row without a byte more than before."""
    first_wait: float = 1.0
    """Seconds before the second try; each wait is twice as long as the last."""
    longest_wait: float = 60.0
    longest_asked: float = 300.0
    """The longest wait that a place may ask for."""
    connect: float = 10.0
    """Seconds that a connection may take."""
    read: float = 60.0
    """Seconds that a connection may be silent."""

    def wait_before(self, attempt: int, name: str) -> float:
        """Return how long to wait before a try, the second being number 1.

        The jitter is drawn by name, so that many files spread out, and do so alike in
        every run.
        """
        wait = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 1))
        jitter = key(0, "wait", name, attempt) / 2.0**64
        return wait * (1.0 + jitter) / 2.0


DEFAULT_PATIENCE = Patience()


class Stopped(Exception):
    """Something else went wrong, so this is no longer wanted."""


def tried(
    name: str,
    attempt: Callable[[], Result],
    *,
    patience: Patience = DEFAULT_PATIENCE,
    stop: Event | None = None,
    reached: Callable[[], int] = lambda: 0,
) -> Result:
    """Try until it succeeds, is refused, or patience ends.

    Args:
        name: What is tried, for messages and for the jitter.
        attempt: Raises `Interrupted` where it may work later.
        patience: How often and how long.
        stop: Set when it is no longer wanted.
        reached: How far it is: whoever gets further has all tries again.

    Raises:
        Refused: It can't be had, or could not be in so many tries.
        Stopped: It is no longer wanted.
    """
    stop = stop or Event()
    failures, furthest = 0, reached()
    while True:
        try:
            return attempt()
        except Interrupted as error:
            now = reached()
            failures, furthest = (
                (1, now) if now > furthest else (failures + 1, furthest)
            )
            if failures >= patience.tries:
                what = f"{name}: {error.what}, {failures} times in a row"
                raise Refused(what, GOES_ON) from None
            wait = patience.wait_before(failures, name)
            if error.wait_seconds is not None:
                wait = max(wait, error.wait_seconds)
            if wait > patience.longest_asked:
                what = f"{name}: {error.what}; it asks to wait {wait:.0f} seconds"
                raise Refused(what, "wait as long, then run the same command") from None
        if stop.wait(wait):
            raise Stopped
