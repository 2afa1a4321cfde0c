"""Whether all processes of a run are alive, and what ends it where one is not.

Each process says every second that it is alive, in the key-value store of jax's
coordination service, which process 0 holds. Process 0 finds out who has fallen silent;
a process that fails says so itself. Whoever reads such a note stops: first the main
thread gets the chance to raise, then, as it may hang in a collective operation with the
dead, this file's thread ends the process with the same words.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Protocol

from runtime.aborts import Tell, catch_aborts, end_process, release_aborts
from specs.errors import CodemixError, Problem, ProcessLost

BEAT_SECONDS = 1.0
"""Between signs of life."""
LOST_SECONDS = 30.0
"""Of silence after which a process counts as gone."""
LOST_IN_DOUBT_SECONDS = 8.0
"""The same once a collective operation has failed somewhere."""
GRACE_SECONDS = 3.0
"""For the main thread to raise by itself."""
LEAVE_SECONDS = 30.0
"""For a main thread that has raised to close what is open."""

_ALIVE, _NOTES = "codemix/alive/", "codemix/notes/"

_RESUME = (
    "look at what it printed last, then run the same command again: what was recorded "
    "stays, and training goes on from the last checkpoint"
)


class KeyValues(Protocol):
    """What is used of the coordination service's client."""

    def key_value_set(
        self, key: str, value: str, allow_overwrite: bool = False
    ) -> None:
        """Set a key."""

    def key_value_delete(self, key: str) -> None:
        """Delete a key."""

    def key_value_dir_get(self, key: str) -> list[tuple[str, str]]:
        """Return all keys that begin so, with their values."""

    def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str:
        """Wait for a key."""


class PeerFailed(CodemixError):
    """Another process of the run has failed, so this one stops with its exit code."""

    def __init__(self, problems: tuple[Problem, ...], exit_code: int) -> None:
        super().__init__(problems)
        self.exit_code = exit_code


