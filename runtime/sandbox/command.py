"""The command lines that start a program's first process, by level.

Root is given up before anything else: to root, bubblewrap's namespaces are no wall, and
no limit on processes holds. Where the interpreter lies in a folder that only root may
enter, root first makes it visible in a mount namespace that ends with the program.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from runtime.sandbox.interpreter import INSIDE, Interpreter
from runtime.sandbox.values import Level

NOBODY = 65534

STAGE = "/mnt"
"""Where root shows the interpreter to others, in a mount namespace of the program's."""

# Neither the user's packages nor anything in the working folder; no .pyc is written.
# Not -I: it would ignore PYTHONHASHSEED. The environment is empty anyway.
FLAGS = ("-s", "-S", "-P", "-B")

_DROP = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--",
)  # fmt: skip

_WALLS = (
    "--unshare-all", "--unshare-user", "--disable-userns",
    "--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL",
    "--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Way:
    """How programs are started on this machine."""

    level: Level
    interpreter: Interpreter
    is_root: bool
    is_staged: bool
    """Whether root has to show the interpreter to others first."""
    system_calls: bytes = b""
    """The filter of system calls; empty: there is none."""


def drop_command(
    interpreter: Interpreter, *, is_root: bool, is_staged: bool
) -> list[str]:
    """Return what comes before a command, so that it is not run as root."""
    command: list[str] = []
    if is_staged:
        show = f'mount --bind "$1" {STAGE} && shift && exec "$@"'
        command += ["unshare", "--mount", "--propagation", "private", "--"]
        command += ["sh", "-c", show, "sh", interpreter.prefix]
    if is_root:
        command += _DROP
    return command


def environment(interpreter: Interpreter, prefix: str) -> dict[str, str]:
    """Return all the variables that a program sees."""
    folders = [f"{prefix}/{os.path.dirname(own)}" for own in interpreter.own_libraries]
    return {
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": ":".join([*dict.fromkeys(folders), *interpreter.folders]),
        "PYTHONHASHSEED": "0",
    }


def start_command(way: Way, *, code: str, disk_bytes: int, filter_fd: int) -> list[str]:
    """Return the command that starts `python -c code` at a level.

    Args:
        way: How programs are started here.
        code: Python.
        disk_bytes: Size of its folder.
        filter_fd: Descriptor that the filter of system calls can be read from.
    """
    interpreter = way.interpreter
    prefix = STAGE if way.is_staged else interpreter.prefix
    command = drop_command(interpreter, is_root=way.is_root, is_staged=way.is_staged)
    if way.level == "limits":
        executable = f"{prefix}/{interpreter.executable}"
        return [*command, executable, *FLAGS, "-c", code]
    command += ["bwrap", *_WALLS]
    for name, value in environment(interpreter, INSIDE).items():
        command += ["--setenv", name, value]
    own = (interpreter.executable, interpreter.library, *interpreter.own_libraries)
    for path in own:
        command += ["--ro-bind", f"{prefix}/{path}", f"{INSIDE}/{path}"]
    # What is installed for the interpreter stays outside.
    for packages in ("site-packages", "dist-packages"):
        folder = f"{interpreter.library}/{packages}"
        if os.path.isdir(f"{interpreter.prefix}/{folder}"):
            command += ["--tmpfs", f"{INSIDE}/{folder}"]
            command += ["--remount-ro", f"{INSIDE}/{folder}"]
    for folder in interpreter.folders:
        command += ["--ro-bind", folder, folder]
    if interpreter.loader:
        real = os.path.realpath(interpreter.loader)
        command += ["--ro-bind", real, interpreter.loader]
    # Python needs no other device, and each mount costs a program time.
    command += ["--dev-bind", "/dev/null", "/dev/null"]
    command += ["--size", str(disk_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]
    command += ["--remount-ro", "/", "--seccomp", str(filter_fd)]
    return [*command, f"{INSIDE}/{interpreter.executable}", *FLAGS, "-c", code]
