"""`codemix ledger verify`."""

from __future__ import annotations

import click

from codemix_cli.output import Command, Result, note
from codemix_cli.progress import open_meter
from codemix_cli.reading import workspace_here
from codemix_cli.wording import counted
from specs.errors import CheckFailed


@click.command(cls=Command, example="codemix ledger verify --since published-head.txt")
@click.option(
    "--since",
    metavar="HEAD",
    help="Prove that the ledger extends this: what 'head' printed, or a file of it.",
)
@click.option(
    "--require-signatures",
    is_flag=True,
    help="Runs and replays without a good signature are wrong.",
)
def command(since: str | None, require_signatures: bool) -> Result:
    """Check every byte of the ledger, repair nothing.

    Follows the chain of the log, hashes every entry and every object, checks what they
    say of each other, builds each entry anew from its journal, and checks signatures
    against the keys in `ledger-keys.txt`. Exit code 1 if anything differs, everything
    named in one pass.
    """
    from ledger.head import parse_head
    from ledger.keys import read_trusted
    from ledger.store import Ledger
    from ledger.verify import verify

    published = None if since is None else parse_head(since)
    workspace = workspace_here()
    with open_meter() as meter:
        checked = verify(
            Ledger(workspace / ".codemix" / "ledger"),
            trusted=read_trusted(workspace),
            signatures_required=require_signatures,
            since=published,
            listen=meter.show,
        )
    for line in checked.notes:
        note(f"note: {line}")
    if checked.problems:
        raise CheckFailed(checked.problems)
    entries = counted(checked.num_entries, "entry").replace("entrys", "entries")
    counts = [
        entries,
        counted(checked.num_objects, "object"),
        counted(checked.num_journals, "journal"),
        counted(checked.num_signatures, "signature"),
    ]
    return Result(
        data={
            "entries": checked.num_entries,
            "objects": checked.num_objects,
            "journals": checked.num_journals,
            "head": str(checked.head),
            "signatures": checked.num_signatures,
            "notes": list(checked.notes),
        },
        text=f"ok  {', '.join(counts)}\nhead  {checked.head}",
    )
