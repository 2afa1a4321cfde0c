"""Sets of some difficulties and layouts only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from codemix_cli.main import cli
from runtime.synth.catalogue import FAMILIES, chosen_families
from runtime.synth.family import UnsuitableError
from runtime.synth.form import ANY_FORM, fitting_families, form_of
from runtime.synth.generate import synthesise
from runtime.synth.grading import difficulty
from runtime.synth.problem import candidate
from runtime.synth.rendering import solution_code
from runtime.synth.shard import read_shard
from specs.errors import InputError

EASY = form_of(["easy"], [])
MIXED = ("partition", "ranked-value", "timesheets")
"""Each has easy solutions and others."""


def test_only_solutions_of_the_difficulty_are_chosen() -> None:
    families = chosen_families(["ranked-value", "timesheets"])
    grades = set()
    for index in range(40):
        try:
            chosen = candidate(index, 0, seed=2, families=families, form=EASY)
        except UnsuitableError:
            continue
        code = solution_code(chosen.draft, chosen.style)
        grades.add(difficulty(code, chosen.draft.level))
    assert grades == {"easy"}


def test_families_without_the_difficulty_are_left_out_unless_named(
    tmp_path: Path,
) -> None:
    easy = {family.name for family in fitting_families(FAMILIES, EASY)}
    assert {"partition", "points"} <= easy
    assert not easy & {"brackets", "cheapest-ways", "edit-costs"}
    assert fitting_families(FAMILIES, ANY_FORM) == FAMILIES
    named = synthesise(
        tmp_path / "named",
        count=3,
        seed=0,
        families=["brackets"],
        difficulties=["easy"],
        sandbox="process",
    )
    assert (named.card["num_problems"], named.card["num_given_up"]) == (0, 3)


def test_set_of_a_form_says_so_and_others_say_nothing(tmp_path: Path) -> None:
    plain = synthesise(
        tmp_path / "plain", count=20, seed=3, families=MIXED, sandbox="process"
    )
    assert set(plain.card["difficulties"]) > {"easy"}
    asked = json.loads((tmp_path / "plain" / "request.json").read_text())
    assert not {"difficulties", "layouts"} & set(asked)
    formed = synthesise(
        tmp_path / "formed",
        count=20,
        seed=3,
        families=MIXED,
        difficulties=["easy"],
        layouts=["prose", "docstring"],
        sandbox="process",
    )
    assert set(formed.card["difficulties"]) == {"easy"}
    assert set(formed.card["layouts"]) == {"docstring", "prose"}
    asked = json.loads((tmp_path / "formed" / "request.json").read_text())
    assert (asked["difficulties"], asked["layouts"]) == (
        ["easy"],
        ["docstring", "prose"],
    )


def test_folder_of_another_form_is_refused(tmp_path: Path) -> None:
    def make(name: str, layouts: tuple[str, ...]) -> None:
        synthesise(
            tmp_path / name,
            count=2,
            seed=0,
            families=MIXED,
            layouts=layouts,
            sandbox="process",
        )

    make("plain", ())
    make("prose", ("prose",))
    with pytest.raises(InputError, match=r"set is not said, got \['prose'\]"):
        make("plain", ("prose",))
    with pytest.raises(InputError, match=r"layouts of this set is .*, got nothing"):
        make("prose", ())


def test_unknown_names_are_told_together() -> None:
    with pytest.raises(InputError, match="no difficulty is called 'eazy'") as error:
        form_of(["eazy"], ["poems"])
    assert "did you mean 'easy'?" in str(error.value)
    assert "no layout is called 'poems'" in str(error.value)


def test_command_takes_difficulties_and_layouts(tmp_path: Path) -> None:
    arguments = [
        "data", "synth", "--count", "4", "--out", str(tmp_path / "set"), "--json",
        "--families", "partition,points", "--difficulty", "easy", "--layouts",
        "docstring", "--sandbox", "process",
    ]  # fmt: skip
    shown = CliRunner().invoke(cli, arguments)
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["difficulties"] == {"easy": 4}
    rows = read_shard(tmp_path / "set" / "synth-00000.jsonl.zst")
    assert {one["layout"] for one in rows} == {"docstring"}
