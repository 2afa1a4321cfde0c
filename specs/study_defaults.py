"""The points and scores of a study that names none: all that its experiments have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from specs.evaluation import OWN_SUITES
from specs.experiment import Experiment
from specs.study import Point, StudyFile, StudyScore
from specs.study_rules import name_without_seed


def completed(file: StudyFile, experiments: Sequence[Experiment]) -> StudyFile:
    """Make points and scores where a file has none."""
    made: dict[str, object] = {}
    if not file.points:
        made["points"] = dict(_all_points(experiments))
    if not file.scores:
        made["scores"] = dict(_asked_scores(experiments))
    return file.model_copy(update=made) if made else file


def _all_points(experiments: Sequence[Experiment]) -> Iterator[tuple[str, Point]]:
    taken: set[str] = set()
    seen: set[str] = set()
    for experiment in experiments:
        base = name_without_seed(experiment)
        if base in seen:
            continue
        seen.add(base)
        last = experiment.stages[-1].name
        for stage in experiment.stages:
            is_last = stage.name == last
            name = _as_name(base if is_last else f"{base}_{stage.name}", taken)
            label = base if is_last else f"{base}, {stage.name}"
            yield name, Point(experiment=base, after=stage.name, label=label)


def _asked_scores(
    experiments: Sequence[Experiment],
) -> Iterator[tuple[str, StudyScore]]:
    taken: set[str] = set()
    suites = [one.suite for each in experiments for one in each.evals if one.suite]
    for suite in dict.fromkeys(suites):
        if suite not in OWN_SUITES:
            yield _as_name(suite, taken), StudyScore(suite=suite, unit="percent")
    if "heldout" not in suites:
        return
    held = [
        name
        for experiment in experiments
        for name, source in experiment.sources.items()
        if source.holdout > 0
    ]
    for source in dict.fromkeys(held):
        metric = f"{source}.bits_per_byte"
        score = StudyScore(suite="heldout", metric=metric, better="lower")
        yield _as_name(f"heldout_{source}", taken), score


def _as_name(text: str, taken: set[str]) -> str:
    """Make a name of some text that no other has.

    >>> _as_name("text-only-2.8b", set()), _as_name("470m", {"of_470m"})
    ('text_only_2_8b', 'of_470m_2')
    """
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:56]
    plain = plain if plain[:1].isalpha() else f"of_{plain}"
    number, name = 1, plain
    while name in taken:
        number += 1
        name = f"{plain}_{number}"
    taken.add(name)
    return name
