"""`codemix ledger export`."""

from __future__ import annotations

from pathlib import Path

import click

from codemix_cli.output import Command, Result
from codemix_cli.progress import open_meter
from codemix_cli.reading import entry_argument, workspace_here
from codemix_cli.wording import counted


@click.command(cls=Command, example="codemix ledger export quickstart -o run.crate.zip")
@entry_argument
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File to make, such as run.crate.zip; must not be there yet.",
)
@click.option(
    "--checkpoints",
    type=click.Choice(["none", "last", "all"]),
    default="none",
    show_default=True,
    help="Which checkpoints go along.",
)
def command(entry: str, output: Path, checkpoints: str) -> Result:
    """Write one file with all that it takes to check and repeat a run.

    The file is an RO-Crate: entry, spec, lock, pins, code, environment, traces, metrics
    and scores. The data stays in the DVC remote. The same entry gives the same bytes.
    """
    from ledger.bundle_write import export_bundle

    with open_meter() as meter:
        made = export_bundle(
            entry,
            workspace=workspace_here(),
            output=output,
            checkpoints=checkpoints,  # type: ignore[arg-type]
            tell=meter.show,
        )
    lines = [
        f"wrote {output}, {made.num_bytes:,} bytes, "
        f"{counted(made.num_documents, 'document')}",
        f"entry  {made.entry}",
        f"sha256 {made.sha256}",
    ]
    lines += [
        f"no git bundle of {'codemix' if key == 'repository' else 'the workspace'}: "
        f"{one.why_not}"
        for key, one in made.code.items()
        if one.path is None
    ]
    return Result(
        data={
            "entry": made.entry,
            "file": str(output),
            "sha256": made.sha256,
            "bytes": made.num_bytes,
            "documents": made.num_documents,
            "code": {key: one.path is not None for key, one in made.code.items()},
        },
        text="\n".join(lines),
        next_command=f"codemix ledger import {output} --into DIR",
    )
