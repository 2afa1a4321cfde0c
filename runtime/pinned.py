"""Whether the bytes in the workspace are those of the lock.

Every byte is read, every time: times and sizes can't be trusted, and DVC's own check
trusts them. All differences are reported at once, each with what mends it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ledger.dvc_files import Tracked
from ledger.dvc_store import DvcStore
from runtime.file_endings import is_first_kind
from runtime.hashing import hash_file
from runtime.inputs import Input, inputs_of, locate
from runtime.progress import Listener, Progress, ignore_progress
from specs.errors import InputError, Problem
from specs.experiment import Experiment
from specs.lock import Lock, LockedFile, LockedInput

PIN_AGAIN = "codemix pin"


def check_covers(experiment: Experiment, lock: Lock) -> None:
    """Check that the lock pins what the spec names, without reading any data.

    Raises:
        InputError: With every input that is missing, unknown or elsewhere.
    """
    wanted = {one.key: one for one in inputs_of(experiment, lock.benchmarks)}
    problems = [
        Problem(
            what="is in the spec but not in the lock",
            path=key,
            fix=f"{PIN_AGAIN} the spec again",
        )
        for key in wanted
        if key not in lock.inputs
    ]
    for key, pinned in sorted(lock.inputs.items()):
        if key not in wanted:
            problems.append(
                Problem(
                    what="is in the lock but no longer in the spec",
                    path=key,
                    fix=f"{PIN_AGAIN} the spec again",
                )
            )
        elif wanted[key].uri != pinned.uri:
            problems.append(
                Problem(
                    what=f"the spec names {wanted[key].uri!r}, the lock {pinned.uri!r}",
                    path=key,
                    fix=f"{PIN_AGAIN} the spec again",
                )
            )
    if problems:
        raise InputError(problems)


def check_pinned(
    experiment: Experiment,
    lock: Lock,
    workspace: Path,
    progress: Listener = ignore_progress,
    *,
    not_needed: Collection[str] = (),
) -> tuple[Problem, ...]:
    """Read all pinned bytes and compare them with the lock.

    Args:
        experiment: The spec.
        lock: Its lock.
        workspace: Where the files are.
        progress: Told how far it is.
        not_needed: Inputs of the lock that are not looked at.

    Returns:
        What is no obstacle here but would be elsewhere: bytes that are in the workspace
        and missing from the DVC cache, so that `dvc push` can't share them.

    Raises:
        InputError: With every difference.
    """
    check_covers(experiment, lock)
    checker = _Checker(lock, workspace, progress)
    for wanted in inputs_of(experiment, lock.benchmarks):
        if wanted.key not in not_needed:
            checker.check(wanted, lock.inputs[wanted.key])
    if checker.problems:
        raise InputError(checker.problems)
    return tuple(checker.notes)


def absent_sources(lock: Lock, workspace: Path) -> set[str]:
    """Return the sources of a lock of which no file is in the workspace."""
    return {
        key
        for key, pinned in lock.inputs.items()
        if key.startswith("sources.") or key == "tokenizer"
        if not any((workspace / file.path).exists() for file in pinned.files)
    }


class _Checker:
    """Collects the differences."""

    def __init__(self, lock: Lock, workspace: Path, progress: Listener):
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._workspace = workspace
        self._store = DvcStore(workspace)
        self._progress = progress
        self._total_bytes = sum(one.num_bytes for one in lock.inputs.values())
        self._done_bytes = 0

    def check(self, wanted: Input, pinned: LockedInput) -> None:
        """Check one input."""
        self._check_file_list(wanted, pinned)
        for file in pinned.files:
            if (self._workspace / file.path).is_file():
                self._check_bytes(wanted.key, file)
            else:
                self._add(wanted.key, file.path, *self._missing(file))

    def _check_file_list(self, wanted: Input, pinned: LockedInput) -> None:
        try:
            located = locate(wanted, self._workspace)
        except InputError as error:
            # What is missing is reported file by file.
            gone = ("no such file", "the pattern matches no", "the folder holds no")
            self.problems += [
                one for one in error.problems if not one.what.startswith(gone)
            ]
            return
        known = {file.path for file in pinned.files}
        found = set(located.files)
        is_auto = located.is_folder and wanted.format == "auto"
        if is_auto and all(map(is_first_kind, known)):
            # Pinned when fewer endings were known, it goes on to mean the same files.
            found = set(filter(is_first_kind, found))
        for path in sorted(found - known):
            self._add(
                wanted.key,
                path,
                f"belongs to {wanted.uri} but is not in the lock",
                f"move it away, or {PIN_AGAIN} the spec again",
            )

    def _check_bytes(self, key: str, file: LockedFile) -> None:
        found = hash_file(self._workspace / file.path, moved=self._moved)
        if found.sha256 != file.sha256:
            self._add(key, file.path, *self._changed(file))
            return
        if found.num_bytes != file.bytes:
            self._add(key, file.path, *_edited("bytes"))
        tracked = self._store.find(file.path)
        if tracked is None:
            self._add(
                key,
                file.path,
                "is no longer tracked by DVC",
                f"put its .dvc file back, or {PIN_AGAIN} the spec again",
            )
            return
        md5 = self._store.md5_of(file.path)
        if md5 is not None and file.dvc_hash not in (None, f"md5:{md5}"):
            what = f"the lock and {tracked.name} name different bytes"
            self._add(key, file.path, what, f"{PIN_AGAIN} the spec again")
        if md5 is None or self._store.cached(md5) is None:
            self.notes.append(
                Problem(
                    what="is not in the DVC cache, so dvc push can't share it",
                    file=file.path,
                    path=key,
                    fix=f"dvc commit --force {tracked.name}",
                )
            )

    def _missing(self, file: LockedFile) -> tuple[str, str]:
        """Say where a missing file can come from."""
        tracked = self._store.find(file.path)
        if tracked is None:
            fix = f"put its .dvc file back, then dvc pull {file.path}.dvc"
            return "is missing, and nothing tracks it any more", fix
        name = tracked.stage or tracked.name
        md5 = self._store.md5_of(file.path)
        if md5 is not None and self._store.cached(md5) is not None:
            return "is missing; the DVC cache holds it", f"dvc checkout {name}"
        fix = f"dvc pull {name}"
        if tracked.stage:
            fix += f", or dvc repro {name}"
        return "is missing from the workspace and from the DVC cache", fix

    def _changed(self, file: LockedFile) -> tuple[str, str]:
        """Say who is wrong: the file, the cache or the lock."""
        found = hash_file(self._workspace / file.path, with_md5=True)
        if file.dvc_hash == f"md5:{found.md5}":
            # The same bytes by DVC's hash: only a hand can have changed the other.
            return _edited("sha256")
        tracked = self._store.find(file.path)
        what = f"has other bytes than the lock says: {found.num_bytes} bytes, "
        what += f"sha256 {found.sha256[:12]}, the lock says {file.bytes} bytes, "
        what += file.sha256[:12]
        return what, self._way_back(file, tracked)

    def _way_back(self, file: LockedFile, tracked: Tracked | None) -> str:
        accept = f"{PIN_AGAIN} the spec again to accept the new bytes"
        if tracked is None:
            return accept
        name = tracked.stage or tracked.name
        cached = self._store.cached((file.dvc_hash or "").removeprefix("md5:"))
        if cached is None:
            return f"delete it and dvc pull {name}, or {accept}"
        if f"md5:{hash_file(cached, with_md5=True).md5}" != file.dvc_hash:
            # DVC takes a write-protected object for good and would hand it out again.
            where = cached.relative_to(self._workspace)
            return (
                f"the DVC cache is damaged too: delete the file and {where}, "
                f"then dvc pull {name}"
            )
        return f"delete it and dvc checkout {name}, or {accept}"

    def _moved(self, num_bytes: int) -> None:
        self._done_bytes += num_bytes
        self._progress(
            Progress(
                task="check",
                done_bytes=self._done_bytes,
                total_bytes=self._total_bytes,
            )
        )

    def _add(self, key: str, file: str, what: str, fix: str) -> None:
        self.problems.append(Problem(what=what, file=file, path=key, fix=fix))


def _edited(field: str) -> tuple[str, str]:
    what = f"the lock was edited: its {field} is not that of the bytes which DVC tracks"
    return what, f"restore the lock, or {PIN_AGAIN} the spec again"
