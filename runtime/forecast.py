"""What a training step takes, by formula: operations, memory, messages.

For choosing what to hand to the compiler first, and for machines that it does not
know. Every formula counts what must be there and nothing that a compiler might add, so
that memory by formula is a lower bound. N weights, D model width, F feed-forward width,
V vocabulary, L sequence length, T tokens of a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.accelerators import Slice
from runtime.collectives import Collective, Groups
from runtime.compiled import Gather
from specs.activations import kept_bytes
from specs.costs import (
    BYTES_PER_PARAMETER,
    matrix_parameters_per_layer,
    parameter_count,
)
from specs.plan import Plan, PlannedModel, PlannedStage


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How a step is spread over the devices of a slice."""

    where: Slice
    slices: int
    gather: Gather
    tensor: int

    @property
    def lanes_at_once(self) -> int:
        """Devices, or groups that share products, that each work on a lane."""
        return self.where.num_devices // self.tensor

    @property
    def shares(self) -> int:
        """Devices that the state is spread over."""
        return self.lanes_at_once // self.slices


def matrix_flops(model: PlannedModel, stage: PlannedStage) -> int:
    """Count the operations of a step's matrix products outside of attention.

    6 T (matrices + V D); and unless `remat` is `none` once more the products that the
    blocks begin with, 2 T per weight of queries, keys, values, gate and up. Those that
    they end with are not needed twice.
    """
    tokens = stage.sequences_per_step * stage.sequence_length
    layers = model.layers * matrix_parameters_per_layer(model)
    first = model.width * _first_width(model)
    again = 0 if stage.remat == "none" else 2 * model.layers * first
    return tokens * (6 * (layers + model.vocab_size * model.width) + again)


def attention_flops(model: PlannedModel, stage: PlannedStage) -> int:
    """Count the operations of a step's attention.

    Two products forward and five backward (scores are computed again), each 2 L D / 2
    per token and layer: half of the square is masked. Once more forward with `block`.
    """
    tokens = stage.sequences_per_step * stage.sequence_length
    products = 7 + (2 if stage.remat == "block" else 0)
    return products * tokens * model.layers * model.width * stage.sequence_length


