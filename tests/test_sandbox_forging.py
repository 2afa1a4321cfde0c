"""Candidates that want a pass that is not theirs: none gets it, none sees the tests."""

from __future__ import annotations

import pytest
from sandboxes import FILES, marked, run, verdict

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
EQUALS = """
class Yes{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = None
    def __bool__(self): return True
def solve(x):
    return Yes()
"""


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
