"""Batches, made ready ahead of the training loop on a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, Self, TypeVar

Batch = TypeVar("Batch")


class BatchReader(Generic[Batch]):
    """Calls `read(step)` for the steps to come on a thread of its own.

    Asking for a step returns its batch and keeps the next ones coming; any step may be
    asked for at any time. What `read` raises is raised where its step is asked for.
    The thread is a daemon: neither a slow disk nor a crash keeps the process alive.
    """

    def __init__(self, read: Callable[[int], Batch], *, stop_step: int, depth: int = 4):
        """Start the thread.

        Args:
            read: Returns the batch of a step.
            stop_step: One past the last step that is read ahead.
            depth: Batches held in memory at most, the one asked for included.
        """
        self._read = read
        self._stop_step = stop_step
        self._depth = depth
        self._pending: dict[int, Future[Batch]] = {}
        self._requests: queue.SimpleQueue[tuple[int, Future[Batch]] | None]
        self._requests = queue.SimpleQueue()
        self._closed = False
        threading.Thread(target=self._work, name="batches", daemon=True).start()

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step, waiting for it if need be."""
        assert not self._closed
        wanted = range(step, max(step + 1, min(step + self._depth, self._stop_step)))
        for other in [other for other in self._pending if other not in wanted]:
            self._pending.pop(other).cancel()
        for other in wanted:
            if other not in self._pending:
                future: Future[Batch] = Future()
                self._pending[other] = future
                self._requests.put((other, future))
        return self._pending.pop(step).result()

    def close(self) -> None:
        """Drop what is still to be read; does not wait for the thread."""
        self._closed = True
        while self._pending:
            self._pending.popitem()[1].cancel()
        self._requests.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _work(self) -> None:
        while (request := self._requests.get()) is not None:
            step, future = request
            if not future.set_running_or_notify_cancel():
                continue
            try:
                batch = self._read(step)
            except BaseException as error:  # noqa: BLE001  raised again by the caller
                future.set_exception(error)
            else:
                future.set_result(batch)
