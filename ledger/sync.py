"""Delivering what waits, and filling an MLflow store anew, in a separate process."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from ledger.delivery import DeliveryReport, start_deliverer, tracking_uri
from specs.errors import RunError


class SyncReport(NamedTuple):
    """What an MLflow store has got of a workspace."""

    uri: str
    """Without a password."""
    runs: dict[str, DeliveryReport]
    """Folder of the run -> what it still waits for."""
    evaluations: int
    """That could not be delivered."""
    entries: tuple[str, ...]
    """Digests of the entries that the store lacked; only of `rebuild_index`."""
    problems: tuple[str, ...]
    """Why there are entries and evaluations that the store did not get."""

    @property
    def waiting(self) -> int:
        """Lines that could not be delivered."""
        return sum(report.waiting for report in self.runs.values())


def sync(workspace: Path, uri: str | None = None) -> SyncReport:
    """Deliver what waits in the journals of a workspace.

    Args:
        workspace: Holds `.codemix`.
        uri: Of the MLflow store; null: see `ledger.delivery.tracking_uri`.

    Raises:
        InputError: The address is not one of an MLflow store.
        RunError: The delivering process failed.
    """
    return _deliver(workspace, tracking_uri(workspace, uri), "--sync")


def rebuild_index(workspace: Path, uri: str | None = None) -> SyncReport:
    """Bring every entry and every journal of a workspace that an MLflow store lacks.

    From entries and their objects alone, so it also fills a store that is empty or
    lost: delete the SQLite file first to have everything anew.
    """
    return _deliver(workspace, tracking_uri(workspace, uri), "--rebuild")


def _deliver(workspace: Path, uri: str, what: str) -> SyncReport:
    with start_deliverer(workspace, uri, [what], stdout=subprocess.PIPE) as process:
        output, _ = process.communicate()
    result: dict[str, Any] = json.loads(output or "{}")
    if process.returncode != 0:
        reason = result.get("problem", "the process died")
        raise RunError(
            f"delivering to MLflow failed: {reason}",
            fix=f"see {workspace / '.codemix' / 'delivery.log'}, then run again",
        )
    runs = {run.pop("run"): DeliveryReport(**run) for run in result.get("runs", ())}
    later = result.get("evaluations", {"waiting": 0, "problem": None})
    problems = tuple(result.get("problems", ()))
    if later["problem"] is not None:
        problems += (f"evaluations: {later['problem']}",)
    entries = tuple(result.get("entries", ()))
    return SyncReport(result["uri"], runs, later["waiting"], entries, problems)
