"""All that `codemix ledger verify` does for one workspace."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ledger.finding import Finding, Listen, silent
from ledger.head import parse_head
from ledger.keys import read_trusted
from ledger.store import Ledger
from ledger.verify import Checked, verify
from ledger.verify_mlflow import CheckedMirror, verify_mlflow


class CheckedWorkspace(NamedTuple):
    """What a check of a workspace found."""

    workspace: Path
    ledger: Checked
    mlflow: CheckedMirror | None
    """Null where it was left out."""

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Everything that is wrong; files are named from the workspace on."""
        found = self.mlflow.problems if self.mlflow is not None else ()
        return tuple(
            replace(one, file=self._from_here(one.file))
            for one in (*self.ledger.problems, *found)
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing and is nothing wrong."""
        told = self.mlflow.notes if self.mlflow is not None else ()
        return tuple(map(self._from_here, (*self.ledger.notes, *told)))

    def _from_here(self, place: str | None) -> str:
        folder = f"{self.workspace.absolute()}/"
        file = (place or "").removeprefix("sqlite:///")
        return file.removeprefix(folder) if file.startswith(folder) else place or ""


def verify_workspace(
    workspace: Path,
    *,
    since: str | None = None,
    signatures_required: bool = False,
    uri: str | None = None,
    with_mlflow: bool = True,
    listen: Listen = silent,
) -> CheckedWorkspace:
    """Check the ledger, the journals and the MLflow store of a workspace.

    Args:
        workspace: Holds `.codemix`.
        since: A head that was published, or a file that holds it.
        signatures_required: Whether a run or a replay without one is wrong.
        uri: Of the MLflow store; null: see `ledger.delivery.tracking_uri`.
        with_mlflow: Whether to look at MLflow at all.
        listen: Told how far it is.

    Raises:
        InputError: The head, the trusted keys or the address can't be read.
    """
    listen = _unhurried(listen)
    checked = verify(
        # Not opened: that would mend what a crash left, and here nothing is mended.
        Ledger(workspace / ".codemix" / "ledger"),
        trusted=read_trusted(workspace),
        signatures_required=signatures_required,
        since=parse_head(since) if since is not None else None,
        listen=listen,
    )
    if not with_mlflow:
        return CheckedWorkspace(workspace, checked, None)
    mirror = verify_mlflow(workspace, uri, listen=listen)
    return CheckedWorkspace(workspace, checked, mirror)


def _unhurried(listen: Listen) -> Listen:
    """Say nothing in the first second: most ledgers are checked by then."""
    started = time.monotonic()

    def tell(task: str, done: int, total: int) -> None:
        if time.monotonic() - started > 1:
            listen(task, done, total)

    return tell
