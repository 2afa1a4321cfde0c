"""DVC, as codemix uses it; the only file that imports it.

`dvc.repo.Repo` is not a documented interface, so everything that depends on it is here.
What is tracked is read from the `.dvc` files and `dvc.lock` themselves: that needs no
import, takes no lock and works inside a DVC stage, where `Repo.status` does not.

DVC trusts modification times and file modes, so it can miss changed bytes; codemix
hashes the bytes itself and uses this module to track, fetch and look up.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from specs.errors import InputError, Problem


@dataclass(frozen=True)
class Tracked:
    """An output that DVC tracks."""

    path: str
    """Relative to the workspace; a file or a folder."""
    name: str
    """What tracks it: a `.dvc` file, or `dvc.yaml:STAGE`."""
    md5: str | None
    """DVC's hash, `.dir` at the end for a folder; null for a stage that never ran."""
    is_ours: bool
    """Whether its bytes are whatever lies there, not what a stage or the web gave."""

    @property
    def stage(self) -> str | None:
        """The stage's name, for the output of a stage."""
        return self.name.partition(":")[2] or None


class DvcStore:
    """The DVC side of a workspace."""

    def __init__(self, workspace: Path):
        """Name the folder that holds `.dvc/`; nothing is opened yet."""
        self.workspace = workspace
        self._read: dict[Path, Any] = {}

    def initialise(self) -> None:
        """Make the folder, which is in a git repository, one that DVC works in.

        Raises:
            InputError: DVC refuses.
        """
        with _quiet_dvc() as repo_class:
            # The repository may begin further up.
            repo_class.init(str(self.workspace), subdir=True).close()

    def find(self, path: str) -> Tracked | None:
        """Return the output that a path is, or is inside of."""
        place = PurePosixPath(path)
        for candidate in (place, *place.parents):
            if candidate.name:
                found = self._dvc_file(f"{candidate}.dvc") or self._stage(candidate)
                if found is not None:
                    return found
        return None

    def md5_of(self, path: str) -> str | None:
        """Return DVC's hash of a file, also of one inside a tracked folder.

        None where DVC does not know it, or no longer: the list of a folder's files is
        in the cache.
        """
        tracked = self.find(path)
        if tracked is None or tracked.md5 is None:
            return None
        if not tracked.md5.endswith(".dir"):
            return tracked.md5
        inside = str(PurePosixPath(path).relative_to(tracked.path))
        return self._folder_entries(tracked.md5).get(inside)

    def cached(self, md5: str) -> Path | None:
        """Return the path of an object in the cache, if it is there."""
        path = self.cache_folder / "files" / "md5" / md5[:2] / md5[2:]
        return path if path.is_file() else None

    @property
    def cache_folder(self) -> Path:
        """The folder of the local cache."""
        if not hasattr(self, "_cache_folder"):
            from dvc.config import Config

            config = Config(str(self.workspace / ".dvc"), validate=False)
            folder = config.get("cache", {}).get("dir") or ".dvc/cache"
            self._cache_folder = self.workspace / folder
        return self._cache_folder

    def add(self, paths: Sequence[str]) -> None:
        """Track files or folders in place, or track their new bytes.

        Raises:
            InputError: DVC refuses or is busy.
        """
        with self._repo() as repo:
            repo.add([str(self.workspace / path) for path in paths])

    def import_url(self, url: str, path: str) -> None:
        """Download a file and track where it came from.

        Raises:
            InputError: It can't be downloaded.
        """
        target = self.workspace / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._repo() as repo:
            repo.imp_url(url, out=str(target), force=True)

    def imported_url(self, path: str) -> str | None:
        """Return where a tracked file was downloaded from."""
        value = self._yaml(self.workspace / f"{path}.dvc")
        deps = value.get("deps") or [{}]
        url = deps[0].get("path")
        return None if url is None else str(url)

    def checkout(self, path: str) -> None:
        """Put back what the cache holds for a `.dvc` file.

        Raises:
            InputError: The cache does not hold it.
        """
        with self._repo() as repo:
            # By the path itself, DVC would look into the `dvc.yaml` of another folder.
            repo.checkout([str(self.workspace / f"{path}.dvc")], force=True)

    def tracked_by_git(self, paths: Sequence[str]) -> list[str]:
        """Return those paths that git tracks, or that hold something it tracks."""
        if not paths:
            return []
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--", *[f":(literal){path}" for path in paths]],
            cwd=self.workspace,
            capture_output=True,
            check=False,
        )
        if listed.returncode:
            return []  # Not a git repository: DVC works without one too.
        files = [PurePosixPath(name) for name in os.fsdecode(listed.stdout).split("\0")]
        return [
            path
            for path in paths
            if any(file.is_relative_to(path) for file in files if file.name)
        ]

    @contextmanager
    def _repo(self) -> Iterator[Any]:
        """Open DVC's own view; it may change what was read, so that is forgotten."""
        with _quiet_dvc() as repo_class, repo_class(str(self.workspace)) as repo:
            yield repo
        self._read.clear()

    def _dvc_file(self, name: str) -> Tracked | None:
        path = self.workspace / name
        if not path.is_file():
            return None
        outs = self._yaml(path).get("outs") or []
        if len(outs) != 1 or "path" not in outs[0]:
            return None
        place = PurePosixPath(name).parent / outs[0]["path"]
        is_ours = not self._yaml(path).get("deps")
        return Tracked(str(place), name, outs[0].get("md5"), is_ours)

    def _stage(self, place: PurePosixPath) -> Tracked | None:
        """Look a path up among the outputs of the stages above it."""
        for folder in place.parents:
            lock = self._yaml(self.workspace / folder / "dvc.lock").get("stages") or {}
            for stage, value in lock.items():
                for out in value.get("outs") or []:
                    if folder / out["path"] == place:
                        name = str(folder / f"dvc.yaml:{stage}")
                        return Tracked(str(place), name, out.get("md5"), False)
            stages = self._yaml(self.workspace / folder / "dvc.yaml").get("stages")
            for stage, value in (stages or {}).items():
                for out in value.get("outs") or []:
                    path = next(iter(out)) if isinstance(out, dict) else out
                    if folder / path == place:
                        name = str(folder / f"dvc.yaml:{stage}")
                        return Tracked(str(place), name, None, False)
        return None

    def _folder_entries(self, md5: str) -> dict[str, str]:
        path = self.cached(md5)
        if path is None:
            return {}
        if path not in self._read:
            entries = json.loads(path.read_bytes())
            self._read[path] = {one["relpath"]: one["md5"] for one in entries}
        return self._read[path]  # type: ignore[no-any-return]

    def _yaml(self, path: Path) -> dict[str, Any]:
        if path not in self._read:
            self._read[path] = _read_yaml(path)
        return self._read[path]  # type: ignore[no-any-return]


