"""`codemix pin`: every byte that a spec names, tracked and locked."""

from __future__ import annotations

from pathlib import Path

import click

from codemix_cli.output import Command, Result, table
from codemix_cli.progress import listener, open_meter
from codemix_cli.reading import open_spec, spec_argument
from codemix_cli.wording import counted, in_bytes


@click.command(cls=Command, example="codemix pin specs/quickstart.yaml")
@spec_argument
def command(spec: Path) -> Result:
    """Pin every byte that a spec names, in its lock.

    Every source, tokenizer and file of questions becomes tracked by DVC, and its digest
    enters the lock beside the spec. Commit the lock: it is half of the experiment.
    """
    from evals.catalogue import declared_benchmarks
    from runtime.pin import pin
    from specs.loading import lock_path

    opened = open_spec(spec)
    benchmarks = declared_benchmarks(opened.experiment, opened.workspace)
    with open_meter() as meter:
        lock = pin(
            spec, opened.experiment, opened.workspace, listener(meter), benchmarks
        )
    rows = [
        [
            name,
            counted(len(pinned.files), "file"),
            counted(pinned.num_documents, "document"),
            in_bytes(pinned.num_bytes),
            pinned.dvc,
        ]
        for name, pinned in sorted(lock.inputs.items())
    ]
    return Result(
        data={"digest": lock.digest, "lock": str(lock_path(spec)), **lock.to_json()},
        text=f"{table(rows, right=[1, 2, 3])}\n{lock_path(spec)}  written",
        next_command=f"codemix prepare {spec}",
    )
