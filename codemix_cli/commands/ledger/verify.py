"""`codemix ledger verify`."""

from __future__ import annotations

import click

from codemix_cli.output import Command, Result, note
from codemix_cli.progress import open_meter
from codemix_cli.reading import ledger_option, workspace_here
from codemix_cli.wording import counted
from specs.errors import CheckFailed


@click.command(cls=Command, example="codemix ledger verify --since published-head.txt")
@click.option(
    "--since",
    metavar="HEAD",
    help="Prove that the ledger extends this: what 'head' printed, or a file of it.",
)
@click.option(
    "--require-signatures",
    is_flag=True,
    help="Runs, replays and evaluations without a good signature are wrong.",
)
@ledger_option
@click.option("--no-mlflow", is_flag=True, help="Leave MLflow out.")
def command(
    since: str | None, require_signatures: bool, ledger: str | None, no_mlflow: bool
) -> Result:
    """Check every byte of the ledger, repair nothing.

    Follows the chain of the log, hashes every entry and every object, checks what they
    say of each other, builds each entry anew from its journal, checks signatures by the
    keys in `ledger-keys.txt`, and compares MLflow, if there is any, row by row. Exit
    code 1 if anything differs, everything named in one pass.
    """
    from ledger.verify_workspace import verify_workspace

    with open_meter() as meter:
        checked = verify_workspace(
            workspace_here(),
            since=since,
            signatures_required=require_signatures,
            uri=ledger,
            with_mlflow=not no_mlflow,
            listen=meter.show,
        )
    for line in checked.notes:
        note(f"note: {line}")
    if checked.problems:
        raise CheckFailed(checked.problems)
    found, mlflow = checked.ledger, checked.mlflow
    counts = [
        counted(found.num_entries, "entry").replace("entrys", "entries"),
        counted(found.num_objects, "object"),
        counted(found.num_journals, "journal"),
        counted(found.num_signatures, "signature"),
        "MLflow left out"
        if mlflow is None
        else f"{counted(mlflow.num_runs, 'run')} in MLflow",
    ]
    return Result(
        data={
            "entries": found.num_entries,
            "objects": found.num_objects,
            "journals": found.num_journals,
            "signatures": found.num_signatures,
            "mlflow_runs": mlflow.num_runs if mlflow is not None else None,
            "head": str(found.head),
            "notes": list(checked.notes),
        },
        text=f"ok  {', '.join(counts)}\nhead  {found.head}",
    )
