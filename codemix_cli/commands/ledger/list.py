"""`codemix ledger list`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from codemix_cli.output import Command, Result, table
from codemix_cli.reading import workspace_here


@click.command(cls=Command, example="codemix ledger list")
def command() -> Result:
    """List the entries, in order of arrival.

    A run has how it ended and the digest of its weights; a replay has its grade and
    the entry that it replayed.
    """
    from ledger.overview import list_entries
    from ledger.store import Ledger

    rows = list_entries(Ledger.open(workspace_here()))
    told = [["entry", "recorded (UTC)", "kind", "name", "result", "steps", "of"]]
    for row in rows:
        recorded = datetime.fromtimestamp(row.unix_ms / 1000, UTC)
        about = row.weights_digest or row.original
        told.append(
            [
                row.digest[:12],
                f"{recorded:%Y-%m-%d %H:%M}",
                row.kind,
                row.name,
                row.result,
                f"{row.num_steps:,}",
                "-" if about is None else about[:12],
            ]
        )
    return Result(
        data={"entries": [row._asdict() for row in rows]},
        text=table(told, right=[5]) if rows else "no entries yet",
        next_command=f"codemix ledger show {rows[-1].digest[:12]}" if rows else None,
    )
