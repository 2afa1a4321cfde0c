"""What this machine can keep programs from, found out by trying it.

A level counts only if known ways out of it fail, tried from inside, each time a process
first needs it.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass

from runtime.sandbox.command import STAGE, Way, drop_command
from runtime.sandbox.interpreter import find_interpreter
from runtime.sandbox.process import run_one
from runtime.sandbox.system_calls import system_call_filter
from runtime.sandbox.values import LEVELS, Level, Limits, Program, SandboxFacts
from specs.errors import InputError, Problem

_VERSION_SECONDS = 10.0
_START_SECONDS = 60.0
_LIMITS = Limits(seconds=_START_SECONDS)

_CANDIDATE = """
import ctypes, os, socket, sys

C = ctypes.CDLL(None, use_errno=True)
REMOUNT_BIND = 32 | 4096
NEW_USER, NEW_MOUNTS = 0x10000000, 0x20000

def reaches_loopback(port):
    return socket.create_connection(("127.0.0.1", port), 1)

def reaches_a_network():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))

def reaches_the_hypervisor():
    socket.socket(40, socket.SOCK_STREAM)

def writes_to_the_system():
    folder = os.path.dirname(os.__file__)
    C.mount(None, folder.encode(), None, REMOUNT_BIND, None)
    open(folder + "/escaped", "w")

def sees_files_of_the_machine():
    with open("/etc/passwd") as file: file.read()

def sees_processes_of_the_machine(pid):
    os.kill(pid, 0)

def becomes_root():
    if os.getuid() and os.geteuid(): os.setuid(0)

def makes_namespaces():
    if C.unshare(NEW_USER | NEW_MOUNTS): raise OSError

def reads_the_tests():
    open(f"/proc/{os.getppid()}/mem", "rb")

def traces_the_tests():
    if C.ptrace(16, os.getppid(), 0, 0): raise OSError

def sees_variables():
    if set(os.environ) <= {"HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONHASHSEED", "PWD"}:
        raise OSError

def version():
    return sys.version

def tries(port, pid):
    given = {"reaches_loopback": (port,), "sees_processes_of_the_machine": (pid,)}
    found = []
    for name, attack in list(globals().items()):
        if "s_" in name and callable(attack):
            try: attack(*given.get(name, ()))
            except OSError: continue
            found.append(name.replace("_", " "))
            print("a program", found[-1])
    return found
"""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A level that was tried, and works."""

    way: Way
    facts: SandboxFacts


@functools.cache
def probe(level: Level = "bubblewrap") -> Found | Problem:
    """Try a level; return it, or what is in its way here and how to mend that.

    The answer is kept for as long as this process lives.
    """
    try:
        interpreter = find_interpreter()
        version = _bubblewrap() if level == "bubblewrap" else None
        is_root = os.geteuid() == 0
        way = Way(
            level=level,
            interpreter=interpreter,
            is_root=is_root,
            is_staged=is_root and _is_hidden(),
            system_calls=_filter() if level == "bubblewrap" else b"",
        )
        _try(way)
    except InputError as error:
        return error.problems[0]
    facts = SandboxFacts(level=level, python=interpreter.version, bubblewrap=version)
    return Found(way=way, facts=facts)


def check_level(minimum: Level = "bubblewrap") -> Found:
    """Return the best level that is had here.

    Args:
        minimum: The weakest that is good enough. Whoever asks for less than the full
            one says so by name: there is no falling back.

    Raises:
        InputError: The machine has no such level; what is missing and how to get it.
    """
    problems = []
    for level in LEVELS[: LEVELS.index(minimum) + 1]:
        found = probe(level)
        if isinstance(found, Found):
            return found
        problems.append(found)
    raise InputError(problems)


def _bubblewrap() -> str:
    if shutil.which("bwrap") is None:
        raise InputError(
            "programs that a model writes can't run: bubblewrap is not installed",
            fix="install the package bubblewrap, 0.8 or newer",
        )
    try:
        told = subprocess.run(
            ["bwrap", "--version"], capture_output=True, timeout=_VERSION_SECONDS
        ).stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        told = ""
    version = told.split()[-1] if told.strip() else ""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or tuple(map(int, numbers.groups())) < (0, 8):
        raise InputError(
            f"bubblewrap is {version or 'of unknown version'}, and can't forbid "
            "namespaces inside",
            fix="install bubblewrap 0.8 or newer",
        )
    return version


def _filter() -> bytes:
    code = system_call_filter()
    if code is None:
        raise InputError(
            f"the system calls of {os.uname().machine} are not known, so that none can "
            "be refused to programs",
            fix="run programs on x86_64 or aarch64",
        )
    return code


def _is_hidden() -> bool:
    """Whether only root can read the interpreter, as in a folder below /root."""
    interpreter = find_interpreter()
    if shutil.which("setpriv") is None:
        raise InputError(
            "programs may not run as root, and there is nothing to give root up with",
            fix="install setpriv (util-linux), or run codemix as another user",
        )
    drop = drop_command(interpreter, is_root=True, is_staged=False)
    executable = f"{interpreter.prefix}/{interpreter.executable}"
    library = f"{interpreter.prefix}/{interpreter.library}/os.py"
    both = ["sh", "-c", 'test -r "$1" && test -r "$2"', "sh", executable, library]
    if subprocess.run([*drop, *both], check=False).returncode == 0:
        return False
    if not os.path.isdir(STAGE):
        raise InputError(
            f"only root can read {executable}, and there is no folder {STAGE} to show "
            "it to others in",
            fix=f"mkdir {STAGE}, or make the environment from another Python",
        )
    return True


def _try(way: Way) -> None:
    """Raise what is wrong with a level, if anything is."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        # Another shared library of Python may have been found than the one wanted.
        tests = (
            "inside = version()\n"
            f"if inside != {sys.version!r}:\n"
            "    print('another Python starts, ' + inside.split(' (')[0])\n"
            "    assert False\n"
        )
        if way.level == "bubblewrap":
            tests += f"assert tries({port}, {os.getpid()}) == []\n"
        program = Program(
            name="probe",
            candidate=_CANDIDATE,
            tests=tests,
            names=("tries", "version"),
        )
        run = run_one(program, way=way, limits=_LIMITS)
    if run.outcome.verdict == "passed":
        return
    said = (run.output_tail.strip() or run.outcome.reason).splitlines()[-1]
    if run.outcome.verdict == "timed-out":
        said = f"a program that tries it did not end in {_START_SECONDS:.0f} seconds"
    raise InputError(
        f"the sandbox ({way.level}) does not hold here: {said}", fix=_fix(said)
    )


def _fix(said: str) -> str:
    if "a program " in said:
        return "do not run programs here; docs/sandbox.md says what keeps them in"
    return (
        "allow user namespaces: docs/sandbox.md says how, for Docker, for Ubuntu's "
        "AppArmor and for kernels that forbid them"
    )
