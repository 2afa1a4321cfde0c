"""One program from its start to its verdict.

The tests' process reports on stdout, and the candidate prints into stderr, which is
read to a bound and thrown away but for its end. After the time is up everything is
killed at once and the pipes are closed: whatever still holds their other ends is never
waited for.
"""

from __future__ import annotations

import functools
import marshal
import math
import os
import secrets
import selectors
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from runtime.sandbox.command import (
    NOBODY,
    STAGE,
    Way,
    environment,
    start_command,
)
from runtime.sandbox.inside_values import decode, encode
from runtime.sandbox.values import Limits, Outcome, Program, Run, Verdict

TAIL_BYTES = 4096
LONGEST_REPORT = 65536
READY = b"ready\n"

_INSIDE = ("inside_values", "inside_changes", "inside_candidate", "inside_tests")
_PACKAGE = "runtime.sandbox"

# Reads no byte too many: the rest of the pipe is not for the candidate, which is forked
# from this process. The modules were compiled by the same interpreter as runs here.
_START = f"""
import marshal, os, sys
def read(count):
    data = b""
    while len(data) < count:
        part = os.read(0, count - len(data))
        if not part: os._exit(3)
        data += part
    return data
def message(): return read(int(read(8), 16))
for name in ("runtime", "{_PACKAGE}"): sys.modules[name] = type(sys)(name)
for name, code in marshal.loads(message()):
    module = sys.modules[name] = type(sys)(name)
    exec(code, module.__dict__)
module.main(message())
"""


@functools.cache
def _modules() -> bytes:
    folder = Path(__file__).parent
    compiled = []
    for name in _INSIDE:
        source = (folder / f"{name}.py").read_bytes()
        code = compile(source, f"{name}.py", "exec")
        compiled.append((f"{_PACKAGE}.{name}", code))
    return marshal.dumps(compiled)


