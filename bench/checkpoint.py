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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from runtime import devices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    devices.configure("exact")
    import jax
    import numpy as np
    import plans

    from runtime.checkpoint import CheckpointFolder
    from runtime.mesh import build_mesh
    from runtime.state import build_layout, initial_state
    from runtime.train_step import build_train_step

    width = asked.width
    stage = plans.stage(
        sequences_per_step=4, sequence_length=128, lane_sequences=1, stop_step=10**6
    )
    sizes = {"width": width, "heads": 8, "kv_heads": 8, "ffn_width": 3 * width}
    plan = plans.plan(stage, layers=8, vocab_size=8192, **sizes)
    layout = build_layout(plan, stage, build_mesh(plan))
    state = initial_state(plan, layout)
    take_step = build_train_step(plan, stage, layout)
    random = np.random.default_rng(0)
    tokens = random.integers(0, 8192, (4, 129), np.int32)

    def step() -> float:
        nonlocal state
        started = time.perf_counter()
        state, output = take_step(state, take_step.place_tokens(tokens), 1e-3)
        jax.block_until_ready(output)
        return time.perf_counter() - started

    for _ in range(3):
        step()
    alone = [step() for _ in range(10)]
    held, written, beside = [], [], []
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        checkpoints = CheckpointFolder(Path(folder), plan.model)
        for round_ in range(asked.rounds):
            started = time.perf_counter()
            checkpoints.start_saving(state, layout, step=round_, is_stage_end=False)
            held.append(time.perf_counter() - started)
            while checkpoints.saved() is None:
                beside.append(step())
            written.append(time.perf_counter() - started)
        alone += [step() for _ in range(10)]
        files = [path for path in Path(folder).rglob("*.rows")]
        size = sum(path.stat().st_size for path in files) / asked.rounds
    device = jax.devices()[0]
    print(f"{len(jax.devices())} x {device.device_kind}, width {width}")
    print(f"state                     {size / 1e6:10.1f} MB")
    print(f"the loop is held up       {statistics.median(held) * 1e3:10.1f} ms")
    print(f"the write goes on for     {statistics.median(written) * 1e3:10.1f} ms")
    print(f"a step alone              {statistics.median(alone) * 1e3:10.1f} ms")
    print(f"a step beside the write   {statistics.median(beside) * 1e3:10.1f} ms")


if __name__ == "__main__":
    main()
