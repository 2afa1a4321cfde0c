"""`codemix ledger head`."""

from __future__ import annotations

import click

from codemix_cli.output import Command, Result
from codemix_cli.reading import workspace_here


@click.command(cls=Command, example="codemix ledger head")
def command() -> Result:
    """Print what stands for the whole ledger, to be published.

    The number of lines of the log and the SHA-256 of the last one. Kept where the
    ledger is not, such as in a git tag, a log of CI or a colleague's mailbox, it proves
    with `codemix ledger verify --since` that nothing of it was cut or changed since.
    """
    from ledger.head import head_of
    from ledger.log import read_raw_lines

    head = head_of(read_raw_lines(workspace_here() / ".codemix" / "ledger"))
    return Result(
        data={"head": str(head), "lines": head.lines, "sha256": head.sha256},
        text=str(head),
    )
