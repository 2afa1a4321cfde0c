"""`codemix ledger sync`."""

from __future__ import annotations

import click

from codemix_cli.delivery_text import told_delivery
from codemix_cli.output import Command, Result
from codemix_cli.reading import ledger_option, workspace_here


@click.command(cls=Command, example="codemix ledger sync")
@ledger_option
def command(ledger: str | None) -> Result:
    """Deliver to MLflow what is not delivered yet.

    A run whose tracking server was away, or whose process was killed, has everything
    in its journal; this brings it to MLflow, once. Exit code 1 if something still
    waits.
    """
    from ledger.sync import sync

    return told_delivery(sync(workspace_here(), ledger))
