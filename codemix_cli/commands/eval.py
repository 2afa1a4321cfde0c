"""`codemix eval`: the scores of an entry, anew."""

from __future__ import annotations

import click

from codemix_cli.entry_text import told_scores
from codemix_cli.output import Command, Result
from codemix_cli.progress import listener, open_meter
from codemix_cli.reading import devices_option, entry_argument, workspace_here


@click.command(cls=Command, example="codemix eval quickstart")
@entry_argument
@devices_option
def command(entry: str, devices: int | None) -> Result:
    """Score the checkpoints of a ledger entry again.

    Loads the checkpoint of each stage's end, checks it against the entry, and scores
    it with the suites of the spec. Exit code 1 if a score is not the entry's. ENTRY may
    also be a spec file: its latest completed run is meant.
    """
    from evals.evaluator import Evaluator
    from runtime.results import evaluate

    with open_meter() as meter:
        evaluation = evaluate(
            entry,
            workspace=workspace_here(),
            evaluator=Evaluator(),
            num_devices=devices,
            progress=listener(meter),
        )
    return Result(
        data=evaluation.to_json(),
        text=told_scores(evaluation.to_json()["scores"]),
        ok=evaluation.is_same,
    )
