"""Which mixture is tried next: a pure function of what the others came to.

Tree-structured Parzen estimators (Bergstra et al. 2011), by Optuna. Its study is made
anew in memory for each proposal, so nothing is kept but the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from runtime.keys import key
from specs.search_space import SearchSpace, Shares

if TYPE_CHECKING:
    import optuna

NUM_RANDOM = 10
"""Trials before the estimators are asked."""
MOST_ATTEMPTS = 50
"""Proposals in a row that may have been tried already."""

Better = Literal["higher", "lower"]


def propose(
    space: SearchSpace, seed: int, tried: Mapping[Shares, float], better: Better
) -> Shares | None:
    """Return the shares to try next.

    Args:
        space: What may be proposed.
        seed: Of the search.
        tried: Shares -> what they came to; not a number where they failed. One that
            isn't finite is not proposed again, and tells nothing of others. In any
            order.
        better: Which way is better.

    Returns:
        Shares that were not tried; None: none were found.
    """
    for attempt in range(MOST_ATTEMPTS):
        study = _study(key(seed, "search", len(tried), attempt), space, tried, better)
        trial = study.ask()
        chosen: list[int] = []
        for share in space.varied:
            low, high = space.bounds_after(chosen)
            chosen.append(trial.suggest_int(share.place, low, high))
        if tuple(chosen) not in tried:
            return tuple(chosen)
    return None


def _study(
    number: int, space: SearchSpace, tried: Mapping[Shares, float], better: Better
) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(
        seed=number % 2**32, n_startup_trials=NUM_RANDOM
    )
    direction: Literal["maximize", "minimize"]
    direction = "maximize" if better == "higher" else "minimize"
    study = optuna.create_study(sampler=sampler, direction=direction)
    for shares, value in sorted(tried.items()):
        if math.isfinite(value):
            study.add_trial(_trial(space, shares, value))
    return study


def _trial(
    space: SearchSpace, shares: Shares, value: float
) -> optuna.trial.FrozenTrial:
    import optuna

    places = [share.place for share in space.varied]
    bounds = [space.bounds_after(shares[:index]) for index in range(len(shares))]
    return optuna.trial.create_trial(
        params=dict(zip(places, shares, strict=True)),
        distributions={
            place: optuna.distributions.IntDistribution(low, high)
            for place, (low, high) in zip(places, bounds, strict=True)
        },
        value=value,
    )
