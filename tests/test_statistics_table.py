"""Scores as a table, and what statistics need: nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest
from imports import ROOT

from codemix_cli.score_table_text import told_score_table
from evals.results import QuestionResult, TaskResult
from evals.scores import Score
from evals.statistics.means import estimate
from evals.statistics.score_table import score_table, table_of
from specs.benchmarks import Asked

HEAVY = {"jax", "scipy", "lm_eval", "mlflow", "matplotlib", "tensorflow", "dvc"}


def result_of(
    name: str, values: list[float], clusters: list[str | None] | None = None
) -> TaskResult:
    names = clusters or [None] * len(values)
    return TaskResult(
        task=name,
        fingerprint="f",
        main="accuracy",
        chance=0.25,
        questions=tuple(
            QuestionResult(
                id=str(at),
                values={"accuracy": value, "accuracy_per_byte": 1 - value},
                cluster=cluster,
                output={},
            )
            for at, (value, cluster) in enumerate(zip(values, names, strict=True))
        ),
    )


CB = result_of("cb", [1.0, 1.0, 1.0, 0.0] * 5)
QUAC = result_of("quac", [1.0, 0.0] * 5, [str(at // 2) for at in range(10)])


def test_every_number_has_its_error_and_its_questions() -> None:
    found = score_table([CB, QUAC], {"mine": ("cb", "quac"), "other": ("cb", "piqa")})
    rows = {(row.task, row.metric): row for row in found.scores}
    assert list(rows) == [
        (task, metric)
        for task in ("cb", "quac")
        for metric in ("accuracy", "accuracy_per_byte")
    ]
    known = estimate([1.0, 1.0, 1.0, 0.0] * 5, [None] * 20)
    row = rows["cb", "accuracy"]
    assert (row.mean, row.standard_error, row.low) == (
        known.mean,
        known.standard_error,
        known.low,
    )
    assert (row.is_main, row.chance) == (True, 0.25)
    assert rows["cb", "accuracy_per_byte"].chance is None
    assert rows["quac", "accuracy"].num_clusters == 5
    # No task of the other suite may be missing from its average.
    assert [one.suite for one in found.averages] == ["mine"]
    assert found.averages[0].mean == 0.625
    assert found.averages[0].over_chance.mean == pytest.approx(0.5)


def test_table_is_told_in_points() -> None:
    told = told_score_table(score_table([CB], {"mine": ("cb",)}).to_json())
    assert [" ".join(line.split()) for line in told.splitlines()] == [
        "in points score 95% questions chance",
        "mine average 75.00 +- 9.93 53.1 to 88.8",
        "mine over chance 66.67 +- 13.25 37.5 to 85.1",
        "cb accuracy 75.00 +- 9.93 53.1 to 88.8 20 25",
        "cb accuracy_per_byte 25.00 +- 9.93 11.2 to 46.9 20",
    ]


def test_table_of_scores_passes_over_what_has_no_questions() -> None:
    scores = [
        Score(suite="heldout", values={"loss": 1.0}, detail={"documents": 3}),
        Score(suite="cb", values={}, detail={**CB.to_json(), "how": {}}),
    ]
    asked = Asked(item=0, suite="mine", version=1, tasks=("cb",))
    assert table_of(scores, [asked]) == score_table([CB], {"mine": ("cb",)})


@pytest.mark.parametrize("name", ["diff", "expected", "score_table"])
def test_statistics_load_nothing_heavy(name: str) -> None:
    script = f"import sys, evals.statistics.{name}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {one.split(".")[0] for one in done.stdout.split()} & HEAVY