class Watch:
    """Signs of life from this process, and an eye on the others."""

    def __init__(
        self,
        store: KeyValues,
        *,
        index: int,
        count: int,
        address: str,
        tell: Tell,
    ) -> None:
        """Prepare to watch; see `start`.

        Args:
            store: Shared by all processes.
            index: Of this process.
            count: Of all processes.
            address: Host and port of process 0's coordination service.
            tell: Prints why this process ends, where the main thread can't.
        """
        self.verdict: CodemixError | None = None
        """Why this process must stop; None as long as all are well."""
        self._store, self._index, self._count = store, index, count
        self._address, self._tell = address, tell
        self._beat = 0
        self._is_in_doubt = False
        self._has_posted = False
        self._explained: BaseException | None = None
        self._seen: dict[int, tuple[str, float]] = {}
        self._ends_at: float | None = None
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="liveness")

    def start(self) -> None:
        """Give signs of life from now on."""
        self._seen = dict.fromkeys(range(self._count), ("", time.monotonic()))
        self._thread.start()
        catch_aborts(self._reason_of_abort, self._tell)

    def stop(self) -> None:
        """End the watch; all processes have agreed to part."""
        self._is_stopped.set()
        self._thread.join(timeout=5 * BEAT_SECONDS)
        release_aborts()

    def check(self) -> None:
        """Raise the verdict, if there is one."""
        if self.verdict is not None:
            raise self.verdict

    def explain(self, error: BaseException) -> BaseException:
        """Return the true reason of an error, which may be the death of another.

        A collective operation that fails says only that a connection broke. So wait
        until it is known who is gone, or that nobody is.
        """
        is_new = error is not self._explained
        if self.verdict is None and isinstance(error, RuntimeError) and is_new:
            self._is_in_doubt = True
            self._explained = error
            deadline = time.monotonic() + LOST_IN_DOUBT_SECONDS + 4 * BEAT_SECONDS
            while self.verdict is None and time.monotonic() < deadline:
                time.sleep(BEAT_SECONDS / 10)
        if self.verdict is None or isinstance(error, CodemixError):
            return error
        self._ends_at = time.monotonic() + LEAVE_SECONDS
        return self.verdict

    def post(self, error: BaseException) -> None:
        """Tell all others that this process has failed."""
        self._ends_at = time.monotonic() + LEAVE_SECONDS
        self._has_posted = True
        self._note(self._index, note_of(error))

    def is_told_by_first(self, error: BaseException) -> bool:
        """Whether process 0 fails likewise, and says so; waits a moment for it."""
        deadline = time.monotonic() + GRACE_SECONDS
        while self._index > 0 and time.monotonic() < deadline:
            with suppress(RuntimeError):
                if self._notes().get(0) == note_of(error):
                    return True
            time.sleep(BEAT_SECONDS / 10)
        return False

    def _run(self) -> None:
        silent_since: float | None = None
        while not self._is_stopped.wait(BEAT_SECONDS):
            try:
                self._look()
                silent_since = None
            except RuntimeError:  # all that the service's client raises
                now = time.monotonic()
                silent_since = silent_since or now
                if now - silent_since > LOST_IN_DOUBT_SECONDS:
                    self._conclude(_lost(0, self._count, ""))
            if self._ends_at is not None and time.monotonic() > self._ends_at:
                self._end()

    def _look(self) -> None:
        self._beat += 1
        life = f"{self._beat} {int(self._is_in_doubt)} {_whereabouts()}"
        self._store.key_value_set(f"{_ALIVE}{self._index}", life, allow_overwrite=True)
        notes = self._notes()
        if self._has_posted:
            notes.pop(self._index, None)
        if notes:
            self._conclude(_failure(*min(notes.items())))
        elif self._index == 0:
            self._judge()

    def _judge(self) -> None:
        """Find out, as process 0, who has fallen silent, and tell the others."""
        now, is_in_doubt = time.monotonic(), self._is_in_doubt
        for key, life in self._store.key_value_dir_get(_ALIVE):
            index = int(key.removeprefix(_ALIVE))
            if self._seen[index][0] != life:
                self._seen[index] = (life, now)
            is_in_doubt |= life.split()[1] == "1"
        limit = LOST_IN_DOUBT_SECONDS if is_in_doubt else LOST_SECONDS
        for index, (life, since) in self._seen.items():
            if index != self._index and now - since > limit:
                error = _lost(index, self._count, " ".join(life.split()[2:]))
                self._note(index, note_of(error))
                self._conclude(error)
                return

    def _conclude(self, verdict: CodemixError) -> None:
        if self.verdict is None:
            self.verdict = verdict
            if self._ends_at is None:
                self._ends_at = time.monotonic() + GRACE_SECONDS

    def _notes(self) -> dict[int, str]:
        found = self._store.key_value_dir_get(_NOTES)
        return {int(key.removeprefix(_NOTES)): note for key, note in found}

    def _note(self, index: int, note: str) -> None:
        with suppress(RuntimeError):  # without the service the others know already
            key = f"{_NOTES}{index}"
            self._store.key_value_set(key, note, allow_overwrite=True)

    def _end(self) -> None:
        """End this process, whose main thread does not."""
        end_process(self.verdict or _lost(0, self._count, ""), self._tell)

    def _reason_of_abort(self) -> CodemixError | None:
        if self.verdict is None and not _can_reach(self._address):
            self.verdict = _lost(0, self._count, f"at {self._address}")
        return self.verdict


def note_of(error: BaseException) -> str:
    """Write an error as other processes read it."""
    if isinstance(error, CodemixError):
        problems, code = [asdict(one) for one in error.problems], error.exit_code
    else:
        what = f"{type(error).__name__}: {error}"
        problems, code = [asdict(Problem(what=what))], exit_code(error)
    return json.dumps({"exit_code": code, "problems": problems}, sort_keys=True)


def exit_code(error: BaseException) -> int:
    """Return the exit code of a process that ends by an error."""
    if isinstance(error, CodemixError):
        return error.exit_code
    return 130 if isinstance(error, KeyboardInterrupt) else 70


def _failure(index: int, note: str) -> CodemixError:
    read = json.loads(note)
    problems = tuple(Problem(**one) for one in read["problems"])
    if read["exit_code"] == ProcessLost.exit_code:
        return ProcessLost(problems)
    told = "; ".join(problem.what for problem in problems[:1]) or "it was stopped"
    what = f"process {index} stopped: {told}"
    return PeerFailed((Problem(what=what),), read["exit_code"])


def _lost(index: int, count: int, whereabouts: str) -> ProcessLost:
    where = f" ({whereabouts})" if whereabouts else ""
    return ProcessLost(f"process {index} of {count}{where} is gone", fix=_RESUME)


def _whereabouts() -> str:
    return f"pid {os.getpid()} on {socket.gethostname()}"


def _can_reach(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except OSError:
        return False
    return True
