"""`codemix reproduce`: from a ledger entry to a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from codemix_cli.output import Command, Result
from codemix_cli.progress import open_meter, run_listeners
from codemix_cli.reading import devices_option, entry_argument, workspace_here
from codemix_cli.verdict_text import told_verdict

if TYPE_CHECKING:
    from ledger.verdict import Grade

GRADES = ("EXACT", "EQUIVALENT", "CONSISTENT")
AUDIT_STEPS = 100


@click.command(cls=Command, example="codemix reproduce quickstart")
@entry_argument
@devices_option
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Relative distance that every metric and score may have: EQUIVALENT.",
)
@click.option(
    "--consistent",
    is_flag=True,
    help="Final numbers may lie where other seeds put them: CONSISTENT.",
)
@click.option(
    "--require",
    type=click.Choice(GRADES),
    help="Grade that gives exit code 0; by default the lowest that was asked for.",
)
@click.option(
    "--audit",
    "num_windows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Replay N windows from checkpoints instead of the whole run: AUDITED.",
)
@click.option(
    "--audit-seed",
    metavar="TEXT",
    help="Decides which windows; by default drawn anew.",
)
@click.option(
    "--audit-steps",
    type=click.IntRange(min=1),
    metavar="K",
    help=f"Steps of a window at most; by default {AUDIT_STEPS}.",
)
def command(
    entry: str,
    devices: int | None,
    tolerance: float | None,
    consistent: bool,
    require: Grade | None,
    num_windows: int | None,
    audit_seed: str | None,
    audit_steps: int | None,
) -> Result:
    """Rebuild a ledger entry and compare, step by step.

    Says how code, machine and data differ from the entry's and which grade can be
    hoped for, trains anew with what the entry holds, and compares every fingerprint
    while it trains. Exit code 0 if all is EXACT, or as good as was asked for, 1
    otherwise, with the first step that differs and the cause.
    """
    from evals.evaluator import Evaluator
    from ledger.grading import meets
    from ledger.verdict import Verdict
    from runtime.reproduction import audit, reproduce

    if num_windows is None and (audit_seed is not None or audit_steps is not None):
        raise click.UsageError("--audit-seed and --audit-steps need --audit N")
    if num_windows is not None and (tolerance is not None or consistent or require):
        what = "an audit compares bits: --tolerance, --consistent and --require do not"
        raise click.UsageError(f"{what} go with --audit")
    with open_meter() as meter:
        listeners, workspace = run_listeners(meter), workspace_here()
        if num_windows is None:
            ended = reproduce(
                entry,
                workspace=workspace,
                evaluator=Evaluator(),
                tolerance=tolerance,
                is_consistent=consistent,
                num_devices=devices,
                listeners=listeners,
            )
        else:
            ended = audit(
                entry,
                workspace=workspace,
                evaluator=Evaluator(),
                num_windows=num_windows,
                most_steps=audit_steps or AUDIT_STEPS,
                seed=audit_seed,
                num_devices=devices,
                listeners=listeners,
            )
    stored = ended.stored
    assert stored is not None
    assert isinstance(stored.entry, Verdict)
    verdict = stored.entry.to_json()
    asked: Grade = "EQUIVALENT" if tolerance is not None else "EXACT"
    asked = "AUDITED" if num_windows else "CONSISTENT" if consistent else asked
    return Result(
        data={"verdict": stored.digest, **verdict},
        text=told_verdict(stored.digest, verdict),
        ok=meets(stored.entry.grade, require or asked),
        is_told_here=ended.is_told_here,
    )
