"""`codemix prepare`: from pinned text to tokens."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codemix_cli.output import Command, Result, table
from codemix_cli.progress import listener, open_meter
from codemix_cli.reading import open_spec, spec_argument

if TYPE_CHECKING:
    from runtime.prepare import SourceSummary


@click.command(cls=Command, example="codemix prepare specs/quickstart.yaml --workers 2")
@spec_argument
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes; changes no byte."
)
def command(spec: Path, workers: int | None) -> Result:
    """Tokenise the pinned sources of a spec.

    Trains the tokenizer where the spec says so, applies filters, splits off the
    held-out documents and writes one token store per source. What is there already is
    not done again.
    """
    from runtime.prepare import prepare, summarise
    from specs.loading import lock_path, save_lock

    opened = open_spec(spec)
    with open_meter() as meter:
        lock = prepare(
            opened.experiment,
            opened.plan,
            opened.lock,
            opened.workspace,
            num_workers=workers,
            progress=listener(meter),
        )
    save_lock(lock, lock_path(spec))
    sources = summarise(lock, opened.workspace)
    return Result(
        data={
            "tokenizer_sha256": lock.tokenizer_sha256,
            "sources": [dataclasses.asdict(source) for source in sources],
        },
        text=table([HEADER, *map(_row, sources)], right=range(1, len(HEADER))),
        next_command=f"codemix run {spec}",
    )


HEADER = [
    "source", "documents", "dropped", "corrupt", "train tokens", "held-out tokens",
    "bytes/token",
]  # fmt: skip


def _row(source: SourceSummary) -> list[str]:
    ratio = source.train.bytes_per_token
    return [
        source.name,
        f"{source.read:,}",
        f"{sum(source.dropped.values()):,}",
        f"{source.corrupt:,}",
        f"{source.train.tokens:,}",
        f"{source.heldout.tokens:,}",
        "-" if ratio is None else f"{ratio:.2f}",
    ]
