"""Programs that use up a machine, or stay on it: they are ended, nothing is left."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from sandboxes import FILES, QUICK, marked, program, require_sandbox, run, verdict

from runtime.sandbox import programs
from runtime.sandbox.probe import probe
from runtime.sandbox.programs import run_programs
from runtime.sandbox.values import Limits

MIB = 1024**2


def processes_called(name: str) -> list[int]:
    """Processes of this machine by the name that they gave themselves."""
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() == name:
                found.append(int(comm.parent.name))
        except OSError:
            continue
    return found


def wait_until_gone(name: str) -> None:
    deadline = time.monotonic() + 10
    while processes_called(name):
        assert time.monotonic() < deadline, f"{name} is still there"
        time.sleep(0.02)


def called(name: str) -> str:
    """Code after which a process and its children have a name."""
    return f"import ctypes\nctypes.CDLL(None).prctl(15, {name.encode()!r}, 0, 0, 0)\n"


ENDLESS = (
    "while True: pass",
    "import time\nwhile True: time.sleep(9)",
    "import signal\nsignal.pthread_sigmask(0, range(1, 65))\n"
    "for n in {*range(1, 32)} - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
    "while True: pass",
    "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)",
    "import re\nre.match('(a|aa)+$', 'a' * 99 + 'b')",
    # Waits for the request that answers it.
    "import os\nfor f in range(3, 9):\n  try: os.read(f, 1)\n  except OSError: pass",
)


def test_what_does_not_end_is_ended_in_time() -> None:
    require_sandbox()
    started = time.monotonic()
    runs = run_programs(
        [program(code) for code in ENDLESS],
        limits=Limits(seconds=1.0),
        workers=len(ENDLESS),
    )
    assert {one.outcome.verdict for one in runs} == {"timed-out"}
    assert time.monotonic() - started < 4.0


IGNORES = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"


@pytest.mark.parametrize(
    "before", ["", pytest.param(IGNORES, marks=pytest.mark.slow)], ids=ascii
)
def test_processor_time_ends_before_the_clock_does(before: str) -> None:
    limits = Limits(cpu_seconds=1.0, seconds=60.0)
    one = run(before + "while True: pass", limits=limits)
    assert one.outcome.verdict == "timed-out"
    assert one.outcome.reason == "processor time"
    assert one.seconds < 50
    assert verdict("import time\ntime.sleep(1.2)", "", limits=limits) == "passed"


ZIPPED = """
import zlib
packer = zlib.compressobj()
packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(32)) + packer.flush()
del packer
def solve(x):
    return sum(map(len, [zlib.decompress(packed) for _ in range(9)]))
"""
C_STACK = """
import sys
sys.setrecursionlimit(10**9)
class Deep:
    def __repr__(self): return repr([self])
repr(Deep())
"""


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("while True: print('x' * 1000, flush=True)", "too-much-output"),
        ("import os\nwhile True: os.write(2, b'x' * 65536)", "too-much-output"),
        ("x = b'x' * (3 << 30)", "out-of-memory"),
        ("x = []\nwhile True: x.append('x' * (1 << 20))", "out-of-memory"),
        (ZIPPED, "out-of-memory"),
        ("def f(): f()\nf()", "failed"),
        (C_STACK, "died"),
        ("def solve(x): return input()", "failed"),
        ("import sys, os\nassert os.read(0, 9) == sys.stdin.read() == ''", "failed"),
    ],
)
def test_what_uses_up_a_machine_is_ended(candidate: str, expected: str) -> None:
    limits = QUICK.model_copy(update={"memory_bytes": 256 * MIB})
    assert verdict(candidate, limits=limits) == expected


def test_a_folder_is_as_large_as_was_said_and_a_file_too() -> None:
    code = """
import os
def solve():
    largest = total = 0
    for number in range(100):
        with open(str(number), "wb", buffering=0) as file:
            size = 0
            try:
                while size < 64 << 20:
                    size += file.write(bytes(1 << 20))
            except OSError:
                pass
        largest, total = max(largest, size), total + size
    return largest, total
