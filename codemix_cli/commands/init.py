"""`codemix init`: from an empty folder to a spec that runs."""

from __future__ import annotations

from pathlib import Path

import click

from codemix_cli.output import Command, Result


@click.command(cls=Command, example="codemix init my-study")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def command(folder: Path) -> Result:
    """Make a workspace with a starter spec that runs.

    A workspace is a folder with git and DVC, where specs, their locks, their data and
    the ledger live. The starter's data is taken from what is installed on this machine.
    """
    from runtime.workspace import STARTER_SPEC, init_workspace

    made = init_workspace(folder).made
    enter = "" if folder == Path() else f"cd {folder} && "
    return Result(
        data={"folder": str(folder), "made": list(made)},
        text="\n".join(f"made {folder / name}" for name in made),
        next_command=f"{enter}codemix run {STARTER_SPEC}",
    )
