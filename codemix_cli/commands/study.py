"""`codemix study`: many experiments, each shared stage once."""

from __future__ import annotations

from pathlib import Path

import click

from codemix_cli.output import Command, Result
from codemix_cli.study_text import told_study


@click.command(cls=Command, example="codemix study specs/mini --plan")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--plan",
    is_flag=True,
    required=True,
    expose_value=False,
    help="Tell what it comes to.",
)
@click.option("--chip", metavar="NAME", help="Accelerator for chip-hours, such as v5e.")
@click.option(
    "--mfu",
    type=click.FloatRange(min=0, max=100, min_open=True),
    metavar="PERCENT",
    help="Of the chip's peak that training reaches; with --chip.",
)
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    metavar="MONEY",
    help="Of a chip-hour; with --chip.",
)
def command(
    path: Path,
    chip: str | None,
    mfu: float | None,
    price: float | None,
) -> Result:
    """Say what the specs of a folder come to, each stage once.

    PATH is a folder of specs, or one spec with a `matrix`. Stages that several
    experiments have in common are one. Tells whose each of them is, what the ledger has
    of it, and tokens, steps and costs with and without sharing.
    """
    from runtime.study.planning import assumed_of, everywhere, plan_study
    from specs.study_file import load_study

    if chip is None and (mfu is not None or price is not None):
        raise click.UsageError("--mfu and --price need --chip")
    if chip is not None and mfu is None:
        raise click.UsageError("--chip needs --mfu: how much of its peak is reached")
    assumed = None
    if chip is not None and mfu is not None:
        assumed = assumed_of(chip, everywhere(mfu), price)
    graph, report = plan_study(load_study(path), assumed)
    return Result(
        data=report,
        text=told_study(graph, report),
    )
