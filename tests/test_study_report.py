"""Reports: the numbers of the ledger, where they come from, and nothing else."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from reported_study import make_study

from codemix_cli.main import cli
from evals.study.writing import report
from ledger.store import Ledger
from specs.errors import InputError


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("report"))


@pytest.fixture
def at_home(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace)
    return workspace


def test_every_cell_is_the_mean_of_its_runs_and_names_them(workspace: Path) -> None:
    found = report([str(workspace / "study")], workspace)
    cell = found.cell("plain", "loss")
    assert cell.value == 2.05
    assert cell.num_seeds == 2
    assert cell.low is not None
    assert cell.low < 2.05 < (cell.high or 0)
    ledger = Ledger(workspace / ".codemix" / "ledger")
    names = [ledger.find(source).entry.name for source in cell.sources]
    assert names == ["plain-seed-1", "plain-seed-2"]
    assert found.cell("begun", "loss").value == 6.05
    other = found.cell("other", "loss")
    assert other.value == 1.5
    assert other.against_baseline == pytest.approx(-0.55, rel=1e-12)
    assert other.relative == pytest.approx(-0.55 / 2.05, rel=1e-12)
    assert found.cell("never", "loss").why == (
        "never.loss: no run of it is in the ledger"
    )


def test_scores_of_later_evaluations_name_the_evaluation(workspace: Path) -> None:
    found = report([str(workspace / "study")], workspace)
    ledger = Ledger(workspace / ".codemix" / "ledger")
    cell = found.cell("other", "quick")
    # Of boolq 2 of 3, of copa 0.325 on average.
    assert cell.value == pytest.approx(100 * (2 / 3 + 0.325) / 2, rel=1e-12)
    assert cell.basis == "runs"
    assert [ledger.read(source).kind for source in cell.sources] == ["evaluation"]
    assert found.cell("other", "copa").value == pytest.approx(32.5, rel=1e-12)
    # No share of questions is below none of them.
    assert found.cell("other", "copa").low == 0.0
    assert found.cell("plain", "quick").value is None


def test_claims_are_judged_and_published_results_stand_beside(workspace: Path) -> None:
    found = report([str(workspace / "study")], workspace)
    better, never, worse, contradicted = found.claims
    assert better.outcome == "undecided"
    assert better.seeds_to_decide is not None
    assert (never.outcome, never.entries) == ("unknown", ())
    assert (worse.outcome, contradicted.outcome) == ("supported", "contradicted")
    assert [(one.point, one.value) for one in found.expected] == [
        ("plain", 2.5),
        ("never", 2.4),
    ]


def test_tables_are_for_people_and_for_spreadsheets(
    workspace: Path, tmp_path: Path
) -> None:
    markdown, table = tmp_path / "r.md", tmp_path / "r.csv"
    for path in (markdown, table):
        report([str(workspace / "study")], workspace, output=path)
    told = markdown.read_text()
    assert "| Plain | text | 2 of 2 | 2.050 [" in told
    assert "| other | -26.8% |" in told
    assert "| never-run | `never.loss < plain.loss` | unknown |" in told
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert len(rows) == 4 * 3
    (plain,) = [
        row for row in rows if (row["point"], row["score"]) == ("plain", "loss")
    ]
    assert float(plain["value"]) == 2.05
    assert plain["published"] == "2.5"
    assert len(plain["sources"].split()) == 2


def test_entries_alone_have_a_report(at_home: Path) -> None:
    other = report(["study"], at_home).cell("other", "loss").sources[0]
    found = report(["plain-seed-1", "plain-seed-2", other], at_home)
    assert [(point.label, len(point.runs)) for point in found.points] == [
        ("plain, balanced", 2),
        ("plain", 2),
        ("other, balanced", 1),
        ("other", 1),
    ]
    assert found.scores == ()  # these specs ask for none


def test_a_baseline_can_be_picked(workspace: Path) -> None:
    found = report([str(workspace / "study")], workspace, baseline="other")
    assert found.cell("plain", "loss").against_baseline == pytest.approx(0.55)
    assert found.cell("other", "loss").against_baseline is None
    with pytest.raises(InputError, match="no point 'othr'") as raised:
        report([str(workspace / "study")], workspace, baseline="othr")
    assert "other" in (raised.value.problems[0].fix or "")


def test_a_suffix_that_nothing_writes_is_refused(workspace: Path) -> None:
    with pytest.raises(InputError, match=r"nothing says how to write \.doc"):
        report([str(workspace / "study")], workspace, output=Path("r.doc"))


def test_the_command_tells_tables_and_json(at_home: Path) -> None:
    runner = CliRunner()
    told = runner.invoke(cli, ["report", "study"])
    assert told.exit_code == 0, told.output
    assert "Plain" in told.stdout
    assert "next: codemix report study -o report.html" in told.output
    as_json = runner.invoke(cli, ["report", "study", "-o", "r.html", "--json"])
    found = json.loads(as_json.stdout)
    assert found["ok"]
    assert len(found["cells"]) == 12
    assert (at_home / "r.html").exists()
    missing = runner.invoke(cli, ["report", "nothing"])
    assert missing.exit_code == 4
