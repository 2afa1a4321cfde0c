"""Many files at once, but not too many, and what to tell while they come."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from runtime.hashing import FileHash
from runtime.progress import Listener, Progress
from runtime.remote.download import Download, download
from runtime.remote.patience import DEFAULT_PATIENCE, GOES_ON, Patience, Stopped
from runtime.remote.places import Refused

AT_ONCE = 4
"""Enough to fill a line; servers count connections."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SECONDS_BETWEEN_NEWS = 0.2


def download_all(
    wanted: Mapping[str, Download],
    folder: Path,
    progress: Listener,
    *,
    patience: Patience = DEFAULT_PATIENCE,
) -> tuple[dict[str, FileHash], dict[str, Refused]]:
    """Bring files here; one that can't be had doesn't keep the others from coming.

    Args:
        wanted: Any name -> the file.
        folder: On the disk that they go to.
        progress: Told how far it is, from this thread.
        patience: How often and how long each is tried.

    Returns:
        Name -> the hashes of what arrived; name -> why it did not.

    Raises:
        Refused: The disk has no room for all of them, or is full.
    """
    total = sum(one.file.num_bytes or 0 for one in wanted.values())
    _check_room(list(wanted.values()), folder)
    crew = _Crew(patience)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="download") as pool:
        waiting = {
            pool.submit(crew.download, one): name
            for name, one in sorted(wanted.items())
        }
        try:
            _wait_for(set(waiting), crew, total, progress)
        except BaseException:
            crew.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    arrived, refused = {}, {}
    for future, name in waiting.items():
        try:
            arrived[name] = future.result()
        except Refused as error:
            refused[name] = error
        except Stopped:
            continue
        except OSError as error:
            raise _disk_error(error, wanted[name].target) from None
    return arrived, refused


class _Crew:
    """What the threads share."""

    def __init__(self, patience: Patience):
        self.stop = threading.Event()
        self.num_bytes = 0
        self._patience = patience
        self._lock = threading.Lock()

    def download(self, wanted: Download) -> FileHash:
        """Bring one; a disk that fails stops all."""
        try:
            return download(
                wanted, moved=self._moved, patience=self._patience, stop=self.stop
            )
        except OSError:
            self.stop.set()
            raise

    def _moved(self, num_bytes: int) -> None:
        with self._lock:
            self.num_bytes += num_bytes


def _wait_for(
    waiting: set[Future[FileHash]], crew: _Crew, total: int, progress: Listener
) -> None:
    while True:
        done = max(0, crew.num_bytes)
        news = Progress(task="download", done_bytes=done, total_bytes=max(total, done))
        progress(news)
        if not waiting:
            return
        waiting = wait(
            waiting, timeout=_SECONDS_BETWEEN_NEWS, return_when=FIRST_COMPLETED
        ).not_done


def _check_room(wanted: Sequence[Download], folder: Path) -> None:
    needed = sum((one.file.num_bytes or 0) - one.num_bytes_here() for one in wanted)
    free = shutil.disk_usage(folder).free
    if needed > free:
        what = f"the download needs {needed:,} bytes, the disk has {free:,} left"
        raise Refused(what, f"free as much, then {GOES_ON}")


def _disk_error(error: OSError, target: Path) -> Refused:
    reason = os.strerror(error.errno) if error.errno else str(error)
    what = f"{target.name} can't be written: {reason}"
    if error.errno in _FULL:
        return Refused(what, f"free space on this disk, then {GOES_ON}")
    return Refused(what, f"mend that, then {GOES_ON}")
