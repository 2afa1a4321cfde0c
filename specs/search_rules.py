"""Rules between a search and its study: what it varies and looks at must be there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specs.experiment import Experiment
from specs.names import did_you_mean
from specs.rules import Broken, Place
from specs.search import WHOLE, Search, VariedShare
from specs.search_space import SearchSpace

MAX_NAME = 128
"""Characters of an experiment's name."""


def search_rules(
    search: Search | None, scores: dict[str, bool], experiments: Sequence[Experiment]
) -> Iterator[Broken]:
    """Yield the broken rules about names in a search.

    Args:
        search: As the study has it.
        scores: Of the study, by name: whether a judge is needed for it.
        experiments: Of the study.
    """
    if search is None:
        return
    place: Place = ("search", "objective", "score")
    score = search.objective.score
    if score not in scores:
        yield Broken(f"unknown score {score!r}", did_you_mean(score, [*scores]), place)
    elif scores[score]:
        what = f"{score!r} takes a judge, who is asked after a run has ended"
        yield Broken(what, "name a score that runs have at their end", place)
    known = {one.name: one for one in experiments}
    if search.experiment not in known:
        what = f"unknown experiment {search.experiment!r}"
        fix = did_you_mean(search.experiment, list(known))
        yield Broken(what, fix, ("search", "experiment"))
        return
    yield from _places(search, known[search.experiment])


def _places(search: Search, base: Experiment) -> Iterator[Broken]:
    stages = [stage.name for stage in base.stages]
    after = search.objective.after
    if after is not None and after not in stages:
        what = f"{base.name} has no stage {after!r}"
        place: Place = ("search", "objective", "after")
        yield Broken(what, did_you_mean(after, stages), place)
    own = stages.index(base.amends.after) + 1 if base.amends is not None else 0
    by_stage: dict[int, list[VariedShare]] = {}
    for share in search.shares:
        place = ("search", "weights", share.place)
        if not own <= share.stage < len(stages):
            what = f"{base.name} has no stage {share.stage} of its own"
            fix = f"its stages are {own} to {len(stages) - 1}"
            yield Broken(what, fix, place)
        elif share.source not in base.stages[share.stage].mixture:
            what = f"{stages[share.stage]} does not draw from {share.source!r}"
            mixture = list(base.stages[share.stage].mixture)
            yield Broken(what, did_you_mean(share.source, mixture), place)
        else:
            by_stage.setdefault(share.stage, []).append(share)
    for stage, shares in by_stage.items():
        left = set(base.stages[stage].mixture) - {one.source for one in shares}
        if len(left) != 1:
            told = ", ".join(sorted(left)) or "none"
            what = f"must leave one source of {stages[stage]} to fill up, left {told}"
            fix = "name all but one; [30, 30] holds a share where it is"
            yield Broken(what, fix, ("search", "weights"))
    space = SearchSpace(base=base, varied=search.shares)
    if len(space.name((WHOLE,) * len(space.varied))) > MAX_NAME:
        what = f"names of trials would be longer than {MAX_NAME} characters"
        yield Broken(what, "vary fewer weights, or shorten names", ("search",))
