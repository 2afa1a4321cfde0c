"""Programs that mean harm: none gets out, none is passed for what it is not.

Where a candidate tries things, it returns what it got; the test is that it got nothing,
and that it did try: the number of attempts is part of the answer.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandboxes import QUICK, program, require_sandbox, run, verdict

from runtime.sandbox import programs
from runtime.sandbox.probe import probe
from runtime.sandbox.programs import run_programs
from runtime.sandbox.values import Limits

MIB = 1024**2
SHORT = Limits(seconds=2.0)

# Collects what attempts give: `tried(f, ...)` is True where f did not raise.
ATTEMPTS = """
import ctypes, os, socket
C = ctypes.CDLL(None, use_errno=True)
count, got = 0, []
def attempt(name, work):
    global count
    count += 1
    try:
        value = work()
    except Exception:
        return
    got.append(f"{name}: {value!r:.60}")
def call(name, *given):
    if getattr(C, name)(*given) < 0:
        raise OSError(ctypes.get_errno(), name)
    return name
def read(path):
    return open(path, "rb").read(100)
def write(path):
    return open(path, "w").write("escaped")
"""


def gets_nothing(attack: str, *, attempts: int, **more: object) -> None:
    """Run an attack; it must have made its attempts, all of them in vain."""
    body = "".join(f"    {line}\n" for line in attack.strip().splitlines())
    candidate = f"{ATTEMPTS}\ndef solve():\n{body}    return count, got\n"
    tests = (
        "count, got = solve()\n"
        f"print(count, got)\nassert (count, got) == ({attempts}, [])"
    )
    one = run(candidate, tests, **more)
    assert one.outcome.verdict == "passed", one


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may read and write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


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


# --- Forging ------------------------------------------------------------------------

EVERY_DESCRIPTOR = """
import os
for fd in range(64):
    try: os.write(fd, b"ready\\n00000010t4;s4;wordpassed")
    except OSError: pass
os._exit(0)
"""
PATCHED = """
import builtins, sys
builtins.AssertionError = ValueError
builtins.exec = builtins.compile = builtins.getattr = lambda *a, **k: None
for module in list(sys.modules.values()):
    for name in ("main", "_judge", "_failure", "CandidateGone", "Candidate"):
        if hasattr(module, name):
            setattr(module, name, lambda *a, **k: ("passed", ""))
"""
# These look for a word of the tests, whose form they know, and return it.
FRAMES = """
import re, sys
def solve(x):
    frame = sys._getframe()
    while frame:
        for space in (frame.f_globals, frame.f_locals):
            for value in list(space.values()):
                found = re.search("marker-[0-9a-f]{16}", repr(value))
                if found: return found[0]
        frame = frame.f_back
"""
HEAP = """
import gc, re, sys
def solve(x):
    seen, queue = set(), gc.get_objects() + list(vars(sys).values())
    while queue and len(seen) < 200000:
        value = queue.pop()
        if id(value) in seen: continue
        seen.add(id(value))
        if isinstance(value, (str, bytes)):
            found = re.search("marker-[0-9a-f]{16}", str(value))
            if found: return found[0]
        else:
            queue += gc.get_referents(value)
    return len(seen) > 5000
"""
FILES = """
import os, re
def memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as file:
        for line in maps:
            if " rw-p " in line:
                start, stop = (int(n, 16) for n in line.split()[0].split("-"))
                file.seek(start)
                yield file.read(stop - start)
def other(pid):
    for name in ("environ", "cmdline", "fd/0", "fd/1", "fd/3", "fd/4"):
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_NONBLOCK)
        yield os.read(fd, 10**6)
def solve(x):
    for pid in (os.getppid(), 1, 2, 3):
        for source in (memory, other):
            try:
                for data in source(pid):
                    found = re.search(b"marker-[0-9a-f]{16}", data)
                    if found: return found[0].decode()
            except OSError: continue
