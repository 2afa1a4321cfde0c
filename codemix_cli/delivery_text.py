"""What a delivery to MLflow came to, for `codemix ledger sync` and `index`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codemix_cli.output import Result, table
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
