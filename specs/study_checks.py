"""What a single value of a `study.yaml` must be, beyond its type."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from specs.claims import parse_claim
from specs.rules import broken, shown

STUDY_VERSION = 1


def check_study_version(value: Any) -> Any:
    """Refuse `true`, which Python takes for a 1."""
    if isinstance(value, bool):
        raise broken(f"must be {STUDY_VERSION}, got {shown(value)}", "write a number")
    return value


def check_claim(says: str) -> str:
    """Refuse what is no claim."""
    parse_claim(says)
    return says


def check_pattern(pattern: str) -> str:
    """Refuse what can't name specs beside the file."""
    parts = PurePosixPath(pattern).parts
    if pattern.startswith(("/", "~")) or "\\" in pattern or ".." in parts or not parts:
        what = f"must name specs beside this file, got {shown(pattern)}"
        raise broken(what, "write a file name or a pattern such as sweep-*.yaml")
    if any("**" in part and part != "**" for part in parts):
        # Some versions of Python refuse it, others take it for a single *.
        what = f"must have ** alone between slashes, got {shown(pattern)}"
        raise broken(what, "write *.yaml, or **/*.yaml for folders below as well")
    return pattern
