"""What the shell offers for an entry: names, and the first 12 digits of digests.

Asked at every press of the tab key, so it reads the log and nothing else, and whatever
goes wrong, it offers nothing and says nothing.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from click.shell_completion import CompletionItem

MOST_ITEMS = 200
"""A screen of choices helps nobody; the latest entries are kept."""

ABOUT = frozenset({"annotation", "attestation"})
"""Kinds of document that one seldom names."""


def complete(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the entries that what was typed may mean."""
    try:
        return _entries(incomplete)
    except Exception:  # noqa: BLE001  a shell that is being typed in must not break
        return []


def _entries(incomplete: str) -> list[CompletionItem]:
    from ledger.log import parse_lines, read_raw_lines
    from specs.workspace import find_workspace

    folder = find_workspace(Path("any.yaml")) / ".codemix" / "ledger"
    lines = [
        line
        for line in parse_lines(read_raw_lines(folder), folder)
        if line.kind not in ABOUT
    ]
    num_runs = Counter(line.name for line in lines if line.kind == "run")
    names = {
        line.name: f"run {line.digest[:12]}"
        for line in lines
        if line.kind == "run" and line.name.startswith(incomplete)
    }
    # A name that several runs have means none of them.
    found = {name: told for name, told in names.items() if num_runs[name] == 1}
    for line in lines[::-1]:
        if len(found) >= MOST_ITEMS:
            break
        if line.digest.startswith(incomplete):
            found[line.digest[:12]] = f"{line.kind} {line.name}"
    if not found:
        # Some commands take a spec file too.
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(value, help=told) for value, told in found.items()]
