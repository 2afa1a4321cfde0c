"""One training step with the compile cache, in a process of its own.

Prints the digest of the weights, how many programs came out of the cache, how many went
into it, and what the user was told.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter

import plans

from runtime import devices

devices.configure("exact", 2)

import jax  # noqa: E402
import numpy as np  # noqa: E402

from runtime import compile_cache  # noqa: E402

NUM_STEPS = 3

# Everything is kept: how long a program takes to compile depends on the machine's load.
compile_cache.SHORTEST_SECONDS = 0.0


def main() -> None:
    """Train for a few steps."""
    from runtime.mesh import build_mesh
    from runtime.state import build_layout, initial_state, whole_tensors
    from runtime.train_step import build_train_step

    told: list[str] = []
    events: Counter[str] = Counter()
    jax.monitoring.register_event_listener(
        lambda event, **_: events.update([event.rpartition("/")[2]])
    )
    folder = compile_cache.use_compile_cache(told.append)
    plan = plans.plan(plans.stage("only", 0, NUM_STEPS), layers=1, width=8, ffn_width=8)
    stage = plan.stages[0]
    layout = build_layout(plan, stage, build_mesh(plan))
    state = initial_state(plan, layout)
    step = build_train_step(plan, stage, layout)
    rng = np.random.default_rng(0)
    shape = (stage.sequences_per_step, stage.sequence_length + 1)
    for _ in range(NUM_STEPS):
        tokens = rng.integers(0, plan.model.vocab_size, shape, np.int32)
        state, _ = step(state, step.place_tokens(tokens), 0.01)
    digest = hashlib.sha256()
    for name, tensor in whole_tensors(state, layout):
        digest.update(name.encode() + tensor.tobytes())
    facts = {
        "digest": digest.hexdigest(),
        "folder": folder and str(folder),
        "hits": events["cache_hits"],
        "written": events["cache_misses"],
        "told": told,
    }
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main()
