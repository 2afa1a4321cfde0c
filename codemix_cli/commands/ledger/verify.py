"""`codemix ledger verify`."""

from __future__ import annotations

import click

from codemix_cli.output import Command, Result
from codemix_cli.reading import workspace_here
from codemix_cli.wording import counted
from specs.errors import CheckFailed


@click.command(cls=Command, example="codemix ledger verify")
def command() -> Result:
    """Check every byte of the ledger, repair nothing.

    Follows the chain of the log, reads every entry and every object that one refers
    to, and compares each with its digest. Exit code 1 if anything differs.
    """
    from ledger.overview import verify
    from ledger.store import Ledger

    checked = verify(Ledger.open(workspace_here()))
    if checked.problems:
        raise CheckFailed(checked.problems)
    entries = counted(checked.num_entries, "entry").replace("entrys", "entries")
    return Result(
        data={"entries": checked.num_entries, "objects": checked.num_objects},
        text=f"ok  {entries}, {counted(checked.num_objects, 'object')}",
    )
