"""What a delivery to MLflow came to, for `codemix ledger sync` and `index`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemix_cli.output import Result, note, table
from codemix_cli.wording import counted

if TYPE_CHECKING:
    from ledger.sync import SyncReport


def told_delivery(report: SyncReport) -> Result:
    """Tell what has arrived and what still waits."""
    runs = {run: one._asdict() for run, one in sorted(report.runs.items())}
    rows = [
        [
            run,
            f"{counted(one.waiting, 'line')} waiting",
            f"{counted(one.refused, 'line')} refused",
            one.problem or "ok",
        ]
        for run, one in sorted(report.runs.items())
    ]
    lines = [f"store  {report.uri}"]
    lines += [table(rows)] if rows else []
    if report.evaluations:
        lines.append(f"{counted(report.evaluations, 'evaluation')} waiting")
    lines += [f"added  {digest[:12]}" for digest in report.entries]
    lines += [f"not added  {problem}" for problem in report.problems]
    return Result(
        data={
            "uri": report.uri,
            "runs": runs,
            "evaluations": report.evaluations,
            "entries": list(report.entries),
            "waiting": report.waiting,
            "problems": list(report.problems),
        },
        text="\n".join(lines),
        ok=report.waiting == report.evaluations == 0 and not report.problems,
    )


def deliver_evaluation() -> None:
    """Bring an evaluation to MLflow, and say so where that has to wait."""
    from codemix_cli.reading import workspace_here
    from ledger.sync import sync
    from specs.errors import CodemixError

    try:
        report = sync(workspace_here())
    except CodemixError as error:
        why = error.problems[0].what
    else:
        if not report.evaluations:
            return
        why = "; ".join(report.problems) or "it is slow"
    # It is in the ledger: that MLflow is away is no reason to fail.
    note(f"MLflow has not got the evaluation yet ({why}): codemix ledger sync")
