"""What DVC tracks, read from its `.dvc` files, `dvc.yaml` and `dvc.lock` themselves.

That needs no import, takes no lock and works inside a DVC stage, where `Repo.status`
does not.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from specs.atomic import write_atomically
from specs.errors import InputError, Problem

ORIGIN = "codemix_origin"
"""Key in the `meta` of a `.dvc` file."""


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


class DvcFiles:
    """The files of DVC in a workspace, each read once."""

    def __init__(self, workspace: Path):
        """Name the folder that holds `.dvc/`; nothing is read yet."""
        self.workspace = workspace
        self._read: dict[Path, Any] = {}

    def find(self, path: str) -> Tracked | None:
        """Return the output that a path is, or is inside of."""
        place = PurePosixPath(path)
        for candidate in (place, *place.parents):
            if candidate.name:
                found = self._dvc_file(f"{candidate}.dvc") or self._stage(candidate)
                if found is not None:
                    return found
        return None

    def imported_url(self, path: str) -> str | None:
        """Return where a tracked file was downloaded from."""
        value = self._yaml(self.workspace / f"{path}.dvc")
        deps = value.get("deps") or [{}]
        url = deps[0].get("path")
        return None if url is None else str(url)

    def origin_of(self, path: str) -> dict[str, str] | None:
        """Return what was kept of where a tracked file came from, see `set_origin`."""
        meta = self._yaml(self.workspace / f"{path}.dvc").get("meta")
        found = meta.get(ORIGIN) if isinstance(meta, dict) else None
        return dict(found) if isinstance(found, dict) else None

    def set_origin(self, path: str, origin: Mapping[str, str] | None) -> None:
        """Keep in a `.dvc` file where its file came from; DVC leaves `meta` alone."""
        name = self.workspace / f"{path}.dvc"
        value = dict(self._yaml(name))
        meta = {**(value.pop("meta", None) or {}), ORIGIN: origin and dict(origin)}
        meta = {key: found for key, found in meta.items() if found is not None}
        stream = io.BytesIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style, yaml.width = False, 10_000
        yaml.dump({**value, **({"meta": meta} if meta else {})}, stream)
        write_atomically(name, stream.getvalue())
        self._read.pop(name, None)

    def forget(self) -> None:
        """Read everything anew, as it may have changed."""
        self._read.clear()

    def _dvc_file(self, name: str) -> Tracked | None:
        path = self.workspace / name
        if not path.is_file():
            return None
        outs = self._yaml(path).get("outs") or []
        if len(outs) != 1 or "path" not in outs[0]:
            return None
        place = PurePosixPath(name).parent / outs[0]["path"]
        is_ours = (
            not self._yaml(path).get("deps") and self.origin_of(str(place)) is None
        )
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

    def _yaml(self, path: Path) -> dict[str, Any]:
        if path not in self._read:
            self._read[path] = _read_yaml(path)
        return self._read[path]  # type: ignore[no-any-return]


def tracked_by_git(workspace: Path, paths: Sequence[str]) -> list[str]:
    """Return those paths that git tracks, or that hold something it tracks."""
    if not paths:
        return []
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *[f":(literal){path}" for path in paths]],
        cwd=workspace,
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
