"""Programs per second in the sandbox, and whether known solutions pass in it.

`python bench/sandbox.py --humaneval FILE --mbpp FILE` runs the solutions that came with
the two sets: every one must pass. Then it runs them spoilt: with bodies that return
None, which must always fail, and with one operator or number changed. `--plain` counts
how often the sandbox and a plain `exec` of the whole program agree; that one has no
walls, so use it on these files alone.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from evals.catalogue import shipped_task  # noqa: E402
from evals.programs import Question, question_of  # noqa: E402
from evals.rendering import rendered_solution  # noqa: E402
from runtime.sandbox.probe import check_level  # noqa: E402
from runtime.sandbox.programs import run_programs  # noqa: E402
from runtime.sandbox.values import Limits, Program  # noqa: E402

Row = dict[str, Any]
PLAIN_SECONDS = 30


def main() -> None:
    """Run what is asked for and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--humaneval", type=Path)
    parser.add_argument("--mbpp", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--solutions-only", action="store_true")
    options = parser.parse_args()
    print(check_level().facts, "load", os.getloadavg()[0])
    for name in ("humaneval", "mbpp"):
        if (file := getattr(options, name)) is None:
            continue
        task, rows = shipped_task(name), read(file)
        asked = [(question_of(task, row), rendered_solution(task, row)) for row in rows]
        told(f"{name} solutions", [q.program(s, name="") for q, s in asked], options)
        if options.solutions_only:
            continue
        stubs = [q.program(stub(q, s), name="") for q, s in asked]
        told(f"{name} stubs", stubs, options)
        spoilt = [q.program(t, name="") for q, s in asked for t in mutants(q, s)]
        told(f"{name} spoilt", spoilt, options)


def read(path: Path) -> list[Row]:
    """Read JSON lines, compressed or not."""
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in text.decode().splitlines() if line]


def told(what: str, programs: Sequence[Program], options: argparse.Namespace) -> None:
    """Run programs and print their verdicts and how many a second there were."""
    start = time.perf_counter()
    runs = run_programs(programs, workers=options.workers, limits=Limits())
    seconds = time.perf_counter() - start
    verdicts = Counter(run.outcome.verdict for run in runs)
    print(f"{what}: {dict(verdicts)}, {len(programs) / seconds:.1f}/s")
    if "solutions" in what:
        for program, run in zip(programs, runs, strict=True):
            if run.outcome.verdict != "passed":
                print(run.outcome, run.output_tail[-300:], program.names)
    if options.plain:
        with ThreadPoolExecutor(options.workers) as pool:
            plain = list(pool.map(passes_plainly, programs))
        ours = [run.outcome.verdict == "passed" for run in runs]
        print(f"  agree with plain exec: {sum(map(bool.__eq__, ours, plain))}")
        for program, run, other in zip(programs, runs, plain, strict=True):
            if (run.outcome.verdict == "passed") != other:
                print("  ", other, run.outcome, program.names, program.candidate[-300:])


def stub(question: Question, solution: str) -> str:
    """Replace every function of a solution by one that returns None."""
    tree = ast.parse(question.before + solution)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    text = ast.unparse(tree)
    # What comes before a completion is the task's; the stub defines all anew after it.
    return "    pass\n" + text if question.before else text


def mutants(question: Question, solution: str) -> Iterator[str]:
    """Yield a solution with one place changed, for up to two places."""
    whole = question.before + solution
    places = [
        number
        for number, node in enumerate(ast.walk(ast.parse(whole)))
        if isinstance(node, ast.Compare | ast.BinOp)
        or (isinstance(node, ast.Constant) and type(node.value) is int)
    ]
    for place in places[:: max(1, len(places) // 2)][:2]:
        tree = ast.parse(whole)
        node = list(ast.walk(tree))[place]
        if isinstance(node, ast.Compare):
            swap = {ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.Eq: ast.NotEq}
            node.ops[0] = swap.get(type(node.ops[0]), ast.Eq)()
        elif isinstance(node, ast.BinOp):
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        elif isinstance(node, ast.Constant):
            node.value = int(node.value) + 1
        text = ast.unparse(tree)
        yield "    pass\n" + text if question.before else text


def passes_plainly(program: Program) -> bool:
    """Run the whole program in one interpreter, as others do."""
    text = f"exec({program.candidate + program.tests!r}, {{}})"
    command = [sys.executable, "-I", "-S", "-c", text]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=PLAIN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    main()
