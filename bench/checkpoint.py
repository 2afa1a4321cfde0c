"""What a checkpoint costs training: steps while one is written, against steps alone.

    python bench/checkpoint.py [--width 512] [--rounds 3]

Prints the bytes of the state, how long the loop is held up (the copy to the host), how
long the write goes on in the background, and the median step without and with it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from runtime import devices  # noqa: E402

VOCAB_SIZE, LENGTH, SEQUENCES = 8192, 128, 4


class Trainer:
    """A model that takes steps, on tokens that are always the same."""

    def __init__(self, width: int) -> None:
        import numpy as np
        import plans

        from runtime.mesh import build_mesh
        from runtime.state import build_layout, initial_state
        from runtime.train_step import build_train_step

        stage = plans.stage(
            sequences_per_step=SEQUENCES,
            sequence_length=LENGTH,
            lane_sequences=1,
            stop_step=10**6,
        )
        sizes = {"width": width, "heads": 8, "kv_heads": 8, "ffn_width": 3 * width}
        plan = plans.plan(stage, layers=8, vocab_size=VOCAB_SIZE, **sizes)
        self.model = plan.model
        self.layout = build_layout(plan, stage, build_mesh(plan))
        self.state = initial_state(plan, self.layout)
        self._take_step = build_train_step(plan, stage, self.layout)
        random = np.random.default_rng(0)
        shape = (SEQUENCES, LENGTH + 1)
        self._tokens = random.integers(0, VOCAB_SIZE, shape, np.int32)

    def step(self) -> float:
        """Take a step; return its seconds."""
        import jax

        started = time.perf_counter()
        tokens = self._take_step.place_tokens(self._tokens)
        self.state, output = self._take_step(self.state, tokens, 1e-3)
        jax.block_until_ready(output)
        return time.perf_counter() - started


def measure(trainer: Trainer, folder: Path, rounds: int) -> dict[str, float]:
    """Save so many times; return medians in milliseconds, and the size in megabytes."""
    from runtime.checkpoint import CheckpointFolder

    for _ in range(3):
        trainer.step()
    alone = [trainer.step() for _ in range(10)]
    held, written, beside = [], [], []
    checkpoints = CheckpointFolder(folder, trainer.model)
    for number in range(rounds):
        started = time.perf_counter()
        state, layout = trainer.state, trainer.layout
        checkpoints.start_saving(state, layout, step=number, is_stage_end=False)
        held.append(time.perf_counter() - started)
        while checkpoints.saved() is None:
            beside.append(trainer.step())
        written.append(time.perf_counter() - started)
    alone += [trainer.step() for _ in range(10)]
    size = sum(path.stat().st_size for path in folder.rglob("*.rows")) / rounds
    median: Callable[[list[float]], float] = statistics.median
    return {
        "state, MB": size / 1e6,
        "the loop is held up, ms": median(held) * 1e3,
        "the write goes on for, ms": median(written) * 1e3,
        "a step alone, ms": median(alone) * 1e3,
        "a step beside the write, ms": median(beside) * 1e3,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    devices.configure("exact")
    import jax

    found = jax.devices()
    print(f"{len(found)} x {found[0].device_kind}, width {asked.width}")
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        measured = measure(Trainer(asked.width), Path(folder), asked.rounds)
    for name, value in measured.items():
        print(f"{name:30}{value:10.1f}")


if __name__ == "__main__":
    main()
