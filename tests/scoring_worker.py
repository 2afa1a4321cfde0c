"""Asks tiny models on given devices and prints what must not depend on them.

A script of its own: XLA reads its flags once, when jax starts.

    python scoring_worker.py '{"num_devices": 4, "cases": ["parallel 4 layer"]}'

prints one JSON object: case -> what was found. With `process` and `coordinator` it is
one of several processes that ask together.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runtime import devices


def main(order: dict[str, Any]) -> None:
    if "cores" in order:
        os.sched_setaffinity(0, order["cores"])
    devices.configure("exact", order["num_devices"])
    import jax

    if "process" in order:
        jax.distributed.initialize(
            order["coordinator"], order["num_processes"], order["process"]
        )
    found = {case: ask(*case.split()) for case in order["cases"]}
    sys.stdout.write("\n" + json.dumps(found))


def ask(kind: str, num_devices: str, way: str) -> dict[str, Any]:
    """Score continuations and generate; every bit and every token."""
    import asked_models
    import numpy as np

    from runtime.scoring import GREEDY, Continuation, Prompt, Sampling

    model = asked_models.tiny(kind, int(num_devices), way).model
    random = np.random.default_rng(1)

    def text(length: int) -> tuple[int, ...]:
        drawn: list[int] = random.integers(0, 96, length).tolist()
        return (asked_models.EOS, *drawn)

    # More than a call has rows for on one device, of several shapes.
    requests = [
        Continuation(context=text(n % 40), tokens=text(n % 9)[1:] or (7,))
        for n in range(100)
    ]
    scored = model.continuations(requests)
    prompts = [
        Prompt(name=f"p{n}", tokens=text(n % 24), max_tokens=4 + n % 13)
        for n in range(70)
    ]

    def is_done(tokens: Sequence[int]) -> bool:
        return 11 in tokens

    hot = Sampling(seed=5, temperature=1.0, top_p=0.95)
    return {
        "losses": [one.losses.tobytes().hex() for one in scored],
        "is_greedy": [one.is_greedy.tolist() for one in scored],
        "greedy": model.generate(prompts, sampling=GREEDY, is_done=is_done),
        "drawn": model.generate(prompts, sampling=hot, is_done=is_done),
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
