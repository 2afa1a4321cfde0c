"""What the paper printed of its runs, what it says of them, what is claimed here."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from codemix_cli.main import cli
from specs.claims import Alike, Best, Margin, Parsed, Term
from specs.study import Claim
from specs.study_file import load_study
from specs.study_loaded import Study

PAPER = Path(__file__).parent.parent / "specs" / "paper"


@pytest.fixture(scope="module")
def paper() -> Study:
    return load_study(PAPER)


@pytest.mark.parametrize(
    ("source", "point", "values"),
    [
        ("Table 2", "text_only", [49.0, 9.5, 0.4]),
        ("Table 2", "code_init", [44.7, 1.5, 15.5]),
        ("Table 2", "code_to_text_cooldown", [52.1, 10.3, 7.5]),
        ("Table 2", "balanced_only_cooldown", [53.2, 11.1, 8.4]),
        ("Figure 3", "code_to_text_large", [57.9, 25.6, 11.7]),
        ("Figure 4", "sweep_25", [51.92, 8.82, 4.13]),
        ("Figure 4", "sweep_90", [46.21, 4.64, 9.56]),
        ("Figure 6", "balanced_to_text_cooldown_without_code", [52.9, 10.2, 4.8]),
    ],
)
def test_expected_values_are_those_of_the_paper(
    paper: Study, source: str, point: str, values: list[float]
) -> None:
    found = {
        one.score: one.value
        for one in reversed(paper.expected)
        if (one.source, one.point) == (source, point)
    }
    assert [found[name] for name in ("reasoning", "knowledge", "code")] == values


def test_averages_that_are_printed_are_those_of_their_parts(paper: Study) -> None:
    printed = published(paper)
    for point in paper.points:
        for mean, parts in (("nl", 2), ("total", 3)):
            if (point, mean) in printed:
                names = ("reasoning", "knowledge", "code")[:parts]
                value = sum(printed[point, name] for name in names) / parts
                # All are rounded to tenths.
                assert printed[point, mean] == pytest.approx(value, abs=0.101)


def test_win_rates_are_counts_of_199(paper: Study) -> None:
    rates = [
        one for one in paper.expected if one.source in {f"Figure {n}" for n in "978"}
    ]
    assert len(rates) == 21
    for one in rates:
        assert abs(one.value - 100 * round(one.value * 1.99) / 199) <= 0.0501


def published(study: Study) -> dict[tuple[str, str], float]:
    """Point and score -> the value; a printed one before one read off a figure."""
    order = sorted(study.expected, key=lambda one: one.kind == "printed")
    return {(one.point, one.score): one.value for one in order}


def value_of(term: Term, values: dict[tuple[str, str], float]) -> float:
    if term.number is not None:
        return term.number
    found = [values[cell.point, cell.score] for cell in term.cells]
    return sum(found) / len(found)


def least(margin: Margin | None, base: float) -> float:
    if margin is None:
        return 0.0
    return margin.amount * (base if margin.kind == "relative" else 1)


def holds(claim: Parsed, values: dict[tuple[str, str], float]) -> bool:
    if isinstance(claim, Best):
        by_point = {point: values[point, claim.score] for point in claim.points}
        return max(by_point, key=lambda point: by_point[point]) == claim.winner
    terms = [value_of(term, values) for term in claim.terms]
    if isinstance(claim, Alike):
        return abs(terms[0] - terms[1]) <= least(claim.within, terms[1])
    sign = 1 if claim.relation == ">" else -1
    return all(
        sign * (left - right) > least(claim.margin, right)
        for left, right in itertools.pairwise(terms)
    )


def claims() -> tuple[Claim, ...]:
    return load_study(PAPER).claims


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.name)
def test_a_claim_is_true_of_what_was_printed(paper: Study, claim: Claim) -> None:
    values = published(paper)
    for point in paper.points:
        parts = [values.get((point, name)) for name in ("reasoning", "knowledge")]
        if None not in parts:
            values.setdefault((point, "nl"), sum(one or 0 for one in parts) / 2)
    assert holds(claim.parsed, values)
    assert claim.source


# --- What the paper says of its numbers, worked out of what it printed and drew.

COOLED = "balanced_to_text_cooldown"
WITHOUT_CODE = "balanced_to_text_cooldown_without_code"

FITTING = [
    # By how much the left is above the right: in percent, or times it.
    ("8.2", "balanced_to_text.reasoning", "text_only.reasoning"),
    ("8.8", "code_to_text.reasoning", "text_only.reasoning"),
    ("4.1", "balanced_to_text.knowledge", "text_only.knowledge"),
    ("4.2", "balanced_to_text.knowledge", "text_only.knowledge"),
    ("12x", "balanced_to_text.code", "text_only.code"),
    ("5.3", "balanced_to_text_large.reasoning", "balanced_to_text.reasoning"),
    ("5.2", "balanced_only_large.reasoning", "balanced_only.reasoning"),
    ("2.7x", "balanced_to_text_large.knowledge", "balanced_to_text.knowledge"),
    ("-43.1", "balanced_to_text_large.code", "balanced_only_large.code"),
    ("-46.3", "code_to_text_large.code", "balanced_only_large.code"),
    ("3.4", "sweep_25.reasoning", "sweep_0.reasoning"),
    ("-18.3", "sweep_100.reasoning", "sweep_0.reasoning"),
    ("-3.4", "sweep_25.knowledge", "sweep_0.knowledge"),
    ("-31", "sweep_75.knowledge", "sweep_0.knowledge"),
    ("-86.1", "sweep_100.knowledge", "sweep_0.knowledge"),
    ("2.6x", "sweep_100.code", "sweep_25.code"),
    ("2.8", "sweep_100.reasoning", "code_web.reasoning"),
    ("-15.7", "sweep_100.code", "code_web.code"),
    ("6.3", "code_adjacent.reasoning", "code_web.reasoning"),
    ("-9.4", "code_adjacent.code", "code_web.code"),
    ("1.9", "balanced_to_text.reasoning", "balanced_to_text_plain.reasoning"),
    ("41", "balanced_to_text.code", "balanced_to_text_plain.code"),
    ("3.6", f"{COOLED}.reasoning", "balanced_to_text.reasoning"),
    ("10.1", f"{COOLED}.knowledge", "balanced_to_text.knowledge"),
    ("20", f"{COOLED}.code", "balanced_to_text.code"),
    ("3.7", f"{COOLED}.reasoning", f"{WITHOUT_CODE}.reasoning"),
    ("6.8", f"{COOLED}.knowledge", f"{WITHOUT_CODE}.knowledge"),
    ("20", f"{COOLED}.code", f"{WITHOUT_CODE}.code"),
    ("3.1", f"{WITHOUT_CODE}.knowledge", "balanced_to_text.knowledge"),
    ("1.4x", "balanced_only_cooldown.code", f"{COOLED}.code"),
]

CONTRADICTED = [
    # What is said of a pair, what its numbers give, and the pair that it is true of.
    ("9", "code_init.reasoning", "code_web.reasoning", "11.9", "sweep_100.reasoning"),
    ("44.9", "code_init.code", "code_web.code", "22", "sweep_100.code"),
    ("35", "balanced_to_text.code", "balanced_to_text_plain.code", "41", None),
    (
        "3.2",
        "balanced_only.reasoning",
        "text_only.reasoning",
        "5.8",
        "sweep_0.reasoning",
    ),
    ("21", "balanced_to_text.knowledge", "code_to_text.knowledge", "4.4", None),
    ("46.7", "balanced_only.code", "balanced_to_text.code", "86", None),
    ("54.5", "balanced_only.code", "code_to_text.code", "117", None),
    ("9.2", "code_to_text_large.reasoning", "code_to_text.reasoning", "8.7", None),
    ("2.5x", "balanced_to_text_large.code", "balanced_to_text.code", "2.6x", None),
    ("3.6", f"{WITHOUT_CODE}.knowledge", "balanced_to_text.knowledge", "3.1", None),
    ("20", "balanced_only_cooldown.code", "code_to_text_cooldown.code", "12", None),
    ("55", "balanced_only_cooldown.code", f"{COOLED}.code", "45", None),
    ("8.2", "balanced_to_text.reasoning", "sweep_0.reasoning", "5.6", None),
]


def known(study: Study, cell: str) -> tuple[float, float]:
    """Return the least and the largest value that all published ones allow."""
    point, _, score = cell.partition(".")
    found = [
        # A printed number is rounded to tenths.
        (one.value, one.reading_error or 0.05)
        for one in study.expected
        if (one.point, one.score) == (point, score)
    ]
    low = max(value - error for value, error in found)
    high = min(value + error for value, error in found)
    return low, high


def fits(study: Study, said: str, left: str, right: str) -> bool:
    """Tell whether a rounded change may be that of two published values."""
    (low, high), (base_low, base_high) = known(study, left), known(study, right)
    number = said.removesuffix("x")
    half_unit = 0.5 * 10.0 ** -len(number.partition(".")[2])
    times = [(float(number) + side * half_unit) for side in (-1, 1)]
    if number == said:
        times = [1 + one / 100 for one in times]
    return times[0] <= high / base_low and low / base_high <= times[1]


def test_printed_and_drawn_values_of_one_run_agree(paper: Study) -> None:
    cells = {f"{one.point}.{one.score}" for one in paper.expected}
    assert len(cells) == 107
    for cell in sorted(cells):
        low, high = known(paper, cell)
        assert low <= high, cell


@pytest.mark.parametrize(("said", "left", "right"), FITTING)
def test_what_is_said_fits_what_was_printed(
    paper: Study, said: str, left: str, right: str
) -> None:
    assert fits(paper, said, left, right)


@pytest.mark.parametrize(("said", "left", "right", "found", "meant"), CONTRADICTED)
def test_what_is_said_and_not_so_is_something_else(
    paper: Study, said: str, left: str, right: str, found: str, meant: str | None
) -> None:
    assert not fits(paper, said, left, right)
    assert fits(paper, found, left, right)
    assert meant is None or fits(paper, said, left, meant)


def test_a_report_of_nothing_trained_shows_what_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".dvc").mkdir()
    shutil.copytree(PAPER, tmp_path / "paper")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["report", "paper", "-o", "paper.md"])
    assert done.exit_code == 0, done.output
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("No code")]
    # Figure 4 alone, as it was read.
    assert row.split()[2:9] == ["pretrain", "0", "of", "1", "-", "(50.2)", "-"]
    (row,) = [line for line in done.stdout.splitlines() if "2.8B" in line][:1]
    assert "- (54.5)" in row  # printed, though 54.52 was read too
    assert "in parentheses: what was published" in done.stdout
    told = (tmp_path / "paper.md").read_text("utf-8")
    assert "| 50.2 | digitised, Figure 4, +- 0.03 | - |" in told
    assert "printed, Table 2; its NL average should be 29.7" in told
    assert "| stated 8.8% |" in told
