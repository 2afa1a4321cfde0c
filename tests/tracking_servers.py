"""Servers to deliver to, started for real on loopback: PostgreSQL, MLflow, a bad line.

`Postgres` refuses to be root, so under root it runs as the user that its package made.
`serve` is `mlflow server` as people run it. `Flicker` is the same application in a
process that can be killed and be back at once; `Line` is a connection that can be cut.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_QUIET = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.DEVNULL,
    "stderr": subprocess.DEVNULL,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Ask again and again; fail if it does not become so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.02)


def is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
            return True
    except OSError:
        return False


class Postgres:
    """A PostgreSQL of our own with one user, whose password it asks for."""

    user = "ledger"
    database = "tracking"

    def __init__(self) -> None:
        self._as_user = _unprivileged()
        self._bin = _postgres_programs()
        self.password = f"hunter2-{secrets.token_hex(8)}"
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="codemix-postgres-"))
        (self.folder / "password").write_text(self.password)
        if self._as_user:
            for path in (self.folder, self.folder / "password"):
                shutil.chown(path, "postgres", "postgres")
        made = self._command("initdb", "--pgdata", str(self._data), "--no-sync")
        made += ["--username", self.user, "--auth", "scram-sha-256"]
        made += ["--pwfile", str(self.folder / "password")]
        subprocess.run(made, check=True, **_QUIET)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self.run(f"create database {self.database}", "postgres")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start it, also after a kill, and wait until it answers."""
        options = ["-D", str(self._data), "-k", str(self.folder), "-p", str(self.port)]
        options += ["-c", "listen_addresses=127.0.0.1"]
        self._process = subprocess.Popen(
            self._command("postgres", *options), start_new_session=True, **_QUIET
        )
        wait_until(self._answers)

    def kill(self) -> None:
        """End it and all its processes as the kernel would, without a word."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        # It looks for others in its data before it starts, by the number in this file.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        time.sleep(0.1)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def uri(self, database: str = database) -> str:
        login = f"{self.user}:{self.password}@127.0.0.1:{self.port}"
        return f"postgresql+psycopg2://{login}/{database}"

    def run(self, statement: str, database: str) -> list[tuple[object, ...]]:
        """Ask the database itself, without MLflow."""
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _answers(self) -> bool:
        import psycopg2

        assert self._process is not None
        assert self._process.poll() is None, "PostgreSQL did not start"
        try:
            self.run("select 1", "postgres")
        except psycopg2.OperationalError:
            return False
        return True

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [*self._as_user, str(self._bin / program), *arguments]


def _postgres_programs() -> Path:
    folders = [Path(one) for one in os.environ.get("PATH", "").split(os.pathsep)]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return (folder / "postgres").resolve().parent
    pytest.skip("PostgreSQL is not installed: apt-get install postgresql")


def _unprivileged() -> list[str]:
    """How to start a program as somebody else; empty where we are not root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL refuses to be root, and there is no setpriv")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@contextmanager
def serve(
    store: str, artifacts: str, environment: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `mlflow server`; yield its address and its process."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--serve-artifacts"]
    with subprocess.Popen(
        command,
        start_new_session=True,
        env={
            **os.environ,
            **environment,
            "MLFLOW_BACKEND_STORE_URI": store,
            "MLFLOW_ARTIFACTS_DESTINATION": artifacts,
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        **_QUIET,
    ) as process:
        try:
            wait_until(lambda: is_healthy(port), 180)
            yield f"http://127.0.0.1:{port}", process
        finally:
            kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


FLICKER = """
import os, signal, sys, time
os.environ["_MLFLOW_SERVER_FILE_STORE"] = sys.argv[1]
os.environ["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = sys.argv[2]
os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = "mlflow-artifacts:/"
os.environ["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] = "true"
import mlflow.server
from werkzeug.serving import make_server
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        port = int(line)
        make_server("127.0.0.1", port, mlflow.server.app, threaded=True).serve_forever()
    print(child, flush=True)
    os.waitpid(child, 0)
"""
"""Serves on each port that it is told, in a process that may be killed."""


class Flicker:
    """MLflow's server in a process that is killed and back within milliseconds."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.database = folder / "server.db"
        arguments = [f"sqlite:///{self.database}", str(folder / "artifacts")]
        self._parent = subprocess.Popen(
            [sys.executable, "-c", FLICKER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._child = 0
        self.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve; the first time takes as long as MLflow takes to load."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(b"%d\n" % self.port)
        self._parent.stdin.flush()
        self._child = int(self._parent.stdout.readline())
        wait_until(lambda: is_healthy(self.port))

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        os.kill(self._child, signal.SIGKILL)
        wait_until(lambda: not is_healthy(self.port))

    def remove(self) -> None:
        kill_group(self._parent)
        for pipe in filter(None, (self._parent.stdin, self._parent.stdout)):
            pipe.close()


class Line:
    """A connection to a server that is cut after some bytes, again and again."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.next_budget: Callable[[], int | None] = lambda: None
        """Bytes after which the next connection is cut, both ways counted."""
        self.num_cut = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                budget = self.next_budget()
                threading.Thread(
                    target=self._carry, args=(near, budget), daemon=True
                ).start()

    def _carry(self, near: socket.socket, budget: int | None) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        other = {near: far, far: near}
        carried = 0
        with near, far, suppress(OSError):
            while True:
                for end in select.select([near, far], [], [])[0]:
                    most = 65536 if budget is None else min(65536, budget - carried)
                    data = end.recv(most) if most else b""
                    if most and not data:
                        return
                    other[end].sendall(data)
                    carried += len(data)
                    if carried == budget:
                        self.num_cut += 1
                        # Not a goodbye, a reset: as when a machine is gone.
                        off = struct.pack("ii", 1, 0)
                        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off)
                        return
