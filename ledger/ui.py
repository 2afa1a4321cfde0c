"""MLflow's own pages on the right store: started for a file, found for a server.

MLflow is not loaded here; it runs as a child that ends with its owner.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ledger.delivery import tracking_uri
from ledger.entry import Entry
from ledger.mirror import RECORDING_TAG
from specs.credentials import without_credentials
from specs.errors import InputError, RunError

HOST = "127.0.0.1"
START_SECONDS = 120

_SQLITE = "sqlite:///"
_STOP_SECONDS = 10
_ANSWER_SECONDS = 10
_LAST_LINES = 5


class Server(NamedTuple):
    """Where MLflow's pages are."""

    url: str
    """Without a password."""
    process: subprocess.Popen[bytes] | None
    """Null where somebody else's server has them."""


@contextmanager
def open_ui(
    workspace: Path,
    uri: str | None = None,
    *,
    port: int | None = None,
    listen: Callable[[float], None] = lambda seconds: None,
) -> Iterator[Server]:
    """Serve the pages of a workspace's MLflow store as long as the context is open.

    Args:
        workspace: Holds `.codemix`.
        uri: Of the store; null: see `ledger.delivery.tracking_uri`.
        port: To serve at; null: any that is free.
        listen: Told how many seconds the start has taken so far.

    Raises:
        InputError: There is no such store, or the port is taken.
        RunError: MLflow did not start.
    """
    store = tracking_uri(workspace, uri)
    if store.startswith(("http://", "https://")):
        yield Server(without_credentials(store).rstrip("/"), None)
        return
    if store.startswith(_SQLITE) and not Path(store.removeprefix(_SQLITE)).exists():
        raise InputError(
            "nothing was delivered to this MLflow store yet",
            file=store.removeprefix(_SQLITE),
            fix="codemix run SPEC, or codemix ledger index --rebuild",
        )
    port = _free_port(port)
    log = workspace / ".codemix" / "mlflow-ui.log"
    with log.open("wb") as output:
        process = _start(workspace / ".codemix", store, port, output)
    try:
        url = f"http://{HOST}:{port}"
        _wait(process, url, log, listen)
        yield Server(url, process)
    finally:
        _stop(process)


def page_of(url: str, entry: Entry | None) -> str:
    """Return the address of a run's page, or of all experiments.

    Args:
        url: Of the server.
        entry: Of the run; null: no run in particular.
    """
    if entry is None:
        return f"{url}/#/experiments"
    try:
        name = urllib.parse.quote(entry.name)
        query = f"experiments/get-by-name?experiment_name={name}"
        experiment = _ask(url, query)["experiment"]["experiment_id"]
        wanted = {
            "experiment_ids": [experiment],
            "filter": f"tags.`{RECORDING_TAG}` = '{entry.recording}'",
            "max_results": 1,
        }
        [run] = _ask(url, "runs/search", wanted)["runs"]
    except (OSError, ValueError, KeyError):
        raise InputError(
            f"MLflow has no run of {entry.name!r} as it was recorded",
            file=url,
            fix="codemix ledger sync, or codemix ledger index --rebuild",
        ) from None
    return f"{url}/#/experiments/{experiment}/runs/{run['info']['run_id']}"


def _free_port(port: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or 0))
        except OSError as error:
            raise InputError(
                f"can't serve at port {port}: {error.strerror}",
                fix="leave --port out, for any that is free",
            ) from None
        found: int = probe.getsockname()[1]
    return found


def _start(folder: Path, store: str, port: int, output: Any) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        # Not as arguments, which every user of the machine can read.
        "MLFLOW_BACKEND_STORE_URI": store,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": (folder / "mlartifacts").absolute().as_uri(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    arguments = ["server", "--host", HOST, "--port", str(port), "--workers", "1"]
    # A group of its own, so that all of it can be ended; -P: a workspace may hold a
    # folder named like a package.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mlflow", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _wait(
    process: subprocess.Popen[bytes],
    url: str,
    log: Path,
    listen: Callable[[float], None],
) -> None:
    started = time.monotonic()
    while (seconds := time.monotonic() - started) < START_SECONDS:
        listen(seconds)
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    lines = log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]
    told = without_credentials(
        " / ".join(line.strip() for line in lines if line.strip())
    )
    raise RunError(
        f"MLflow did not start: {told or 'it says nothing'}",
        file=str(log),
        fix="read the whole of this file",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_STOP_SECONDS)


def _ask(url: str, what: str, sent: Any = None) -> Any:
    request = urllib.request.Request(
        f"{url}/api/2.0/mlflow/{what}",
        data=None if sent is None else json.dumps(sent).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
        return json.load(answer)
