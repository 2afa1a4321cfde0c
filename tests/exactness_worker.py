"""Trains tiny models on given devices and prints what must not depend on them.

A script of its own: XLA reads its flags once, when jax starts.

    python exactness_worker.py '{"num_devices": 8, "cores": [0], "cases": [...]}'

prints one JSON object: case -> what was found. With `process` and `coordinator` it is
one of several processes of one training.
"""

from __future__ import annotations

import json
import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runtime import devices

EOS = 5

MODELS: dict[str, dict[str, Any]] = {
    "parallel": {},
    "sequential": {
        "block": "sequential",
        "norm": "rmsnorm",
        "kv_heads": 2,
        "tied_embeddings": False,
        "compute": "bfloat16",
        "attention_mask": "document",
        "remat": "attention",
    },
    "quickstart": {
        "layers": 4,
        "width": 128,
        "ffn_width": 352,
        "vocab_size": 4096,
    },
    "tensor": {"vocab_size": 96, "kv_heads": 2, "tensor": 2},
    "undivided": {"vocab_size": 96, "kv_heads": 2},
    "remat": {"remat": "block"},
}


def main(order: dict[str, Any]) -> None:
    if "cores" in order:
        os.sched_setaffinity(0, order["cores"])
    devices.configure("exact", order["num_devices"])
    import jax

    if "process" in order:
        jax.distributed.initialize(
            order["coordinator"], order["num_processes"], order["process"]
        )
    found = {case: run(*case.split()) for case in order["cases"]}
    sys.stdout.write("\n" + json.dumps(found if jax.process_index() == 0 else {}))


def run(kind: str, mesh_size: str, *rest: str) -> Any:
    if kind == "sums":
        return sums(int(mesh_size))
    if kind == "operations":
        return operations()
    return train(kind, int(mesh_size), *rest)


