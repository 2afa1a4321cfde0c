"""Why a batch is not the one that was recorded: what can be known of it.

The order is a function of plan and lock, so the batch of a step can be made again, and
the stores that it comes from can be checked against their digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from runtime.changed_element import changed_element
from runtime.fingerprint import fingerprint_arrays
from runtime.ready import Ready
from runtime.train_step import BATCH_NAME
from specs.errors import InputError

_NEIGHBOURS = 64
"""Steps before and after whose batches are tried."""

Tokens = np.ndarray


def explain_batch(
    ready: Ready, step: int, was: str, now: str, step_of: Callable[[str], int | None]
) -> list[str]:
    """Say what differs in a batch, each finding in one sentence.

    Args:
        ready: What the replay trains on.
        step: The first with another batch.
        was: Fingerprint of the batch in the original.
        now: In the replay.
        step_of: Fingerprint -> the step of the original that had that batch.
    """
    found = list(_damaged_stores(ready))
    tokens = _batch(ready, step)
    planned = fingerprint_arrays({BATCH_NAME: tokens})
    if planned != now:
        who = "this replay" if planned == was else "neither run"
        what = "did not train on" if planned == was else "trained on"
        found.append(
            f"{who} {what} the batch that plan and stores give for step {step}"
        )
    other = was if planned != was else now
    found += _changed_token(ready, step, tokens, other)
    then = step_of(now)
    if then is not None:
        found.append(f"the original had this batch at step {then}")
    elsewhere = _planned_step(ready, step, was)
    if elsewhere is not None:
        found.append(f"the original had at step {step} the batch of step {elsewhere}")
    return found or ["more than one token differs, and no other step has that batch"]


def _damaged_stores(ready: Ready) -> Iterator[str]:
    for name, store in ready.prepared.stores.items():
        try:
            store.verify()
        except InputError as error:
            what = error.problems[0].what
            yield f"the token store of source {name} was changed: {what}"


def _changed_token(ready: Ready, step: int, tokens: Tokens, other: str) -> list[str]:
    changed = changed_element(BATCH_NAME, tokens, other)
    if changed is None or changed.bits >= ready.plan.model.vocab_size:
        return []
    row, place = divmod(changed.place, tokens.shape[1])
    order = ready.prepared.mixture.at(step)
    source = order.sources[int(order.source_index[row])]
    token = int(order.start_token[row]) + place
    return [
        f"one token differs: sequence {row}, token {place}, from source {source}, "
        f"token {token} of its store: {changed.bits} there, "
        f"{int(tokens[row, place])} by plan and stores"
    ]


def _planned_step(ready: Ready, step: int, fingerprint: str) -> int | None:
    """Find a step nearby that the plan gives that batch to."""
    first = max(0, step - _NEIGHBOURS)
    for other in range(first, min(step + _NEIGHBOURS, ready.plan.num_steps)):
        tokens = _batch(ready, other)
        if other != step and fingerprint_arrays({BATCH_NAME: tokens}) == fingerprint:
            return other
    return None


def _batch(ready: Ready, step: int) -> Tokens:
    rows = np.arange(ready.plan.stage_at(step).sequences_per_step)
    return np.ascontiguousarray(ready.batch(step, rows), np.int32)
