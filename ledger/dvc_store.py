"""DVC, as codemix uses it; the only file that imports it.

`dvc.repo.Repo` is not a documented interface, so everything that depends on it is here.
DVC trusts modification times and file modes, so it can miss changed bytes; codemix
hashes the bytes itself and uses this module to track, fetch and look up.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from ledger.dvc_files import DvcFiles
from specs.errors import InputError

_TRIES = 5
_SECONDS_BETWEEN_TRIES = 0.1


class DvcStore(DvcFiles):
    """The DVC side of a workspace: what it tracks, its cache, and its commands."""

    def initialise(self) -> None:
        """Make the folder, which is in a git repository, one that DVC works in.

        Raises:
            InputError: DVC refuses.
        """
        with _quiet_dvc() as repo_class:
            # The repository may begin further up.
            repo_class.init(str(self.workspace), subdir=True).close()

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

    @cached_property
    def cache_folder(self) -> Path:
        """The folder of the local cache."""
        from dvc.config import Config

        config = Config(str(self.workspace / ".dvc"), validate=False)
        return self.workspace / (config.get("cache", {}).get("dir") or ".dvc/cache")

    def add(self, paths: Sequence[str]) -> None:
        """Track files or folders in place, or track their new bytes.

        Raises:
            InputError: DVC refuses or is busy.
        """
        self._add(paths)
        # DVC does not look into what is in its cache already.
        damaged = [
            listing for path in paths if (listing := self._damaged_listing(path))
        ]
        if damaged:
            for listing in damaged:
                listing.unlink()
            self._add(paths)

    def import_url(self, url: str, path: str) -> None:
        """Download a file and track where it came from.

        Raises:
            InputError: It can't be downloaded.
        """
        target = self.workspace / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._repo() as repo:
            repo.imp_url(url, out=str(target), force=True)

    def pull(self, names: Sequence[str]) -> None:
        """Fetch what `.dvc` files or stages track from the remote, into place.

        Args:
            names: Such as `data/a.jsonl.dvc` or `dvc.yaml:make`.

        Raises:
            InputError: There is no remote, it can't be reached, or lacks the bytes.
        """
        with self._repo() as repo:
            repo.pull([str(self.workspace / name) for name in names])

    def has_remote(self) -> bool:
        """Tell whether DVC has a remote to fetch from, wherever it is configured."""
        from dvc.config import Config

        config = Config(str(self.workspace / ".dvc"), validate=False)
        return bool(config.get("core", {}).get("remote"))

    def add_remote(self, name: str, settings: Mapping[str, str]) -> None:
        """Name a remote in `.dvc/config`, as the default."""
        with self._repo() as repo, repo.config.edit("repo") as config:
            config["remote"][name] = dict(settings)
            config["core"]["remote"] = name

    def checkout(self, path: str) -> None:
        """Put back what the cache holds for a `.dvc` file.

        Raises:
            InputError: The cache does not hold it.
        """
        with self._repo() as repo:
            # By the path itself, DVC would look into the `dvc.yaml` of another folder.
            repo.checkout([str(self.workspace / f"{path}.dvc")], force=True)

    def _add(self, paths: Sequence[str]) -> None:
        with self._repo() as repo:
            repo.add([str(self.workspace / path) for path in paths])

    @contextmanager
    def _repo(self) -> Iterator[Any]:
        """Open DVC's own view; it may change what was read, so that is forgotten."""
        self._mend()
        with _quiet_dvc() as repo_class, repo_class(str(self.workspace)) as repo:
            yield repo
        self.forget()

    def _folder_entries(self, md5: str) -> dict[str, str]:
        path = self.cached(md5)
        if path is None:
            return {}
        if path not in self._read:
            entries = json.loads(path.read_bytes()) if _is_listing(path, md5) else []
            self._read[path] = {one["relpath"]: one["md5"] for one in entries}
        return self._read[path]  # type: ignore[no-any-return]

    def _damaged_listing(self, path: str) -> Path | None:
        """Return the list of a folder's files in the cache if it is half-written."""
        tracked = self.find(path)
        if tracked is None or not (tracked.md5 or "").endswith(".dir"):
            return None
        listing = self.cached(tracked.md5 or "")
        if listing is None or _is_listing(listing, tracked.md5 or ""):
            return None
        return listing

    def _mend(self) -> None:
        """Remove what a killed DVC left half-written and would stumble over itself."""
        path = self.workspace / ".dvc" / "tmp" / "rwlock"
        for _ in range(_TRIES):
            if _is_json(path):
                return
            # A DVC that is alive may be writing it: that takes no more than a moment.
            time.sleep(_SECONDS_BETWEEN_TRIES)
        path.unlink(missing_ok=True)


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


def _is_listing(path: Path, md5: str) -> bool:
    """Tell whether the list of a folder's files is whole.

    DVC writes it in place, so a DVC that was killed leaves half of it.
    """
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return md5 == f"{found}.dir"


def _is_json(path: Path) -> bool:
    """Tell whether a file is absent or whole."""
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True


def _first_cause(error: BaseException) -> str:
    """Say what DVC says, with the cause that it hides behind."""
    texts = [str(error).splitlines()[0] if str(error) else type(error).__name__]
    cause = error.__cause__
    if cause is not None and str(cause):
        texts.append(str(cause).splitlines()[0])
    return "dvc: " + ": ".join(texts)
