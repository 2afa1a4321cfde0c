"""Whether stock lm-eval says of an exported model what codemix says of its checkpoint.

    python bench/parity.py --data FOLDER [--entry ENTRY --workspace DIR]

`FOLDER` has the published questions where the tasks look for them (`benchmarks/...`).
A checkpoint is scored by codemix in JAX; then it is exported for transformers and asked
the same questions by `lm_eval --model hf` in torch. Every question is compared: the
log-likelihood of each choice, the choice, and whether it is right; of generated answers
the text and whether it is right. Exit code 1 says that something differs.

Both compute in float32 and round in another order, so likelihoods agree to `TOLERANCE`.
Where two choices are nearer to each other than the two programs are, either may be
taken; such ties are counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

TOLERANCE = 1e-3
"""Of a log-likelihood, relative. Differences of float32 sums in another order are below
1e-4; a wrong token or position is far above."""

LIMITS = {"hellaswag": 1000, "nq_open": 200}
"""Questions of the tasks that would take longest."""

TASKS = ["boolq", "piqa", "siqa", "hellaswag", "winogrande", "arc_easy", "copa", "cb"]
TASKS += ["sciq", "nq_open"]

SPEC = """\
codemix: 1
name: parity
seed: 17
model: {layers: 2, width: 64, heads: 2, ffn_width: 192}
tokenizer:
  vocab_size: 2048
  train: {mixture: {text: 50, code: 50}, sample_bytes: 1M}
sources:
  text: {uri: data/prose.jsonl.zst}
  code: {uri: data/code.jsonl.gz}
batch: {sequences: 8, length: 512}
stages:
  - name: all
    tokens: 300K
    mixture: {text: 80, code: 20}
    learning_rate: {schedule: cosine, warmup_steps: 10, peak: 1.0e-2, final: 1.0e-3}
"""


@dataclass
class Compared:
    """What the comparison of one task came to."""

    task: str
    questions: int = 0
    right_ours: float = 0
    right_theirs: float = 0
    same: int = 0
    """Questions with the same choice, or the same text."""
    ties: int = 0
    """Other choices between equals."""
    worst: float = 0.0
    """Largest relative difference of a log-likelihood."""
    problems: list[str] = field(default_factory=list)


def main() -> int:
    """Compare, print a table, and say whether all agree."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(arguments.keep or made).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        workspace, entry = arguments.workspace, arguments.entry
        if entry is None:
            workspace, entry = _train(folder), "parity"
        workspace = Path(workspace).resolve()
        _place(Path(arguments.data), workspace)
        start = time.monotonic()
        rescored = _ours(workspace, entry, arguments)
        between = time.monotonic()
        samples = _theirs(workspace, entry, rescored, folder, arguments)
        end = time.monotonic()
    compared = [
        compare(name, _questions_of(rescored, name), samples[name])
        for name in rescored.benchmarks.tasks
    ]
    _show(compared)
    print(f"codemix {between - start:.0f} s, lm-eval {end - between:.0f} s, on one")
    print("machine and after each other, with what else it had to do; compiling and")
    print("loading included")
    return 1 if any(one.problems for one in compared) else 0


def compare(
    task: str, ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]
) -> Compared:
    """Compare one task question by question.

    Args:
        task: Its name.
        ours: Results per question, as the score's detail has them.
        theirs: Lines of lm-eval's samples.
    """
    found = Compared(task=task)
    by_id = {one["doc"]["id"]: one for one in theirs}
    if by_id.keys() != {one["id"] for one in ours}:
        found.problems.append("the questions are not the same")
        return found
    for one in ours:
        found.questions += 1
        other = by_id[one["id"]]
        if "log_likelihoods" in one["output"]:
            _compare_choices(found, one, other)
        else:
            _compare_texts(found, one, other)
    return found


def _compare_choices(
    found: Compared, one: dict[str, Any], other: dict[str, Any]
) -> None:
    mine = one["output"]["log_likelihoods"]
    their = [float(answer[0][0]) for answer in other["resps"]]
    differences = [abs(a - b) for a, b in zip(mine, their, strict=True)]
    relative = max(d / abs(b) for d, b in zip(differences, their, strict=True))
    found.worst = max(found.worst, relative)
    if relative > TOLERANCE:
        found.problems.append(f"{one['id']}: likelihoods {mine} and {their}")
    chosen, their_choice = (each.index(max(each)) for each in (mine, their))
    gap = abs(their[chosen] - their[their_choice])
    found.right_ours += one["values"]["accuracy"]
    found.right_theirs += other["acc"]
    if chosen == their_choice:
        found.same += 1
        if one["values"]["accuracy"] != other["acc"]:
            found.problems.append(f"{one['id']}: the same choice, right for one only")
    elif relative <= TOLERANCE and gap <= 2 * max(differences):
        found.ties += 1
    else:
        found.problems.append(f"{one['id']}: choices {chosen} and {their_choice}")


