"""One step against AdamW written out in float64, and the numbers of three steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import plans
import pytest
from conftest import GOLDEN, HOW_TO_UPDATE

from runtime.blocks import LaneProgram
from runtime.fingerprint import fingerprint_arrays, fingerprint_hex, words_hex
from runtime.fused import fuse, unfuse
from runtime.initialise import initial_tensors
from runtime.mesh import build_mesh
from runtime.model import lane_gradients
from runtime.state import (
    Layout,
    TrainState,
    build_layout,
    change_layout,
    initial_state,
    state_from_tensors,
    whole_tensors,
)
from runtime.tensors import tensor_shapes
from runtime.train_step import StepOutput, TrainStep, build_train_step, read_output
from specs.plan import Plan, PlannedModel

Tensors = dict[str, Any]


class Trainer:
    """A plan on one device, step by step."""

    def __init__(self, plan: Plan) -> None:
        stage = plan.stages[0]
        self.plan = plan
        self.layout: Layout = build_layout(plan, stage, build_mesh(plan, wanted=1))
        self.state: TrainState = initial_state(plan, self.layout)
        self.take_step: TrainStep = build_train_step(plan, stage, self.layout)

    def step(self, tokens: Any, learning_rate: float = 0.01) -> StepOutput:
        placed = self.take_step.place_tokens(tokens)
        self.state, told = self.take_step(self.state, placed, learning_rate)
        return read_output(told)

    def tensors(self) -> Tensors:
        return {n: x.copy() for n, x in whole_tensors(self.state, self.layout)}


@pytest.fixture(scope="module")
def make_trainer() -> Callable[[Plan], Trainer]:
    """Compile each plan once: later trainers of it start anew with the same step."""
    made: dict[str, Trainer] = {}

    def make(plan: Plan) -> Trainer:
        trainer = made.setdefault(plan.digest, Trainer(plan))
        trainer.state = initial_state(plan, trainer.layout)
        return trainer

    return make


def batch(step: int, sequences: int = 8, length: int = 16) -> Any:
    random = np.random.default_rng(step)
    return random.integers(0, 97, (sequences, length + 1), np.int32)


@partial(jax.jit, static_argnums=0)
def loss_and_gradients(model: PlannedModel, weights: Tensors, tokens: Any) -> Any:
    total, grads = lane_gradients(LaneProgram(model), fuse(model, weights), tokens)
    num_tokens = tokens.shape[0] * (tokens.shape[1] - 1)
    return total / num_tokens, unfuse(model, grads, tensor_shapes(model))


def train_on_paper(plan: Plan, num_steps: int, rate: float, clip: float) -> Any:
    """AdamW in float64, on the gradient of the whole batch at once."""
    weights = {n: np.asarray(x) for n, x in initial_tensors(plan.model, plan.seed)}
    weights = {n: x.astype(np.float64) for n, x in weights.items()}
    first = {n: np.zeros_like(x) for n, x in weights.items()}
    second = {n: np.zeros_like(x) for n, x in weights.items()}
    told = []
    for step in range(num_steps):
        narrow = {n: x.astype(np.float32) for n, x in weights.items()}
        loss, grads = loss_and_gradients(plan.model, narrow, batch(step))
        grads = {n: np.asarray(g, np.float64) for n, g in grads.items()}
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        told.append((float(loss), norm))
        for name, grad in grads.items():
            grad = grad * min(1.0, clip / norm)
            first[name] = 0.9 * first[name] + 0.1 * grad
            second[name] = 0.95 * second[name] + 0.05 * grad**2
            mean = first[name] / (1 - 0.9 ** (step + 1))
            square = second[name] / (1 - 0.95 ** (step + 1))
            decay = 0.0 if "norm" in name else 0.1 * weights[name]
            weights[name] -= rate * (mean / (np.sqrt(square) + 1e-4) + decay)
    return weights, first, second, told


def test_steps_are_adamw(make_trainer: Callable[[Plan], Trainer]) -> None:
    # An epsilon that large keeps rounding noise of tiny gradients from being blown up.
    adamw = plans.optimizer(epsilon="0.0001", clip_norm="0.5")
    plan = plans.plan(adamw=adamw)
    weights, first, second, expected = train_on_paper(plan, 3, 0.01, clip=0.5)
    trainer = make_trainer(plan)
    told = [trainer.step(batch(step)) for step in range(3)]
    assert max(norm for _, norm in expected) > 0.5, "nothing was clipped"
    # Float32 sums over lanes against one over the batch.
    np.testing.assert_allclose(
        [(float(o.loss), float(o.grad_norm)) for o in told], expected, rtol=1e-4
    )
    found = trainer.tensors()
    for name in weights:
        expect = partial(np.testing.assert_allclose, rtol=1e-3, err_msg=name)
        expect(found[name], weights[name], atol=1e-5)
        expect(found[f"mu.{name}"], first[name], atol=1e-6)
        expect(found[f"nu.{name}"], second[name], atol=1e-8)


def test_what_a_step_tells_is_true(make_trainer: Callable[[Plan], Trainer]) -> None:
    trainer = make_trainer(plans.plan())
    output = trainer.step(batch(0))
    weights = {
        n: x for n, x in trainer.tensors().items() if n[:3] not in ("mu.", "nu.")
    }
    assert fingerprint_hex(output.weights) == fingerprint_arrays(weights)
    assert fingerprint_hex(output.batch) == fingerprint_arrays({"batch": batch(0)})
    assert words_hex(output.tensor_words) == words_of(weights)
    assert int(output.is_failed) == 0
    assert int(trainer.state.num_updates) == 1


def words_of(weights: dict[str, np.ndarray]) -> str:
    return "".join(fingerprint_arrays({n: weights[n]})[:8] for n in sorted(weights))


def test_the_words_before_the_first_step_are_those_of_the_initial_weights(
    make_trainer: Callable[[Plan], Trainer],
) -> None:
    trainer = make_trainer(plans.plan())
    weights = dict(initial_tensors(trainer.plan.model, trainer.plan.seed))
    found = trainer.take_step.tensor_words(trainer.state.weights)
    arrays = {name: np.asarray(tensor) for name, tensor in weights.items()}
    assert words_hex(found) == words_of(arrays)


def test_a_repeated_batch_is_learnt(make_trainer: Callable[[Plan], Trainer]) -> None:
    trainer = make_trainer(plans.plan())
    losses = [float(trainer.step(batch(0)).loss) for _ in range(30)]
    np.testing.assert_allclose(losses[0], np.log(97), rtol=0.1)  # it knows nothing yet
    assert losses[-1] < 0.5 * losses[0]


def test_the_step_is_traced_once(make_trainer: Callable[[Plan], Trainer]) -> None:
    trainer = make_trainer(plans.plan())
    for step in range(3):
        trainer.step(batch(step), learning_rate=0.01 / (step + 1))
    assert trainer.take_step.num_traces == 1


def test_a_state_that_went_through_the_host_trains_on_alike(
    make_trainer: Callable[[Plan], Trainer],
) -> None:
    trainer = make_trainer(plans.plan())
    straight = [fingerprint_hex(trainer.step(batch(s)).weights) for s in range(4)]
    trainer = make_trainer(plans.plan())
    for step in range(2):
        trainer.step(batch(step))
    tensors, count = trainer.tensors(), int(trainer.state.num_updates)
    trainer.state = state_from_tensors(tensors, count, trainer.layout)
    resumed = [fingerprint_hex(trainer.step(batch(s)).weights) for s in (2, 3)]
    assert resumed == straight[2:]


def test_another_layout_has_the_same_tensors(
    make_trainer: Callable[[Plan], Trainer],
) -> None:
    trainer = make_trainer(plans.plan())
    trainer.step(batch(0))
    before = trainer.tensors()
    stage = plans.stage(sequences_per_step=4)
    plan = plans.plan(stage)
    layout = build_layout(plan, stage, trainer.layout.mesh)
    assert layout.num_rows != trainer.layout.num_rows
    moved = change_layout(trainer.state, trainer.layout, layout)
    for name, tensor in whole_tensors(moved, layout):
        np.testing.assert_array_equal(tensor, before[name], err_msg=name)


def test_a_step_that_is_not_finite_leaves_the_state_as_it_was(
    make_trainer: Callable[[Plan], Trainer],
) -> None:
    trainer = make_trainer(plans.plan())
    trainer.step(batch(0))
    tensors = trainer.tensors()
    spoilt = {**tensors, "final_norm": tensors["final_norm"] * np.float32(np.inf)}
    trainer.state = state_from_tensors(spoilt, 1, trainer.layout)
    output = trainer.step(batch(1))
    assert int(output.is_failed) == 1
    assert not np.isfinite(float(output.loss))
    # And so does every later one, however good: nothing is trained past a failure.
    output = trainer.step(batch(2))
    assert int(output.is_failed) == 1
    assert int(trainer.state.num_updates) == 1
    for name, tensor in trainer.tensors().items():
        np.testing.assert_array_equal(tensor, spoilt[name], err_msg=name)


def test_no_limit_is_no_clipping() -> None:
    trainer = Trainer(plans.plan(adamw=plans.optimizer(clip_norm=None)))
    output = trainer.step(batch(0))
    found = trainer.tensors()
    squares = [(found[name] ** 2).sum() for name in found if name.startswith("mu.")]
    # After one step the first moment is a tenth of the gradient that was used.
    np.testing.assert_allclose(
        np.sqrt(sum(squares)), 0.1 * float(output.grad_norm), rtol=1e-4
    )


def test_accumulation_changes_no_bit(make_trainer: Callable[[Plan], Trainer]) -> None:
    # In exact mode it only bounds the devices.
    trainers = [
        make_trainer(plans.plan()),
        Trainer(plans.plan(plans.stage(accumulation=4))),
    ]
    found = [
        [fingerprint_hex(trainer.step(batch(step)).weights) for step in range(2)]
        for trainer in trainers
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "determinism",
    ["same-topology", pytest.param("fast", marks=pytest.mark.slow)],
)
def test_without_lanes_the_numbers_are_nearly_the_same(
    determinism: str, make_trainer: Callable[[Plan], Trainer]
) -> None:
    stage = plans.stage(accumulation=2)
    plain = Trainer(plans.plan(stage, determinism=determinism))
    exact = make_trainer(plans.plan())
    # The same sums in another order, in float32.
    ours, theirs = plain.step(batch(0)), exact.step(batch(0))
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-5)
    np.testing.assert_allclose(ours.grad_norm, theirs.grad_norm, rtol=1e-4)


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
def test_three_steps_give_the_golden_numbers(
    compute: str, make_trainer: Callable[[Plan], Trainer], update_golden: bool
) -> None:
    trainer = make_trainer(plans.plan(compute=compute))
    told = [trainer.step(batch(step)) for step in range(3)]
    found = [[float(o.loss), float(o.grad_norm)] for o in told]
    kind = jax.devices()[0].device_kind.lower().replace(" ", "-")
    path = GOLDEN / f"three_steps.{kind}.{compute}.json"
    if update_golden:
        path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    assert path.exists(), f"no numbers of a {kind} yet: run `pytest --update-golden`"
    expected = json.loads(path.read_text("utf-8"))
    # CPUs differ in instructions and so in rounding, by about the format's precision
    # per step; the exact bits are a matter of the ledger, not of this file.
    tolerance = {"float32": 1e-5, "bfloat16": 2e-2}[compute]
    np.testing.assert_allclose(
        found, expected, rtol=tolerance, err_msg=HOW_TO_UPDATE.format(path=path.name)
    )