def operations() -> str:
    """Bits of operations that XLA splits over threads, and sums up accordingly."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from runtime.fingerprint import fingerprint_arrays

    random = np.random.default_rng(5)
    tall = random.standard_normal((4096, 1024), np.float32)
    wide = random.standard_normal((4096, 256), np.float32)
    found = {
        "product": jax.jit(lambda x, y: x.T @ y)(tall, wide),
        "sum": jax.jit(lambda x: jnp.sum(x, axis=0))(tall),
        "all": jax.jit(lambda x: jnp.sum(x * x, axis=1))(tall),
        "log_sum": jax.jit(lambda x: jax.nn.logsumexp(x, axis=0))(tall),
    }
    return fingerprint_arrays({name: np.asarray(x) for name, x in found.items()})


def train(kind: str, mesh_size: int, sharding: str) -> dict[str, Any]:
    import numpy as np
    import plans

    from ledger.tensor_words import total_of
    from runtime.fingerprint import fingerprint_arrays, fingerprint_hex, words_hex
    from runtime.state import initial_state, whole_tensors
    from runtime.token_losses import TokenLosses
    from runtime.train_step import build_train_step, read_output

    is_large = kind == "quickstart"
    choices = dict(MODELS[kind])
    stage = plans.stage(
        sequences_per_step=16,
        sequence_length=256 if is_large else 24,
        lane_sequences=2,
        remat=choices.pop("remat", "none"),
    )
    # So low a limit that every step is clipped: the norm decides bits.
    plan = plans.plan(stage, adamw=plans.optimizer(clip_norm="0.1"), **choices)
    # `layer>2.replicated`: resumed half-way on two devices, replicated.
    way, _, resumed = sharding.partition(">")
    layout = layout_of(plan, stage, mesh_size, way)
    state = initial_state(plan, layout)
    take_step = build_train_step(plan, stage, layout, EOS)
    shape = (stage.sequences_per_step, stage.sequence_length + 1)
    trace = []
    for step in range(4):
        if step == 2 and resumed:
            # As after a crash, on other devices: from disk, into another program.
            num_devices, _, then = resumed.partition(".")
            wanted = layout_of(plan, stage, int(num_devices), then)
            state, layout = through_disk(state, layout, plan, wanted)
            take_step = build_train_step(plan, stage, layout, EOS)
        random = np.random.default_rng(step)
        tokens = random.integers(0, plan.model.vocab_size, shape, np.int32)
        state, told_of = take_step(state, take_step.place_tokens(tokens), 0.01)
        output = read_output(told_of)
        assert fingerprint_hex(output.batch) == fingerprint_arrays({"batch": tokens})
        loss, norm = float(output.loss), float(output.grad_norm)
        trace.append([fingerprint_hex(output.weights), loss.hex(), norm.hex()])
    token_losses = None
    if kind != "parallel":  # compiling takes seconds; these cases are enough
        losses = TokenLosses(plan, stage, layout, EOS).of(state.weights)(tokens)
        token_losses = fingerprint_arrays({"losses": losses})
    tensors = dict(whole_tensors(state, layout))
    told = words_hex(output.tensor_words)
    assert told == words_hex(take_step.tensor_words(state.weights))
    assert total_of(told) == fingerprint_hex(output.weights)[:8]
    # Where devices share products, an element's place is that in its part.
    if plan.tensor == 1:
        ours = sorted(layout.shapes)
        words = [fingerprint_arrays({name: tensors[name]})[:8] for name in ours]
        assert told == "".join(words)
    return {
        "trace": trace,
        "digests": {n: sha256(x.tobytes()).hexdigest() for n, x in tensors.items()},
        "token_losses": token_losses,
        "num_traces": take_step.num_traces,
    }


def layout_of(plan: Any, stage: Any, num_devices: int, way: str) -> Any:
    """Lay a state on devices: whole weights per step, or layer by layer; or copies."""
    import jax

    from runtime.mesh import mesh_of
    from runtime.state import build_layout

    num_slices = {"replicated": num_devices // plan.tensor, "slices": 2}.get(way, 1)
    mesh = mesh_of(jax.devices()[:num_devices], plan, num_slices)
    gather = "layer" if way in ("layer", "slices") else "step"
    return build_layout(plan, stage, mesh, gather)


def through_disk(state: Any, old: Any, plan: Any, new: Any) -> tuple[Any, Any]:
    """Save a state, and load it in another layout."""
    import tempfile

    from runtime.checkpoint import CheckpointFolder

    with tempfile.TemporaryDirectory() as folder:
        checkpoints = CheckpointFolder(Path(folder), plan.model)
        checkpoints.save(state, old, step=2, is_stage_end=False)
        restored = checkpoints.restore(2, new.mesh, new.gather)
    return restored.state, restored.layout


def sums(mesh_size: int) -> str:
    """Sum rows with the three functions of `numerics`; return the bits of all sums."""
    import jax
    import numpy as np
    from jax import lax
    from jax.sharding import Mesh, PartitionSpec

    from runtime import numerics

    values = lanes_to_sum()
    here = len(values) // mesh_size

    def on_device(turns: Any, lanes: Any) -> tuple[Any, Any]:
        def value_of_lane(lane: Any) -> Any:
            return lax.dynamic_index_in_dim(lanes, lane, keepdims=False)

        zeros = np.zeros(values.shape[1:], np.float32)
        total = numerics.exact_sum(
            value_of_lane, jax.numpy.asarray(zeros), num_lanes=here, turns=turns
        )
        shares = numerics.exact_sum_scattered(total, numerics.BATCH, mesh_size)
        return shares, numerics.exact_sum_everywhere(total, numerics.BATCH, mesh_size)

    mesh = Mesh(np.array(jax.devices()[:mesh_size]), ("batch",))
    same, spread = PartitionSpec(), PartitionSpec("batch")
    summed = jax.jit(
        jax.shard_map(
            on_device,
            mesh=mesh,
            in_specs=(same, spread),
            out_specs=(spread, same),
            check_vma=False,
        )
    )(numerics.turns(1), values)
    scattered, everywhere = (np.asarray(x) for x in summed)
    assert scattered.tobytes() == everywhere.tobytes()
    return everywhere.tobytes().hex()


def lanes_to_sum() -> Any:
    """16 lanes of 8 x 5 numbers of very different sizes: every order sums otherwise."""
    import numpy as np

    random = np.random.default_rng(3)
    sizes = 10.0 ** random.integers(-6, 7, (16, 8, 5))
    return (random.standard_normal(sizes.shape) * sizes).astype(np.float32)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
