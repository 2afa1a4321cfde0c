"""Scoring windows of tokens with a model, always in calls of one shape.

A call of another shape may be compiled to another program with other rounding, so that
the numbers of a window would depend on how many windows came with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.scores import LossFunction, TokenLosses
from specs.errors import RunError

# N windows, B windows per call, L tokens scored per window


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """A model and the shape in which it is asked."""

    token_losses: LossFunction
    rows: int
    """Windows per call. On several devices, what divides among them: a batch."""
    length: int
    """Tokens scored per window at most: the length that the model was trained at."""

    def losses(self, windows: NDArray[np.int32]) -> TokenLosses:
        """Score windows of one width.

        Args:
            windows: N x (L + 1), with L at most `length`.

        Returns:
            N x L, in nats.

        Raises:
            RunError: A loss is not a finite number.
        """
        num_windows = len(windows)
        padding = np.zeros((-num_windows % self.rows, windows.shape[1]), np.int32)
        padded = np.concatenate([windows, padding])
        calls = [
            self.token_losses(padded[start : start + self.rows])
            for start in range(0, len(padded), self.rows)
        ]
        losses = np.concatenate([np.asarray(call) for call in calls])[:num_windows]
        assert losses.dtype == np.float32
        assert losses.shape == (num_windows, windows.shape[1] - 1)
        if not np.isfinite(losses).all():
            count = int(np.count_nonzero(~np.isfinite(losses)))
            raise RunError(
                f"{count} of {losses.size} losses are not finite numbers",
                fix="lower the learning rate; the weights have diverged",
            )
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
