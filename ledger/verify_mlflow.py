"""Checking MLflow: its rows and files are those of the ledger, journals and entries.

MLflow is loaded in another process only, see `ledger.deliver`. A store that is not
there or does not answer is said within seconds.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ledger.delivery import (
    load_state,
    start_deliverer,
    stop_process,
    tracking_uri,
)
from ledger.finding import Finding, Listen, silent
from specs.credentials import without_credentials

_SQLITE = "sqlite:///"
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_CONNECT_SECONDS = 5.0
_SILENT_SECONDS = 120.0
"""Longest time without a word from the process that checks."""


class CheckedMirror(NamedTuple):
    """What a check of an MLflow store found."""

    uri: str
    """Without a password."""
    num_runs: int
    """That were compared."""
    problems: tuple[Finding, ...]
    notes: tuple[str, ...]


def verify_mlflow(
    workspace: Path, uri: str | None = None, *, listen: Listen = silent
) -> CheckedMirror:
    """Compare an MLflow store with the ledger, if there is one.

    Args:
        workspace: Holds `.codemix`.
        uri: Of the store; null: see `ledger.delivery.tracking_uri`.
        listen: Told how far it is.

    Raises:
        InputError: The address is not one of an MLflow store.
    """
    uri = tracking_uri(workspace, uri)
    shown = without_credentials(uri)
    is_missing = uri.startswith(_SQLITE) and not _sqlite_path(uri).exists()
    if is_missing and not _was_delivered(workspace, uri):
        note = "no MLflow store here: nothing to compare"
        return CheckedMirror(shown, 0, (), (note,))
    why_not = "the store is gone" if is_missing else _unreachable(uri)
    if why_not is not None:
        return CheckedMirror(shown, 0, (_unusable(shown, why_not),), ())
    found = _check(workspace, uri, listen)
    if "failed" in found:
        return CheckedMirror(shown, 0, (_unusable(shown, found["failed"]),), ())
    return CheckedMirror(
        shown,
        found["runs"],
        tuple(_finding(shown, one) for one in found["problems"]),
        tuple(found["notes"]),
    )


def _was_delivered(workspace: Path, uri: str) -> bool:
    """Whether a run has ever been brought to a store."""
    journals = workspace.glob(".codemix/runs/*/journal.jsonl")
    return any(load_state(journal, uri).is_ended for journal in journals)


def _unreachable(uri: str) -> str | None:
    """Say why a store can't be used; null if it seems to be there."""
    if uri.startswith(_SQLITE):
        return _broken_sqlite(_sqlite_path(uri))
    parts = urlsplit(uri)
    port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    # Without a host it is a socket file or the like: the library knows.
    if not parts.hostname or port is None:
        return None
    try:
        socket.create_connection((parts.hostname, port), _CONNECT_SECONDS).close()
    except OSError as error:
        return f"can't be reached: {error.strerror or error}"
    return None


def _broken_sqlite(path: Path) -> str | None:
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.execute("select count(*) from runs, experiments").fetchone()
            [(answer,)] = connection.execute("pragma quick_check(1)").fetchall()
    except sqlite3.Error as error:
        return f"can't be opened: {error}"
    return None if answer == "ok" else f"is damaged: {answer}"


def _check(workspace: Path, uri: str, listen: Listen) -> dict[str, Any]:
    found: dict[str, Any] = {"failed": "the process that checks it ended early"}
    with start_deliverer(
        workspace, uri, ["--check"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        watchdog = _watch(process)
        try:
            for line in process.stdout:
                watchdog.cancel()
                told = json.loads(line)
                found = told.get("found", found)
                if "done" in told:
                    listen("MLflow", told["done"], told["total"])
                watchdog = _watch(process)
        finally:
            watchdog.cancel()
            if process.poll() is None:
                stop_process(process)
    return found


def _watch(process: subprocess.Popen[bytes]) -> threading.Timer:
    """End a process that says nothing for long."""
    watchdog = threading.Timer(_SILENT_SECONDS, process.kill)
    watchdog.daemon = True
    watchdog.start()
    return watchdog


def _sqlite_path(uri: str) -> Path:
    return Path(uri.removeprefix(_SQLITE))


def _finding(uri: str, problem: dict[str, Any]) -> Finding:
    entry = f" (entry {problem['entry'][:12]})" if problem["entry"] else ""
    return Finding(
        kind="mlflow",
        what=f"{problem['what']}{entry}",
        file=f"{uri} run {problem['run']}",
        path=problem["place"],
    )


def _unusable(uri: str, why: str) -> Finding:
    fix = "start or mend it; 'codemix ledger index --rebuild' fills an empty one; "
    fix += "--no-mlflow leaves it out"
    return Finding(kind="mlflow", what=why, file=uri, fix=fix)
