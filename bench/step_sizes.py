"""The work that the peers of `train_step.py` do. Loads nothing but numpy."""

# B sequences, L sequence length

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Step = Callable[[], float]
"""Takes one optimizer step, waits for all of it, and returns the loss."""

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.95)
CLIP_NORM = 1.0


@dataclass(frozen=True)
class Size:
    """A model and a batch."""

    width: int
    layers: int
    heads: int
    ffn_width: int
    vocab_size: int
    sequence_length: int
    num_sequences: int
    lane_sequences: int
    """Of ours alone: it is what its exactness is about."""

    @property
    def tokens_per_step(self) -> int:
        """Tokens that are predicted in one step."""
        return self.num_sequences * self.sequence_length


SIZES = {
    "tiny": Size(64, 2, 4, 128, 512, 64, 8, lane_sequences=2),
    "cpu-small": Size(256, 4, 4, 704, 4096, 256, 16, lane_sequences=4),
    "cpu-medium": Size(512, 8, 8, 1408, 8192, 512, 8, lane_sequences=2),
}
"""`tiny` is to see whether everything works, not to compare."""


def random_tokens(size: Size) -> np.ndarray:
    """Return B x (L + 1) tokens, the same for all peers."""
    shape = (size.num_sequences, size.sequence_length + 1)
    rng = np.random.default_rng(0)
    return rng.integers(0, size.vocab_size, shape, dtype=np.int32)
