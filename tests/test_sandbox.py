"""What the sandbox says of programs, and when it says that there is none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sandboxes import QUICK, program, require_sandbox, run, verdict

from runtime.sandbox import probe as probing
from runtime.sandbox.probe import check_level
from runtime.sandbox.programs import run_programs
from runtime.sandbox.suspicious import suspicious
from runtime.sandbox.system_calls import system_call_filter
from runtime.sandbox.values import Limits, Program
from specs.errors import InputError

SQUARE = "def solve(x):\n    return x * x\n"


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (SQUARE, "passed"),
        ("def solve(x):\n    return x + 1\n", "failed"),
        ("def solve(x):\n    return 1 / 0\n", "failed"),
        ("def solve(x) return\n", "failed"),
        ("other = 1\n", "failed"),
        # Annotations are evaluated: no `__future__` of our own files is inherited.
        ("def solve(x: Unknown):\n    return 4\n", "failed"),
        ("import no_such_module\n", "failed"),
        ("def solve(x):\n    return [0] * 10**11\n", "out-of-memory"),
        ("def solve(x):\n    print('x' * 10**7)\n", "too-much-output"),
        ("import os\nos._exit(0)\n", "died"),
        ("import os\nos.abort()\n", "died"),
    ],
)
def test_a_program_gets_its_verdict(candidate: str, expected: str) -> None:
    assert verdict(candidate) == expected


def test_a_program_that_goes_on_is_ended_in_time() -> None:
    one = run("while True: pass", limits=Limits(seconds=1.0))
    assert one.outcome.verdict == "timed-out"
    assert 1.0 <= one.seconds < 3.0


def test_an_outcome_says_what_and_where() -> None:
    one = run("def solve(x):\n    raise KeyError('here')\n")
    assert one.outcome.reason == "KeyError in the tests"
    one = run("raise OSError('early')\n")
    assert one.outcome.reason == "OSError in the candidate, while it is loaded"
    assert run("import os\nos._exit(7)\n").exit_code == 7
    assert run("import os\nos.kill(os.getpid(), 11)\n").exit_code == -11
    assert run("print('seen')\n").output_tail == "seen\n"


COUNTER = """
class solve:
    def __init__(self, value): self.value = value
    def up(self, by=1):
        self.value += by
        return self
    def __len__(self): return 2
    def __getitem__(self, key): return key * key