def _compare_texts(found: Compared, one: dict[str, Any], other: dict[str, Any]) -> None:
    mine, their = one["values"]["exact_match"], other["exact_match"]
    found.right_ours += mine
    found.right_theirs += their
    text, their_text = one["output"]["texts"][0], other["resps"][0][0]
    found.same += text == their_text
    if mine != their:
        found.problems.append(f"{one['id']}: said {text!r} and {their_text!r}")


def _ours(workspace: Path, entry: str, arguments: argparse.Namespace) -> Any:
    from evals.evaluator import Evaluator
    from runtime.rescoring import rescore

    items = _items(arguments)
    return rescore(entry, items, workspace=workspace, evaluator=Evaluator())


def _items(arguments: argparse.Namespace) -> list[Any]:
    """Return what is asked, as in a spec's evals."""
    from specs.evaluation import Evaluation

    items = []
    for name in arguments.tasks:
        limits = [one for one in (LIMITS.get(name), arguments.limit) if one]
        limit = min(limits, default=None)
        items.append(Evaluation(tasks=(name,), limit=limit))
    return items


def _questions_of(rescored: Any, name: str) -> list[dict[str, Any]]:
    (score,) = (one for one in rescored.scores if one.suite == name)
    found: list[dict[str, Any]] = score.detail["questions"]
    return found


def _theirs(
    workspace: Path,
    entry: str,
    rescored: Any,
    folder: Path,
    arguments: argparse.Namespace,
) -> dict[str, list[dict[str, Any]]]:
    """Export, ask lm-eval in a process of its own, and read what it logged."""
    from evals.bridge import PREFIX
    from evals.bridge_run import bridge_run

    bridge = bridge_run(
        entry, _items(arguments), workspace=workspace, folder=folder / "stock"
    )
    print(f"$ {bridge.shell}", file=sys.stderr, flush=True)
    environment = {
        **os.environ,
        "HF_HOME": str(folder / "hf-home"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [arguments.python, "-m", "lm_eval", *bridge.command[1:]]
    subprocess.run([*command, "--device", "cpu"], check=True, env=environment)
    samples = {}
    for name in rescored.benchmarks.tasks:
        pattern = f"results/**/samples_{PREFIX}{name}_*.jsonl"
        (path,) = bridge.files[0].parent.glob(pattern)
        lines = path.read_text("utf-8").splitlines()
        samples[name] = [json.loads(line) for line in lines]
    return samples


def _train(folder: Path) -> Path:
    """Train a small model in a workspace of its own."""
    workspace = folder / "workspace"
    _codemix("init", str(workspace), cwd=folder)
    (workspace / "parity.yaml").write_text(SPEC, "utf-8")
    _codemix("run", "parity.yaml", cwd=workspace)
    return workspace


def _codemix(*words: str, cwd: Path) -> None:
    code = "from codemix_cli.main import cli; cli(prog_name='codemix')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *words]
    subprocess.run(command, cwd=cwd, check=True, env=environment, stdout=sys.stderr)


def _place(data: Path, workspace: Path) -> None:
    """Put the questions where the tasks look for them."""
    import shutil

    shutil.copytree(data / "benchmarks", workspace / "benchmarks", dirs_exist_ok=True)


def _show(compared: Sequence[Compared]) -> None:
    head = ("task", "questions", "ours", "lm-eval", "same", "ties", "worst", "problems")
    print("".join(f"{word:>11}" for word in head))
    for one in compared:
        count = max(one.questions, 1)
        shares = [
            f"{right / count:.4f}" for right in (one.right_ours, one.right_theirs)
        ]
        cells = [one.task, one.questions, *shares, one.same, one.ties]
        cells += [f"{one.worst:.1e}", len(one.problems)]
        print("".join(f"{cell:>11}" for cell in map(str, cells)))
    for one in compared:
        for problem in one.problems[:10]:
            print(f"{one.task}: {problem}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with benchmarks/ in it")
    parser.add_argument("--entry", help="of a workspace; default: train a small model")
    parser.add_argument("--workspace", default=".", help="of the entry")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--limit", type=int, help="questions of each task at most")
    parser.add_argument("--keep", help="folder to leave everything in")
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="a Python with lm_eval, torch, transformers and accelerate",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
