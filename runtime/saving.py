"""One checkpoint on its way to where it stays, while training goes on.

The state has been copied to this process's memory. A thread digests and writes what
this process holds; process 0 then collects all digests and writes the manifest, which
makes the checkpoint exist.
"""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from ledger.recorder import TensorFacts
from runtime.manifest import MANIFEST, Manifest, ShareFacts
from runtime.processes import Processes
from runtime.row_files import Rows, Share, digest_share, digests_of_rows, facts_of
from runtime.state import Layout
from runtime.storage import Storage
from specs.errors import InputError


class Saving:
    """A save that goes on in a thread of its own."""

    def __init__(
        self,
        storage: Storage,
        folder: str,
        shares: Mapping[Share, Mapping[str, Rows]],
        layout: Layout,
        processes: Processes,
        *,
        step: int,
        is_stage_end: bool,
        num_updates: int,
        place: str,
        then: Callable[[], None],
    ) -> None:
        """Start to save.

        Args:
            storage: Of the checkpoints.
            folder: Of this one, empty so far.
            shares: What this process writes.
            layout: Of the state.
            processes: All of them save, each its shares.
            step: Steps done.
            is_stage_end: Whether a stage ends there.
            num_updates: As in the state.
            place: Of the folder, to name it in errors.
            then: Called in process 0 once the checkpoint exists.
        """
        self.step = step
        self.is_stage_end = is_stage_end
        self.tensors: dict[str, TensorFacts] = {}
        """Facts of all tensors once saved, in process 0."""
        self._storage, self._folder, self._layout = storage, folder, layout
        self._shares, self._processes, self._then = shares, processes, then
        self._num_updates, self._place = num_updates, place
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="saving")
        self._thread.start()

    def is_done(self) -> bool:
        """Whether it has ended, one way or the other."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Wait for the end of it.

        Raises:
            InputError: The disk is full.
            OSError: It could not be written.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._save()
        except BaseException as error:  # noqa: BLE001  the main thread raises it
            self._error = _explained(error, self._place)
            if self._processes.is_first:
                with suppress(OSError):  # the next run sweeps what is left
                    self._storage.delete(self._folder)
            return
        try:
            if self._processes.is_first:
                self._then()
        except OSError as error:
            self._error = _explained(error, self._place)

    def _save(self) -> None:
        mine = []
        for share, tensors in self._shares.items():
            pieces = [rows.data for rows in tensors.values()]
            self._storage.write(f"{self._folder}/{share.file_name}", pieces)
            digests = digest_share(tensors).hex()
            mine.append([share.part, share.start_row, share.stop_row, digests])
        self._shares = {}
        texts = self._processes.collect(f"saves/{self._folder}", json.dumps(mine))
        if self._processes.is_first:
            self._seal([one for text in texts for one in json.loads(text)])

    def _seal(self, written: list[tuple[int, int, int, str]]) -> None:
        """Write the manifest, after everything else is safe."""
        shares = {
            Share(part, start, stop): bytes.fromhex(digests)
            for part, start, stop, digests in sorted(written)
        }
        digests = digests_of_rows(shares, self._layout)
        self.tensors = facts_of(digests, self._layout)
        manifest = Manifest(
            step=self.step,
            is_stage_end=self.is_stage_end,
            num_rows=self._layout.num_rows,
            num_parts=self._layout.num_parts,
            num_updates=self._num_updates,
            shares=tuple(ShareFacts.of(*pair) for pair in shares.items()),
            tensors=self.tensors,
        )
        self._storage.write(f"{self._folder}/{MANIFEST}", [manifest.sealed()])


def _explained(error: BaseException, place: str) -> BaseException:
    is_full = isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
    )
    if is_full:
        return InputError(
            "the disk is full, the checkpoint could not be saved",
            file=place,
            fix="make room and run the same command again: it goes on from the last "
            "checkpoint",
        )
    if isinstance(error, OSError):
        return InputError(
            f"the checkpoint could not be saved: {error}",
            file=place,
            fix="run the same command again: it goes on from the last checkpoint",
        )
    return error
