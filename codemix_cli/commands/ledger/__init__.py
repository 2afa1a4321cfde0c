"""`codemix ledger`: one file per command here too."""

from __future__ import annotations

import click

from codemix_cli.main import LazyGroup

COMMANDS = {
    "list": "List the entries, in order of arrival.",
    "show": "Show one entry, and the verdicts on it.",
    "tag": "Put tags on an entry, or take them off.",
    "note": "Add a note to an entry.",
    "watch": "Follow a run while it goes on.",
    "verify": "Check every byte of the ledger, repair nothing.",
    "head": "Print what stands for the whole ledger, to be published.",
    "key": "Make a key to sign entries with, or trust somebody's.",
    "sign": "Sign an entry with your key.",
    "export": "Write one file with all that it takes to repeat a run.",
    "import": "Check such a file, then take its run into the ledger.",
    "ui": "Open MLflow's pages on the right store.",
    "sync": "Deliver to MLflow what is not delivered yet.",
    "index": "Bring every entry that an MLflow store lacks.",
}


@click.group(cls=LazyGroup, table=COMMANDS, folder=__name__)
def command() -> None:
    """Read, check and deliver what was recorded.

    The ledger is the folder `.codemix/ledger` of the workspace that the current folder
    is in: immutable entries, and a log that chains them.
    """
