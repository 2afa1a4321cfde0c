"""`codemix data stats`: what became of the documents of each source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from codemix_cli.funnel_text import told_stats
from codemix_cli.output import Command, Result, note
from codemix_cli.progress import listener, open_meter
from codemix_cli.reading import open_spec, spec_argument


@click.command(
    cls=Command, example="codemix data stats specs/quickstart.yaml --figure funnel.svg"
)
@spec_argument
@click.option("--source", multiple=True, metavar="NAME", help="All if left out.")
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw it, too, as SVG.",
)
def command(spec: Path, source: tuple[str, ...], figure: Path | None) -> Result:
    """Tell what every condition and filter dropped, and what is left.

    For each source of a prepared spec the documents, bytes and tokens that ended in
    each step, with their share of what was read and of what came to that step; then
    what is left to train on, and how far the plan goes through it. A number of tokens
    with ~ is estimated: what was dropped is tokenised where it is little, and sampled
    where it is much.
    """
    from runtime.data_stats import stats_report
    from runtime.funnels import open_funnels

    opened = open_spec(spec)
    with open_meter() as meter:
        funnels = open_funnels(
            opened.plan, opened.lock, opened.workspace, source, listener(meter)
        )
    if figure is not None:
        from runtime.funnel_figure import write_figure

        write_figure(figure, funnels)
        note(f"wrote {figure}")
    report = stats_report(opened.plan, opened.lock, funnels)
    return Result(
        data=report,
        text=told_stats(report),
        next_command=_next_command(spec, report["sources"]),
    )


def _next_command(spec: Path, sources: dict[str, Any]) -> str:
    dropping = [(name, one["drops_most"]) for name, one in sources.items()]
    any_source = (next(iter(sources)), "read")
    name, step = next((one for one in dropping if one[1]), any_source)
    return f"codemix data sample {spec} --source {name} --step {step}"
