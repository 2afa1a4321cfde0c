"""What training asks of whoever scores its weights.

The evaluations stand to the right of this package, so they are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ledger.facts import JsonObject
from runtime.deduplication.overlaps import FindOverlaps
from runtime.ready import Ready
from specs.benchmarks import Benchmarks
from specs.errors import InputError
from specs.experiment import Experiment

# B rows per call, L tokens scored per row


class LossFunction(Protocol):
    """The model with its weights of some step."""

    def __call__(self, tokens: NDArray[np.int32], /) -> NDArray[np.float32]:
        """Return B x L losses in nats for B x (L + 1) tokens."""
        ...


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a model goes on from."""

    name: str
    """Unique within a call: the random keys of its tokens are derived from it, so that
    they do not depend on what else is asked."""
    tokens: tuple[int, ...]
    """EOS and the text, at least one token."""
    max_tokens: int
    """Tokens generated at most."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen."""

    seed: int = 0
    temperature: float = 0.0
    """0: the likeliest token, of equal ones the first."""
    top_p: float = 1.0
    """Share of the probability that is drawn from, likeliest tokens first."""


GREEDY = Sampling()


def room_for_prompt(length: int, max_tokens: int) -> int:
    """Return how many tokens of a prompt are seen; earlier ones are cut off.

    Args:
        length: Most tokens that the model sees at once.
        max_tokens: What an answer may have.

    Raises:
        InputError: An answer leaves no room.

    >>> room_for_prompt(512, 100)
    412
    """
    if max_tokens >= length:
        raise InputError(
            f"answers may have {max_tokens} tokens, and the model sees {length} at "
            "once: there is no room for a prompt",
            fix=f"set max_tokens below {length}",
        )
    return length - max_tokens


class GenerateFunction(Protocol):
    """Text from the model with its weights of some step."""

    def __call__(
        self,
        prompts: Sequence[Prompt],
        /,
        *,
        sampling: Sampling,
        is_done: Callable[[Sequence[int]], bool],
    ) -> list[tuple[int, ...]]:
        """Go on from each prompt.

        Args:
            prompts: Any number; each answer is a function of its prompt alone. Of one
                longer than `room_for_prompt` its end is seen.
            sampling: How tokens are chosen.
            is_done: Given the tokens of an answer so far, whether it has come to a stop
                string. Asked now and then: an answer may go on beyond its stop.

        Returns:
            The new tokens of each, without the EOS that ended it.

        Raises:
            InputError: An answer may be as long as all that the model sees.
            RunError: A logit is not a finite number.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """Tokens whose likelihood is asked, after others."""

    context: tuple[int, ...]
    """EOS and the text before, at least one token. Cut from the left where both don't
    fit in the model's length."""
    tokens: tuple[int, ...]
    """At least one, at most the model's length."""


@dataclass(frozen=True, kw_only=True)
class ContinuationLosses:
    """What the tokens of a continuation cost."""

    losses: NDArray[np.float32]
    """In nats, one for each token."""
    is_greedy: NDArray[np.bool_]
    """Whether each token is the likeliest in its place, of equal ones the first."""


class ScoredModel(Protocol):
    """A model with its weights of some step, as evaluations see it.

    With several processes all must ask the same in the same order; all are answered.
    """

    @property
    def rows(self) -> int:
        """Rows in every call of `losses`."""
        ...

    @property
    def length(self) -> int:
        """Most tokens that the model sees at once."""
        ...

    @property
    def eos_id(self) -> int:
        """The token that ends every document."""
        ...

    @property
    def losses(self) -> LossFunction:
        """The loss of each token of windows."""
        ...

    @property
    def generate(self) -> GenerateFunction:
        """Text that goes on from prompts; what it takes is compiled when first used."""
        ...

    def continuations(
        self, requests: Sequence[Continuation], /
    ) -> list[ContinuationLosses]:
        """Score continuations; each result is a function of its request alone."""
        ...


class Score(Protocol):
    """What one suite gave for one set of weights."""

    @property
    def suite(self) -> str:
        """Name, unique among the suites of an experiment."""
        ...

    @property
    def values(self) -> dict[str, float]:
        """Name -> number."""
        ...

    @property
    def detail(self) -> JsonObject:
        """What the numbers were made of."""
        ...


class Evaluator(Protocol):
    """Scores the weights of one experiment."""

    def check(self, experiment: Experiment) -> None:
        """Refuse what can't be scored, before any work is done."""

    def declare(self, experiment: Experiment, workspace: Path) -> Benchmarks:
        """Return the benchmark tasks that a spec asks for, as they are declared.

        Raises:
            SpecError: With every unknown name and wrong task file.
        """
        ...

    @property
    def find_overlaps(self) -> FindOverlaps:
        """Finds the training documents that hold questions which are kept out."""
        ...

    def prepare(self, ready: Ready) -> Score | None:
        """Read everything that is going to be scored; return baselines for scale."""

    def score(self, model: ScoredModel, items: Collection[int]) -> Sequence[Score]:
        """Score one set of weights.

        Args:
            model: With those weights.
            items: Of the spec's evals, by index: those that are asked for.
        """
