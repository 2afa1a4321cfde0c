"""The paper in miniature: the paper's graph and shares, and what sharing saves."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evals.catalogue import check_names, check_score_names
from specs.study_file import load_study
from specs.study_graph import StudyGraph, study_graph
from specs.study_loaded import Study

ROOT = Path(__file__).parent.parent
PAPER = ROOT / "specs" / "paper"
MINI = ROOT / "specs" / "mini"

CODE_ADJACENT = frozenset({"issues", "stackexchange", "notebooks"})
CAREFUL = frozenset({"careful_text", "math", "instruct"})
LEAST_TRAINING_TOKENS = {
    "text": 2_400_000,
    "web": 2_600_000,
    "markup": 360_000,
    "synth": 1_000_000,
    "examples": 1_000_000,
    "reference": 125_000,
}
"""Rounded down from what `codemix prepare` counted with the packages of the lock."""

Way = tuple[tuple[tuple[str, int], ...], ...]
"""Of each stage, the share of each kind of source in hundredths."""


@pytest.fixture(scope="module")
def mini() -> Study:
    return load_study(MINI)


@pytest.fixture(scope="module")
def graph(mini: Study) -> StudyGraph:
    return study_graph(mini.experiments)


def ways(study: Study) -> set[tuple[bool, Way]]:
    """Return what each point was trained on, and whether it is a larger model."""
    graph = study_graph(study.experiments)
    layers = min(one.model.layers for _, one in study.experiments)
    found = set()
    for name, member in graph.members.items():
        experiment = graph.members[name].experiment
        way = tuple(_shares(stage.sequences) for stage in member.plan.stages)
        found.add((experiment.model.layers > layers, way))
    return found


def _shares(sequences: dict[str, int]) -> tuple[tuple[str, int], ...]:
    shares: Counter[str] = Counter()
    for source, count in sequences.items():
        shares[_kind(source)] += count
    total = sum(shares.values())
    return tuple(
        sorted((name, round(100 * count / total)) for name, count in shares.items())
    )


def _kind(source: str) -> str:
    """Say what a source stands for, where the miniature has another."""
    if source in CODE_ADJACENT | {"examples"}:
        return "adjacent"
    # The cooldown's careful text is another source in both, and partly `text` here.
    return "text" if source in CAREFUL | {"reference"} else source


def test_every_run_of_the_paper_is_there_in_its_shares(mini: Study) -> None:
    missing = ways(load_study(PAPER)) - ways(mini)
    assert not missing


def test_stages_have_the_lengths_of_the_paper(mini: Study, graph: StudyGraph) -> None:
    unit = 400_000
    lengths = {round(node.num_tokens / unit, 1) for node in graph.nodes.values()}
    assert lengths == {1.0, 2.0, 0.2}  # for 200B, 400B and 40B
    paper = study_graph(load_study(PAPER).experiments)
    counted = {round(node.num_tokens / 200e9, 1) for node in paper.nodes.values()}
    assert counted == lengths


def test_sharing_saves_more_than_a_third_of_the_steps(graph: StudyGraph) -> None:
    alone = sum(
        stage.num_steps
        for member in graph.members.values()
        for stage in member.plan.stages
    )
    unique = sum(node.num_steps for node in graph.nodes.values())
    assert (alone - unique) / alone >= 0.35


def test_cooldowns_with_other_shares_of_code_go_on_from_one_model(
    graph: StudyGraph,
) -> None:
    prefix = graph.members["balanced-to-text-seed-17"].stages
    arms = [
        member.stages
        for name, member in graph.members.items()
        if name.startswith("balanced-to-text-cooldown-shares")
    ]
    arms.append(graph.members["balanced-to-text-cooldown-seed-17"].stages)
    assert [arm[:2] for arm in arms] == [prefix] * 5
    assert len({arm[2] for arm in arms}) == 5


def test_two_points_before_and_after_a_cooldown_have_two_seeds(mini: Study) -> None:
    repeated = {
        name for name, point in mini.points.items() if len(point.experiments) == 2
    }
    assert repeated == {
        "text_only",
        "text_only_cooldown",
        "balanced_init",
        "balanced_to_text",
        "balanced_to_text_cooldown",
    }


def test_no_source_is_gone_through_more_often_than_allowed(graph: StudyGraph) -> None:
    for member in graph.members.values():
        drawn: Counter[str] = Counter()
        for stage, planned in zip(
            member.experiment.stages, member.plan.stages, strict=True
        ):
            length = (stage.batch or member.experiment.batch).length
            for source, count in planned.sequences.items():
                drawn[source] += count * length
        for source, tokens in drawn.items():
            most = member.experiment.sources[source].max_epochs
            assert tokens <= most * LEAST_TRAINING_TOKENS[source], (member.name, source)


def test_every_run_knows_all_sources_and_holds_out_the_same(mini: Study) -> None:
    for _, experiment in mini.experiments:
        assert set(experiment.sources) == set(LEAST_TRAINING_TOKENS)
        assert len({one.holdout for one in experiment.sources.values()}) == 1


def test_its_suites_and_tasks_are_there(mini: Study) -> None:
    assert not check_score_names(mini)
    for _, experiment in mini.experiments:
        assert not check_names(experiment)
