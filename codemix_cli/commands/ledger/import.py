"""`codemix ledger import`."""

from __future__ import annotations

from pathlib import Path

import click

from codemix_cli.output import Command, Result
from codemix_cli.progress import open_meter
from codemix_cli.reading import workspace_here
from codemix_cli.wording import counted


@click.command(cls=Command, example="codemix ledger import run.crate.zip --into study")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--into",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Make this folder a workspace first, if it is none.",
)
def command(bundle: Path, folder: Path | None) -> Result:
    """Check a bundle, then take its run into the ledger here.

    Every byte is checked before anything is written. Spec, lock and pins go to the
    workspace where nothing else is in their place, and the DVC remote is added where
    there is none, so that `codemix reproduce` works.
    """
    from ledger.bundle_import import import_bundle

    with open_meter() as meter:
        done = import_bundle(
            bundle,
            workspace=folder or workspace_here(),
            is_new=folder is not None,
            tell=meter.show,
        )
    new = counted(done.num_new, "new document")
    lines = [f"imported {done.name}, entry {done.entry[:12]}, {new}"]
    lines += [f"wrote {name}" for name in done.written]
    lines += [f"kept {name}: yours differs from the bundle's" for name in done.kept]
    lines += [f"added the DVC remote {done.remote}"] if done.remote else []
    lines += [f"put the checkpoint after step {step} back" for step in done.checkpoints]
    lines += done.notes
    enter = f"cd {folder} && " if folder not in (None, Path()) else ""
    return Result(
        data={
            "entry": done.entry,
            "bundle": done.bundle,
            "workspace": str(done.workspace),
            "new_documents": done.num_new,
            "written": list(done.written),
            "kept": list(done.kept),
            "remote": done.remote,
            "checkpoints": list(done.checkpoints),
            "notes": list(done.notes),
        },
        text="\n".join(lines),
        next_command=f"{enter}codemix reproduce {done.entry[:12]}",
    )
