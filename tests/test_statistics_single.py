"""Means with errors, power and families: against known values, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evals.statistics.families import holm
from evals.statistics.macro import chance_corrected, macro_average
from evals.statistics.means import Estimate, cluster_codes, error_of_mean, estimate
from evals.statistics.power import (
    detectable_effect,
    error_of_difference,
    expected_error,
    power_of,
    questions_alone,
)
from ledger.student import student_quantile, student_tail

# Set, questions, rate -> points: error, least difference seen unpaired and paired at a
# correlation of 0.7, with 80% power at 5%.
KNOWN_POWER = [
    ("hellaswag", 10042, 0.5, 0.50, 1.98, 1.08),
    ("boolq", 3270, 0.5, 0.87, 3.46, 1.90),
    ("arc-easy", 2376, 0.5, 1.03, 4.06, 2.23),
    ("winogrande", 1267, 0.5, 1.40, 5.57, 3.05),
    ("sciq", 1000, 0.5, 1.58, 6.26, 3.43),
    ("openbookqa", 500, 0.5, 2.24, 8.86, 4.85),
    ("copa", 100, 0.5, 5.00, 19.81, 10.85),
    ("cb", 56, 0.5, 6.68, 26.47, 14.50),
    ("humaneval", 164, 0.05, 1.70, 6.74, 3.69),
    ("mbpp", 500, 0.08, 1.21, 4.81, 2.63),
]


@pytest.mark.parametrize("known", KNOWN_POWER, ids=lambda known: known[0])
def test_power_table_comes_out_in_points(
    known: tuple[str, int, float, float, float, float],
) -> None:
    _, count, rate, *points = known
    error = expected_error(count, rate)
    found = [
        error,
        detectable_effect(error_of_difference(error)),
        detectable_effect(error_of_difference(error, 0.7)),
    ]
    assert [round(100 * one, 2) for one in found] == points


def test_power_is_what_a_normal_draw_says() -> None:
    # Independent of the formula: the share of draws beyond either threshold.
    effect, error = 0.02, 0.01
    reach = stats.norm.isf(0.025)
    beyond = stats.norm.sf(reach, loc=effect / error)
    beyond += stats.norm.cdf(-reach, loc=effect / error)
    assert power_of(effect, error) == pytest.approx(beyond, rel=1e-12)
    assert power_of(0, error) == pytest.approx(0.05, rel=1e-12)


def test_clustered_questions_tell_less() -> None:
    # 10 per cluster: a design effect of 1 + 9 * 0.2.
    assert questions_alone(1000, 100, 0.2) == pytest.approx(1000 / 2.8)
    assert questions_alone(1000, 1000, 0.9) == 1000


@pytest.mark.parametrize(
    ("right", "count"), [(1, 20), (7, 56), (50, 100), (3269, 3270)]
)
def test_rate_has_the_interval_of_wilson(right: int, count: int) -> None:
    found = estimate([1.0] * right + [0.0] * (count - right), [None] * count)
    known = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert found.method == "wilson"
    assert (found.low, found.high) == pytest.approx((known.low, known.high), rel=1e-12)
    error = stats.sem([1.0] * right + [0.0] * (count - right))
    assert found.standard_error == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize("count", [1, 5, 164])
def test_none_and_all_right_are_told_by_the_rule_of_three(count: int) -> None:
    none, every = (estimate([value] * count, [None] * count) for value in (0.0, 1.0))
    # One-sided: with this rate, none of the sample is right once in 20 times.
    assert none.low == 0
    assert none.high is not None
    assert (1 - none.high) ** count == pytest.approx(0.05)
    assert (every.low, every.high) == (1 - none.high, 1.0)
    assert none.method == every.method == "rule-of-three"


def test_none_of_humaneval_is_below_1_point_9_percent() -> None:
    high = estimate([0.0] * 164, [None] * 164).high
    assert high is not None
    assert 0.018 < high < 0.0183


def test_shares_have_the_interval_of_student() -> None:
    values = [0.0, 0.25, 0.5, 0.125, 1.0]
    found = estimate(values, [None] * 5)
    known = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(known, rel=1e-9)


def test_clusters_are_what_is_counted() -> None:
    # Ten questions that are five twice over know no more than the five.
    values, names = [1.0, 0.0, 0.5, 1.0, 0.0], ["a", "b", "c", "d", "e"]
    once = estimate(values, names)
    twice = estimate(values * 2, names * 2)
    assert twice.standard_error == pytest.approx(once.standard_error, rel=1e-12)
    assert (once.num_clusters, twice.num_clusters) == (None, 5)
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))


def test_clustered_rate_is_less_sure_than_one_of_questions_alone() -> None:
    values = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    names = [str(at // 2) for at in range(10)]
    alone, together = estimate(values, [None] * 10), estimate(values, names)
    assert together.method == "wilson"
    assert together.high is not None
    assert alone.high is not None
    assert together.high > alone.high


def test_clusters_that_cancel_out_prove_nothing() -> None:
    # Each cluster is half right, so its residuals add up to 0.
    values, names = [1.0, 0.0] * 10, [str(at // 2) for at in range(20)]
    found = estimate(values, names)
    assert found.standard_error == 0
    assert found.low is not None
    assert found.low < 0.3


def test_single_question_or_cluster_has_no_error() -> None:
    assert estimate([0.5], [None]).standard_error is None
    found = estimate([1.0, 0.0, 1.0], ["one"] * 3)
    assert (found.standard_error, found.low, found.method) == (None, None, "none")


def test_clustered_error_is_that_of_pairs_within_clusters() -> None:
    # Miller's form: the plain variance and every pair of one cluster.
    rng = np.random.default_rng(3)
    values = rng.random(40)
    codes = [at % 7 for at in range(40)]
    residuals = values - values.mean()
    pairs = sum(
        residuals[i] * residuals[j]
        for i in range(40)
        for j in range(40)
        if codes[i] == codes[j]
    )
    known = math.sqrt(7 / 6 * pairs) / 40
    assert error_of_mean(list(values), codes) == pytest.approx(known, rel=1e-12)


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=30),
    st.randoms(use_true_random=False),
)
def test_error_ignores_the_order_of_questions(
    values: list[float], random: object
) -> None:
    names = [str(at // 2) for at in range(len(values))]
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    found = estimate(values, names)
    other = estimate([values[at] for at in order], [names[at] for at in order])
    # Sums are exact, so not even the last bit depends on the order, but for clusters
    # that are squared one after the other.
    assert other.mean == found.mean
    if found.standard_error is not None:
        assert other.standard_error == pytest.approx(found.standard_error, rel=1e-12)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60))
def test_interval_of_a_rate_holds_it_and_lies_within_0_and_1(
    values: list[float],
) -> None:
    found = estimate(values, [None] * len(values))
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.mean <= found.high <= 1


@pytest.mark.parametrize(("count", "rate"), [(40, 0.5), (40, 0.05), (150, 0.9)])
def test_interval_of_a_rate_holds_the_truth_in_19_of_20(
    count: int, rate: float
) -> None:
    # Exact: the chance of every number of right answers, not a simulation.
    covered = 0.0
    for right in range(count + 1):
        found = estimate([1.0] * right + [0.0] * (count - right), [None] * count)
        assert found.low is not None
        assert found.high is not None
        if found.low <= rate <= found.high:
            covered += stats.binom.pmf(right, count, rate)
    # Wilson's intervals hold it with 95% on average over rates, not at each.
    assert 0.93 < covered < 0.985


def test_clustered_interval_holds_the_truth_where_the_plain_one_does_not() -> None:
    rng = np.random.default_rng(11)
    names = [str(at // 10) for at in range(600)]
    covered = {"plain": 0, "clustered": 0}
    for _ in range(200):
        # Whole passages are easy or hard; the rate over all passages is a half.
        easy = rng.beta(1, 1, 60)
        values = (rng.random(600) < np.repeat(easy, 10)).astype(float).tolist()
        for kind, clusters in (("plain", [None] * 600), ("clustered", names)):
            found = estimate(values, clusters)
            assert found.low is not None
            assert found.high is not None
            covered[kind] += found.low <= 0.5 <= found.high
    # 200 trials: 95% have a standard error of 1.5%.
    assert 0.91 <= covered["clustered"] / 200 <= 0.99
    assert covered["plain"] / 200 < 0.75


def test_macro_average_adds_errors_in_squares() -> None:
    tasks = {
        "half": estimate([1.0, 0.0] * 50, [None] * 100),
        "most": estimate([1.0, 1.0, 1.0, 0.0] * 100, [None] * 400),
    }
    errors = [tasks[name].standard_error or 0 for name in ("half", "most")]
    found = macro_average(tasks)
    assert found.mean == 0.625
    assert found.standard_error == pytest.approx(math.hypot(*errors) / 2, rel=1e-12)
    assert found.variance_shares["half"] == pytest.approx(
        errors[0] ** 2 / (errors[0] ** 2 + errors[1] ** 2)
    )


def test_two_small_tasks_carry_most_of_an_average_of_eleven() -> None:
    # The study's eleven with all their questions, at the rate with the largest error.
    sizes = {"boolq": 3270, "piqa": 1838, "sciq": 1000, "siqa": 1954, "quac": 7354}
    sizes |= {"cb": 56, "copa": 100, "storycloze": 1871, "hellaswag": 10042}
    sizes |= {"winogrande": 1267, "arc-easy": 2376}
    tasks = {
        name: Estimate(
            mean=0.5,
            standard_error=expected_error(count),
            low=None,
            high=None,
            method="none",
            count=count,
            num_clusters=None,
        )
        for name, count in sizes.items()
    }
    found = macro_average(tasks)
    assert found.standard_error is not None
    assert round(100 * found.standard_error, 2) == 0.82
    shares = found.variance_shares
    assert round(shares["cb"] + shares["copa"], 2) == 0.87


def test_macro_average_at_a_bound_is_not_certain() -> None:
    tasks = {
        "none": estimate([0.0] * 50, [None] * 50),
        "all": estimate([1.0] * 50, [None] * 50),
    }
    found = macro_average(tasks)
    assert (found.mean, found.standard_error) == (0.5, 0.0)
    high = tasks["none"].high
    assert high is not None
    assert (found.low, found.high) == pytest.approx((0.5 - high / 2, 0.5 + high / 2))


def test_macro_average_adds_the_arms_of_intervals_in_squares() -> None:
    tasks = {
        "rare": estimate([1.0] + [0.0] * 39, [None] * 40),
        "most": estimate([1.0, 1.0, 1.0, 0.0] * 20, [None] * 80),
    }
    below = [one.mean - one.low for one in tasks.values() if one.low is not None]
    above = [one.high - one.mean for one in tasks.values() if one.high is not None]
    found = macro_average(tasks)
    assert found.low == pytest.approx(found.mean - math.hypot(*below) / 2)
    assert found.high == pytest.approx(found.mean + math.hypot(*above) / 2)


def test_chance_is_0_and_all_right_is_1() -> None:
    found = chance_corrected(estimate([1.0, 0.0, 0.0, 0.0] * 9, [None] * 36), 0.25)
    assert found.mean == 0
    whole = estimate([1.0] * 3 + [0.0], [None] * 4)
    scaled = chance_corrected(whole, 0.25)
    assert whole.standard_error is not None
    assert scaled.standard_error == pytest.approx(whole.standard_error / 0.75)


def test_holm_is_that_of_the_paper() -> None:
    # Sorted: .01 * 4, .02 * 3, .03 * 2 made no smaller than before, .5 * 1.
    assert holm([0.5, 0.01, 0.03, 0.02]) == [0.5, 0.04, 0.06, 0.06]
    assert holm([None, 0.6, 0.7]) == [None, 1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_lies_between_each_and_all(p_values: list[float]) -> None:
    found = holm(p_values)
    for before, after in zip(p_values, found, strict=True):
        assert after is not None
        assert before <= after <= min(1.0, len(p_values) * before)
    # A smaller one never becomes the larger.
    pairs = sorted(zip(p_values, found, strict=True))
    assert [after for _, after in pairs] == sorted(after for _, after in pairs)


@given(st.floats(1e-3, 50.0), st.integers(1, 5000))
def test_student_is_that_of_scipy(t: float, degrees: int) -> None:
    # Lost are digits of the logarithms of gamma, at thousands of degrees, and of
    # 1 - n / (n + t^2), at a t near 0, where no question is decided.
    known = stats.t.sf(t, degrees)
    assert student_tail(t, degrees) == pytest.approx(known, rel=1e-9, abs=1e-300)
    assert student_quantile(0.975, degrees) == pytest.approx(
        stats.t.ppf(0.975, degrees), rel=1e-9
    )


def test_clusters_are_numbered_by_name() -> None:
    assert cluster_codes(["b", "a", None, "b", None]) == [0, 1, 2, 0, 3]
