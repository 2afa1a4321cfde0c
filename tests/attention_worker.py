"""Compiles the attention of a TPU without a TPU, and prints what it takes.

A script of its own: libtpu reads its environment once, when it is loaded.

    python attention_worker.py '[{"heads": 16, "head_width": 64, ...}]'

prints a JSON list: for each case, bytes of temporaries and the kernels in the program.
"""

from __future__ import annotations

import json
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# No device is looked for, and no network asked.
os.environ.update(
    JAX_PLATFORMS="cpu",
    TPU_SKIP_MDS_QUERY="1",
    TPU_ACCELERATOR_TYPE="v5litepod-4",
    TPU_WORKER_HOSTNAMES="localhost",
    ALLOW_MULTIPLE_LIBTPU_LOAD="1",
)

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.topologies import get_topology_desc
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from runtime.attention import attend


def compile_case(
    *,
    topology: str,
    heads: int,
    kv_heads: int,
    head_width: int,
    length: int,
    masked: bool,
) -> dict[str, Any]:
    """Compile outputs and gradients, a sequence of bfloat16 on each chip."""
    devices = get_topology_desc(topology, platform="tpu").devices
    assert devices[0].platform == "tpu"
    over_batch = PartitionSpec("batch")
    mesh = Mesh(np.array(devices), ("batch",))

    def both(q: Any, k: Any, v: Any, d_out: Any, documents: Any) -> Any:
        own = partial(
            attend, kernel="splash", documents_BL=documents if masked else None
        )
        out, pull = jax.vjp(own, q, k, v)
        return out, pull(d_out)

    def placed(shape: tuple[int, ...], dtype: Any) -> Any:
        sharding = NamedSharding(mesh, over_batch)
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    q, k = (
        placed((len(devices), n, length, head_width), jnp.bfloat16)
        for n in (heads, kv_heads)
    )
    documents = placed((len(devices), length), jnp.int32)
    body = jax.shard_map(
        both, mesh=mesh, in_specs=over_batch, out_specs=over_batch, check_vma=False
    )
    compiled = jax.jit(body).lower(q, k, k, q, documents).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    kernels = re.findall(r"%(splash_\w+?)[.\d]* = ", compiled.as_text())
    return {
        "peak_bytes": memory.peak_memory_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "kernels": sorted(kernels),
    }


if __name__ == "__main__":
    cases = [compile_case(**case) for case in json.loads(sys.argv[1])]
    sys.stdout.write(json.dumps(cases) + "\n")
