"""Programs that want out: to files, rights, processes and networks of the machine.

A candidate tries many things and returns what it got. The test is that it got nothing,
and that it did try: the number of attempts is part of the answer.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandboxes import run, verdict

# Code before an attack: `attempt` notes what came of what did not raise.
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
