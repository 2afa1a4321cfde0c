"""Which points of a study go on from which."""

from __future__ import annotations

from pathlib import Path

import pytest

from specs.study_file import load_study
from specs.study_graph import StudyGraph, study_graph
from specs.study_lines import stage_lines
from specs.study_loaded import Study

PAPER = Path(__file__).parent.parent / "specs" / "paper"


@pytest.fixture(scope="module")
def paper() -> tuple[Study, StudyGraph]:
    study = load_study(PAPER)
    return study, study_graph(study.experiments)


def lines(paper: tuple[Study, StudyGraph], *names: str) -> tuple[tuple[str, ...], ...]:
    study, graph = paper
    return stage_lines(names, study.points, graph)


def test_a_line_goes_through_experiments_that_go_on_from_each_other(
    paper: tuple[Study, StudyGraph],
) -> None:
    # In whatever order they are named; the two are experiments of their own.
    assert lines(paper, "text_only_cooldown", "text_only") == (
        ("text_only", "text_only_cooldown"),
    )


def test_what_runs_have_in_common_is_on_the_line_of_each(
    paper: tuple[Study, StudyGraph],
) -> None:
    found = lines(
        paper,
        "balanced_to_text",
        "balanced_to_text_cooldown_without_code",
        "balanced_init",
        "balanced_to_text_cooldown",
        "text_only",
    )
    start = ("balanced_init", "balanced_to_text")
    assert found == (
        (*start, "balanced_to_text_cooldown_without_code"),
        (*start, "balanced_to_text_cooldown"),
        ("text_only",),
    )


def test_a_point_between_two_may_be_missing(paper: tuple[Study, StudyGraph]) -> None:
    assert lines(paper, "code_init", "code_to_text_cooldown") == (
        ("code_init", "code_to_text_cooldown"),
    )


def test_the_figure_of_stages_has_a_line_for_each_variant(
    paper: tuple[Study, StudyGraph],
) -> None:
    (figure,) = [one for one in paper[0].figures if one.kind == "stages"]
    assert [len(line) for line in lines(paper, *figure.points)] == [2, 2, 3, 3]
