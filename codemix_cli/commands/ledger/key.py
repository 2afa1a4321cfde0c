"""`codemix ledger key`."""

from __future__ import annotations

import click

from codemix_cli.output import Command, Result
from codemix_cli.reading import workspace_here


@click.command(cls=Command, example="codemix ledger key --name ana")
@click.option("--name", metavar="WHO", help="Name of the key; 'default' if new.")
@click.option(
    "--trust",
    metavar="LINE",
    help="Trust a public key in this workspace: its line, or a file that holds it.",
)
def command(name: str | None, trust: str | None) -> Result:
    """Make a key to sign entries with, or trust somebody's.

    The private half stays in your own folder, `$XDG_CONFIG_HOME/codemix/keys`, and is
    never written over or printed; the line of the public half is printed. With
    `--trust`, a line is added to `ledger-keys.txt`, which belongs into git.
    """
    from ledger.keys import make_key
    from ledger.keys import trust as trust_key

    if trust is not None:
        key = trust_key(workspace_here(), trust, name)
        return Result(
            data={"key": key.keyid, "name": key.name, "public": key.raw.hex()},
            text=f"trusted  {key.keyid[:12]}  {key.name}",
            next_command="git add ledger-keys.txt",
        )
    made = make_key(name or "default")
    return Result(
        data={
            "is_new": made.is_new,
            "key": made.public.keyid,
            "name": made.public.name,
            "public": made.public.raw.hex(),
        },
        text=str(made.public),
        next_command=f"codemix ledger key --trust '{made.public}'",
    )