def sequences_at_once(plan: Plan, stage: PlannedStage, spread: Spread) -> int:
    """Return the sequences that a device works on at once: a lane, in exact mode."""
    turns = _turns(plan, stage, spread)
    return max(1, stage.sequences_per_step // (spread.lanes_at_once * turns))


def memory_bytes(plan: Plan, stage: PlannedStage, spread: Spread) -> int:
    """Return the bytes that one device must hold at the height of a step.

    The state, 12 bytes per weight, spread. With `gather: step` all weights in the
    compute format, else the embedding table alone with its gradient. A sum of gradients
    in float32 for each level of the tree over a device's lanes, whole with `step`, else
    spread. What a lane keeps for the backward pass; and of one layer queries, keys,
    values, gate and up with their gradients (these alone where the former are kept).
    """
    model, is_whole = plan.model, spread.gather == "step"
    weights = parameter_count(model) // spread.tensor
    table = model.vocab_size * model.width // spread.tensor
    levels = _turns(plan, stage, spread).bit_length() if _is_exact(plan) else 2
    state = BYTES_PER_PARAMETER * weights // spread.shares
    if is_whole:
        gathered = weights * _width(model) if spread.shares > 1 else 0
        sums = 4 * weights * levels
    else:
        gathered = table * (_width(model) + 4)
        sums = 4 * weights * levels // spread.shares
    tokens = sequences_at_once(plan, stage, spread) * stage.sequence_length
    kept = kept_bytes(model, stage.remat, tokens, spread.tensor)
    first = tokens * _first_width(model) * _width(model) // spread.tensor
    layer = first if stage.remat == "none" else 2 * first
    return state + gathered + sums + kept + layer


def traffic_bytes(plan: Plan, stage: PlannedStage, spread: Spread) -> int:
    """Return the bytes that one device reads and writes in memory over a step.

    For each lane the weights, once in each pass, and three times what is kept for the
    backward pass (written, read, and as much again for what is not kept); then the
    update, 28 bytes per weight that the device holds.
    """
    model = plan.model
    weights = parameter_count(model) // spread.tensor
    turns = _turns(plan, stage, spread)
    tokens = sequences_at_once(plan, stage, spread) * stage.sequence_length
    kept = kept_bytes(model, "none", tokens, spread.tensor)
    update = 28 * weights // spread.shares
    return turns * (weights * (2 * _width(model) + 8) + 3 * kept) + update


def expected_collectives(
    plan: Plan, stage: PlannedStage, spread: Spread
) -> Iterator[Collective]:
    """Yield what one device sends over a step: weights, gradients, shared products.

    With `gather: step` once per step; with `layer` in each lane that a device works
    through, weights in both passes.
    """
    weights = parameter_count(plan.model) // spread.tensor
    shares, is_whole = spread.shares, spread.gather == "step"
    turns = 1 if is_whole else _turns(plan, stage, spread)
    here = spread.where.num_devices // spread.slices
    everyone = (tuple(range(0, here, spread.tensor)),)
    if shares > 1:
        others = weights * (shares - 1) // shares
        times = 1 if is_whole else 2 * turns
        yield _collective("all-gather", _width(plan.model) * others, times, everyone)
        if _is_exact(plan):
            yield from _tree(4 * weights, turns, spread.tensor, here, spread)
        else:
            yield _collective("reduce-scatter", 4 * others, turns, everyone)
    if spread.slices > 1:
        yield from _sum_of_slices(4 * weights // shares, here, plan, spread)
    if spread.tensor > 1:
        tokens = stage.sequences_per_step * stage.sequence_length
        sums = plan.model.layers * (2 if plan.model.block == "parallel" else 4)
        summed = tokens // spread.lanes_at_once * plan.model.width * 4
        group = (tuple(range(spread.tensor)),)
        yield _collective("all-reduce", 2 * summed, sums, group)


def _tree(
    given: int, turns: int, first: int, stop: int, spread: Spread
) -> Iterator[Collective]:
    """Yield the rounds of the fixed tree: each swaps half of what is left.

    Args:
        given: Bytes that are summed.
        turns: How often.
        first: Devices between the two that swap in the first round.
        stop: Those in the first round that there is not.
        spread: The devices.
    """
    hop = first
    while hop < stop:
        given //= 2
        devices = range(spread.where.num_devices)
        pairs = tuple((device, device ^ hop) for device in devices)
        yield _collective("collective-permute", given, turns, pairs)
        hop *= 2


def _sum_of_slices(
    given: int, here: int, plan: Plan, spread: Spread
) -> Iterator[Collective]:
    """Yield how copies of the state come by the same sums, once per step."""
    group = (tuple(range(0, spread.where.num_devices, here)),)
    others = given * (spread.slices - 1) // spread.slices
    if _is_exact(plan):
        yield from _tree(given, 1, here, spread.where.num_devices, spread)
        yield _collective("all-gather", others, 1, group)
    else:
        yield _collective("all-reduce", 2 * others, 1, group)


def _collective(kind: str, sent: int, runs: int, groups: Groups) -> Collective:
    return Collective(
        kind=kind, name="", source_name="", sent_bytes=sent, runs=runs, groups=groups
    )


def _turns(plan: Plan, stage: PlannedStage, spread: Spread) -> int:
    """Return the parts of a batch that a device works through, one after another.

    They are lanes. Without exactness, and with all weights at hand, a device takes as
    much at once as the stage allows.
    """
    if not _is_exact(plan) and spread.gather == "step":
        return stage.accumulation
    return max(1, stage.num_lanes // spread.lanes_at_once)


def _first_width(model: PlannedModel) -> int:
    """Return the columns of queries, keys, values, gate and up together."""
    key_width = model.width // model.heads * model.kv_heads
    return model.width + 2 * key_width + 2 * model.ffn_width


def _is_exact(plan: Plan) -> bool:
    return plan.determinism == "exact"


def _width(model: PlannedModel) -> int:
    """Return the bytes of a number in the compute format."""
    return 2 if model.compute == "bfloat16" else 4
