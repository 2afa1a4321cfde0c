"""One thing that `codemix doctor` has looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found, and what to do about it."""

    name: str
    found: str
    ok: bool = True
    """False where it would stop or spoil a run."""
    fix: str | None = None
    """One instruction; also of things that are fine but could be better."""