"""

RAISES = "def solve(x): raise ValueError('no')"
CAUGHT = """
try: solve(1)
except ValueError as error: assert str(error) == 'no'
else: assert False
"""


def test_tests_that_hand_over_what_can_not_travel_are_told() -> None:
    one = run("def solve(f): return f(1)", "assert solve(lambda x: x + 1) == 2")
    assert one.outcome.verdict == "failed"
    assert one.outcome.reason == "the tests hand over a function, which can't travel"


@pytest.mark.parametrize(
    ("candidate", "tests"),
    [
        ("def solve(x): x.append(4); x[0][0] = 9", "solve(a); assert a == [[9], 4]"),
        ("def solve(x): x[0].clear()", "solve(x=a); assert a == [[]]"),
        (
            "def solve(x): x.clear(); x[1] = 2",
            "b = {0: 1}; solve(b); assert b == {1: 2}",
        ),
        ("def solve(x): x.add(5)", "b = {1}; solve((b,)[0]); assert b == {1, 5}"),
        (RAISES, CAUGHT),
        (COUNTER, "n = solve(1); n.w = 5; assert n.up(by=2).value == 3 and n.w == 5"),
        (COUNTER, "n = solve(1); assert n.up() is n and len(n) == 2 and n[3] == 9"),
        ("from itertools import count as solve", "assert next(solve(3)) == 3"),
        ("def solve(x): return map(str, x)", "assert list(solve(a)) == ['[1]']"),
        ("def solve(n): return lambda x: x ** n", "assert solve(3)(2) == 8"),
        (
            "def helper(x): return 0\ndef solve(x): return x",
            "assert helper(solve(4)) == 5",
        ),
    ],
)
def test_what_holds_in_one_interpreter_holds_in_two(candidate: str, tests: str) -> None:
    # What a task gives is not the candidate's to change.
    given = "def helper(x): return x + 1\na = [[1]]"
    assert run(candidate, tests, given=given).outcome.verdict == "passed"


def test_programs_are_told_in_their_order_and_progress_is_seen() -> None:
    require_sandbox()
    programs = [program(f"def solve(x): return {n}") for n in (4, 5, 4, 6)]
    seen: list[int] = []
    runs = run_programs(programs, limits=QUICK, workers=2, progress=seen.append)
    assert [one.outcome.verdict for one in runs] == ["passed", "failed"] * 2
    assert seen == [1, 2, 3, 4]
    assert run_programs([]) == []


def test_a_program_has_the_python_that_is_recorded_and_a_fixed_hash_seed() -> None:
    require_sandbox()
    code = (
        "import platform\ndef solve(x):\n"
        "    return platform.python_version(), hash('a'), __import__('os').getuid()\n"
    )
    version = check_level().facts.python.split()[-1]
    tests = f"v, h, u = solve(0); assert v == {version!r} and u == 65534; print(h)"
    hashes = {run(code, tests).output_tail for _ in range(2)}
    assert len(hashes) == 1


def test_an_interrupted_caller_leaves_no_program_running() -> None:
    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    require_sandbox()
    slow = program("import time\ntime.sleep(60)")
    limits = Limits(seconds=60.0)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_programs(
            [program(SQUARE), slow, slow], limits=limits, workers=2, progress=interrupt
        )
    assert time.monotonic() - started < 30


def test_a_level_that_is_not_had_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(probing, "probe", probing.probe.__wrapped__)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="bubblewrap is not installed") as caught:
        check_level()
    assert caught.value.problems[0].fix is not None


def test_an_old_bubblewrap_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.6.1\n")
    old.chmod(0o755)
    monkeypatch.setattr(probing, "probe", probing.probe.__wrapped__)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(InputError, match=r"bubblewrap is 0\.6\.1"):
        check_level()


def test_a_hole_in_the_sandbox_is_found_by_the_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_sandbox()
    monkeypatch.setattr(probing, "probe", probing.probe.__wrapped__)
    allow_all = bytes.fromhex("060000000000ff7f")
    monkeypatch.setattr(probing, "system_call_filter", lambda: allow_all)
    with pytest.raises(InputError, match="a program reaches the hypervisor"):
        check_level()


def test_a_weaker_level_that_is_good_enough_is_not_taken_where_more_is_had() -> None:
    runs = run_programs([program(SQUARE), program("x")], minimum="limits", limits=QUICK)
    assert [one.outcome.verdict for one in runs] == ["passed", "failed"]


def test_unknown_processors_have_no_filter() -> None:
    assert system_call_filter("riscv64") is None
    assert system_call_filter("aarch64") != system_call_filter("x86_64")


@pytest.mark.parametrize(
    ("candidate", "found"),
    [
        ("import sys\nsys._getframe(1)", ("uses _getframe",)),
        ("class A:\n def __eq__(s, o): return True", ("defines __eq__",)),
        ("open('/proc/self/mem')", ("names /proc",)),
        ("from ctypes import CDLL", ("imports ctypes",)),
        ("(" * 300, ("can't be read",)),
        (SQUARE, ()),
    ],
)
def test_reaching_for_the_interpreter_is_suspicious(
    candidate: str, found: tuple[str, ...]
) -> None:
    one = Program(name="", candidate=candidate, tests="", names=())
    assert suspicious(one) == found


def test_a_program_that_passes_is_flagged() -> None:
    one = run("import gc\n" + SQUARE)
    assert one.outcome.verdict == "passed"
    assert one.outcome.suspicious == ("imports gc",)
