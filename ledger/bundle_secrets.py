"""The last look at a bundle before it leaves: no known secret may be in it.

Known are the users and passwords of this workspace's DVC remotes, also of the local
configuration, and environment variables whose name says that they are secret.
"""

from __future__ import annotations

import configparser
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from ledger.secrets import is_secret_name
from specs.credentials import secrets_of

_SHORTEST_VALUE = 8
"""Shorter values are words, which are found everywhere."""

_CHUNK_BYTES = 2**20


class Secrets:
    """Values that may not leave, by where they come from."""

    def __init__(self, values: Mapping[str, bytes]) -> None:
        """Take where a value comes from -> the value."""
        self._values = values
        self._overlap = max(map(len, values.values()), default=1) - 1

    @classmethod
    def known(cls, workspace: Path, environ: Mapping[str, str] = os.environ) -> Secrets:
        """Collect what is known on this machine."""
        values: dict[str, bytes] = {}
        for name in ("config", "config.local"):
            path = workspace / ".dvc" / name
            if path.is_file():
                values.update(_of_config(path.read_text("utf-8"), f".dvc/{name}"))
        for name, value in environ.items():
            # Git's own variables name the author, who is in every commit.
            is_secret = is_secret_name(name) and not name.startswith("GIT_")
            if is_secret and len(value) >= _SHORTEST_VALUE:
                values[f"the variable {name}"] = os.fsencode(value)
        return cls(values)

    def scanner(self) -> Scanner:
        """Start to look through one file."""
        return Scanner(self._values, self._overlap)

    def in_history(self, repository: Path, commit: str) -> str | None:
        """Say where a secret comes from that any file up to a commit holds."""
        if not self._values:
            return None
        scan = self.scanner()
        for chunk in _contents(repository, commit):
            scan.feed(chunk)
        return scan.found


class Scanner:
    """Looks for secrets in the chunks of one file."""

    def __init__(self, values: Mapping[str, bytes], overlap: int) -> None:
        """Take what to look for, and how much of a chunk may belong to the next."""
        self.found: str | None = None
        """Where the secret that was found comes from."""
        self._values = values
        self._overlap = overlap
        self._tail = b""

    def feed(self, chunk: bytes) -> None:
        """Look through the next bytes."""
        data = self._tail + chunk
        for source, value in self._values.items():
            if self.found is None and value in data:
                self.found = source
        self._tail = data[-self._overlap :] if self._overlap else b""


def _of_config(text: str, name: str) -> dict[str, bytes]:
    """Find the secrets of a file of DVC's settings."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    values: dict[str, bytes] = {}
    for section in parser.sections():
        for option, value in parser.items(section):
            for secret in secrets_of(value):
                values[f"{option} in {name}"] = secret.encode()
            # An option such as `password` has no word before it.
            if is_secret_name(f"_{option}") and len(value) >= _SHORTEST_VALUE:
                values[f"{option} in {name}"] = value.encode()
    return values


def _contents(repository: Path, commit: str) -> Iterator[bytes]:
    """Yield the bytes of every object up to a commit."""
    git = ["git", "-C", str(repository)]
    listing = subprocess.Popen(
        [*git, "rev-list", "--objects", "--no-object-names", commit],
        stdout=subprocess.PIPE,
    )
    reading = subprocess.Popen(
        [*git, "cat-file", "--batch", "--buffer"],
        stdin=listing.stdout,
        stdout=subprocess.PIPE,
    )
    assert reading.stdout is not None
    try:
        while chunk := reading.stdout.read(_CHUNK_BYTES):
            yield chunk
    finally:
        for process in (reading, listing):
            assert process.stdout is not None
            process.stdout.close()
            process.wait()
