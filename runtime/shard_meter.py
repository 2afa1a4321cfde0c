"""How far the shards of sources are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.progress import Listener, Progress
from runtime.shards import ShardJob
from runtime.workers import Done, Event, Failed


class ShardMeter:
    """Adds up how far the jobs are, in bytes of input."""

    def __init__(
        self,
        verb: str,
        jobs: Sequence[ShardJob],
        sizes: Mapping[str, int],
        progress: Listener,
    ):
        """Start at nothing.

        Args:
            verb: What is done to a source, such as `tokenise`.
            jobs: In the order of the events' numbers.
            sizes: Source -> bytes of its files.
            progress: Told how far it is.
        """
        self._verb = verb
        self._jobs = jobs
        self._sizes = [sizes[job.source] // job.num_shards for job in jobs]
        self._done = [0] * len(jobs)
        self._documents = 0
        self._progress = progress

    def hear(self, event: Event) -> None:
        """Take in what happened, and tell."""
        size = self._sizes[event.job]
        if isinstance(event, Done):
            self._documents += event.answer["read"]
        # Text may be larger than the compressed file that it comes from.
        moved = size if isinstance(event, Done | Failed) else event.done_bytes
        self._done[event.job] = min(size, moved)
        self._progress(
            Progress(
                task=f"{self._verb} {self._jobs[event.job].source}",
                done_bytes=sum(self._done),
                total_bytes=sum(self._sizes),
                documents=self._documents,
            )
        )
