"""How long it takes to know, and to read, the rows of a step.

    python bench/order.py

512 sequences per step of 20 sources, on memory-mapped files as training reads them.
Medians over steps that are asked for in no order.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.batches import TokenReader, read_batch
from runtime.mixture import Mixture
from specs.experiment import Experiment
from specs.plan import Plan
from specs.resolve import plan_experiment

NUM_SOURCES = 20
SEQUENCES = 512
LENGTH = 2048
TOKENS = 2**24


class MappedFile:
    """A token file."""

    num_tokens = TOKENS

    def __init__(self, path: Path):
        np.zeros(TOKENS, "<u2").tofile(path)
        self._tokens = np.memmap(path, "<u2", mode="r")

    def read(self, start: int, count: int) -> NDArray[np.int32]:
        """Return tokens from a position on."""
        return self._tokens[start : start + count].astype(np.int32)


def main() -> None:
    """Measure and print."""
    plan = _plan()
    steps = [int(step) for step in np.random.default_rng(0).permutation(plan.num_steps)]
    mixture = Mixture(plan, dict.fromkeys(plan.sources, TOKENS))
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, TokenReader] = {
            name: MappedFile(Path(folder) / name) for name in plan.sources
        }
        order = _median_seconds(mixture.at, steps[:200])
        both = _median_seconds(
            lambda step: read_batch(mixture.at(step), stores), steps[:50]
        )
    rate = SEQUENCES * LENGTH / both / 1e6
    print(f"order of a step: {order * 1e6:.0f} us")
    print(f"order and tokens: {both * 1e3:.1f} ms, {rate:.0f}M tokens/s")


def _plan() -> Plan:
    names = [f"source_{number}" for number in range(NUM_SOURCES)]
    stage = {
        "name": "only",
        "tokens": 1000 * SEQUENCES * LENGTH,
        "mixture": {name: 1.0 + number for number, name in enumerate(names)},
        "learning_rate": {"schedule": "constant", "peak": 0.001},
    }
    spec = {
        "codemix": 1,
        "name": "order",
        "seed": 17,
        "model": {"preset": "debug"},
        "tokenizer": {"vocab_size": 512, "file": "unused.model"},
        "sources": {name: {"uri": f"{name}.txt"} for name in names},
        "batch": {"sequences": SEQUENCES, "length": LENGTH, "lane": 1},
        "stages": (stage,),
    }
    return plan_experiment(Experiment.model_validate(spec))


def _median_seconds(call: Callable[[int], object], steps: Sequence[int]) -> float:
    times = []
    for step in steps:
        start = time.perf_counter()
        call(step)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
