"""`codemix data sample`: documents of one step, to be looked at."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from codemix_cli.funnel_text import told_samples
from codemix_cli.output import Command, Result
from codemix_cli.progress import listener, open_meter
from codemix_cli.reading import open_spec, spec_argument


@click.command(
    cls=Command,
    example="codemix data sample specs/quickstart.yaml --source code --step filters",
)
@spec_argument
@click.option("--source", metavar="NAME", required=True, help="Of the spec.")
@click.option(
    "--step",
    metavar="STEP",
    default="read",
    show_default=True,
    help="Such as filters.1.line_length, filters.1, filters, where, train, corrupt.",
)
@click.option(
    "-n",
    "count",
    type=click.IntRange(1, 20),
    default=5,
    show_default=True,
    help="Documents.",
)
def command(spec: Path, source: str, step: str, count: int) -> Result:
    """Show documents of a source that were dropped by a step, or kept.

    Each with its place, its size, what the filter measured and the beginning of its
    text. They are chosen by a keyed hash of their text: the same ones every time, and
    a fair sample of the different texts of the step. A name that several steps begin
    with stands for all of them.
    """
    from runtime.data_samples import sample_documents

    opened = open_spec(spec)
    with open_meter() as meter:
        found = sample_documents(
            opened.plan,
            opened.lock,
            opened.workspace,
            source,
            step,
            count,
            listener(meter),
        )
    return Result(
        data={"source": source, **dataclasses.asdict(found)},
        text=told_samples(source, found),
    )
