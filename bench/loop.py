"""What the training loop costs beside the step: input, and the host's own work.

    python bench/loop.py [--size debug cpu-small] [--steps 300] [--rounds 3] [--json]

The loop is the one of `codemix run`, with its journal. It trains the same model on
batches that are read from token stores, and on one batch that is always at hand: what
differs is what input costs. The host's work of a step is the processor time of the
loop's own thread from one step to the next, so waiting for the devices does not count,
and neither does the thread that reads and places batches.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.input import write_corpus  # noqa: E402
from bench.input_readers import VOCAB_SIZE, WEIGHTS  # noqa: E402
from bench.turns import machine  # noqa: E402
from runtime import devices  # noqa: E402

DEBUG = {"layers": 2, "width": 64, "heads": 4, "kv_heads": 4, "ffn_width": 128}
SMALL = {"layers": 4, "width": 256, "heads": 4, "kv_heads": 4, "ffn_width": 704}
SIZES = {"debug": (DEBUG, 512, 8, 64, 1), "cpu-small": (SMALL, 4096, 16, 256, 4)}
"""Model, vocabulary, sequences, their length, and those in a lane."""

WARM_UP_STEPS = 5


class Times(NamedTuple):
    """Of each step, in seconds."""

    wall: list[float]
    host: list[float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parse(arguments)
    devices.configure("exact")
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        write_corpus(corpus)
        sizes = {
            size: measure(corpus, Path(folder), size, options.steps, options.rounds)
            for size in options.size
        }
    if options.json:
        print(json.dumps({"machine": machine(), "sizes": sizes}, indent=2))
        return
    print(machine())
    print("\n| size | batch | ms/step | host ms/step | host p90 | steps |")
    print("|---|---|---|---|---|---|")
    for size, batches in sizes.items():
        for name, x in batches.items():
            cells = [x[key] * 1e3 for key in ("seconds", "host", "host_p90")]
            told = " | ".join(f"{cell:.2f}" for cell in cells)
            print(f"| {size} | {name} | {told} | {x['num_steps']} |")
    for size, batches in sizes.items():
        ratio = batches["read"]["seconds"] / batches["constant"]["seconds"]
        print(f"{size}: a step with batches that are read takes {ratio:.3f}x the time")


def measure(
    corpus: Path, folder: Path, size: str, num_steps: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Train alternately on batches of both kinds; kind -> figures."""
    plan = build_plan(size, num_steps)
    read = reader(corpus, plan)
    first = read(0, np.arange(plan.stages[0].sequences_per_step))
    kinds: dict[str, Callable[..., Any]] = {
        "read": read,
        "constant": lambda step, rows: first,
    }
    found = {name: Times([], []) for name in kinds}
    for turn in range(rounds):
        for name, read_batch in kinds.items():
            place = folder / f"{size}-{name}-{turn}"
            times = train_once(plan, read_batch, place)
            found[name].wall.extend(times.wall)
            found[name].host.extend(times.host)
    return {name: _figures(times) for name, times in found.items()}


def train_once(plan: Any, read_batch: Callable[..., Any], folder: Path) -> Times:
    """Train to the end of a plan, as a run does, but for its scores."""
    from ledger_runs import facts

    from ledger.recorder import Outcome
    from ledger.run_recorder import RunRecorder
    from ledger.store import Ledger
    from runtime.checkpoint import CheckpointFolder
    from runtime.loop import Training, train
    from runtime.mesh import build_mesh
    from runtime.state import build_layout, initial_state
    from specs.experiment import Checkpoints, Logging

    marks: list[tuple[float, float]] = []
    recorder = RunRecorder(Ledger.open(folder), folder / "run", delivery=None)
    recorder.begin(facts())
    training = Training(
        plan=plan,
        identities=["0" * 64],
        read_batch=read_batch,
        sources_of=lambda _: {},
        recorder=recorder,
        checkpoints=CheckpointFolder(folder / "checkpoints", plan.model),
        cadence=Checkpoints(every_steps=10**9, keep_last=1),
        logging=Logging(every_steps=1, heldout_every_steps=None),
        score=lambda *_, **__: None,
        progress=lambda _: marks.append((time.perf_counter(), time.thread_time())),
    )
    layout = build_layout(plan, plan.stages[0], build_mesh(plan))
    train(training, initial_state(plan, layout), layout, 0)
    recorder.finish(Outcome(status="interrupted", reason="benchmark"))
    wall, host = np.diff(np.array(marks[WARM_UP_STEPS:]), axis=0).T
    return Times(wall.tolist(), host.tolist())


def reader(corpus: Path, plan: Any) -> Callable[..., Any]:
    """Read rows as a run does."""
    from runtime.mixture import Mixture
    from runtime.token_rows import RowReader
    from runtime.token_store import TokenStore

    stores = {name: TokenStore.open(corpus / name) for name in WEIGHTS}
    mixture = Mixture(plan, {name: one.num_tokens for name, one in stores.items()})
    rows_of = RowReader(mixture.sources, stores)
    vocab_size = plan.model.vocab_size
    assert vocab_size <= VOCAB_SIZE

    def read(step: int, rows: Any) -> Any:
        tokens = rows_of.read_some(mixture.at(step), rows)
        # The corpus has more tokens than the model; a run's stores never do.
        return tokens % vocab_size

    return read


def build_plan(size: str, num_steps: int) -> Any:
    """Plan one stage."""
    from specs.experiment import Experiment
    from specs.resolve import plan_experiment

    model, vocab_size, sequences, length, lane = SIZES[size]
    stage = {
        "name": "only",
        "tokens": num_steps * sequences * length,
        "mixture": WEIGHTS,
        "learning_rate": {"schedule": "constant", "peak": 0.001},
    }
    spec = {
        "codemix": 1,
        "name": "loop",
        "seed": 17,
        "model": model,
        "tokenizer": {"vocab_size": vocab_size, "file": "unused.model"},
        "sources": {name: {"uri": f"{name}.txt"} for name in WEIGHTS},
        "batch": {"sequences": sequences, "length": length, "lane": lane},
        "stages": (stage,),
    }
    return plan_experiment(Experiment.model_validate(spec))


def _figures(times: Times) -> dict[str, float]:
    return {
        "seconds": statistics.median(times.wall),
        "host": statistics.median(times.host),
        "host_p90": statistics.quantiles(times.host, n=10)[8],
        "num_steps": len(times.wall),
    }


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, nargs="+", default=["debug"])
    parser.add_argument("--steps", type=int, default=300, help="of one training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
