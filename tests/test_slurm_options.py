"""What is said of a Slurm cluster: all problems at once, nothing that is codemix's."""

from __future__ import annotations

import pytest

from runtime.study.slurm_options import OWN_NAMES, SlurmOptions, read_options
from specs.errors import InputError


def problems(*pairs: tuple[str, str]) -> list[str]:
    with pytest.raises(InputError, match=r"\S") as caught:
        read_options(pairs)
    assert all(one.fix for one in caught.value.problems)
    return [str(one).partition("\n")[0] for one in caught.value.problems]


def test_options_are_sbatchs_and_time_is_apart() -> None:
    said = [("time", "30"), ("partition", "gpu"), ("gpus_per_node", "8")]
    assert read_options(said) == SlurmOptions(
        minutes=30, parameters={"partition": "gpu", "gpus-per-node": "8"}
    )


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert problems(
        ("comment", "mine"),
        ("job_name", "mine"),
        ("partition", "a"),
        ("partition", "b"),
        ("--qos", "high"),
        ("p", "gpu"),
        ("depend", "afterok:7"),
    ) == [
        "--slurm-option comment: is codemix's to say: a job is found by it",
        "--slurm-option job-name: is codemix's to say: a job is found by it",
        "--slurm-option partition: is given twice",
        "--slurm-option --qos: is no long option of sbatch",
        "--slurm-option p: is no long option of sbatch",
        "--slurm-option depend: may be short for dependency, which is codemix's to say",
        "--slurm-option time: a job needs a limit in whole minutes, 4 or more, got ''",
    ]


@pytest.mark.parametrize("name", OWN_NAMES)
def test_what_codemix_says_of_a_job_nobody_else_does(name: str) -> None:
    (told,) = problems((name, "1"), ("time", "30"))
    assert told.startswith(f"--slurm-option {name}: is codemix's to say: ")


@pytest.mark.parametrize("minutes", ["", "3", "1:30", "-5"])
def test_a_job_that_would_never_get_further_is_refused(minutes: str) -> None:
    (told,) = problems(("time", minutes))
    assert "a limit in whole minutes, 4 or more, got" in told


def test_the_documentation_names_every_option_that_is_codemixs() -> None:
    from imports import ROOT

    page = (ROOT / "docs" / "clusters.md").read_text("utf-8")
    assert [name for name in OWN_NAMES if f"`{name}`" not in page] == []
