"""`codemix ledger show`."""

from __future__ import annotations

import click

from codemix_cli.entry_text import told_entry
from codemix_cli.output import Command, Result
from codemix_cli.reading import entry_argument, workspace_here


@click.command(cls=Command, example="codemix ledger show quickstart")
@entry_argument
def command(entry: str) -> Result:
    """Show one entry, and the verdicts on it.

    ENTRY is the beginning of a digest, a name that only one run has, or @ and a tag
    that only one entry has. With `--json` comes the whole entry, from the resolved spec
    to the last digest.
    """
    from ledger.overview import show_entry
    from ledger.store import Ledger

    shown = show_entry(Ledger.open(workspace_here()), entry)
    digest = shown["digest"][:12]
    return Result(
        data=shown,
        text=told_entry(shown),
        next_command=(
            f"codemix reproduce {digest}" if shown["entry"]["kind"] == "run" else None
        ),
    )
