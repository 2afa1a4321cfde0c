"""Exact division of sequences between sources, in whole numbers.

Weights are taken as the decimals that people wrote (0.1 is one tenth), multiplied and
divided as fractions, and rounded once, by largest remainders (Hamilton's method). So
the counts add up, each is within one of its exact share, and every machine agrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from graphlib import TopologicalSorter


def exact_decimal(value: float) -> Fraction:
    """Return the decimal that a float64 stands for, as people wrote it.

    >>> exact_decimal(0.1), exact_decimal(1e-05)
    (Fraction(1, 10), Fraction(1, 100000))
    """
    return Fraction(repr(value))


def normalised(weights: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Scale weights so that they add up to one.

    >>> normalised({"a": Fraction(1), "b": Fraction(3)})
    {'a': Fraction(1, 4), 'b': Fraction(3, 4)}
    """
    total = sum(weights.values(), Fraction(0))
    return {name: weight / total for name, weight in weights.items()}


def source_shares(
    weights: Mapping[str, float], mixtures: Mapping[str, Mapping[str, float]]
) -> dict[str, Fraction]:
    """Flatten nested mixtures into the share of each source.

    A nested mixture passes its own share on in proportion to its own weights. A source
    that is reached by several ways gets the sum.

    Args:
        weights: Source or mixture name -> weight, all above zero.
        mixtures: The named mixtures, without circles.

    Returns:
        Source name -> share, adding up to one, in the order of the names.

    >>> source_shares({"text": 50, "code": 50}, {"code": {"web": 3, "synth": 1}})
    {'synth': Fraction(1, 8), 'text': Fraction(1, 2), 'web': Fraction(3, 8)}
    """
    # Inner mixtures first, each flattened once however often it is used.
    order = TopologicalSorter(
        {
            name: [part for part in mixtures[name] if part in mixtures]
            for name in mixtures
        }
    ).static_order()
    flat: dict[str, dict[str, Fraction]] = {}
    for name in order:
        flat[name] = _flattened(mixtures[name], flat)
    return dict(sorted(_flattened(weights, flat).items()))


def _flattened(
    weights: Mapping[str, float], flat: Mapping[str, Mapping[str, Fraction]]
) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    exact = normalised({name: exact_decimal(w) for name, w in weights.items()})
    for name, share in exact.items():
        for part, inner in flat.get(name, {name: Fraction(1)}).items():
            total[part] = total.get(part, Fraction(0)) + share * inner
    return total


def apportion(shares: Mapping[str, Fraction], num_sequences: int) -> dict[str, int]:
    """Split sequences between sources by largest remainders.

    Args:
        shares: Source name -> share, adding up to one.
        num_sequences: How many there are to give out.

    Returns:
        Source name -> sequences, adding up to `num_sequences`, each within one of its
        exact share; in the order of the names.

    >>> apportion({"web": Fraction(7, 10), "code": Fraction(3, 10)}, 8)
    {'code': 2, 'web': 6}
    """
    exact = {name: share * num_sequences for name, share in sorted(shares.items())}
    counts = {name: int(value) for name, value in exact.items()}
    # Ties go to the name first in the alphabet, for sorting keeps the order of `exact`:
    # the order in the file is irrelevant.
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: num_sequences - sum(counts.values())]:
        counts[name] += 1
    return counts
