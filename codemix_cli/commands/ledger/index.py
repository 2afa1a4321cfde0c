"""`codemix ledger index`."""

from __future__ import annotations

import click

from codemix_cli.delivery_text import told_delivery
from codemix_cli.output import Command, Result
from codemix_cli.reading import ledger_option, workspace_here


@click.command(cls=Command, example="codemix ledger index --rebuild")
@click.option("--rebuild", is_flag=True, required=True, help="Yes, do it.")
@ledger_option
def command(rebuild: bool, ledger: str | None) -> Result:
    """Bring every entry that an MLflow store lacks.

    From entries and their objects alone, so it fills a store that is empty or lost:
    remove `.codemix/mlflow.db` first to have it all anew.
    """
    from ledger.sync import rebuild_index

    assert rebuild
    return told_delivery(rebuild_index(workspace_here(), ledger))
