"""Where a workspace's DVC remotes are, without what only their owner may know."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from typing import Any

from specs.credentials import TAKEN_OUT, without_credentials

PUBLIC = ("url", "endpointurl", "region", "port", "version_aware")
"""Settings of a remote that others need and may see."""

_SECTION = re.compile(r"""'?remote\s+"(?P<name>[^"]+)"'?""")


def public_remotes(workspace: Path) -> dict[str, Any]:
    """Read the remotes from `.dvc/config`, never from `.dvc/config.local`.

    Returns:
        `default`: the name of one of them or null; `remotes`: name -> settings.
    """
    parser = _parsed(workspace / ".dvc" / "config")
    remotes: dict[str, dict[str, str]] = {}
    for section in parser.sections():
        match = _SECTION.fullmatch(section)
        settings = dict(parser.items(section))
        if match is None or "url" not in settings:
            continue
        shown = {key: settings[key] for key in PUBLIC if key in settings}
        shown["url"] = _absolute(shown["url"], workspace)
        remotes[match["name"]] = {
            key: public_address(value) for key, value in shown.items()
        }
    default = parser.get("core", "remote", fallback=None)
    return {"default": default if default in remotes else None, "remotes": remotes}


def public_address(address: str) -> str:
    """Take out of an address what only its owner may know.

    >>> public_address("https://ana:secret@example.org/a?token=abc")
    'https://example.org/a'
    >>> public_address("/mnt/depot"), public_address("s3://bucket/depot")
    ('/mnt/depot', 's3://bucket/depot')
    """
    shown = without_credentials(address)
    return shown.partition("?")[0] if TAKEN_OUT in shown else shown


def has_remote(workspace: Path) -> bool:
    """Tell whether the workspace has a remote of its own, also a local one."""
    return any(
        _SECTION.fullmatch(section)
        for name in ("config", "config.local")
        for section in _parsed(workspace / ".dvc" / name).sections()
    )


def _parsed(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, "utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return configparser.RawConfigParser()
    return parser


def _absolute(url: str, workspace: Path) -> str:
    """Return a folder's whole path; DVC means it from where its settings are."""
    if "://" in url:
        return url
    return os.path.normpath(workspace.resolve() / ".dvc" / url)
