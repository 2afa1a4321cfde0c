"""`codemix ledger sign`."""

from __future__ import annotations

from pathlib import Path

import click

from codemix_cli.output import Command, Result
from codemix_cli.reading import entry_argument, workspace_here


@click.command(cls=Command, example="codemix ledger sign quickstart")
@entry_argument
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    envvar="CODEMIX_SIGN_KEY",
    metavar="FILE",
    help="Private key; by default the only one that you have.",
)
def command(entry: str, key: Path | None) -> Result:
    """Sign an entry with your key.

    The signature is an entry too, a DSSE envelope around an in-toto statement: it says
    what was signed, what it was made of, and where in the log it stands. With the
    variable CODEMIX_SIGN_KEY set to a key, runs and replays are signed by themselves.
    """
    from ledger.keys import load_key, own_key
    from ledger.signing import sign_entry
    from ledger.store import Ledger

    ledger = Ledger.open(workspace_here())
    signing_key = load_key(key or own_key())
    signed = sign_entry(ledger, ledger.find(entry).digest, signing_key)
    return Result(
        data={"attestation": signed.digest, "key": signing_key.public.keyid},
        text=f"signed by {signing_key.public.name}  {signed.digest[:12]}",
        next_command="codemix ledger verify",
    )
