"""What a study comes to beside costs that somebody else has stated of its stages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from specs.study import StatedCost
from specs.study_graph import StageNode, StudyGraph


def stated_costs(
    stated: Sequence[StatedCost],
    graph: StudyGraph,
    hours: Mapping[str, float | None],
) -> dict[str, Any] | None:
    """Compare chip-hours with those that are stated.

    A stage costs what is stated for the same model and the nearest number of tokens, in
    proportion to its own.

    Args:
        stated: Costs of runs of some length.
        graph: The study.
        hours: Identity of a stage -> its chip-hours, reckoned here; None: not known.

    Returns:
        Plain JSON: `rows`, one for each statement, and the `total` of all stages, each
        once; None where nothing is stated. What is stated of no model of the study, the
        total where a model has no statement, and what takes hours that are not known,
        is null.
    """
    if not stated:
        return None
    total: float | None = 0.0
    for node in graph.nodes.values():
        one = _nearest(stated, node)
        if one is None or total is None:
            total = None
        else:
            total += one.chip_hours * node.num_tokens / one.tokens
    known = [one for one in hours.values() if one is not None]
    here = math.fsum(known) if len(known) == len(hours) else None
    return {
        "rows": [
            {
                "model": one.model,
                "tokens": one.tokens,
                "stated": one.chip_hours,
                "here": _here(one, graph, hours),
                "source": one.source,
            }
            for one in stated
        ],
        "total": {"stated": total, "here": here},
    }


def _nearest(stated: Sequence[StatedCost], node: StageNode) -> StatedCost | None:
    """Return the statement of a stage's model whose tokens are nearest, by ratio."""
    return min(
        (one for one in stated if one.model == node.preset),
        key=lambda one: abs(math.log(one.tokens / node.num_tokens)),
        default=None,
    )


def _here(
    one: StatedCost, graph: StudyGraph, hours: Mapping[str, float | None]
) -> float | None:
    """Return what as many tokens cost here, at the speed of the model's first stage."""
    for node in graph.nodes.values():
        if node.preset == one.model:
            found = hours[node.identity]
            return None if found is None else found * one.tokens / node.num_tokens
    return None