"""
EQUALS = """
class Yes{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = None
    def __bool__(self): return True
def solve(x):
    return Yes()
"""


def marked() -> str:
    """Tests with a word that can't be guessed."""
    return f"assert solve(2) == 'marker-{secrets.token_hex(8)}'"


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("import os\nos._exit(0)", "died"),
        ("import sys\nsys.exit(0)", "failed"),
        ("def solve(x):\n    import os; os._exit(0)", "died"),
        ("def solve(x):\n    raise SystemExit(0)", "failed"),
        ("import atexit, os\natexit.register(os._exit, 0)\nexit()", "failed"),
        ("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", "died"),
        (EVERY_DESCRIPTOR, "died"),
        (PATCHED, "failed"),
        (EQUALS.format(base=""), "failed"),
        (EQUALS.format(base="(int)"), "failed"),
        (EQUALS.format(base="(str)"), "failed"),
        (EQUALS.format(base="(list)"), "failed"),
        (EQUALS.format(base="(dict)"), "failed"),
        ("from unittest.mock import ANY\ndef solve(x): return ANY", "failed"),
    ],
)
def test_a_pass_is_not_forged(candidate: str, expected: str) -> None:
    assert verdict(candidate) == expected


@pytest.mark.parametrize("candidate", [FRAMES, HEAP, FILES])
def test_the_tests_are_not_found(candidate: str) -> None:
    one = run(candidate, marked())
    assert one.outcome.verdict == "failed"
    assert one.outcome.reason == "AssertionError in the tests"


def test_tests_that_swallow_everything_do_not_swallow_the_end_of_a_candidate() -> None:
    tests = "try: solve(1)\nexcept BaseException: pass\n"
    assert verdict("import os\ndef solve(x): os._exit(0)", tests) == "died"
    assert verdict("def solve(x): raise OSError", tests) == "passed"


@pytest.mark.parametrize(
    "candidate",
    [
        # Nested until whoever reads it gives up.
        "def solve(x):\n    a = []\n    for _ in range(900): a = [a]\n    return a",
        "def solve(x):\n    a = []\n    a.append(a)\n    return a",
        # What is no answer, on every descriptor.
        "import os\ndef solve(x):\n    for f in range(3, 9):\n"
        "        try: os.write(f, b'0000000axxxxxxxxxx')\n"
        "        except OSError: pass",
        "def solve(x): raise type('E', (Exception,), {'__str__': lambda s: 1 / 0})()",
        "def solve(x): raise Exception('x' * 10**8)",
        "class E(BaseException): pass\ndef solve(x): raise E",
        "def solve(x): return solve(x)",
    ],
)
def test_an_answer_that_is_none_fails(candidate: str) -> None:
    one = run(candidate)
    assert one.outcome.verdict in ("failed", "died")
    assert len(one.outcome.reason) < 600


# --- Getting out --------------------------------------------------------------------


def test_files_of_the_machine_can_not_be_read(open_folder: Path) -> None:
    secret = open_folder / "secret"
    secret.write_text("a password")
    secret.chmod(0o666)
    home = Path.home()
    attack = f"""
for path in ({str(secret)!r}, "/etc/passwd", "/etc/shadow", "/etc/hostname",
    "/proc/1/environ", "/proc/self/environ", "/proc/mounts", "/sys/kernel/notes",
    "/../../../etc/passwd", "/tmp/../etc/passwd", "/usr/../etc/passwd",
    "/python/../etc/passwd", {str(Path(__file__))!r}, {sys.executable!r}):
    attempt(path, lambda: read(path))
os.symlink("/../../../../etc/passwd", "link")
attempt("link", lambda: read("link"))
for path in ({str(home)!r}, {str(open_folder)!r}, "/proc", "/etc", "/var", "/run"):
    attempt(path, lambda: os.listdir(path))
"""
    gets_nothing(attack, attempts=21)


def test_variables_of_the_caller_are_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEMIX_TEST_TOKEN", "a password")
    code = "import os\ndef solve(): return dict(os.environ)"
    known = {"HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONHASHSEED", "PWD"}
    assert verdict(code, f"assert set(solve()) <= {known!r}") == "passed"


def test_nothing_of_the_machine_can_be_written(open_folder: Path) -> None:
    attack = f"""
folder = os.path.dirname(os.__file__)
for path in ("/", folder, "/usr/lib", "/dev", "/dev/shm", "/dev/pts", "/lib64",
    {str(open_folder)!r}, "/python", "/python/bin"):
    attempt(path, lambda: write(path + "/escaped"))
attempt("python", lambda: open("/python/bin/python3.11", "r+b"))
attempt("remount", lambda: call("mount", None, b"/usr/lib", None, 32 | 4096, None))
attempt("root", lambda: call("mount", None, b"/", None, 32, None))
attempt("tmpfs", lambda: call("mount", b"t", b"/tmp", b"tmpfs", 0, None))
attempt("proc", lambda: call("mount", b"p", b"/tmp", b"proc", 0, None))
attempt("umount", lambda: call("umount2", b"/dev", 2))
attempt("chroot", lambda: os.chroot("/tmp"))
attempt("disk", lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(254, 0)))
attempt("memory", lambda: os.mknod("/tmp/mem", 0o20666, os.makedev(1, 1)))
"""
    gets_nothing(attack, attempts=19)
    assert not list(open_folder.iterdir())


