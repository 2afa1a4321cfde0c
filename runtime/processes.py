"""Several processes that train one model together: joining, agreeing, parting.

The same command is started everywhere, under whatever launcher. Process 0 alone writes
history and speaks; the others wait where they need its result. They talk through the
key-value store of jax's coordination service, never by a collective operation: one that
can't be joined would hang, where a key that never comes is found out by `liveness`.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from runtime.aborts import Tell
from runtime.launch import Launch, connect, find_launch
from runtime.liveness import KeyValues, PeerFailed, Watch, exit_code
from specs.errors import InputError, Problem, ProcessLost

_SLICE_MS = 1000
"""Of waiting for a key, between looks at the verdict."""
_PARTING_SECONDS = 10.0
"""At most, for failed processes to have printed what they have to say."""

_DIFFERENT_SHOWN = 3


class Disagreement(InputError):
    """Processes of one run were not started with the same."""


class Processes:
    """The processes of a run, as one of them sees them; alone by default."""

    def __init__(
        self,
        index: int = 0,
        count: int = 1,
        store: KeyValues | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.index = index
        self.count = count
        self._store = store
        self._watch = watch
        self._num_calls = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.index == 0

    def from_first(self, what: str, make: Callable[[], str]) -> str:
        """Let process 0 make a text; the others wait for it, however long it takes.

        All processes must come to the same calls of this class in the same order.

        Args:
            what: Names the call, for people who look at the store.
            make: Called in process 0 alone.
        """
        if self._store is None:
            return make()
        key = self._key(what)
        if self.is_first:
            text = make()
            self._store.key_value_set(key, f"={text}")
            return text
        return self._wait(key)

    def gather(self, what: str, text: str) -> list[str]:
        """Return the texts of all processes, in their order, to each of them."""
        if self._store is None:
            return [text]
        key = self._key(what)
        self._store.key_value_set(f"{key}/{self.index}", f"={text}")

        def collect() -> str:
            texts = [self._wait(f"{key}/{index}") for index in range(self.count)]
            return json.dumps(texts)

        found: list[str] = json.loads(self.from_first(what, collect))
        return found

    def collect(self, key: str, text: str) -> list[str]:
        """Return the texts of all processes in process 0, and nothing in the others.

        May be called from any thread, in any order; so the key must be given.
        """
        if self._store is None:
            return [text]
        keys = [f"codemix/{key}/{index}" for index in range(self.count)]
        self._store.key_value_set(keys[self.index], f"={text}", allow_overwrite=True)
        if not self.is_first:
            return []
        texts = [self._wait(one) for one in keys]
        for one in keys:
            self._store.key_value_delete(one)
        return texts

    def meet(self, what: str) -> None:
        """Wait until all processes have come here."""
        self.gather(what, "")

    def agree(self, facts: Mapping[str, str]) -> None:
        """Check that all processes were started with the same.

        Raises:
            Disagreement: They weren't; in all of them, naming who differs in what.
        """
        told = [json.loads(one) for one in self.gather("agree", json.dumps({**facts}))]
        problems = [
            Problem(
                what=f"process {index} differs from process 0 in its {name}: "
                f"{_short(other.get(name))}, process 0 has {_short(told[0].get(name))}",
                fix="start all processes with the same command, on the same files",
            )
            for index, other in enumerate(told)
            for name in told[0]
            if other.get(name) != told[0].get(name)
        ]
        if problems:
            raise Disagreement(problems[:_DIFFERENT_SHOWN])

    def explain(self, error: BaseException) -> BaseException:
        """Return the true reason of an error: the death of another process, if it is.

        Takes some seconds where a collective operation failed.
        """
        return error if self._watch is None else self._watch.explain(error)

    def dismiss(self, error: BaseException) -> None:
        """End all other processes, though this one goes on to an end of its own."""
        if self._watch is not None:
            self._watch.post(error)
            self._part_at_exit(exit_code(error))

    def fail(self, error: BaseException) -> BaseException:
        """End all processes; return what this one has to raise."""
        assert self._watch is not None
        error = self._watch.explain(error)
        self._part_at_exit(exit_code(error))
        if error is self._watch.verdict:
            return error
        self._watch.post(error)
        # Who reads the words of one process alone must see what is wrong with it.
        is_private = isinstance(error, Disagreement)
        if not is_private and self._watch.is_told_by_first(error):
            return PeerFailed((), exit_code(error))
        return error

    def end(self) -> None:
        """Part in peace; all processes must come here."""
        if self._watch is None or self._is_parting:
            return
        self.meet("end")
        self._watch.stop()
        import jax

        jax.distributed.shutdown()

    _is_parting = False

    def _part_at_exit(self, code: int) -> None:
        """See to it that the end of the interpreter is the end of this process.

        jax would wait for the others when the interpreter ends, and they may be gone.
        """
        self._is_parting = True
        # A launcher sends SIGTERM to the rest as soon as the first one has ended.
        with suppress(ValueError):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        atexit.register(self._part, code)

    def _part(self, code: int) -> None:
        """Leave once all have said what they have to say: process 0 must be last."""
        assert self._store is not None
        sys.stdout.flush()
        sys.stderr.flush()
        num_alive = self.count - (code == ProcessLost.exit_code)
        deadline = time.monotonic() + _PARTING_SECONDS
        with suppress(RuntimeError):
            self._store.key_value_set(f"codemix/parting/{self.index}", "")
            while time.monotonic() < deadline:
                parted = self._store.key_value_dir_get("codemix/parting/")
                if len(parted) >= num_alive:
                    break
                time.sleep(0.1)
            if self.is_first:
                time.sleep(0.5)
        os._exit(code)

    def _key(self, what: str) -> str:
        self._num_calls += 1
        return f"codemix/calls/{self._num_calls}/{what}"

    def _wait(self, key: str) -> str:
        assert self._store is not None
        assert self._watch is not None
        while True:
            self._watch.check()
            try:
                # An empty value would be taken for none.
                return self._store.blocking_key_value_get(key, _SLICE_MS)[1:]
            except RuntimeError as error:
                if "DEADLINE_EXCEEDED" not in str(error):
                    raise


ALONE = Processes()


@contextmanager
def joined_processes(tell: Tell) -> Iterator[Processes]:
    """Join the other processes of this launch, if there are any, and part at the end.

    Whatever is raised inside, in any process, ends all of them; see `liveness`.

    Args:
        tell: Prints why this process ends, where it can't be raised.

    Raises:
        InputError: The launch is not understood, or the others don't come.
    """
    launch = find_launch()
    if launch is None:
        yield ALONE
        return
    with _standard_output_kept(is_given_back=launch.index == 0):
        processes = _join(launch, tell)
        try:
            yield processes
        except BaseException as error:
            said = processes.fail(error)
            if said is error:
                raise
            raise said from error
        processes.end()


def _join(launch: Launch, tell: Tell) -> Processes:
    store = connect(launch, tell)
    watch = Watch(
        store,
        index=launch.index,
        count=launch.count,
        address=launch.address,
        tell=tell,
    )
    watch.start()
    return Processes(launch.index, launch.count, store, watch)


@contextmanager
def _standard_output_kept(*, is_given_back: bool) -> Iterator[None]:
    """Send to stderr what libraries print on stdout, which is for the result alone.

    Args:
        is_given_back: Whether this process is the one that prints the result.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        if is_given_back:
            os.dup2(kept, 1)
        os.close(kept)


def _short(value: str | None) -> str:
    return "nothing" if value is None else value[:40]
