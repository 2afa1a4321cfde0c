"""Attention against the formula as written, with every score in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import plans
import pytest
from attention_cases import (
    EOS,
    draw,
    draw_documents,
    on_paper,
    outputs_and_gradients,
)

from runtime import attention_splash, attention_xla
from runtime.attention import (
    Attention,
    Kernel,
    attend,
    build_attention,
    document_ids,
)
from runtime.attention_results import keeps_attention
from runtime.blocks import LaneProgram
from runtime.fused import fuse
from runtime.model import lane_token_losses
from runtime.tensors import tensor_shapes


def test_a_document_ends_with_its_eos() -> None:
    tokens = jnp.asarray([[5, 6, EOS, 7, EOS, EOS, 8], [EOS, 5, 5, 5, 5, 5, EOS]])
    ids = document_ids(tokens, EOS)
    assert ids.dtype == jnp.int32
    np.testing.assert_array_equal(ids, [[0, 0, 0, 1, 1, 2, 3], [0, 1, 1, 1, 1, 1, 1]])


@pytest.mark.parametrize("masked", [False, True], ids=["causal", "document"])
@pytest.mark.parametrize("length", [1, 7, 16, 23])
def test_blocks_do_not_change_attention(
    length: int,
    masked: bool,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attention_xla, "MIN_QUERIES", 5)
    arrays = draw(rng, length=length)
    documents = draw_documents(rng, length) if masked else None
    ours = partial(attend, kernel="xla", documents_BL=documents)
    expected = outputs_and_gradients(partial(on_paper, documents=documents), *arrays)
    # Float32 sums of tens of numbers near one, in another order.
    for a, b in zip(outputs_and_gradients(ours, *arrays), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_one_document_is_no_mask_at_all(rng: np.random.Generator) -> None:
    arrays = draw(rng, length=160)
    documents = jnp.zeros((2, 160), jnp.int32)
    plain = outputs_and_gradients(partial(attend, kernel="xla"), *arrays)
    masked = outputs_and_gradients(
        partial(attend, kernel="xla", documents_BL=documents), *arrays
    )
    # Nothing is masked that was not: each number goes through the same operations.
    for a, b in zip(masked, plain, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("block", ["parallel", "sequential"])
def test_a_document_knows_nothing_of_the_one_before(
    block: Any, rng: np.random.Generator
) -> None:
    model = plans.model(block=block)
    weights = {
        name: (rng.standard_normal(shape) * 0.3 + ("norm" in name)).astype(np.float32)
        for name, shape in tensor_shapes(model).items()
    }
    fused = fuse(model, jax.tree.map(jnp.asarray, weights))
    tokens = rng.integers(EOS + 1, model.vocab_size - 1, (2, 17), np.int32)
    tokens[:, 8] = EOS
    changed = tokens.copy()
    changed[:, 3] += 1

    def losses(attention: Attention, tokens: Any) -> Any:
        return np.asarray(
            jax.jit(partial(lane_token_losses, LaneProgram(model, attention)))(
                fused, tokens
            )
        )

    by_document = Attention(eos_id=EOS)
    before, after = (losses(by_document, t) for t in (tokens, changed))
    # Position 9 is the first of the second document: its label is token 10.
    np.testing.assert_array_equal(before[:, 9:], after[:, 9:])
    assert (before[:, 3:8] != after[:, 3:8]).all()
    causal = losses(Attention(), tokens)
    np.testing.assert_array_equal(causal[:, :9], before[:, :9])
    assert (causal[:, 10:] != before[:, 10:]).all()


@pytest.fixture
def splash_on_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kernels = attention_splash.kernels
    interpreted = partial(kernels.make_splash_mha, interpret=True)
    monkeypatch.setattr(kernels, "make_splash_mha", interpreted)
    # The kernel is not ours, and not written for our strictness.
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize(
    ("head_width", "masked", "dtype", "tolerance"),
    [
        # Float32 sums of hundreds of numbers, in another order.
        (8, False, "float32", 1e-5),
        (128, True, "float32", 1e-5),
        # bfloat16 has 8 bits: queries, weights, scores' derivatives and results are
        # each rounded once, by up to 1 in 512.
        (64, True, "bfloat16", 1e-2),
    ],
)
@pytest.mark.usefixtures("splash_on_cpu")
def test_splash_is_the_formula(
    head_width: int,
    masked: bool,
    dtype: str,
    tolerance: float,
    rng: np.random.Generator,
) -> None:
    arrays = draw(rng, length=256, head_width=head_width, dtype=jnp.dtype(dtype))
    documents = draw_documents(rng, 256) if masked else None
    splash = partial(attend, kernel="splash", documents_BL=documents)
    found = outputs_and_gradients(splash, *arrays)
    assert {x.dtype for x in found} == {jnp.dtype(dtype)}
    wide = [x.astype(jnp.float32) for x in arrays]
    expected = outputs_and_gradients(partial(on_paper, documents=documents), *wide)
    for a, b in zip(found, expected, strict=True):
        off = np.linalg.norm(a.astype(jnp.float32) - b)
        assert off < tolerance * np.linalg.norm(b)


@pytest.mark.parametrize(
    ("platform", "length", "changes", "kernel"),
    [
        ("cpu", 8192, {}, "xla"),
        ("tpu", 8192, {}, "splash"),
        ("tpu", 8192, {"attention_mask": "document"}, "splash"),
        ("tpu", 100, {}, "xla"),
        ("gpu", 8192, {"compute": "bfloat16"}, "cudnn"),
        ("gpu", 8192, {"compute": "float32"}, "xla"),
        ("gpu", 8192, {"compute": "bfloat16", "heads": 8, "kv_heads": 8}, "xla"),
        ("gpu", 8192, {"compute": "bfloat16", "attention_mask": "document"}, "xla"),
    ],
)
def test_the_kernel_follows_from_platform_and_plan(
    platform: str, length: int, changes: dict[str, Any], kernel: str
) -> None:
    model = plans.model(**changes)
    chosen = build_attention(model, platform=platform, length=length, eos_id=EOS)
    is_by_document = model.attention_mask == "document"
    assert chosen == Attention(kernel, EOS if is_by_document else None)


def lowered(
    function: Callable[..., Any], arrays: tuple[Any, ...], platform: str
) -> str:
    """Lower outputs and gradients for a platform that need not be here."""

    def outputs_and_pull(q: Any, k: Any, v: Any, d_out: Any) -> Any:
        out, pull = jax.vjp(function, q, k, v)
        return out, pull(d_out)

    # Lowering for another platform must not make use of what was traced for ours.
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        traced = jax.jit(outputs_and_pull).trace(*arrays)
        return str(traced.lower(lowering_platforms=(platform,)).as_text())


@pytest.fixture
def cudnn_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from jax._src.cudnn import fused_attention_stablehlo

    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91800)


@pytest.mark.usefixtures("cudnn_is_here")
def test_cudnn_gets_a_causal_mask_and_grouped_heads(rng: np.random.Generator) -> None:
    arrays = draw(rng, length=256, head_width=64, dtype=jnp.bfloat16)
    text = lowered(partial(attend, kernel="cudnn"), arrays, "cuda")
    calls = [line for line in text.splitlines() if "__cudnn$fmha" in line]
    assert len(calls) == 2  # forward and backward
    for call in calls:
        assert r"\22mask_type\22: \22CAUSAL\22" in call
        assert "tensor<2x256x4x64xbf16>, tensor<2x256x2x64xbf16>" in call


@pytest.mark.parametrize(
    ("kernel", "platform", "forward"),
    [
        # The one place where scores lose their maximum.
        ("xla", "cpu", "applies stablehlo.maximum"),
        ("splash", "tpu", 'kernel_name = "splash_mha_fwd'),
        ("cudnn", "cuda", "__cudnn$fmhaSoftmax("),
    ],
)
@pytest.mark.usefixtures("cudnn_is_here")
def test_what_attention_leaves_can_be_kept(
    kernel: Kernel, platform: str, forward: str, rng: np.random.Generator
) -> None:
    arrays = draw(rng, length=128, head_width=64, dtype=jnp.bfloat16)

    def layers(policy: Any) -> Callable[..., Any]:
        def stack(q: Any, k: Any, v: Any) -> Any:
            @partial(jax.checkpoint, prevent_cse=False, policy=policy)
            def layer(x: Any, _: None) -> tuple[Any, None]:
                return jnp.tanh(attend(jnp.sin(x), k, v, kernel=kernel)), None

            return jax.lax.scan(layer, q, None, length=3)[0]

        return stack

    again = lowered(layers(None), arrays, platform)
    assert again.count(forward) == 2
    kept = lowered(layers(keeps_attention), arrays, platform)
    assert kept.count(forward) == 1
