"""The model against formulas that somebody would write down on paper, in float64."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import plans
import pytest

from runtime import loss
from runtime.blocks import LaneProgram
from runtime.fused import fuse, unfuse
from runtime.initialise import initial_tensors
from runtime.model import lane_gradients, lane_token_losses, logits
from runtime.spread import ALONE
from runtime.tensors import all_from_rows, all_to_rows, tensor_shapes
from specs.plan import PlannedModel

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "default": {},
    "sequential": {"block": "sequential"},
    "rmsnorm": {"norm": "rmsnorm"},
    "untied": {"tied_embeddings": False},
    "grouped-query": {"kv_heads": 2},
    "multi-query": {"kv_heads": 1, "block": "sequential", "norm": "rmsnorm"},
}

Weights = dict[str, Any]


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> PlannedModel:
    return plans.model(**ARCHITECTURES[request.param])


def draw(model: PlannedModel, rng: np.random.Generator) -> Weights:
    """Weights of a size at which every part of the model matters."""
    return {
        name: (rng.standard_normal(shape) * 0.3 + ("norm" in name)).astype(np.float32)
        for name, shape in tensor_shapes(model).items()
    }


@partial(jax.jit, static_argnums=0)
def token_losses_of(model: PlannedModel, weights: Weights, tokens: Any) -> Any:
    return lane_token_losses(LaneProgram(model), fuse(model, weights), tokens)


@partial(jax.jit, static_argnums=0)
def loss_and_gradients(model: PlannedModel, weights: Weights, tokens: Any) -> Any:
    total, grads = lane_gradients(LaneProgram(model), fuse(model, weights), tokens)
    num_tokens = tokens.shape[0] * (tokens.shape[1] - 1)
    return total / num_tokens, unfuse(model, grads, tensor_shapes(model))


def norm_on_paper(model: PlannedModel, x: Any, scale: Any) -> Any:
    if model.norm == "layernorm":
        x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * scale


def attention_on_paper(
    model: PlannedModel, weights: Weights, layer: int, x: Any
) -> Any:
    length, width = x.shape
    head_width = width // model.heads
    half = head_width // 2
    heads = []
    for head in range(model.heads):
        shared = head // (model.heads // model.kv_heads)
        own = slice(head * head_width, (head + 1) * head_width)
        kv = slice(shared * head_width, (shared + 1) * head_width)
        q = x @ weights["block.attn.q"][layer][:, own]
        k = x @ weights["block.attn.k"][layer][:, kv]
        v = x @ weights["block.attn.v"][layer][:, kv]
        for y in (q, k):
            for position in range(length):
                for i in range(half):
                    angle = position * 10000.0 ** (-2 * i / head_width)
                    pair = complex(y[position, i], y[position, i + half])
                    pair *= np.exp(1j * angle)
                    y[position, i], y[position, i + half] = pair.real, pair.imag
        scores = q @ k.T / np.sqrt(head_width)
        scores[np.triu_indices(length, 1)] = -np.inf
        weight = np.exp(scores - scores.max(-1, keepdims=True))
        heads.append(weight / weight.sum(-1, keepdims=True) @ v)
    return np.concatenate(heads, -1) @ weights["block.attn.o"][layer]


def ffn_on_paper(weights: Weights, layer: int, x: Any) -> Any:
    gate = x @ weights["block.ffn.gate"][layer]
    up = x @ weights["block.ffn.up"][layer]
    return (gate / (1 + np.exp(-gate)) * up) @ weights["block.ffn.down"][layer]


def losses_on_paper(model: PlannedModel, weights: Weights, tokens: Any) -> Any:
    """Loss of each token, in float64, one sequence, head and position at a time."""
    weights = {name: w.astype(np.float64) for name, w in weights.items()}
    losses = []
    for row in tokens:
        x = weights["embed"][row[:-1]]
        for layer in range(model.layers):
            if model.block == "parallel":
                h = norm_on_paper(model, x, weights["block.norm"][layer])
                both = attention_on_paper(model, weights, layer, h)
                x = x + both + ffn_on_paper(weights, layer, h)
            else:
                h = norm_on_paper(model, x, weights["block.attn.norm"][layer])
                x = x + attention_on_paper(model, weights, layer, h)
                h = norm_on_paper(model, x, weights["block.ffn.norm"][layer])
                x = x + ffn_on_paper(weights, layer, h)
        h = norm_on_paper(model, x, weights["final_norm"])
        scores = h @ weights["embed" if model.tied_embeddings else "output"].T
        log_sum = np.log(np.exp(scores).sum(-1))
        losses.append(log_sum - scores[np.arange(len(row) - 1), row[1:]])
    return np.array(losses)


@pytest.mark.parametrize("architecture", ["default", "multi-query"])
def test_losses_of_tokens_are_those_of_the_formulas(
    architecture: str, rng: np.random.Generator
) -> None:
    model = plans.model(**ARCHITECTURES[architecture])
    weights = draw(model, rng)
    tokens = rng.integers(0, model.vocab_size, (2, 12), np.int32)
    expected = losses_on_paper(model, weights, tokens)
    found = token_losses_of(model, weights, tokens)
    # Float32 against float64 over two layers of sums of tens of products.
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def test_loss_and_gradients_are_those_of_the_formulas(
    model: PlannedModel, rng: np.random.Generator
) -> None:
    weights = draw(model, rng)
    tokens = rng.integers(0, model.vocab_size, (2, 9), np.int32)
    loss, grads = loss_and_gradients(model, weights, tokens)
    # A mean over 16 float32 losses of about 5.
    np.testing.assert_allclose(
        loss, losses_on_paper(model, weights, tokens).mean(), rtol=2e-5
    )
    for name, weight in weights.items():
        # Along the gradient itself, so that the derivative is nowhere near zero.
        grad = np.asarray(grads[name], np.float64)
        step = 1e-4 * grad / np.linalg.norm(grad)
        ends = [
            losses_on_paper(
                model,
                {**weights, name: weight.astype(np.float64) + sign * step},
                tokens,
            ).mean()
            for sign in (-1, 1)
        ]
        slope = (ends[1] - ends[0]) / 2e-4
        # The quotient is good to about 1e-6, the float32 gradient to about 1e-4.
        np.testing.assert_allclose(np.linalg.norm(grad), slope, rtol=1e-3, err_msg=name)


def test_logits_give_the_losses(rng: np.random.Generator) -> None:
    model = plans.model()
    weights = draw(model, rng)
    tokens = rng.integers(0, model.vocab_size, (2, 9), np.int32)
    fused = fuse(model, jax.tree.map(jnp.asarray, weights))
    scores = jax.jit(partial(logits, LaneProgram(model)))(fused, tokens[:, :-1])
    scores = np.asarray(scores, np.float64)
    log_sums = np.log(np.exp(scores).sum(-1))
    of_labels = np.take_along_axis(scores, tokens[:, 1:, None], -1)[..., 0]
    found = token_losses_of(model, weights, tokens)
    np.testing.assert_allclose(found, log_sums - of_labels, rtol=1e-5, atol=1e-5)


def test_bfloat16_is_near_float32(rng: np.random.Generator) -> None:
    narrow, wide = plans.model(compute="bfloat16"), plans.model()
    weights = dict(initial_tensors(wide, 0))
    tokens = rng.integers(0, wide.vocab_size, (2, 17), np.int32)
    grads = []
    for model in (narrow, wide):
        loss, grad = loss_and_gradients(model, weights, tokens)
        assert loss.dtype == jnp.float32
        assert {g.dtype for g in jax.tree.leaves(grad)} == {jnp.dtype("float32")}
        flat = [np.asarray(g).ravel() for g in jax.tree.leaves(grad)]
        grads.append(np.concatenate([[loss], *flat]))
    # bfloat16 has 8 bits of precision, about 1 in 250 per operation.
    assert np.linalg.norm(grads[0] - grads[1]) < 0.05 * np.linalg.norm(grads[1])
    assert grads[0].tobytes() != grads[1].tobytes()


@pytest.mark.parametrize("chunk", [1, 5, 16, 24])
def test_chunks_do_not_change_the_loss(chunk: int, rng: np.random.Generator) -> None:
    hidden = jnp.asarray(rng.standard_normal((24, 8)), jnp.float32)
    output = jnp.asarray(rng.standard_normal((33, 8)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 33, 24), jnp.int32)

    def plain(hidden: Any, output: Any) -> Any:
        scores = jax.nn.log_softmax(hidden @ output.T)
        return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], 1))

    expected = jax.value_and_grad(plain, (0, 1))(hidden, output)
    ours = jax.jit(loss.loss_and_gradients, static_argnums=(3, 4))
    total, *grads = ours(hidden, output, labels, chunk, ALONE)
    found = (total / 24, tuple(grads))
    # Sums over tokens in another order, in float32.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        found,
        expected,
    )
    losses = loss.token_losses(hidden, output, labels, chunk, ALONE)
    np.testing.assert_allclose(jnp.mean(losses), expected[0], rtol=1e-6)


def test_all_logits_never_exist_at_once() -> None:
    model = plans.model(vocab_size=8192)
    shapes = {n: jnp.zeros(s) for n, s in tensor_shapes(model).items()}
    fused = fuse(model, shapes)
    tokens = jnp.zeros((8, 513), jnp.int32)
    program = LaneProgram(model)
    compiled = jax.jit(partial(lane_gradients, program)).lower(fused, tokens).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 8 * 512 * 8192 * 4


def test_no_token_sees_a_later_one(rng: np.random.Generator) -> None:
    model = plans.model()
    weights = draw(model, rng)
    tokens = rng.integers(0, model.vocab_size, (1, 17), np.int32)
    changed = tokens.copy()
    changed[0, 9] = (changed[0, 9] + 1) % model.vocab_size
    before, after = (token_losses_of(model, weights, t)[0] for t in (tokens, changed))
    # Token 9 is the label at position 8: the first loss that may change.
    np.testing.assert_array_equal(before[:8], after[:8])
    assert (np.asarray(before[8:]) != np.asarray(after[8:])).all()


def test_fused_weights_come_apart_again(
    model: PlannedModel, rng: np.random.Generator
) -> None:
    weights = draw(model, rng)
    fused = fuse(model, jax.tree.map(jnp.asarray, weights))
    found = unfuse(model, fused, tensor_shapes(model))
    assert list(found) == list(weights)
    for name, weight in weights.items():
        np.testing.assert_array_equal(found[name], weight)


def test_rows_come_together_again(rng: np.random.Generator) -> None:
    model = plans.model(vocab_size=101)
    weights = jax.tree.map(jnp.asarray, draw(model, rng))
    rows = all_to_rows(weights, 16)
    assert {row.shape[-2] for row in rows.values()} == {16}
    found = all_from_rows(rows, tensor_shapes(model))
    for name, weight in weights.items():
        np.testing.assert_array_equal(found[name], weight)


def test_initial_weights_depend_on_names_alone() -> None:
    shallow = dict(initial_tensors(plans.model(layers=1), seed=7))
    deep = dict(initial_tensors(plans.model(layers=3, tied_embeddings=False), seed=7))
    for name, tensor in shallow.items():
        same = deep[name][:1] if name.startswith("block.") else deep[name]
        np.testing.assert_array_equal(tensor, same, err_msg=name)
    layers = deep["block.attn.q"]
    assert not np.array_equal(layers[0], layers[1])
    assert not np.array_equal(layers[0], deep["block.attn.k"][0])
    other = dict(initial_tensors(plans.model(layers=1), seed=8))
    assert not np.array_equal(other["embed"], shallow["embed"])


def test_initial_weights_have_the_size_of_glorot() -> None:
    tensors = dict(initial_tensors(plans.model(width=64, vocab_size=500), seed=1))
    for name, fans in {"embed": 500 + 64, "block.ffn.up": 64 + 48}.items():
        # Thousands of draws: the estimate is good to a few percent.
        np.testing.assert_allclose(
            np.std(tensors[name]), np.sqrt(2 / fans), rtol=0.05, err_msg=name
        )
    assert (tensors["final_norm"] == 1).all()


def test_silent_promotion_is_an_error_in_tests() -> None:
    with pytest.raises(Exception, match="no available implicit dtype promotion"):
        jnp.ones(2, jnp.bfloat16) + jnp.ones(2, jnp.float32)
    with pytest.raises(ValueError, match="rank"):
        jnp.ones((2, 2)) + jnp.ones(2)
