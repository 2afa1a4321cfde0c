"""Win-rates of resampled prompts, raw and at equal lengths, to the same bits each time.

The length-controlled win-rate is that of AlpacaEval (Dubois et al., 2024,
arXiv:2404.04475) in its smallest form: a logistic model of the score by
`tanh(length difference / its standard deviation)` and a constant, read at a length
difference of zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from evals.statistics.bootstrap import (
    percentile_interval,
    resampled_clusters,
    resampled_means,
)
from evals.statistics.means import cluster_codes
from runtime.keys import key
from specs.base import Value

# R resamples, C clusters, N prompts

RIDGE = 0.1
"""Weight of a penalty on half the squares of both coefficients. Without one, a model
that wins always has infinite ones; of 200 prompts it takes some thousandths."""

PLACES = 6
"""Decimals that are kept: the exponentials of two machines differ in the last bits."""

_MAX_ITERATIONS = 100
_LARGEST_STEP = 2.0
_CONVERGED = 1e-9

Floats = NDArray[np.float64]


class Rate(Value):
    """A share with its interval."""

    value: float
    low: float
    """Between these lie 95% of the shares of resampled prompts."""
    high: float


def raw_rate(
    scores: Sequence[float], *, clusters: Sequence[str | None], name: str
) -> Rate:
    """Return the mean score, with a bootstrap interval over clusters of prompts.

    Args:
        scores: Of N prompts, 0 to 1.
        clusters: Of N prompts; those of one are drawn together.
        name: Names the random keys.

    >>> raw_rate([1.0, 0.5, 0.5], clusters=[None] * 3, name="example")
    Rate(value=0.666667, low=0.5, high=1.0)
    """
    means = resampled_means(scores, cluster_codes(clusters), _key(name))
    return _rate(sum(scores) / len(scores), means)


def length_controlled_rate(
    scores: Sequence[float],
    *,
    length_differences: Sequence[int],
    clusters: Sequence[str | None],
    name: str,
) -> Rate | None:
    """Return the win-rate that is left where both replies are equally long.

    Args:
        scores: Of N prompts, 0 to 1.
        length_differences: Characters of A's reply less those of B's.
        clusters: Of N prompts.
        name: Names the random keys.

    Returns:
        None where one side is longer every time: the lengths then say nothing of what
        equal ones would give.
    """
    differences = np.asarray(length_differences, np.float64)
    if differences.min() > 0 or differences.max() < 0:
        return None
    spread = float(differences.std())
    lengths = np.tanh(differences / spread) if spread > 0 else differences
    values = np.asarray(scores, np.float64)
    whole = _at_equal_lengths(np.ones((1, len(values))), values, lengths)
    parts = [
        _at_equal_lengths(weights, values, lengths)
        for weights in _resampled_weights(clusters, name)
    ]
    return _rate(float(whole[0]), np.concatenate(parts))


def _at_equal_lengths(weights: Floats, scores: Floats, lengths: Floats) -> Floats:
    """Fit R logistic models by Newton's method; return their values at no difference.

    Args:
        weights: R x N, how often each prompt counts.
        scores: N.
        lengths: N.
    """
    constant = np.zeros((len(weights), 1))
    slope = np.zeros((len(weights), 1))
    for _ in range(_MAX_ITERATIONS):
        expected = 1 / (1 + np.exp(-(constant + slope * lengths)))
        residuals = weights * (scores - expected)
        curvature = weights * expected * (1 - expected)
        by_constant = _sums(residuals) - RIDGE * constant
        by_slope = _sums(residuals * lengths) - RIDGE * slope
        h00, h01 = _sums(curvature) + RIDGE, _sums(curvature * lengths)
        h11 = _sums(curvature * lengths**2) + RIDGE
        determinant = h00 * h11 - h01**2
        steps = (
            (h11 * by_constant - h01 * by_slope) / determinant,
            (h00 * by_slope - h01 * by_constant) / determinant,
        )
        # A whole step from far off can overshoot, and then does so ever more.
        constant += np.clip(steps[0], -_LARGEST_STEP, _LARGEST_STEP)
        slope += np.clip(steps[1], -_LARGEST_STEP, _LARGEST_STEP)
        if max(float(np.abs(step).max()) for step in steps) < _CONVERGED:
            break
    else:
        raise AssertionError("Newton's method has not converged")
    rates: Floats = 1 / (1 + np.exp(-constant[:, 0]))
    return rates


def _sums(values: Floats) -> Floats:
    sums: Floats = values.sum(axis=1, keepdims=True)
    return sums


def _resampled_weights(clusters: Sequence[str | None], name: str) -> Iterator[Floats]:
    """Yield how often each prompt is drawn, R x N, some resamples at a time."""
    codes = np.asarray(cluster_codes(clusters))
    groups = int(codes.max()) + 1
    # The same resamples as those of the raw rate.
    for drawn in resampled_clusters(groups, _key(name)):
        rows = np.arange(len(drawn))[:, None] * groups
        counts = np.bincount((rows + drawn).ravel(), minlength=drawn.size)
        yield counts.reshape(-1, groups)[:, codes].astype(np.float64)


def _key(name: str) -> int:
    return key(0, "win-rate", name)


def _rate(value: float, draws: Floats) -> Rate:
    low, high = percentile_interval(draws)
    return Rate(
        value=round(value, PLACES), low=round(low, PLACES), high=round(high, PLACES)
    )
