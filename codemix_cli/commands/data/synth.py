"""`codemix data synth`: a data set of verified problems."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codemix_cli.output import Command, Result
from codemix_cli.progress import open_meter
from codemix_cli.set_options import (
    count_option,
    exclude_option,
    out_option,
    seed_option,
    workers_option,
)
from codemix_cli.wording import scaled

if TYPE_CHECKING:
    from runtime.synth.generate import SyntheticSet
    from runtime.synth.isolation import Level


@click.command(
    cls=Command,
    example="codemix data synth --count 100000 --seed 0 --out data/synth --workers 2",
)
@count_option
@seed_option("Decides which problems.")
@out_option("Folder of the set.")
@click.option(
    "--families", metavar="NAMES", help="Names with commas between; all if left out."
)
@click.option(
    "--difficulty", metavar="NAMES", help="Of easy, medium, hard; all if left out."
)
@click.option(
    "--layouts", metavar="NAMES", help="Such as docstring,prose; all if left out."
)
@exclude_option
@workers_option("Processes; changes no byte.")
@click.option(
    "--sandbox",
    type=click.Choice(["bubblewrap", "process"]),
    default="bubblewrap",
    show_default=True,
    help="Where problems are checked; part of their certificates.",
)
def command(
    count: int,
    seed: int,
    out: Path,
    families: str | None,
    difficulty: str | None,
    layouts: str | None,
    exclude: tuple[Path, ...],
    workers: int,
    sandbox: Level,
) -> Result:
    """Make verified Python problems with solutions and tests.

    Each solution agrees with an independent one, and each set of tests tells it from
    its mutants. A killed run goes on when the same command is typed again; a larger
    count adds to a set, and another seed needs another folder.
    """
    from runtime.synth.generate import synthesise

    with open_meter() as meter:
        pace = Pace()

        def moved(done: int, total: int) -> None:
            meter.show("problems", done, total, pace.note(done))

        made = synthesise(
            out,
            count=count,
            seed=seed,
            families=_names(families),
            difficulties=_names(difficulty),
            layouts=_names(layouts),
            exclude=exclude,
            sandbox=sandbox,
            num_workers=workers,
            moved=moved,
        )
    return Result(
        data={
            "digest": made.digest,
            "out": str(out),
            "shards": len(made.shards),
            **_json_card(made),
        },
        text=_text(made, out),
        next_command=f"codemix pin SPEC    with sources: {{synth: {{uri: "
        f'"{out}/*.jsonl.zst", field: text}}}}',
    )


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",")] if text else []


class Pace:
    """Problems a second since the first that was done here."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def note(self, done: int) -> str:
        """Say how far and how fast it goes."""
        now = time.monotonic()
        if self._first is None:
            self._first = (done, now)
        before, start = self._first
        if done == before or now == start:
            return f"{done:,} problems"
        return f"{done:,} problems  {(done - before) / (now - start):.0f} problems/s"


def _json_card(made: SyntheticSet) -> dict[str, Any]:
    card = made.card
    names = (
        "num_problems", "num_families", "num_text_bytes", "num_mutants", "num_killed",
        "num_alike", "num_duplicates", "num_given_up", "difficulties", "rejected",
        "near_duplicates", "num_shapes",
    )  # fmt: skip
    return {name: card[name] for name in names}


def _text(made: SyntheticSet, out: Path) -> str:
    card = made.card
    told = max(1, card["num_mutants"] - card["num_alike"])
    reasons = [f"{reason} {times:,}" for reason, times in card["rejected"].items()]
    return "\n".join(
        (
            f"{out}  {card['num_problems']:,} problems of {card['num_families']} "
            f"families  {scaled(card['num_text_bytes'])} bytes of text",
            f"digest    {made.digest[:12]}",
            f"verified  {card['num_inputs_agreed']:,} inputs agreed, "
            f"{100 * card['num_killed'] / told:.2f}% of {told:,} mutants killed, "
            f"{card['num_alike']:,} more are like the solution on every input",
            f"rejected  {', '.join(reasons) or 'none'}",
            f"missing   {card['num_given_up']:,} given up, "
            f"{card['num_duplicates']:,} duplicates taken out",
        )
    )
