"""`codemix diff`: how specs and entries differ, in meaning."""

from __future__ import annotations

from pathlib import Path

import click

from codemix_cli.benchmark_diff_text import told_benchmark_diffs
from codemix_cli.diff_text import told_comparison
from codemix_cli.output import Command, Result, note


@click.command(
    cls=Command,
    example="codemix diff HEAD~1:experiment.yaml experiment.yaml",
)
@click.argument("operands", nargs=-1, metavar="A B [C ...]", required=True)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a page with curves, too; it needs no network.",
)
def command(operands: tuple[str, ...], html: Path | None) -> Result:
    """Say how specs, entries and bundles differ, in meaning.

    An operand is a spec file (STUDY.yaml#NAME for one experiment of a matrix), a file
    of a git revision (HEAD~3:STUDY.yaml), an entry of the ledger, or a bundle. Each
    change is told with what it does: other weights, other scores, other costs alone.
    Of entries come the first step where they part, what parted, metrics side by side,
    and benchmarks, paired question by question. Exit code 1 if anything that counts
    differs.
    """
    from evals.statistics.diff import diff

    if len(operands) < 2:
        raise click.UsageError("name two or more things to compare")
    found = diff(operands, html)
    if html is not None:
        note(f"wrote {html}")
    comparison, benchmarks = found.comparison, found.benchmarks
    told = {
        (one.stage, task.name)
        for one in benchmarks
        if one.is_last
        for task in (*one.tasks, *one.averages)
    }
    parts = [told_comparison(comparison, told), told_benchmark_diffs(benchmarks)]
    return Result(
        data={
            **comparison.to_json(),
            "benchmarks": [one.to_json() for one in benchmarks],
        },
        text="\n\n".join(part for part in parts if part),
        ok=comparison.is_same,
    )
