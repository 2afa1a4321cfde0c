"""`codemix export`: a trained model for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from codemix_cli.output import Command, Result
from codemix_cli.reading import entry_argument, workspace_here


@click.command(cls=Command, example="codemix export quickstart --to quickstart-hf")
@entry_argument
@click.option(
    "--to",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder to make; must not be there yet.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["hf"]),
    default="hf",
    show_default=True,
    help="hf: what Hugging Face transformers loads.",
)
def command(entry: str, folder: Path, kind: str) -> Result:
    """Write a trained model for other programs.

    Takes the last checkpoint of an entry, checks it against the entry, and writes
    weights, configuration and tokenizer, with the entry's digest beside them. ENTRY may
    also be a spec file: its latest completed run is meant.
    """
    from runtime.results import export

    assert kind == "hf"
    files = export(entry, workspace=workspace_here(), folder=folder)
    return Result(
        data={"folder": str(folder), "files": files},
        text="\n".join(f"wrote {folder / name}" for name in files),
    )
