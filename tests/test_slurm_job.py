"""A notice of Slurm's reaches a job's command, whenever it comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from run_workspace import environment

pytest.importorskip("submitit")

# As submitit does it: a handler has the job save its state, and then ends all.
_HANDLER = """
import os, signal, subprocess, sys
from runtime.study.slurm_job import RunJob

def notice(number, frame):
    job.checkpoint()
    ended = os.waitid(os.P_PID, job._pid, os.WEXITED | os.WNOHANG)
    print("ended by", ended.si_status, flush=True)
    sys.exit(3)

def give_notice():
    os.kill(os.getpid(), signal.SIGUSR2)

def install():
    signal.signal(signal.SIGUSR2, notice)
"""


def run(folder: Path, script: str, *start: str) -> tuple[int, str]:
    """Run a script after the handler's; return its exit code and what it printed."""
    (folder / "script.py").write_text(_HANDLER + script)
    done = subprocess.run(
        [sys.executable, "-P", *start, "script.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_a_notice_before_there_is_a_handler_waits_for_it(tmp_path: Path) -> None:
    script = """
give_notice()
install()
job = RunJob(["sleep", "50"])
job()
"""
    start = ("-S", "-m", "runtime.study.slurm_start", "-P")
    assert run(tmp_path, script, *start) == (3, "ended by 15\n")


def test_a_notice_while_the_command_starts_waits_for_its_process(
    tmp_path: Path,
) -> None:
    script = """
install()
start = subprocess.Popen

def started(*arguments, **options):
    process = start(*arguments, **options)
    give_notice()
    return process

subprocess.Popen = started
job = RunJob(["sleep", "50"])
job()
"""
    assert run(tmp_path, script) == (3, "ended by 15\n")


def test_the_notice_leaves_the_command_alone_and_a_second_one_too(
    tmp_path: Path,
) -> None:
    # The command is told once; while it saves, its parent gets notice again.
    command = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGUSR2)
os.kill(os.getppid(), signal.SIGUSR2)
signal.sigwait([signal.SIGTERM])
os.kill(os.getppid(), signal.SIGUSR2)
sys.exit(75 if signal.sigtimedwait([signal.SIGTERM], 1) is None else 1)
"""
    script = f"""
install()
job = RunJob([sys.executable, "-c", {command!r}])
job()
"""
    assert run(tmp_path, script) == (3, "ended by 75\n")


def test_a_command_that_fails_fails_the_job(tmp_path: Path) -> None:
    script = """
try:
    RunJob(["sh", "-c", "exit 5"])()
except RuntimeError as error:
    print(error)
"""
    assert run(tmp_path, script) == (0, "sh -c exit 5: exit code 5\n")
