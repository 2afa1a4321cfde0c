"""Compiles small programs on four CPU devices, and prints them as JSON.

A script of its own: the number of devices is read once, when jax starts.
"""

from __future__ import annotations

import json
import os
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, PartitionSpec

MESH = Mesh(np.array(jax.devices()).reshape(2, 2), ("a", "b"))
FOUR = np.zeros((4, 8), np.float32)


def in_loops(turns: dict[str, Array], x: Array) -> Array:
    """Permute in a loop of unknown turns, and gather in a scan of three inside."""

    def layer(x: Array, _: None) -> tuple[Array, None]:
        return jnp.sin(lax.all_gather(x, "b")).sum(0), None

    def turn(_: Array, x: Array) -> Array:
        x, _ = lax.scan(layer, x, None, length=3)
        return lax.ppermute(x, "a", [(0, 1), (1, 0)])

    bound = jnp.where(x[0, 0] > 1, 0, turns["lanes"])
    return lax.fori_loop(0, bound, turn, x)


def of_each_kind(x: Array) -> tuple[Array, ...]:
    """Run one collective of each kind, over two or four devices."""
    return (
        lax.all_gather(x, ("a", "b")),
        lax.psum(x, ("a", "b")),
        lax.psum_scatter(x.reshape(-1), "b", tiled=True),
        lax.all_to_all(x, "b", 1, 1, tiled=True),
        lax.ppermute(x, "b", [(0, 1), (1, 0)]),
    )


def text_of(function: object, *arguments: object) -> str:
    """Compile a function over the mesh, its last argument spread over all devices."""
    spread, same = PartitionSpec(("a", "b")), PartitionSpec()
    body = jax.shard_map(
        function,
        mesh=MESH,
        in_specs=(*[same] * (len(arguments) - 1), spread),
        out_specs=spread,
        check_vma=False,
    )
    return jax.jit(body).lower(*arguments).compile().as_text()


json.dump(
    {
        "in_loops": text_of(in_loops, {"lanes": np.int32(5)}, FOUR),
        "of_each_kind": text_of(of_each_kind, FOUR),
    },
    sys.stdout,
)
