"""`codemix ledger show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from codemix_cli.entry_text import told_entry
from codemix_cli.output import Command, Result
from codemix_cli.reading import entry_argument, workspace_here

if TYPE_CHECKING:
    from ledger.store import Ledger


@click.command(cls=Command, example="codemix ledger show quickstart")
@entry_argument
@click.option(
    "--graph",
    is_flag=True,
    help="Show instead what the run comes from and what came of it.",
)
@click.option(
    "--svg",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw that graph.",
)
def command(entry: str, graph: bool, svg: Path | None) -> Result:
    """Show one entry, its evaluations, and the verdicts on it.

    ENTRY is the beginning of a digest, a name that only one run has, or @ and a tag
    that only one entry has. With `--json` comes the whole entry, from the resolved spec
    to the last digest.
    """
    from ledger.overview import show_entry
    from ledger.store import Ledger

    ledger = Ledger.open(workspace_here())
    if graph or svg is not None:
        return _graph(ledger, entry, svg)
    shown = show_entry(ledger, entry)
    digest = shown["digest"][:12]
    return Result(
        data=shown,
        text=told_entry(shown),
        next_command=(
            f"codemix reproduce {digest}" if shown["entry"]["kind"] == "run" else None
        ),
    )


def _graph(ledger: Ledger, entry: str, svg: Path | None) -> Result:
    from codemix_cli.lineage_text import told_lineage
    from ledger.lineage import lineage_of
    from ledger.lineage_svg import write_svg

    lineage = lineage_of(ledger, entry)
    text = told_lineage(lineage)
    if svg is not None:
        write_svg(lineage, svg)
        text += f"\n\n{svg}  written"
    return Result(
        data={"graph": lineage.to_json(), "svg": str(svg) if svg is not None else None},
        text=text,
    )
