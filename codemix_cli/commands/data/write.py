"""`codemix data write`: problems that a model writes, verified like our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codemix_cli.commands.data.synth import Pace
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
    from runtime.synth.written_set import WrittenSet


@click.command(
    cls=Command,
    example="codemix data write writer.yaml --count 1000 --seed 0 --out data/written",
)
@click.argument("writer", type=click.Path(path_type=Path))
@count_option
@seed_option("Decides what is asked for.")
@out_option("Folder of the set and of the model's answers.")
@click.option(
    "--budget",
    metavar="TOKENS",
    help="Ask no more once so many were used in this folder, such as 2M.",
)
@click.option(
    "--replay", is_flag=True, help="Ask nothing: make the set of the answers kept."
)
@exclude_option
@workers_option("Programs that run at once; changes no byte.")
def command(
    writer: Path,
    count: int,
    seed: int,
    out: Path,
    budget: str | None,
    replay: bool,
    exclude: tuple[Path, ...],
    workers: int,
) -> Result:
    """Let a model write Python problems, and verify them.

    WRITER is a YAML file that names a model behind an OpenAI-compatible address. Its
    solution must agree with a second one, its tests must kill mutants. Answers are kept
    in the folder: the same command goes on after a kill, and asks nothing twice.
    """
    from runtime.synth.written_set import Commission, write_set
    from specs.quantities import parse_count
    from specs.task_files import load_declared
    from specs.writer import Writer

    try:
        tokens = None if budget is None else parse_count(budget)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--budget") from None
    with open_meter() as meter:
        pace = Pace()

        def moved(done: int, total: int) -> None:
            meter.show("problems", done, total, pace.note(done))

        commission = Commission(
            writer=load_declared(writer, Writer),
            count=count,
            seed=seed,
            exclude=exclude,
            num_workers=workers,
            budget_tokens=tokens,
            is_replay=replay,
        )
        made = write_set(out, commission, moved=moved)
    return Result(
        data={"digest": made.digest, "out": str(out), **_json_card(made)},
        text=_text(made, out),
        next_command=f"codemix pin SPEC    with sources: {{written: {{uri: "
        f'"{out}/*.jsonl.zst", field: text}}}}',
    )


def _json_card(made: WrittenSet) -> dict[str, Any]:
    names = (
        "num_problems", "num_text_bytes", "num_mutants", "num_killed", "num_alike",
        "num_duplicates", "num_given_up", "difficulties", "rejected",
        "near_duplicates", "num_shapes", "model",
    )  # fmt: skip
    return {"calls": made.num_calls, **{name: made.card[name] for name in names}}


def _text(made: WrittenSet, out: Path) -> str:
    card, model = made.card, made.card["model"]
    told = max(1, card["num_mutants"] - card["num_alike"])
    reasons = [f"{reason} {times:,}" for reason, times in card["rejected"].items()]
    cost = "" if model["cost"] is None else f", cost {model['cost']:.4f}"
    return "\n".join(
        (
            f"{out}  {card['num_problems']:,} problems  "
            f"{scaled(card['num_text_bytes'])} bytes of text",
            f"digest    {made.digest[:12]}",
            f"asked     {made.num_calls:,} now, {model['answers']:,} in all: "
            f"{model['prompt_tokens']:,} + {model['completion_tokens']:,} tokens{cost}",
            f"verified  {card['num_inputs_agreed']:,} inputs agreed, "
            f"{100 * card['num_killed'] / told:.2f}% of {told:,} mutants killed",
            f"rejected  {', '.join(reasons) or 'none'}",
            f"missing   {card['num_given_up']:,} given up, "
            f"{card['num_duplicates']:,} duplicates taken out",
        )
    )