@contextmanager
def _quiet_dvc() -> Iterator[Any]:
    """Import DVC's `Repo`, silent and offline, with its complaints made ours."""
    os.environ["DVC_NO_ANALYTICS"] = "1"
    os.environ["DVC_STUDIO_OFFLINE"] = "true"
    with warnings.catch_warnings():
        # What DVC does wrong with its own libraries is no news for anybody here.
        warnings.simplefilter("ignore")
        from dvc.exceptions import DvcException
        from dvc.lock import LockError
        from dvc.repo import Repo

        # After the imports, which set DVC's log up. It also silences progress bars.
        for name in ("dvc", "dvc_objects", "dvc_data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            yield Repo
        except LockError:
            raise InputError(
                "another dvc or codemix process is busy in this workspace",
                fix="wait until it is done, then run the same command again",
            ) from None
        except DvcException as error:
            raise InputError(_first_cause(error)) from None


def _first_cause(error: BaseException) -> str:
    """Say what DVC says, with the cause that it hides behind."""
    texts = [str(error).splitlines()[0] if str(error) else type(error).__name__]
    cause = error.__cause__
    if cause is not None and str(cause):
        texts.append(str(cause).splitlines()[0])
    return "dvc: " + ": ".join(texts)


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of DVC's; an absent one is empty.

    Raises:
        InputError: It is not YAML, such as after a merge with conflicts.
    """
    try:
        value = YAML(typ="safe", pure=True).load(path.read_bytes())
    except FileNotFoundError:
        return {}
    except YAMLError as error:
        what = f"can't be read: {str(error).splitlines()[0]}"
        raise InputError(Problem(file=path.name, what=what)) from None
    return value if isinstance(value, dict) else {}
