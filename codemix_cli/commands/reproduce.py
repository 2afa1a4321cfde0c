"""`codemix reproduce`: from a ledger entry to a verdict."""

from __future__ import annotations

import click

from codemix_cli.entry_text import told_verdict
from codemix_cli.output import Command, Result
from codemix_cli.progress import open_meter, run_listeners
from codemix_cli.reading import devices_option, entry_argument, workspace_here


@click.command(cls=Command, example="codemix reproduce quickstart")
@entry_argument
@devices_option
def command(entry: str, devices: int | None) -> Result:
    """Rebuild a ledger entry and compare, step by step.

    Says how code, machine and data differ from the entry's, trains anew with what the
    entry holds, and compares every fingerprint while it trains. Exit code 0 if all is
    EXACT, 1 otherwise, with the first step that differs.
    """
    from evals.evaluator import Evaluator
    from ledger.verdict import Verdict
    from runtime.reproduction import reproduce

    with open_meter() as meter:
        ended = reproduce(
            entry,
            workspace=workspace_here(),
            evaluator=Evaluator(),
            num_devices=devices,
            listeners=run_listeners(meter),
        )
    stored = ended.stored
    assert stored is not None
    assert isinstance(stored.entry, Verdict)
    verdict = stored.entry.to_json()
    return Result(
        data={"verdict": stored.digest, **verdict},
        text=told_verdict(stored.digest, verdict),
        ok=stored.entry.grade == "EXACT",
        is_told_here=ended.is_told_here,
    )
