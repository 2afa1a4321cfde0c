"""The fingerprint of weights that lie on devices, as each step of training tells it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import PartitionSpec

from runtime.fingerprint import fingerprint_hex
from runtime.numerics import Turns, turns
from runtime.optimizer import build_optimizer
from runtime.state import Layout, Rows
from runtime.update import Update
from specs.plan import Plan


def weights_fingerprint(plan: Plan, weights: Rows, layout: Layout) -> str:
    """Fingerprint weights where they lie; all processes must call it together.

    Args:
        plan: Of the experiment.
        weights: Rows of every tensor.
        layout: How they lie on the devices.
    """
    update = Update(layout, build_optimizer(plan.optimizer, layout.shapes))

    def summed(turns: Turns, weights: Rows) -> Array:
        # Inside, a device has one part of each tensor, and no axis over parts.
        ours = {name: rows[0] for name, rows in weights.items()}
        return jnp.sum(update.fingerprints(turns, ours), axis=0, dtype=jnp.uint32)

    same = PartitionSpec()
    body = jax.shard_map(
        summed,
        mesh=layout.mesh,
        in_specs=(same, layout.state_spec.weights),
        out_specs=same,
        check_vma=False,
    )
    sums = jax.jit(body)(turns(layout.rows_here), weights)
    return fingerprint_hex(np.asarray(jax.device_get(sums)))
