"""What holds of every verdict, whatever the numbers are.

Numbers are eighths, so that sums of them are exact and nothing turns on rounding.
"""

from __future__ import annotations

import itertools

from hypothesis import example, given, settings
from hypothesis import strategies as st
from study_evidence import MadeStudy
from test_study_claims import made, verdict

Seeds = list[float]

FEW = settings(max_examples=30)  # a verdict takes milliseconds, not microseconds

SEEDS = st.lists(
    st.integers(-80, 80).map(lambda one: 4 + one / 8), min_size=1, max_size=6
)
POINTS = st.lists(SEEDS, min_size=3, max_size=3)
MARGINS = st.integers(0, 24).map(lambda one: one / 8)
SCALES = st.sampled_from([0.25, 0.5, 2.0, 1024.0])
MIRRORED = {
    "supported": "contradicted",
    "contradicted": "supported",
    "undecided": "undecided",
}


def study_of(points: list[Seeds]) -> MadeStudy:
    study = made()
    for name, seeds in zip("abc", points, strict=True):
        study.numbers(name, "loss", seeds)
    return study


@FEW
@given(POINTS)
def test_the_other_way_round_is_the_other_verdict(points: list[Seeds]) -> None:
    study = study_of(points)
    one, other = (verdict(study, f"a.loss {way} b.loss") for way in "<>")
    assert other.outcome == MIRRORED[one.outcome]
    assert other.seeds_to_decide == one.seeds_to_decide
    turned = verdict(study, "b.loss > a.loss")
    assert turned.outcome == one.outcome
    assert turned.findings[0].low == one.findings[0].low
    low, high = one.findings[0].low, one.findings[0].high
    assert (other.findings[0].low, other.findings[0].high) == (
        (None, None) if low is None or high is None else (-high, -low)
    )


@FEW
@given(POINTS, MARGINS, SCALES)
@example([[4.0], [4.0, 4.0], [4.0, 4.375]], 0.0, 0.25)
def test_another_unit_changes_no_verdict(
    points: list[Seeds], margin: float, scale: float
) -> None:
    scaled = study_of([[scale * one for one in seeds] for seeds in points])
    for says in (
        "a.loss < b.loss by >= {}",
        "a.loss =~ b.loss within {}",
        "a.loss > b.loss > c.loss by >= {}",
    ):
        one = verdict(study_of(points), says.format(f"{margin:f}"))
        other = verdict(scaled, says.format(f"{scale * margin:f}"))
        assert other.outcome == one.outcome
        assert other.seeds_to_decide == one.seeds_to_decide
        for small, large in zip(one.findings, other.findings, strict=True):
            assert large.low == (None if small.low is None else scale * small.low)


@FEW
@given(POINTS, SCALES)
def test_a_relative_margin_knows_no_unit(points: list[Seeds], scale: float) -> None:
    scaled = study_of([[scale * one for one in seeds] for seeds in points])
    says = "a.loss > b.loss by >= 12.5% relative"
    one, other = verdict(study_of(points), says), verdict(scaled, says)
    assert other.outcome == one.outcome
    for small, large in zip(one.findings, other.findings, strict=True):
        assert large.high == (None if small.high is None else scale * small.high)


@FEW
@given(POINTS, MARGINS)
def test_seeds_that_agree_better_undo_no_verdict(
    points: list[Seeds], margin: float
) -> None:
    # Four seeds or two: halves of the distances to their means are exact.
    doubled = [[*seeds, *seeds] if len(seeds) < 3 else seeds[:2] for seeds in points]
    even = [seeds if len(seeds) in (2, 4) else seeds[:2] for seeds in doubled]
    closer = [[(one + sum(seeds) / len(seeds)) / 2 for one in seeds] for seeds in even]
    says = f"a.loss < b.loss by >= {margin:f}"
    one, other = verdict(study_of(even), says), verdict(study_of(closer), says)
    if one.outcome != "undecided":
        assert other.outcome == one.outcome
    elif one.seeds_to_decide is not None and other.seeds_to_decide is not None:
        assert other.seeds_to_decide <= one.seeds_to_decide


@FEW
@given(POINTS, MARGINS, MARGINS)
def test_who_claims_less_is_not_contradicted_sooner(
    points: list[Seeds], margin: float, more: float
) -> None:
    order = ["contradicted", "undecided", "supported"]
    study = study_of(points)
    for says in ("a.loss < b.loss by >= {}", "b.loss > a.loss by >= {}"):
        bold = verdict(study, says.format(f"{margin + more:f}")).outcome
        meek = verdict(study, says.format(f"{margin:f}")).outcome
        assert order.index(meek) >= order.index(bold)
    says = "a.loss =~ b.loss within {}"
    bold = verdict(study, says.format(f"{margin:f}")).outcome
    meek = verdict(study, says.format(f"{margin + more:f}")).outcome
    assert order.index(meek) >= order.index(bold)


@FEW
@given(POINTS)
def test_a_chain_is_its_links(points: list[Seeds]) -> None:
    study = study_of(points)
    chain = verdict(study, "a.loss < b.loss < c.loss")
    links = [
        verdict(study, f"{left}.loss < {right}.loss")
        for left, right in itertools.pairwise("abc")
    ]
    outcomes = [link.outcome for link in links]
    assert (chain.outcome == "supported") == (set(outcomes) == {"supported"})
    if chain.outcome == "contradicted":
        assert "contradicted" in outcomes
    lows = [link.findings[0].low for link in links]
    assert [finding.low for finding in chain.findings] == lows


@FEW
@given(POINTS, st.permutations(range(6)))
def test_the_order_of_seeds_decides_nothing(
    points: list[Seeds], order: list[int]
) -> None:
    other = [[seeds[at] for at in order if at < len(seeds)] for seeds in points]
    says = "best of {a, b, c} in loss is b"
    assert verdict(study_of(other), says) == verdict(study_of(points), says)