"""
    limits = QUICK.model_copy(update={"disk_bytes": 24 * MIB, "file_bytes": 8 * MIB})
    expected = f"({8 * MIB}, {24 * MIB})"
    tests = f"l, t = solve(); assert (l, t) <= {expected} and t > {20 * MIB}, (l, t)"
    assert verdict(code, tests, limits=limits) == "passed"


FORKS = """
import os, time
def solve():
    made = 0
    while made < 500:
        try:
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
        except OSError:
            break
        made += 1
    return made
"""


def test_a_fork_bomb_is_small_and_leaves_nothing() -> None:
    name = f"bomb-{secrets.token_hex(3)}"
    code = called(name) + FORKS
    limits = QUICK.model_copy(update={"processes": 12})
    assert verdict(code, "assert 3 < solve() < 12", limits=limits) == "passed"
    wait_until_gone(name)


def test_a_daemon_ends_with_its_program() -> None:
    name = f"daemon-{secrets.token_hex(3)}"
    code = called(name) + (
        "import os, signal, time\n"
        "for n in {*range(1, 32)} - {9, 17, 19}: signal.signal(n, signal.SIG_IGN)\n"
        "def solve():\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0: time.sleep(600)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "    return 4\n"
    )
    started = time.monotonic()
    assert verdict(code, "assert solve() == 4") == "passed"
    assert time.monotonic() - started < QUICK.seconds
    wait_until_gone(name)


@pytest.mark.parametrize(
    "kill_signal",
    [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
)
def test_programs_end_with_their_caller(kill_signal: int) -> None:
    require_sandbox()
    name = f"orphan-{secrets.token_hex(3)}"
    sleeper = called(name) + "import time\ntime.sleep(600)\n"
    script = (
        "from runtime.sandbox.programs import run_programs\n"
        "from runtime.sandbox.values import Limits, Program\n"
        f"one = Program(name='', candidate={sleeper!r}, tests='', names=())\n"
        "run_programs([one, one], limits=Limits(seconds=600), workers=2)\n"
    )
    root = Path(__file__).resolve().parent.parent
    caller = subprocess.Popen([sys.executable, "-c", script], cwd=root)
    try:
        deadline = time.monotonic() + 60
        while len(processes_called(name)) < 2:
            assert time.monotonic() < deadline
            assert caller.poll() is None
            time.sleep(0.05)
    finally:
        caller.send_signal(kill_signal)
        caller.wait()
    wait_until_gone(name)


def test_nothing_is_left_on_the_machine() -> None:
    require_sandbox()
    mounts = Path("/proc/self/mountinfo").read_text()
    folder = Path(tempfile.gettempdir())
    before = {path.name for path in folder.iterdir()}
    mess = program("import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').write('x' * 99)")
    run_programs([mess] * 4, limits=QUICK)
    assert Path("/proc/self/mountinfo").read_text() == mounts
    left = {path.name for path in folder.iterdir()} - before
    assert not [name for name in left if name.startswith("codemix-")]


@pytest.fixture
def only_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "check_level", lambda minimum: probe("limits"))


@pytest.mark.usefixtures("only_limits")
@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("def solve(x): return x * x", "passed"),
        ("while True: pass", "timed-out"),
        ("x = b'x' * (3 << 30)", "out-of-memory"),
        ("import os\nos._exit(0)", "died"),
        ("print('x' * 10**7)", "too-much-output"),
        (FILES, "failed"),
    ],
)
def test_limits_alone_end_a_program_and_keep_its_verdict(
    candidate: str, expected: str
) -> None:
    tests = marked() if candidate == FILES else "assert solve(2) == 4"
    limits = Limits(seconds=1.0) if expected == "timed-out" else QUICK
    (one,) = run_programs([program(candidate, tests)], limits=limits, minimum="limits")
    assert one.outcome.verdict == expected


@pytest.mark.usefixtures("only_limits")
def test_limits_alone_bound_the_number_of_processes() -> None:
    code = "import os\n" + FORKS.replace("os.setsid()", "pass")
    limits = QUICK.model_copy(update={"processes": 12})
    bomb = program(code, "made = solve(); print(made); assert made < 40")
    (one,) = run_programs([bomb], limits=limits, minimum="limits")
    assert one.outcome.verdict == "passed", one
