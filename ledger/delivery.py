"""Bringing journals to MLflow, seen from the training process: start, wait, report.

The work is done by another process (`ledger.deliver`), so that a slow or dead tracking
server costs training nothing and MLflow is never imported here. What has arrived is
kept in a small file beside the journal.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from ledger.journal import read_journal
from specs.base import Value
from specs.credentials import without_credentials
from specs.errors import InputError

URI_VARIABLE = "MLFLOW_TRACKING_URI"
"""Environment variable that names another MLflow store."""

DELIVER_URI_VARIABLE = "CODEMIX_DELIVER_URI"
"""Hands the address to the delivering process: it may hold a password, and every user
of a machine can read the arguments of a process."""

_SCHEMES = frozenset({"http", "https", "sqlite", "postgresql", "mysql", "mssql"})
_SQLITE = "sqlite:///"
_LEFT_BEHIND_SECONDS = 5.0


class DeliveryState(Value):
    """How far one journal has got into one MLflow store."""

    uri: str
    """Without a password."""
    run_id: str | None = None
    """MLflow's own name of the run."""
    offset: int = 0
    """Bytes of the journal that have arrived."""
    refused: int = 0
    """Lines that MLflow refuses to take; the ledger has them."""
    is_ended: bool = False
    """Whether MLflow knows how the run ended."""
    problem: str | None = None
    """Why the last try failed; null if it did not."""


class DeliveryReport(NamedTuple):
    """What MLflow has got of one journal."""

    uri: str
    waiting: int
    """Lines of the journal that `codemix ledger sync` will still deliver."""
    refused: int
    problem: str | None


class Delivery:
    """The delivery of one run's journal while the run is going on."""

    def __init__(self, workspace: Path, folder: Path, uri: str | None = None) -> None:
        """Prepare a delivery.

        Args:
            workspace: Holds `.codemix`.
            folder: Of the run.
            uri: Address of the MLflow store; null: see `tracking_uri`.

        Raises:
            InputError: The address is not one of an MLflow store.
        """
        self.uri = tracking_uri(workspace, uri)
        self._workspace = workspace
        self._journal = folder / "journal.jsonl"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start delivering, in a process of its own that outlives a killed one."""
        arguments = ["--journal", str(self._journal.absolute())]
        self._process = start_deliverer(self._workspace, self.uri, arguments)

    def keep_up(self) -> None:
        """Start delivering again if the process died; costs microseconds if not."""
        if self._process is not None and self._process.poll() is not None:
            self.start()

    def stop(self) -> None:
        """Stop delivering; what waits stays in the journal."""
        if self._process is not None:
            stop_process(self._process)

    def wait(
        self, *, limit_seconds: float = 90, broken_seconds: float = 5
    ) -> DeliveryReport:
        """Wait until all is delivered, but not for ever, and say what is not.

        Args:
            limit_seconds: Longest wait.
            broken_seconds: Longest wait for a store that answers with errors.
        """
        now = time.monotonic()
        limit, broken = now + limit_seconds, now + broken_seconds
        while self._process is not None and self._process.poll() is None:
            now = time.monotonic()
            state = load_state(self._journal, self.uri)
            if state.is_ended and report(self._journal, self.uri).waiting == 0:
                # It goes on with runs that others left behind; there are seldom any.
                limit = min(limit, now + _LEFT_BEHIND_SECONDS)
            if now > limit or (now > broken and state.problem is not None):
                stop_process(self._process)
                break
            time.sleep(0.05)
        return report(self._journal, self.uri)


def tracking_uri(workspace: Path, uri: str | None = None) -> str:
    """Return the absolute address of the MLflow store to use.

    Args:
        workspace: Holds the SQLite file that is used unless another store is named.
        uri: As the user named it; null: the environment variable or the default.

    Raises:
        InputError: It is not an address of an MLflow store.
    """
    uri = uri or os.environ.get(URI_VARIABLE)
    if not uri:
        return f"{_SQLITE}{(workspace / '.codemix' / 'mlflow.db').absolute()}"
    if uri.split("://")[0].split("+")[0] not in _SCHEMES:
        raise InputError(
            f"not an address of an MLflow store: {without_credentials(uri)!r}",
            fix="use http://HOST:PORT, sqlite:///FILE, or another database's address",
        )
    if uri.startswith(_SQLITE):
        return f"{_SQLITE}{Path(uri.removeprefix(_SQLITE)).absolute()}"
    return uri


def report(journal: Path, uri: str) -> DeliveryReport:
    """Say what of a journal waits to be delivered."""
    state = load_state(journal, uri)
    waiting = sum(1 for _ in read_journal(journal, state.offset))
    return DeliveryReport(
        without_credentials(uri), waiting, state.refused, state.problem
    )


def state_path(journal: Path, uri: str) -> Path:
    """Where the state of a delivery is kept: beside the journal, one per store."""
    return journal.with_name(f"delivery-{store_name(uri)}.json")


def store_name(uri: str) -> str:
    """Tell stores apart in names of files."""
    # A new password is no new store, and a digest over one helps whoever guesses.
    return hashlib.sha256(without_credentials(uri).encode()).hexdigest()[:8]


def load_state(journal: Path, uri: str) -> DeliveryState:
    """Read the state of a delivery; a new one if there is none.

    One that can't be read counts as none: what is delivered once more counts once.
    """
    try:
        return DeliveryState.model_validate_json(state_path(journal, uri).read_bytes())
    except (FileNotFoundError, ValidationError):
        return DeliveryState(uri=without_credentials(uri))


def start_deliverer(
    workspace: Path, uri: str, arguments: list[str], *, stdout: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a process that delivers; it prints one JSON object when it is done."""
    # Our packages by their folder, and not the current one: a workspace may hold a
    # folder of the same name as a package.
    root = str(Path(__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        DELIVER_URI_VARIABLE: uri,
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-P", "-m", "ledger.deliver"]
    command += ["--workspace", str(workspace.absolute()), *arguments]
    # A session of its own: Ctrl-C in the terminal is for the training process.
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """End a delivering process; whatever it was doing can be done again."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
