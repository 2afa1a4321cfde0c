"""A Slurm of our own on this machine: munged, slurmctld and one slurmd, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
CORES = 2
REQUEUED_SECONDS = 20
"""So long a job waits that went back into the queue; Slurm's own choice is 120."""
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])

_CONFIGURATION = """\
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire={wait}
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1
MinJobAge=3600
KillWait=5
JobRequeue=0
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def is_installed() -> bool:
    """Whether all programs are here, and this is somebody who may start them."""
    found = [shutil.which(name, path=_PATH) for name in PROGRAMS]
    return all(found) and os.geteuid() == 0


@contextmanager
def local_slurm() -> Iterator[dict[str, str]]:
    """Yield what the environment of Slurm's programs needs, while it runs."""
    # Short: the name of a socket has no more than 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    configuration = folder / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            user="root",
            folder=folder,
            ports=_free_ports(2),
            cores=CORES,
            wait=REQUEUED_SECONDS,
        )
    )
    environ = {"SLURM_CONF": str(configuration), "PATH": _PATH}
    started: list[subprocess.Popen[bytes]] = []
    try:
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        started.append(
            _start(
                folder, environ, "munged", "--foreground", "--force",
                f"--key-file={key}", f"--socket={folder}/munge.socket",
                f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log",
                f"--seed-file={folder}/munged.seed",
            )
        )  # fmt: skip
        _wait(folder, (folder / "munge.socket").exists)
        started.append(_start(folder, environ, "slurmctld", "-D"))
        started.append(_start(folder, environ, "slurmd", "-D"))
        _wait(folder, lambda: "idle" in slurm(environ, "sinfo", "-h", "-o", "%T"))
        yield environ
    finally:
        with suppress(subprocess.SubprocessError):
            slurm(environ, "scancel", "--signal=KILL", "--full", "--user=root")
            slurm(environ, "scancel", "--user=root")
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def slurm(environ: Mapping[str, str], *command: str) -> str:
    """Run one of Slurm's programs; return what it printed."""
    done = subprocess.run(
        command,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def _start(
    folder: Path, environ: Mapping[str, str], name: str, *options: str
) -> subprocess.Popen[bytes]:
    program = shutil.which(name, path=_PATH)
    assert program is not None
    with (folder / f"{name}.out").open("wb") as output:
        return subprocess.Popen(
            [program, *options],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _wait(folder: Path, is_there: object) -> None:
    assert callable(is_there)
    deadline = time.monotonic() + 60
    while not is_there():
        logs = sorted(folder.glob("*.out")) + sorted(folder.glob("*.log"))
        told = "\n".join(f"{one.name}: {one.read_text()[-800:]}" for one in logs)
        assert time.monotonic() < deadline, told
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