def run_one(
    program: Program,
    *,
    way: Way,
    limits: Limits,
    folder: str | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Run one program and say how it went.

    Args:
        program: What to run.
        way: How programs are started here.
        limits: What it may use.
        folder: Its working folder at level `limits`.
        stop: Once set, the program is killed and what is returned means nothing.
    """
    word = secrets.token_hex(16)
    start = time.monotonic()
    process = _start(way, limits.disk_bytes, folder or "/")
    try:
        told = _Told(limits.output_bytes)
        ended = _talk(
            process,
            _input(program, limits, word, _neighbours(way)),
            told,
            start + limits.seconds,
            stop,
        )
    finally:
        _kill(process)
    seconds = time.monotonic() - start
    outcome, status = _outcome(ended, told, word, process.returncode)
    tail = bytes(told.tail).decode("utf-8", "replace")
    return Run(outcome=outcome, seconds=seconds, exit_code=status, output_tail=tail)


def _start(way: Way, disk_bytes: int, folder: str) -> subprocess.Popen[bytes]:
    reader, writer = os.pipe()
    try:
        os.write(writer, way.system_calls)  # far less than a pipe holds
        os.close(writer)
        return subprocess.Popen(
            start_command(way, code=_START, disk_bytes=disk_bytes, filter_fd=reader),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=_environment(way),
            pass_fds=(reader,),
            start_new_session=True,
        )
    finally:
        os.close(reader)


def _environment(way: Way) -> dict[str, str]:
    ours = {"PATH": os.environ.get("PATH", os.defpath)}
    if way.level == "limits":
        prefix = STAGE if way.is_staged else way.interpreter.prefix
        return environment(way.interpreter, prefix) | ours
    return ours


def _neighbours(way: Way) -> int:
    """Processes and threads that a limit on their number counts beside a program's."""
    if way.level == "bubblewrap":
        return 0  # it has users, and so counts, of its own
    uid = NOBODY if way.is_root else os.getuid()
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if process.stat().st_uid == uid:
                count += len(os.listdir(process / "task"))
    return count


def _input(program: Program, limits: Limits, word: str, neighbours: int) -> bytes:
    seconds = math.ceil(limits.cpu_seconds)
    allowed = {
        "RLIMIT_AS": (limits.memory_bytes, limits.memory_bytes),
        # First a signal, which can be ignored, then the end.
        "RLIMIT_CPU": (seconds, seconds + 1),
        "RLIMIT_NPROC": (limits.processes + neighbours,) * 2,
        "RLIMIT_FSIZE": (limits.file_bytes, limits.file_bytes),
        "RLIMIT_NOFILE": (limits.open_files, limits.open_files),
        "RLIMIT_CORE": (0, 0),
    }
    job = encode((allowed, program.candidate), _no_number)
    tests = (word, program.given, program.tests, list(program.names))
    return b"".join(
        b"%08x" % len(part) + part
        for part in (_modules(), job, encode(tests, _no_number))
    )


def _no_number(value: Any) -> int:
    raise TypeError(type(value).__name__)


class _Told:
    """What has come out of the sandbox so far."""

    def __init__(self, most: int) -> None:
        self.report = bytearray()
        self.tail = bytearray()
        self.printed = 0
        self.most = most

    @property
    def is_too_much(self) -> bool:
        return self.printed > self.most or len(self.report) > LONGEST_REPORT

    def take(self, data: bytes, stream: str) -> None:
        if stream == "report":
            self.report += data
            return
        self.printed += len(data)
        self.tail += data
        del self.tail[:-TAIL_BYTES]


def _talk(
    process: subprocess.Popen[bytes],
    text: bytes,
    told: _Told,
    deadline: float,
    stop: threading.Event | None,
) -> str:
    """Write the input and read the output; return what ended it."""
    pipes = process.stdin, process.stdout, process.stderr
    rest = memoryview(text)
    with selectors.DefaultSelector() as selector:
        for pipe, name in zip(pipes, ("input", "report", "printed"), strict=True):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            is_input = name == "input"
            event = selectors.EVENT_WRITE if is_input else selectors.EVENT_READ
            selector.register(pipe, event, name)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return "time"
            if stop is not None and stop.is_set():
                return "stopped"
            for key, _ in selector.select(min(left, 0.2)):
                if key.data == "input":
                    rest = _write(process, rest, selector)
                    continue
                data = os.read(key.fd, 65536)
                told.take(data, key.data)
                if told.is_too_much:
                    return "output"
                if not data:
                    if key.data == "report":
                        # Only the tests' process holds the other end.
                        return "end"
                    selector.unregister(key.fileobj)


def _write(
    process: subprocess.Popen[bytes],
    rest: memoryview,
    selector: selectors.BaseSelector,
) -> memoryview:
    assert process.stdin
    try:
        rest = rest[os.write(process.stdin.fileno(), rest) :]
    except BrokenPipeError:
        rest = rest[:0]
    if not rest:
        selector.unregister(process.stdin)
        process.stdin.close()
    return rest


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with suppress(BrokenPipeError):
                pipe.close()


def _outcome(
    ended: str, told: _Told, word: str, returncode: int
) -> tuple[Outcome, int | None]:
    if ended == "time":
        return _of("timed-out", "time"), None
    if ended == "output":
        return _of("too-much-output", "output"), None
    if not told.report.startswith(READY):
        return _of("refused-by-sandbox", "it did not start"), returncode
    try:
        report = decode(bytes(told.report[len(READY) + 8 :]), _no_object)
        said, verdict, reason, status = report
        if said != word or verdict not in get_args(Verdict):
            raise ValueError("a forged report")
    except (ValueError, TypeError):
        return _of("died", "the tests' process ended"), returncode
    code = None if status is None else os.waitstatus_to_exitcode(status)
    return _of(verdict, str(reason)[:500]), code


def _no_object(number: int, kind: str) -> Any:
    raise ValueError("no objects here")


def _of(verdict: Verdict, reason: str) -> Outcome:
    return Outcome(verdict=verdict, reason=reason)
