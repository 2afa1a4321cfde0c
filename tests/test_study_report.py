"""Reports: the numbers of the ledger, where they come from, and nothing else."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from ledger_runs import SPEC
from reported_study import make_study, record

from codemix_cli.main import cli
from evals.study.writing import report
from ledger.recorder import Outcome
from ledger.store import Ledger
from specs.errors import InputError


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("report"))


@pytest.fixture
def at_home(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace)
    return workspace


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace without a study, which one is in."""
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def seeds_of(entries: list[str]) -> dict[str, list[int]]:
    """Return the label of each last point -> the seeds of its runs."""
    points = report(entries).points
    return {
        point.label: [run.seed for run in point.runs]
        for point in points
        if point.stage == "text"
    }


def test_every_cell_is_the_mean_of_its_runs_and_names_them(workspace: Path) -> None:
    found = report([str(workspace / "study")])
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
    found = report([str(workspace / "study")])
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
    found = report([str(workspace / "study")])
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
        report([str(workspace / "study")], output=path)
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
    other = report(["study"]).cell("other", "loss").sources[0]
    found = report(["plain-seed-1", "plain-seed-2", other])
    assert [(point.label, len(point.runs)) for point in found.points] == [
        ("plain, balanced", 2),
        ("plain", 2),
        ("other, balanced", 1),
        ("other", 1),
    ]
    assert found.scores == ()  # these specs ask for none


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("what", ["spec", "data"])
def test_entries_of_one_name_and_other_recipes_are_points_of_their_own(
    empty: Path, what: str, seed: int
) -> None:
    first = record(empty, "plain", 1, 8, 2.0)
    width, data = (12, "text") if what == "spec" else (8, "other text")
    edited = record(empty, "plain", seed, width, 3.0, data=data)
    own = {f"plain-{first[:12]}": [1], f"plain-{edited[:12]}": [seed]}
    assert seeds_of([first, edited]) == own
    # Another seed of one of them joins it, whatever stands between.
    repeat = record(empty, "plain", 3, 8, 2.5)
    own[f"plain-{first[:12]}"] = [1, 3]
    assert seeds_of([first, edited, repeat]) == own


def test_a_seed_that_was_edited_under_a_name_with_a_seed_is_told_apart(
    empty: Path,
) -> None:
    named = [record(empty, "plain-seed-1", seed, 8, 2.0) for seed in (1, 2)]
    first, second = (one[:12] for one in named)
    own = {f"plain-{first}": [1], f"plain-seed-1-{second}": [2]}
    assert seeds_of(named) == own


def test_words_and_places_make_no_other_recipe(empty: Path) -> None:
    entries = [
        record(empty, "plain", 1, 8, 2.0),
        record(empty, "plain", 2, 8, 2.1, description="Once more.", tags=["b"]),
        record(empty, "plain-seed-3", 3, 8, 2.2, checkpoints={"location": "s3://b/c"}),
    ]
    assert seeds_of([*entries, entries[0]]) == {"plain": [1, 2, 3]}


def test_one_seed_of_one_recipe_twice_is_refused(empty: Path) -> None:
    entries = [record(empty, "plain", 1, 8, loss) for loss in (2.0, 2.1)]
    first, second = (one[:12] for one in entries)
    what = f"{first} and {second} are both plain with seed 1"
    with pytest.raises(InputError, match=what):
        report(entries)


@pytest.mark.parametrize(("stop", "lacks"), [(5, 2), (8, 1), (10, 1)])
def test_a_stopped_run_is_left_out_where_it_did_not_come_to_and_that_is_told(
    empty: Path, stop: int, lacks: int
) -> None:
    stopped = Outcome(status="interrupted", reason=f"--stop-after {stop}")
    entry = record(
        *(empty, "plain", 1, 8, 2.0, stopped),
        stop=stop,
        evals=[{"suite": "heldout"}],
        sources={"text": {**SPEC["sources"]["text"], "holdout": "10%"}},
    )
    found = report([entry], output=Path("r.html"))
    why = f"{entry[:12]} stopped after {stop} steps, before the end of "
    begun, last = found.points
    assert [len(begun.runs), len(last.runs)] == [2 - lacks, 0]
    assert last.stopped == (f"{why}text",)
    assert begun.stopped == (() if lacks == 1 else (f"{why}balanced",))
    assert found.cell("plain", "heldout_text").why == (f"plain.heldout_text: {why}text")
    assert (found.cell("plain_balanced", "heldout_text").value is None) == (lacks == 2)
    # What it was trained on is what it came to, not what was planned.
    assert found.entries[0].realised_tokens == {"text": stop * 8 * 16}
    assert f"0 of 1 runs; {why}text" in Path("r.html").read_text()
    report([entry], output=Path("r.md"))
    assert f"- plain: {why}text" in Path("r.md").read_text()
    told = CliRunner().invoke(cli, ["report", entry])
    assert told.exit_code == 0, told.output
    assert f"plain: {why}text\n" in told.stdout


def test_a_study_is_reported_from_its_own_workspace_wherever_one_stands(
    workspace: Path, empty: Path
) -> None:
    Ledger.open(empty)
    for path in (workspace / "study", workspace / "study" / "plain.yaml"):
        told = CliRunner().invoke(cli, ["report", str(path)])
        assert told.exit_code == 0, told.output
        assert "2 of 2" in told.stdout
    (empty / ".dvc").rmdir()
    assert report([str(workspace / "study")]).cell("plain", "loss").value == 2.05
    with pytest.raises(InputError, match="not inside a workspace"):
        report(["plain-seed-1"])


def test_a_file_that_can_not_be_written_is_told(at_home: Path) -> None:
    path = "study/study.yaml/reports/r.md"
    told = CliRunner().invoke(cli, ["report", "study", "-o", path])
    assert told.exit_code == 4, told.output
    assert f"error: {path}: can't be written: Not a directory" in told.output


def test_a_baseline_can_be_picked(workspace: Path) -> None:
    found = report([str(workspace / "study")], baseline="other")
    assert found.cell("plain", "loss").against_baseline == pytest.approx(0.55)
    assert found.cell("other", "loss").against_baseline is None
    with pytest.raises(InputError, match="no point 'othr'") as raised:
        report([str(workspace / "study")], baseline="othr")
    assert "other" in (raised.value.problems[0].fix or "")


def test_a_suffix_that_nothing_writes_is_refused(workspace: Path) -> None:
    with pytest.raises(InputError, match=r"nothing says how to write \.doc"):
        report([str(workspace / "study")], output=Path("r.doc"))


def test_who_waits_is_told_how_far_a_report_is(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    soon = CliRunner().invoke(cli, ["report", "study", "-o", "r.html"])
    assert "100%" not in soon.stderr
    monkeypatch.setattr("codemix_cli.commands.report.SILENT_SECONDS", -1.0)
    told = CliRunner().invoke(cli, ["report", "study", "-o", "r.html"])
    assert told.exit_code == 0
    assert "scores  100%" in told.stderr
    assert "differences  100%" in told.stderr


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
