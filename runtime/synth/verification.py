"""Checking candidates in a sandbox: many to a process, one by one if that fails.

Our own candidates are our own code, so a process of the sandbox takes a whole batch,
with a limit of seconds for each problem in it. A process that is killed tells nothing
about which problem did it; then each of the batch gets a process of its own.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.synth.isolation import Level, run_isolated

SECONDS_PER_PROBLEM = 20.0
"""Far above what a problem takes: steps are counted, this is the last resort."""
BATCH_SECONDS = 600.0

_MODULES = (
    "runtime.synth.mutation",
    "runtime.synth.execution",
    "runtime.synth.given",
    "runtime.synth.checking",
)
_BOOTSTRAP = """
import sys, types
for name, source in {sources!r}:
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), module.__dict__)
sys.modules["runtime.synth.checking"].main()
"""


def check_all(
    problems: Sequence[dict[str, Any]], *, level: Level
) -> list[dict[str, Any]]:
    """Check problems; verdicts in their order, each with `python` and `sandbox`.

    Args:
        problems: As `runtime.synth.checking.check` is given them.
        level: Where they run.
    """
    if not problems:
        return []
    verdicts = _run(problems, seconds=BATCH_SECONDS, level=level)
    if verdicts is not None:
        return verdicts
    return [check_alone(problem, level=level) for problem in problems]


def check_alone(problem: dict[str, Any], *, level: Level) -> dict[str, Any]:
    """Check one problem in a process of its own."""
    verdicts = _run([problem], seconds=2 * SECONDS_PER_PROBLEM, level=level)
    if verdicts is None:
        return {"ok": False, "reason": "kills its process", "detail": ""}
    return verdicts[0]


def program() -> str:
    """Return the whole program that runs inside: no file of ours has to be there."""
    folder = Path(__file__).parent
    sources: list[tuple[str, str]] = [("runtime", ""), ("runtime.synth", "")]
    for name in _MODULES:
        file = folder / f"{name.rpartition('.')[2]}.py"
        sources.append((name, file.read_text("utf-8")))
    return _BOOTSTRAP.format(sources=sources)


def _run(
    problems: Sequence[dict[str, Any]], *, seconds: float, level: Level
) -> list[dict[str, Any]] | None:
    word = secrets.token_hex(16)
    work = {
        "problems": list(problems),
        "seconds_per_problem": SECONDS_PER_PROBLEM,
        "word": word,
    }
    answer = run_isolated(program(), json.dumps(work), seconds=seconds, level=level)
    if answer is None:
        return None
    try:
        told = json.loads(answer)
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("word") != word:
        return None
    found = told["verdicts"]
    return [{**one, "python": told["python"], "sandbox": level} for one in found]
