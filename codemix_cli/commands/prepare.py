"""`codemix prepare`: from pinned text to tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codemix_cli.choices_text import choices_text
from codemix_cli.deduplication_text import told_deduplication
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
@click.option(
    "--engine",
    type=click.Choice(["local", "beam"]),
    default="local",
    help="Who works: this machine, or Apache Beam.",
)
@click.option(
    "--runner", metavar="NAME", help="Of Beam, such as FlinkRunner; with --engine beam."
)
@click.option(
    "--beam-option",
    "beam_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="One of Beam's pipeline options, again for more; with --engine beam.",
)
def command(
    spec: Path,
    workers: int | None,
    engine: str,
    runner: str | None,
    beam_options: tuple[str, ...],
) -> Result:
    """Tokenise the pinned sources of a spec.

    Trains the tokenizer where the spec says so, applies filters, splits off the
    held-out documents, drops duplicates where the spec says so, and writes one token
    store per source. What is there already is not done again. Where a filter keeps the
    most frequent values of a field, they are counted first, and told at the end.
    What every rule dropped, and which documents, is told by `codemix data stats`.
    With --engine beam the shards are made by a runner of Apache Beam, whose machines
    see the workspace under the same path; not a byte differs.
    """
    from evals.contamination.overlaps import check_kept_out, find_overlaps
    from runtime.beam.engine import BeamEngine
    from runtime.deduplication.folders import read_report
    from runtime.engines import LOCAL
    from runtime.prepare import prepare, summarise
    from specs.loading import lock_path, save_lock

    if engine == "local" and (runner or beam_options):
        raise click.UsageError("--runner and --beam-option need --engine beam")
    opened = open_spec(spec)
    check_kept_out(opened.experiment, opened.lock, opened.workspace, str(spec))
    beam = BeamEngine(opened.workspace, runner or "DirectRunner", beam_options)
    with open_meter() as meter:
        lock = prepare(
            opened.experiment,
            opened.plan,
            opened.lock,
            opened.workspace,
            num_workers=workers,
            progress=listener(meter),
            find_overlaps=find_overlaps,
            engine=beam if engine == "beam" else LOCAL,
        )
    save_lock(lock, lock_path(spec))
    sources = summarise(lock, opened.workspace)
    report = read_report(opened.plan, lock, opened.workspace)
    told = None if report is None else report.to_json()
    return Result(
        data={
            "tokenizer_sha256": lock.tokenizer_sha256,
            "sources": [_data(source) for source in sources],
            "deduplicated": told,
        },
        text=_told(sources, told),
        next_command=f"codemix run {spec}",
    )


HEADER = [
    "source", "documents", "dropped", "corrupt", "train tokens", "held-out tokens",
    "bytes/token",
]  # fmt: skip


def _told(sources: Sequence[SourceSummary], deduplicated: dict[str, Any] | None) -> str:
    text = table([HEADER, *map(_row, sources)], right=range(1, len(HEADER)))
    text += choices_text(sources)
    if deduplicated is None:
        return text
    return f"{text}\n\n{told_deduplication(deduplicated)}"


def _data(source: SourceSummary) -> dict[str, Any]:
    choices = {reason: choice.to_json() for reason, choice in source.choices.items()}
    return {**dataclasses.asdict(source), "choices": choices}


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
