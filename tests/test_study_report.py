"""Reports: the numbers of the ledger, where they come from, and nothing else."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ledger_runs
import pytest
from click.testing import CliRunner
from evaluated import evaluate
from ledger_runs import SPEC, hex_of, play

from codemix_cli.main import cli
from evals.study.writing import report
from ledger.recorder import COMPLETED, Outcome
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from specs.errors import InputError

BITS = {("plain", 1): 2.0, ("plain", 2): 2.1, ("other", 1): 1.5}
"""Experiment and seed -> bits per byte after the second stage."""

STUDY = """
study: 1
name: made-up
description: Which is "better" & why?
experiments: [plain.yaml, other.yaml, never.yaml]
baseline: plain
scores:
  loss: {suite: heldout, metric: text.bits_per_byte, better: lower, label: Loss}
  quick: {suite: quick, unit: percent, label: Quick}
  copa: {suite: copa, unit: percent}
points:
  begun: {experiment: plain, after: balanced}
  plain: {experiment: plain, label: Plain}
  other: {experiment: other}
  never: {experiment: never}
expected:
  - {point: plain, kind: printed, source: Table 2, values: {loss: 2.5}}
  - {point: never, kind: digitised, source: Figure 4, values: {loss: 2.4}}
claims:
  - {name: other-is-better, says: other.loss < plain.loss, source: "3 <i>& 1"}
  - {name: never-run, says: never.loss < plain.loss}
figures:
  - {kind: line, title: Share, points: [plain, other, never], scores: [loss],
     x: {values: [0, 50, 100], label: code %}}
  - {kind: stages, title: Stages, points: [begun, plain], scores: [loss]}
  - {kind: bars, title: All, points: [plain, other, never], scores: [quick]}
"""


def spec(name: str, seed: int, width: int) -> dict[str, Any]:
    model = {"layers": 1, "width": width, "heads": 2, "ffn_width": 16}
    return {**SPEC, "name": name, "seed": seed, "model": model}


def record(
    workspace: Path,
    name: str,
    seed: int,
    width: int,
    loss: float,
    outcome: Outcome = COMPLETED,
) -> str:
    """Record a run whose weights and losses are its own."""

    def change(kind: str, step: int, value: Any) -> Any:
        if kind == "stage_end":
            return hex_of("weights", name, seed, step)
        if kind == "scores":
            return {"text.bits_per_byte": loss + (12 - step)}
        return value

    folder = workspace / ".codemix" / "runs" / f"{name}-{seed}-{outcome.status}"
    recorder = RunRecorder(Ledger.open(workspace), folder)
    facts = ledger_runs.facts.__wrapped__(
        spec=spec(name, seed, width), identity=hex_of(name, seed)
    )
    play(recorder, run_facts=facts, change=change, outcome=outcome)
    assert recorder.digest is not None
    return recorder.digest


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    (folder / ".dvc").mkdir()
    study = folder / "study"
    study.mkdir()
    (study / "study.yaml").write_text(STUDY)
    for name, seeds, width in (
        ("plain", [1, 2], 8),
        ("other", [1], 12),
        ("never", [1], 16),
    ):
        written = spec(name, seeds[0], width)
        if len(seeds) > 1:
            written["matrix"] = {"seed": seeds}
        (study / f"{name}.yaml").write_text(json.dumps(written))
    for (name, seed), loss in BITS.items():
        full = f"plain-seed-{seed}" if name == "plain" else name
        digest = record(folder, full, seed, 8 if name == "plain" else 12, loss)
        if name == "other":
            said: Any = {"choice": 0}
            evaluate(Ledger.open(folder), digest, name=full, said=said)
    # A later run of the same spec that failed is not what the spec comes to.
    failed = Outcome(status="failed", reason="out of memory")
    record(folder, "other", 1, 12, 9.9, failed)
    return folder


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
    better, never = found.claims
    assert better.outcome == "undecided"
    assert better.seeds_to_decide is not None
    assert (never.outcome, never.entries) == ("unknown", ())
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
    assert "| Plain | text | 2 of 2 | 2.05 [" in told
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


class Page(HTMLParser):
    """Collects what must hold together."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in ("meta", "path", "use", "br", "stop"):
            self.open.append(tag)
        if "id" in found and "svg" not in self.open:
            self.ids.append(found["id"] or "")
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag == "svg":
            self.labels.append(found.get("aria-label") or "")
        self.loaded += [
            found[name] or "" for name in ("src", "srcset") if name in found
        ]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("meta", "path", "use", "br", "stop"):
            return
        assert self.open.pop() == tag


def test_the_page_holds_together_and_loads_nothing(
    workspace: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    report([str(workspace / "study")], workspace, output=path)
    text = path.read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.loaded == []
    assert "<script" not in text
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert "3 &lt;i&gt;&amp; 1" in text
    assert "Which is &quot;better&quot; &amp; why?" in text
    # Each figure says in words what it shows.
    shown = [label for label in page.labels if "Share, Loss" in label]
    assert shown == [
        "Share, Loss: Plain "
        + text.split("Share, Loss: Plain ")[1].split(";")[0]
        + "; other 1.5 ["
        + text.split("; other 1.5 [")[1].split("]")[0]
        + "]; never -"
    ]
    again = tmp_path / "again.html"
    report([str(workspace / "study")], workspace, output=again)
    assert again.read_bytes() == path.read_bytes()


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


@pytest.mark.e2e
def test_a_browser_shows_and_prints_the_page(workspace: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    page = tmp_path / "report.html"
    report([str(workspace / "study")], workspace, output=page)
    for width in (390, 820, 1280):
        shot = tmp_path / f"{width}.png"
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu"]
        command += [
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
        ]
        command += [
            f"--window-size={width},2000",
            f"--screenshot={shot}",
            page.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        assert b"CONSOLE" not in done.stderr
        assert shot.stat().st_size > 20_000
    printed = tmp_path / "report.pdf"
    report([str(workspace / "study")], workspace, output=printed)
    assert printed.read_bytes().startswith(b"%PDF")
