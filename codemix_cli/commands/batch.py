"""`codemix batch`: what the model sees at one step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from codemix_cli.output import Command, Result
from codemix_cli.reading import open_spec, spec_argument

if TYPE_CHECKING:
    from runtime.show import ShownPiece, ShownRow

CLIPPED_CHARS = 72


@click.command(cls=Command, example="codemix batch specs/quickstart.yaml --step 0")
@spec_argument
@click.option("--step", type=click.IntRange(min=0), required=True, help="Of the run.")
@click.option(
    "--row",
    type=click.IntRange(min=0),
    multiple=True,
    help="A row to show in full; may be repeated.",
)
def command(spec: Path, step: int, row: tuple[int, ...]) -> Result:
    """Show what the model sees at one step.

    Tells for every row of the batch its source, the documents and tokens that it is
    made of, and their text, decoded. The order is a function of the plan, so any step
    can be shown, before or after it was trained.
    """
    from runtime.prepared import show_step

    opened = open_spec(spec)
    shown = show_step(opened.plan, opened.lock, opened.workspace, step, row)
    stage = opened.plan.stage_at(step).name
    return Result(
        data={
            "step": step,
            "stage": stage,
            "rows": [one.to_json() for one in shown],
        },
        text="\n".join(
            [
                f"step {step}, stage {stage}",
                *(_told(one, is_full=bool(row)) for one in shown),
            ]
        ),
    )


def _told(row: ShownRow, *, is_full: bool) -> str:
    head = f"row {row.row}  lane {row.lane}  {row.source}  epoch {row.epoch}"
    tokens = f"tokens {row.start_token:,} to {row.stop_token - 1:,}"
    pieces = [_piece(piece, is_full=is_full) for piece in row.pieces]
    return "\n".join([f"{head}  {tokens}", *pieces])


def _piece(piece: ShownPiece, *, is_full: bool) -> str:
    place = (
        f"  {piece.file}:{piece.number}  tokens {piece.first_token:,} to "
        f"{piece.stop_token - 1:,} of {piece.document_tokens:,}"
    )
    if is_full:
        return f"{place}\n{piece.text}"
    text = " ".join(piece.text.split())
    clipped = text if len(text) <= CLIPPED_CHARS else f"{text[: CLIPPED_CHARS - 3]}..."
    return f"{place}\n    {clipped}"
