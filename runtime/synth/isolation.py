"""One interpreter apart from ours, for code that was made and not written.

`bubblewrap` is the sandbox that programs of a model run in, with many problems to a
process. `process` is a process and no more: enough for code of our own families, where
a machine has no bubblewrap, and never chosen by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Literal, get_args

from runtime.sandbox.command import start_command
from runtime.sandbox.probe import check_level

Level = Literal["bubblewrap", "process"]
"""What stands between the code and the machine; written into certificates."""
LEVELS: tuple[Level, ...] = get_args(Level)

MEMORY_BYTES = 2 * 1024**3
DISK_BYTES = 2**20

_LIMITS = """
import resource
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
resource.setrlimit(resource.RLIMIT_NPROC, (4, 4))
"""


def ensure(level: Level) -> None:
    """Make sure that a level can be had here.

    Raises:
        InputError: There is no bubblewrap, or it does not hold.
    """
    if level == "bubblewrap":
        check_level("bubblewrap")


def run_isolated(
    program: str, stdin: str, *, seconds: float, level: Level
) -> str | None:
    """Run a program; its output, or nothing if it was killed or failed."""
    reader, writer = os.pipe()
    try:
        command, environ = _command(program, seconds, level, reader, writer)
        os.close(writer)
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=environ,
            pass_fds=(reader,),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    finally:
        os.close(reader)
    return done.stdout if done.returncode == 0 else None


def _command(
    program: str, seconds: float, level: Level, reader: int, writer: int
) -> tuple[list[str], dict[str, str]]:
    if level == "process":
        return [sys.executable, "-s", "-S", "-P", "-B", "-c", program], {
            "PYTHONHASHSEED": "0"
        }
    way = check_level("bubblewrap").way
    os.write(writer, way.system_calls)  # far less than a pipe holds
    limits = _LIMITS.format(memory=MEMORY_BYTES, seconds=round(seconds) + 1)
    command = start_command(
        way, code=limits + program, disk_bytes=DISK_BYTES, filter_fd=reader
    )
    return command, {"PATH": os.environ.get("PATH", os.defpath)}
