"""Attention by cuDNN, on a GPU."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attention_cases import draw, on_paper, outputs_and_gradients

from runtime import devices
from runtime.attention import attend


@pytest.mark.gpu
def test_cudnn_is_the_formula_and_repeats_its_bits(rng: np.random.Generator) -> None:
    devices.configure("exact")
    assert jax.default_backend() == "gpu"
    # Without the deterministic pass, gradients have been seen to vary at large batches.
    shapes = {"batch": 8, "heads": 16, "kv_heads": 8, "length": 2048, "head_width": 64}
    arrays = draw(rng, dtype=jnp.bfloat16, **shapes)
    cudnn = partial(attend, kernel="cudnn")
    first, again = (outputs_and_gradients(cudnn, *arrays) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert a.dtype == jnp.bfloat16
        assert a.tobytes() == b.tobytes()
    wide = [x.astype(jnp.float32) for x in arrays]
    expected = outputs_and_gradients(on_paper, *wide)
    for a, b in zip(first, expected, strict=True):
        # bfloat16 has 8 bits, and a result is some roundings away from its inputs.
        off = np.linalg.norm(a.astype(jnp.float32) - b)
        assert off < 1e-2 * np.linalg.norm(b)
