"""`codemix run`: from a spec to a ledger entry."""

from __future__ import annotations

from pathlib import Path

import click

from codemix_cli.entry_text import told_run
from codemix_cli.output import Command, Result
from codemix_cli.progress import open_meter, run_listeners
from codemix_cli.reading import devices_option, ledger_option, spec_argument


@click.command(cls=Command, example="codemix run specs/quickstart.yaml")
@spec_argument
@ledger_option
@click.option(
    "--stop-after",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Stop once so many steps are done; the same command goes on.",
)
@click.option(
    "--no-reuse",
    is_flag=True,
    help="Train every stage, also those that the ledger has already.",
)
@devices_option
def command(
    spec: Path,
    ledger: str | None,
    stop_after: int | None,
    no_reuse: bool,
    devices: int | None,
) -> Result:
    """Train, score and record the experiment of a spec.

    Checks the data against the lock, trains the stages in order, scores them, and
    writes a ledger entry. A run that was cut short goes on from its last checkpoint, to
    the same bits. The first stages that another run of the ledger has trained are taken
    over from its checkpoint, which is checked to the bit, and not trained again.
    """
    from evals.evaluator import Evaluator
    from ledger.entry import Entry
    from runtime.experiment import run

    with open_meter() as meter:
        ended = run(
            spec,
            evaluator=Evaluator(),
            ledger_uri=ledger,
            num_devices=devices,
            stop_after=stop_after,
            may_reuse=not no_reuse,
            listeners=run_listeners(meter),
        )
    stored = ended.stored
    if stored is None:
        return Result(
            data={"entry": None, "stopped_after": stop_after},
            text=f"stopped on purpose after {stop_after} steps",
            next_command=f"codemix run {spec}",
            is_told_here=ended.is_told_here,
        )
    assert isinstance(stored.entry, Entry)
    entry = stored.entry.to_json()
    return Result(
        data={
            "entry": stored.digest,
            "stages": entry["stages"],
            "scores": entry["scores"],
            "weights_digest": stored.entry.weights_digest,
        },
        text=told_run(stored.digest, entry),
        next_command=f"codemix reproduce {stored.digest[:12]}",
        is_told_here=ended.is_told_here,
    )
