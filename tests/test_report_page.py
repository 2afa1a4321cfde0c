"""The page of a report: whole, self-contained, and with any point as the baseline."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from reported_study import make_study
from study_evidence import MadeStudy

from evals.study import report as reporting
from evals.study.curves import BAND_COLOURS, letters_on
from evals.study.differences import all_differences, pickable
from evals.study.evidence import Evidence
from evals.study.figures import COLOURS
from evals.study.page import report_page
from evals.study.page_scores import differences_table
from evals.study.page_training import training
from evals.study.report import report_of
from evals.study.reported import StudyReport
from evals.study.sums import Summing
from evals.study.tables import told_difference, told_finding, told_number
from evals.study.verdicts import Finding
from evals.study.writing import report
from ledger.store import Ledger
from specs.study import StudyScore
from specs.study_file import load_study
from specs.study_loaded import StudyPoint

VOID = ("meta", "link", "path", "use", "br", "stop")

Gathered = tuple[StudyReport, Evidence]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def gathered(workspace: Path) -> Gathered:
    ledger = Ledger(workspace / ".codemix" / "ledger")
    return report_of(load_study(workspace / "study"), ledger)


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
        if tag not in VOID:
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
        if tag in VOID:
            return
        assert self.open.pop() == tag


def test_the_page_holds_together_and_loads_nothing(
    workspace: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    report([str(workspace / "study")], output=path)
    text = path.read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.loaded == []
    assert "<script" not in text
    # The browser is told to hold the page to it.
    assert "default-src 'none'" in text
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert "3 &lt;i&gt;&amp; 1" in text
    assert "Which is &quot;better&quot; &amp; why?" in text
    # Each figure says in words what it shows.
    shown = [label for label in page.labels if "Share, Loss" in label]
    assert shown == [
        "Share, Loss: Plain "
        + text.split("Share, Loss: Plain ")[1].split(";")[0]
        + "; other 1.500 ["
        + text.split("; other 1.500 [")[1].split("]")[0]
        + "]; A mixture with a name of many words that never ran -"
    ]
    again = tmp_path / "again.html"
    report([str(workspace / "study")], output=again)
    assert again.read_bytes() == path.read_bytes()


def test_any_point_with_a_score_can_be_the_baseline_to_the_last_bit(
    workspace: Path, gathered: Gathered
) -> None:
    found, evidence = gathered
    baselines = pickable(found)
    # The study's own is first: it is what is shown to whoever can't choose.
    assert [one.name for one in baselines] == ["plain", "begun", "other"]
    differences = all_differences(found, baselines, Summing(evidence))
    for baseline in baselines:
        named = report([str(workspace / "study")], baseline=baseline.name)
        for cell in named.cells:
            one = differences.get((baseline.name, cell.point, cell.score))
            assert (cell.against_baseline is None) == (one is None)
            if one is not None:
                told = cell.against_low, cell.against_high, cell.relative
                assert (cell.against_baseline, *told) == tuple(one)
    assert ("begun", "other", "loss") in differences
    assert ("never", "other", "loss") not in differences


def test_without_style_the_first_baseline_is_shown_and_no_other(
    gathered: Gathered,
) -> None:
    found, evidence = gathered
    baselines = pickable(found)
    differences = all_differences(found, baselines, Summing(evidence))
    markup = differences_table(found, baselines, differences)
    rows = re.findall(r'<tr role="row"([^>]*)>(.*?)</tr>', markup, re.DOTALL)[1:]
    # The row of the baseline is hidden: it would be compared with itself.
    marks = [' class="r1"', ' class="r0" hidden', ' class="r2"', ""]
    assert [mark for mark, _ in rows] == marks
    cell = r'<span class="d d(.)"( hidden)?>(.*?)</span>'
    loss = re.findall(cell, rows[2][1], re.DOTALL)
    assert [(place, hidden) for place, hidden, _ in loss[:2]] == [
        ("0", ""),
        ("1", " hidden"),
    ]
    one, score = differences["plain", "other", "loss"], found.scores[0]
    told = [told_difference(end or 0, score) for end in one[:3]]
    lines = loss[0][2].replace("\N{MINUS SIGN}", "-").split("\n")
    assert lines == [told[0], f"[{told[1]}, {told[2]}]", "-26.8%"]
    # From what it began as, it is far enough to be told apart.
    assert loss[1][2].startswith("<b>")


def made_report(
    monkeypatch: pytest.MonkeyPatch, num_points: int, num_losses: int, num_asked: int
) -> Gathered:
    """Make a report of points with losses and with scores of questions."""
    draw = random.Random(7)
    scores = {f"loss{one}": StudyScore(suite="heldout") for one in range(num_losses)}
    scores |= {
        f"asked{one}": StudyScore(suite=f"asked{one}", unit="percent")
        for one in range(num_asked)
    }
    made = MadeStudy(scores)
    names = [f"point_{one}" for one in range(num_points)]
    for index, point in enumerate(names):
        # Every fourth point has a second seed.
        seeds = 1 if index % 4 else 2
        for score in scores:
            if score.startswith("loss"):
                made.numbers(point, score, [draw.gauss(2, 0.1) for _ in range(seeds)])
            else:
                tasks = {
                    task: [[100.0 * draw.randint(0, 1) for _ in range(200)]] * seeds
                    for task in ("first", "second")
                }
                made.answers(point, score, tasks)
    study = cast(Any, made.evidence.study)
    study.name, study.file = "made", SimpleNamespace(description="Made up.")
    study.points = {
        name: StudyPoint(name, f"Mixture {name}", (name,), "text", 0) for name in names
    }
    study.baseline, study.expected, study.claims, study.figures = names[0], (), (), ()
    study.experiments = ()
    evidence = Evidence(study=study, entries={}, found=made.found)
    monkeypatch.setattr(reporting, "gather", lambda *_: evidence)
    return report_of(study, cast(Any, None))


def test_a_page_of_28_points_and_12_scores_is_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # There is no ledger, so documents that cells link to can't be listed.
    monkeypatch.setattr("evals.study.page._entries", lambda *_: "")
    found, evidence = made_report(monkeypatch, 28, 8, 4)
    page = report_page(found, evidence, cast(Any, None))
    assert page.count("<option ") == 28
    # Own differences of all others, in a page that a phone loads and lays out.
    assert page.count('<span class="d ') == 28 * 27 * 12 + 28
    assert len(page.encode()) < 2_000_000


def test_many_points_offer_fewer_baselines_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, _ = made_report(monkeypatch, 200, 12, 0)
    offered = pickable(found)
    assert len(offered) == 5
    assert "5 of 200 points can be chosen here" in differences_table(found, offered, {})


def test_numbers_of_a_score_line_up(gathered: Gathered) -> None:
    found, _ = gathered
    loss, quick, _ = found.scores
    assert (loss.decimals, quick.decimals) == (3, 1)
    assert [told_number(one, loss) for one in (1.5, 2.05, 6.05)] == [
        "1.500",
        "2.050",
        "6.050",
    ]


def test_runs_stand_in_the_order_of_the_points(
    workspace: Path, gathered: Gathered
) -> None:
    ledger = Ledger(workspace / ".codemix" / "ledger")
    found, _ = gathered
    study = load_study(workspace / "study")
    turned = found.model_copy(update={"entries": found.entries[::-1]})
    names = re.findall(r"scope=.?row.?[^>]*>([^<]+)", training(turned, study, ledger))
    assert names == ["Plain, seed 1", "Plain, seed 2", "other"]


def test_a_note_stands_under_what_its_claim_says(
    workspace: Path, gathered: Gathered
) -> None:
    page = report_page(*gathered, Ledger(workspace / ".codemix" / "ledger"))
    assert "never.loss &lt; plain.loss</code><small>It says &lt;so&gt; its" in page


def test_the_claims_say_which_intervals_decide(
    workspace: Path, gathered: Gathered
) -> None:
    page = report_page(*gathered, Ledger(workspace / ".codemix" / "ledger"))
    assert "of 90% where =~ is supported" in page
    assert "whole 95% interval" not in page


def test_a_claim_without_a_margin_is_told_once() -> None:
    said = Finding(
        says="a > b",
        outcome="undecided",
        difference=0.5,
        surplus=0.5,
        low=-0.25,
        high=1.25,
        over_questions=None,
        over_seeds=0.1,
    )
    assert told_finding(said) == "+0.5 [-0.25, +1.25]"
    less = said.model_copy(update={"surplus": 0.4})
    assert told_finding(less) == "+0.5; less the margin +0.4 [-0.25, +1.25]"


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours, 1 to 21."""

    def luminance(colour: str) -> float:
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4
            for one in channels
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", BAND_COLOURS)
def test_names_can_be_read_on_bands(colour: str) -> None:
    assert contrast(letters_on(colour), colour) >= 4.5


@pytest.mark.parametrize("colour", COLOURS)
def test_lines_can_be_seen_on_light_and_dark(colour: str) -> None:
    # The least for graphics in WCAG 2.2, 1.4.11.
    assert contrast(colour, "#ffffff") >= 3
    assert contrast(colour, "#121212") >= 3