def test_no_rights_are_gained() -> None:
    attack = """
for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x80):
    attempt(hex(flag), lambda: call("unshare", flag))
SIGCHLD = 17
for flag in (0x10000000, 0x10020000):
    attempt("clone", lambda: call("syscall", 56, flag | SIGCHLD, 0, 0, 0, 0))
attempt("clone3", lambda: call("syscall", 435, 0, 88))
attempt("setuid", lambda: os.setuid(0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("setresuid", lambda: os.setresuid(0, 0, 0))
attempt("trace", lambda: call("ptrace", 16, os.getppid(), 0, 0))
attempt("keys", lambda: call("syscall", 248, b"user", b"k", b"v", 1, -3))
attempt("bpf", lambda: call("syscall", 321, 0, 0, 0))
attempt("io_uring", lambda: call("syscall", 425, 1, 0))
attempt("shm", lambda: call("shmget", 1, 1 << 30, 0o1666))
attempt("memfd", lambda: os.memfd_create("m"))
attempt("setrlimit", lambda: __import__("resource").setrlimit(7, (999, 999)))
attempt("nice", lambda: os.nice(-5))
attempt("clock", lambda: __import__("time").clock_settime(0, 0))
attempt("host name", lambda: socket.sethostname("x"))
"""
    gets_nothing(attack, attempts=22)


def test_there_is_no_network() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as local:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        tcp.setblocking(False)
        name = "\0codemix-" + secrets.token_hex(4)
        local.bind(name)
        local.listen()
        attack = f"""
port = {tcp.getsockname()[1]}
for host in ("127.0.0.1", "localhost", "192.0.2.1", "10.0.0.1"):
    attempt(host, lambda: socket.create_connection((host, port), 0.5))
attempt("::1", lambda: socket.create_connection(("::1", port), 0.5))
attempt("udp", lambda: socket.socket(2, 2).sendto(b"x", ("192.0.2.1", 53)))
attempt("abstract", lambda: socket.socket(1).connect({name!r}))
for family in (16, 17, 38, 40, 44):
    attempt(family, lambda: socket.socket(family, socket.SOCK_RAW))
    attempt(family, lambda: socket.socket(family, socket.SOCK_STREAM))
attempt("raw", lambda: socket.socket(2, socket.SOCK_RAW, 1))
attempt("name", lambda: socket.gethostbyname("example.com"))
"""
        gets_nothing(attack, attempts=19)
        with pytest.raises(BlockingIOError):
            tcp.accept()


def test_the_caller_and_others_can_not_be_killed() -> None:
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        attack = f"""
for pid in ({os.getpid()}, {victim.pid}, {os.getppid()}):
    attempt(pid, lambda: os.kill(pid, 9))
    attempt(pid, lambda: os.kill(pid, 0))
"""
        gets_nothing(attack, attempts=6)
        assert verdict("import os\nos.kill(-1, 9)\nos._exit(0)") == "died"
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.communicate()


# --- Using up -----------------------------------------------------------------------


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


ZIPPED = """
import zlib
packer = zlib.compressobj()
packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
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


@pytest.mark.parametrize("kill_signal", [signal.SIGKILL, signal.SIGTERM])
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


# --- The weaker level ---------------------------------------------------------------


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
    (one,) = run_programs([program(candidate, tests)], limits=SHORT, minimum="limits")
    assert one.outcome.verdict == expected


@pytest.mark.usefixtures("only_limits")
def test_limits_alone_bound_the_number_of_processes() -> None:
    code = "import os\n" + FORKS.replace("os.setsid()", "pass")
    limits = QUICK.model_copy(update={"processes": 12})
    bomb = program(code, "made = solve(); print(made); assert made < 40")
    (one,) = run_programs([bomb], limits=limits, minimum="limits")
    assert one.outcome.verdict == "passed", one
