"""Claims: one line each, read to typed values."""

from __future__ import annotations

import pytest

from specs.claims import Alike, Best, Order, cells_of, parse_claim
from specs.rules import BrokenRules


def cells(text: str) -> list[str]:
    return [str(cell) for cell in cells_of(parse_claim(text))]


def test_an_order_has_its_terms_and_its_margin() -> None:
    claim = parse_claim("a.code > b.code by >= 2.8% relative")
    assert isinstance(claim, Order)
    assert claim.relation == ">"
    assert [str(term) for term in claim.terms] == ["a.code", "b.code"]
    assert claim.margin is not None
    # The nearest float64, which 2.8 / 100 is not.
    assert (claim.margin.kind, claim.margin.amount) == ("relative", 0.028)


def test_margins_are_points_or_plain_numbers_or_absent() -> None:
    points = parse_claim("a.x < b.x by >= 2 points")
    plain = parse_claim("a.x < b.x by >= 0.05")
    none = parse_claim("a.x<b.x")
    assert isinstance(points, Order)
    assert isinstance(plain, Order)
    assert isinstance(none, Order)
    assert str(points.margin) == "2 points"
    assert str(plain.margin) == "0.05"
    assert none.margin is None


def test_a_chain_has_more_than_two_terms() -> None:
    claim = parse_claim("a.x > b.x > mean(c.x, d.x) > 0")
    assert isinstance(claim, Order)
    assert len(claim.terms) == 4
    assert claim.terms[3].number == 0
    assert cells("a.x > b.x > mean(c.x, d.x) > 0") == ["a.x", "b.x", "c.x", "d.x"]


def test_likeness_has_a_margin() -> None:
    claim = parse_claim("a.x =~ b.x within 3% relative")
    assert isinstance(claim, Alike)
    assert str(claim.within) == "3% relative"


def test_the_best_is_one_of_those_named() -> None:
    claim = parse_claim("best of {p0, p25, p50} in nl is p25")
    assert isinstance(claim, Best)
    assert claim.points == ("p0", "p25", "p50")
    assert (claim.score, claim.winner) == ("nl", "p25")
    assert cells("best of {p0, p25, p50} in nl is p25") == ["p0.nl", "p25.nl", "p50.nl"]


def test_words_of_the_language_can_be_names() -> None:
    assert cells("best.of > mean.by by >= 1 points") == ["best.of", "mean.by"]


def test_a_claim_is_one_value_whatever_its_spaces() -> None:
    close = parse_claim("best of{a,b}in x is a")
    wide = parse_claim("  best  of { a , b } in x is a  ")
    assert close.digest == wide.digest


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the claim ends where a point, as in point.score, should be"),
        ("a.x > b.x c", "'c' stands at character 11 where the end of the claim"),
        ("a.x > b.x > by >= 1", "'>=' stands at character 16 where '.' should be"),
        ("a.x =~ b.x within", "the claim ends where a number should be"),
        ("a.x ? b.x", "character 5, '?', has no meaning"),
        ("mean() > b.x", "')' stands at character 6 where a point"),
        ("a.x > 1 > 2", "compares two numbers"),
        ("a.x > b.x > b.x", "compares b.x with itself"),
        ("mean(a.x) =~ a.x within 1", "compares a.x with itself"),
    ],
)
def test_what_is_no_claim_is_refused_with_its_place(text: str, what: str) -> None:
    with pytest.raises(BrokenRules) as caught:
        parse_claim(text)
    assert what in str(caught.value)
