"""A clear last word where a library aborts this process.

jax's own watch over processes does so, from a thread of its own and without asking
Python, as soon as the process that coordinates them can't be reached.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from specs.errors import CodemixError

Tell = Callable[[CodemixError], None]
"""Prints why this process ends, where it can't be raised."""

_kept: list[Any] = []
"""The handler, which nothing in Python refers to while it is installed."""


def catch_aborts(reason: Callable[[], CodemixError | None], tell: Tell) -> None:
    """See to it that an abort of this process is explained.

    Args:
        reason: Why it is aborted; None if that is not known: it then aborts.
        tell: Prints the reason.
    """
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)

    def on_abort(_: int) -> None:
        error = reason()
        if error is not None:
            end_process(error, tell)
        release_aborts()

    callback = handler(on_abort)
    ctypes.CDLL(None).signal(int(signal.SIGABRT), callback)
    _kept[:] = [callback]


def release_aborts() -> None:
    """Let aborts be aborts again."""
    ctypes.CDLL(None).signal(int(signal.SIGABRT), None)


def end_process(error: CodemixError, tell: Tell) -> NoReturn:
    """Print why, and end this process from whatever thread."""
    with suppress(Exception):
        tell(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(error.exit_code)
