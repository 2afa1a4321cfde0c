"""Compiled programs, kept for the next start; never the cause of other bits.

jax has such a cache. Its keys miss some of what decides bits on a CPU (the threads that
an operation may be split over), it believes whatever bytes it finds, and an entry that
was cut off stays for ever. So here each entry has a digest beside it, written once the
entry is whole, and a folder serves only one kind of machine under one set of settings.
What is not as its digest says is deleted before jax can see it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runtime.devices import describe
from runtime.token_store import sha256_of
from specs.atomic import write_atomically
from specs.canonical import digest_of

VARIABLE = "JAX_COMPILATION_CACHE_DIR"
"""jax's own; where it is set our folders are made there."""

MOST_BYTES = 2 * 1024**3
"""Entries that are kept in one folder; the oldest go first."""

SHORTEST_SECONDS = 0.2
"""Of compiling; what is faster is not worth a file."""

_ENTRY, _DIGEST = "-cache", "-sha256"
_WRITTEN = "/jax/compilation_cache/cache_misses"
_COMPILED = "/jax/core/compile/backend_compile_duration"


def cache_root() -> Path:
    """Return the folder of all compiled programs of this user."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "codemix" / "compiled"


def use_compile_cache(warn: Callable[[str], None] = lambda _: None) -> Path | None:
    """Let jax keep what it compiles from now on; the devices are known by now.

    Args:
        warn: Told in one line why compiling will take longer than it could.

    Returns:
        The folder; None where there is no cache: it can't be written, it was turned
        off (JAX_ENABLE_COMPILATION_CACHE=false), or it is no local folder.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    if not jax.config.jax_enable_compilation_cache:  # type: ignore[attr-defined]
        return None
    folder = _checked_folder(warn)
    jax.config.update("jax_compilation_cache_dir", folder and str(folder))
    # What was compiled so far may have gone to the folder that jax's variable names.
    compilation_cache.reset_cache()
    if folder is None:
        return None
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST_SECONDS)
    # Files of XLA's own would have no digests.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    sealer = _Sealer(folder)
    jax.monitoring.register_event_listener(sealer.on_event)
    jax.monitoring.register_event_duration_secs_listener(sealer.on_duration)
    return folder


def _checked_folder(warn: Callable[[str], None]) -> Path | None:
    """Make the folder of this machine and check what is in it."""
    if "://" in os.environ.get(VARIABLE, ""):
        warn(f"no compile cache: {VARIABLE} is not a local folder, so can't be checked")
        return None
    root = cache_root()
    folder = root / digest_of(describe())[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        num_damaged = drop_damaged(folder)
        _drop_oldest(folder)
        # Asked by writing: the superuser may write anything but a read-only disk.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        warn(f"no compile cache in {root}: {error.strerror}; starting takes longer")
        return None
    if num_damaged:
        warn(
            f"the compile cache had {num_damaged} damaged programs; they are made anew"
        )
    return folder


def seal(folder: Path) -> None:
    """Write the digest of every entry that has none."""
    for entry in folder.glob(f"*{_ENTRY}"):
        if not _digest_path(entry).exists():
            write_atomically(_digest_path(entry), sha256_of(entry).encode())


def drop_damaged(folder: Path) -> int:
    """Delete the entries that are not what their digest says; return how many.

    One that has no digest yet was cut off, or another process is still writing it:
    that process does not need the file, so it goes too and does not count.
    """
    num_damaged = 0
    for entry in folder.glob(f"*{_ENTRY}"):
        path = _digest_path(entry)
        # Another process may be deleting it too.
        with suppress(FileNotFoundError):
            expected = path.read_text("ascii", "replace") if path.exists() else None
            if expected != sha256_of(entry):
                num_damaged += expected is not None
                _delete(entry)
    return num_damaged


class _Sealer:
    """Seals the entries of a folder as soon as jax has written them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._has_written = False

    def on_event(self, event: str, **_: str | int) -> None:
        """Hear of an entry, just before it is written."""
        self._has_written |= event == _WRITTEN

    def on_duration(self, event: str, duration_secs: float, **_: str | int) -> None:
        """Hear that a program is compiled, and its entry written."""
        if event == _COMPILED and self._has_written:
            self._has_written = False
            # An entry without a digest is dropped at the next start, which is slower.
            with suppress(OSError):
                seal(self._folder)


def _drop_oldest(folder: Path) -> None:
    entries = [(path.stat(), path) for path in folder.glob(f"*{_ENTRY}")]
    num_bytes = 0
    for facts, entry in sorted(entries, key=lambda one: -one[0].st_mtime_ns):
        num_bytes += facts.st_size
        if num_bytes > MOST_BYTES:
            _delete(entry)


def _delete(entry: Path) -> None:
    entry.unlink(missing_ok=True)
    _digest_path(entry).unlink(missing_ok=True)


def _digest_path(entry: Path) -> Path:
    return entry.with_name(entry.name.removesuffix(_ENTRY) + _DIGEST)
