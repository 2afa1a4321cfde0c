"""`codemix ledger note`."""

from __future__ import annotations

import click

from codemix_cli.output import Command, Result
from codemix_cli.reading import entry_argument, workspace_here
from codemix_cli.wording import counted


@click.command(
    cls=Command, example="codemix ledger note quickstart 'spike at 1,200: bad shard'"
)
@entry_argument
@click.argument("text")
def command(entry: str, text: str) -> Result:
    """Add a note to an entry.

    The entry itself never changes: a note is a document of the ledger that names it.
    A wrong note stays; add another one.
    """
    from ledger.labels import add_note
    from ledger.store import Ledger

    digest, labels = add_note(Ledger.open(workspace_here()), entry, text)
    return Result(
        data={
            "entry": digest,
            "notes": [note._asdict() for note in labels.notes],
        },
        text=f"{digest[:12]}  {counted(len(labels.notes), 'note')}",
        next_command=f"codemix ledger show {digest[:12]}",
    )
