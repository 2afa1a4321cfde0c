"""Asking a model: what continuations are worth, and what windows of tokens cost.

Windows are scored in calls of one shape: a call of another may be compiled to another
program with other rounding, so that the numbers of a window would depend on how many
came with it. Continuations have shapes of their own, see `runtime.scoring_shapes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.scoring import Continuation, ScoredModel
from specs.errors import RunError

# N windows, B windows per call, L tokens scored per window


@dataclass(frozen=True, kw_only=True)
class LogLikelihood:
    """How likely a continuation is."""

    nats: float
    """Sum over its tokens, at most 0."""
    is_greedy: bool
    """Whether it is what the model itself would say, token by token."""


def log_likelihoods(
    requests: Sequence[Continuation], model: ScoredModel
) -> list[LogLikelihood]:
    """Return how likely each continuation is after its context.

    What is asked twice is scored once. Losses are added in exact arithmetic.

    Raises:
        RunError: A loss is not a finite number.
    """
    unique = list(dict.fromkeys(requests))
    scored = model.continuations(unique)
    _check_finite([one.losses for one in scored])
    found = {
        request: LogLikelihood(
            nats=-math.fsum(one.losses.tolist()), is_greedy=bool(one.is_greedy.all())
        )
        for request, one in zip(unique, scored, strict=True)
    }
    return [found[request] for request in requests]


def is_cut(request: Continuation, length: int) -> bool:
    """Tell whether a context is cut from the left to fit in the model's length."""
    return len(request.context) + len(request.tokens) > length + 1


def window_losses(
    model: ScoredModel, windows: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Score windows of one width.

    Args:
        model: What scores them.
        windows: N x (L + 1), with L at most the model's length.

    Returns:
        N x L, in nats.

    Raises:
        RunError: A loss is not a finite number.
    """
    num_windows = len(windows)
    padding = np.zeros((-num_windows % model.rows, windows.shape[1]), np.int32)
    padded = np.concatenate([windows, padding])
    calls = [
        model.losses(padded[start : start + model.rows])
        for start in range(0, len(padded), model.rows)
    ]
    losses = np.concatenate([np.asarray(call) for call in calls])[:num_windows]
    assert losses.dtype == np.float32
    assert losses.shape == (num_windows, windows.shape[1] - 1)
    _check_finite([losses])
    return losses


def windows_of(stream: NDArray[np.int32], length: int, pad: int) -> NDArray[np.int32]:
    """Cut a stream into windows, so that each token but the first is scored once.

    Windows overlap by one token: the last scored one of a window is the first, unscored
    one of the next.

    >>> windows_of(np.arange(6, dtype=np.int32), 2, pad=9).tolist()
    [[0, 1, 2], [2, 3, 4], [4, 5, 9]]
    """
    num_windows = -(-(len(stream) - 1) // length)
    padding = np.full(num_windows * length + 1 - len(stream), pad, np.int32)
    padded = np.concatenate([stream, padding])
    starts = np.arange(num_windows)[:, None] * length
    windows: NDArray[np.int32] = padded[starts + np.arange(length + 1)]
    return windows


def _check_finite(parts: Sequence[NDArray[np.float32]]) -> None:
    count = sum(int(np.count_nonzero(~np.isfinite(part))) for part in parts)
    if count:
        total = sum(part.size for part in parts)
        raise RunError(
            f"{count} of {total} losses are not finite numbers",
            fix="lower the learning rate; the weights have diverged",
        )
