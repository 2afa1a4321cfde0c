"""The parent's side of worker processes: start, feed, listen, never leave one behind.

Each worker is a fresh interpreter (nothing is forked), so what it imports never reaches
the parent. It works on one job at a time and ends when the parent's end of its stdin
closes, even when the parent is killed.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from specs.errors import InputError, Problem

CODE_FOLDER = Path(__file__).resolve().parent.parent
_LOG_TAIL_BYTES = 2000
_SECONDS_TO_EXIT = 5.0


@dataclass(frozen=True)
class Done:
    """A job's answer."""

    job: int
    """Index of the job."""
    answer: Any


@dataclass(frozen=True)
class Failed:
    """A job that found something that the user must mend."""

    job: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Moved:
    """A job that came further."""

    job: int
    done_bytes: int


@dataclass(frozen=True)
class _Broken:
    """A worker that can't go on."""

    error: Exception


Event = Done | Failed | Moved


class WorkerPool:
    """Worker processes that run one module; use it as a context."""

    def __init__(
        self,
        module: str,
        *,
        num_workers: int,
        environ: Mapping[str, str],
        python: str = sys.executable,
    ):
        """Start the workers at once, so that their imports overlap with other work.

        Args:
            module: A module whose `load()` returns what does the jobs.
            num_workers: How many processes.
            environ: Added to the environment of the workers.
            python: The interpreter, whose packages the module needs.
        """
        self._events: queue.SimpleQueue[Event | _Broken] = queue.SimpleQueue()
        self._workers = [_Worker(module, environ, python) for _ in range(num_workers)]

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers, also those in the middle of a job."""
        for worker in self._workers:
            worker.close()

    def run(self, jobs: Sequence[Any]) -> Iterator[Event]:
        """Do jobs and yield what happens, in the order in which it happens.

        Raises:
            InputError: A worker was killed, most often for want of memory.
            RuntimeError: A worker crashed; with its traceback.
        """
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(jobs)):
            waiting.put(index)
        for worker in self._workers:
            target = worker.work
            threading.Thread(
                target=target, args=(jobs, waiting, self._events.put), daemon=True
            ).start()
        num_left = len(jobs)
        while num_left:
            event = self._events.get()
            if isinstance(event, _Broken):
                raise event.error
            num_left -= not isinstance(event, Moved)
            yield event


class _Worker:
    """One worker process."""

    def __init__(self, module: str, environ: Mapping[str, str], python: str):
        self._is_closed = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        path = os.pathsep.join(filter(None, (str(CODE_FOLDER), _python_path())))
        self._process = subprocess.Popen(
            # -P: a folder of the user's named `runtime` must not be imported as ours.
            [python, "-P", "-m", "runtime.worker_process", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **environ, "PYTHONPATH": path},
            # Ctrl-C is for the parent to handle; a group of its own does not get it.
            process_group=0,
            text=True,
            encoding="utf-8",
        )

    def work(
        self,
        jobs: Sequence[Any],
        waiting: queue.SimpleQueue[int],
        emit: Callable[[Event | _Broken], None],
    ) -> None:
        """Do jobs until none is waiting."""
        while True:
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            for event in self._do(index, jobs[index]):
                emit(event)
                if isinstance(event, _Broken):
                    return

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._is_closed = True
        with suppress(OSError):
            self._pipe_in.close()
        try:
            self._process.wait(_SECONDS_TO_EXIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe_out.close()
        self._log.close()

    @property
    def _pipe_in(self) -> Any:
        return self._process.stdin

    @property
    def _pipe_out(self) -> Any:
        return self._process.stdout

    def _do(self, index: int, job: Any) -> Iterator[Event | _Broken]:
        try:
            self._pipe_in.write(json.dumps(job) + "\n")
            self._pipe_in.flush()
            for line in self._pipe_out:
                value = json.loads(line)
                if "done_bytes" in value:
                    yield Moved(index, value["done_bytes"])
                    continue
                yield _final_event(index, value)
                return
        except json.JSONDecodeError as error:
            self._process.kill()
            yield _Broken(RuntimeError(f"a worker process talks nonsense: {error.doc}"))
            return
        except (OSError, ValueError):
            pass  # The pipe broke or was closed; the exit status says more.
        if not self._is_closed:
            yield _Broken(self._death())

    def _death(self) -> Exception:
        status = self._process.wait()
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL_BYTES))
        tail = self._log.read().decode("utf-8", "replace").strip()
        if status < 0:
            return InputError(
                f"a worker process was killed by signal {-status}",
                fix="free some memory or use fewer workers; what is done is kept",
            )
        return RuntimeError(f"a worker process ended with status {status}:\n{tail}")


def _final_event(index: int, value: dict[str, Any]) -> Event | _Broken:
    if "answer" in value:
        return Done(index, value["answer"])
    if "problems" in value:
        return Failed(index, tuple(Problem(**fields) for fields in value["problems"]))
    return _Broken(RuntimeError(f"a worker process crashed:\n{value['crash']}"))


def _python_path() -> str | None:
    return os.environ.get("PYTHONPATH")
