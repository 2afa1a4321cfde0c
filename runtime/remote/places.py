"""What every place of data can do: say which files it has, and how one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from specs.errors import Problem
from specs.locations import Remote
from specs.lock import Origin

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that mean "later"."""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file, as the place tells of it before any of its bytes are asked for."""

    path: str
    """Below the folder that the address names, with forward slashes."""
    num_bytes: int | None
    """None where the place doesn't say."""
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All files that an address means."""

    files: tuple[RemoteFile, ...]
    revision: str | None = None
    """The commit that a revision on the hub stands for."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How one file is asked for by HTTP. May hold secrets: it is never shown."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Place(Protocol):
    """Somewhere that data is."""

    credentials: str
    """Which variables of the environment hold them, for messages."""
    has_credentials: bool

    def listing(self, remote: Remote) -> Listing:
        """Say which files an address means.

        Raises:
            Refused: The place has none, or does not tell us.
            Interrupted: It can't be reached now.
        """

    def ask(self, address: str) -> Asked:
        """Say how one of its files is asked for, with fresh credentials."""


class Refused(Exception):
    """It can't be had, and asking again would not change that."""

    def __init__(self, what: str, fix: str):
        super().__init__(what)
        self.what = what
        self.fix = fix

    def problem(self, key: str, file: str | None = None) -> Problem:
        """Return it as something that the user is told."""
        return Problem(what=self.what, fix=self.fix, path=key, file=file)


class Interrupted(Exception):
    """It could not be had now, and may be had later."""

    def __init__(self, what: str, wait_seconds: float | None = None):
        super().__init__(what)
        self.what = what
        self.wait_seconds = wait_seconds
        """How long the place asked to be left alone."""


def refusal(status: int, address: str, place: Place, code: str = "") -> Refused:
    """Say in words what a status means that no second try would change."""
    said = f"{address}: {status}{f' {code}' if code else ''}"
    is_forbidden = status in (401, 403) or code in (
        "ExpiredToken",
        "InvalidToken",
        "InvalidAccessKeyId",
    )
    if is_forbidden and place.has_credentials:
        what = f"{said}: the credentials in {place.credentials} are refused: "
        what += "expired, or without access to it"
        return Refused(what, f"put fresh ones into {place.credentials}, then repeat")
    if is_forbidden and place.credentials:
        what = f"{said}: it is private, or does not exist, and no credentials are set"
        return Refused(what, f"set {place.credentials}, then repeat")
    if is_forbidden:
        return Refused(f"{said}: access is refused", "download it by hand")
    if status in (404, 410):
        return Refused(f"{said}: does not exist there", "correct the address")
    return Refused(f"{said}: the place refuses it", "look at the address in a browser")
