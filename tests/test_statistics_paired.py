"""Differences of two scores: paired, resampled, averaged, over seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from evals.statistics.bootstrap import (
    RESAMPLES,
    percentile_interval,
    resampled_means,
)
from evals.statistics.macro import difference_of_averages, satterthwaite
from evals.statistics.means import error_of_mean, estimate
from evals.statistics.paired import mcnemar, paired_difference
from evals.statistics.power import detectable_effect, power_of
from evals.statistics.seeds import SeedTable, difference_over_seeds, seed_errors

ALONE: list[str | None] = [None]


def right_or_wrong(
    rng: np.random.Generator, count: int, rate: float, effect: float, same: float
) -> tuple[list[float], list[float]]:
    """Answers of two models: a share `same` of questions is the same for both."""
    shared = rng.random(count) < same
    draws = rng.random((2, count))
    draws[1, shared] = draws[0, shared]
    was, now = draws[0] < rate, draws[1] < rate + effect
    return was.astype(float).tolist(), now.astype(float).tolist()


@pytest.mark.parametrize(
    ("higher", "lower"), [(8, 1), (0, 0), (0, 6), (30, 30), (700, 600)]
)
def test_mcnemar_is_the_exact_binomial_test(higher: int, lower: int) -> None:
    total = higher + lower
    known = stats.binomtest(higher, total).pvalue if total else 1.0
    assert mcnemar(higher, lower) == pytest.approx(known, rel=1e-10)
    assert mcnemar(lower, higher) == mcnemar(higher, lower)


def test_shares_are_compared_by_student() -> None:
    rng = np.random.default_rng(5)
    was, now = rng.random((2, 30))
    found = paired_difference(list(was), list(now), ALONE * 30)
    known = stats.ttest_rel(now, was)
    interval = known.confidence_interval(0.95)
    assert found.test == "student"
    assert found.p_value == pytest.approx(known.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-9)
    assert found.correlation == pytest.approx(np.corrcoef(was, now)[0, 1])


def test_clustered_answers_are_compared_by_clusters() -> None:
    # Five passages twice over are five, and McNemar would count ten.
    was, now = [0.0] * 10, [1.0, 1.0, 1.0, 1.0, 0.0] * 2
    names: list[str | None] = ["a", "b", "c", "d", "e"] * 2
    found = paired_difference(was, now, names)
    known = stats.ttest_1samp([1.0, 1.0, 1.0, 1.0, 0.0], 0)
    assert (found.test, found.num_clusters) == ("student", 5)
    assert found.p_value == pytest.approx(known.pvalue, rel=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_difference_turned_round_is_its_mirror(pairs: list[tuple[bool, bool]]) -> None:
    was, now = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    found = paired_difference(was, now, ALONE * len(pairs))
    mirror = paired_difference(now, was, ALONE * len(pairs))
    assert found.mean == -mirror.mean
    assert found.p_value == mirror.p_value
    assert (found.num_higher, found.num_lower) == (mirror.num_lower, mirror.num_higher)
    assert mirror.high is not None
    assert found.low == pytest.approx(-mirror.high, abs=1e-15)


def test_answers_that_all_agree_are_no_certainty() -> None:
    same = paired_difference([1.0, 0.0] * 25, [1.0, 0.0] * 25, ALONE * 50)
    assert (same.mean, same.p_value, same.standard_error) == (0, 1, 0)
    assert same.low is not None
    assert -0.08 < same.low < -0.03
    shares = paired_difference([0.5, 0.25] * 25, [0.5, 0.25] * 25, ALONE * 50)
    assert (shares.mean, shares.p_value) == (0, 1)
    assert shares.high is not None
    # The largest difference on about 3 of 50 questions.
    assert 0.05 < shares.high < 0.06


def test_clusters_that_all_change_alike_are_as_likely_as_heads_in_a_row() -> None:
    names: list[str | None] = ["a", "a", "b", "c", "c"]
    found = paired_difference([0.0] * 5, [1.0] * 5, names)
    assert (found.test, found.p_value) == ("same-sign", 0.25)
    assert found.high == 1.0


def test_single_cluster_says_nothing() -> None:
    found = paired_difference([0.0, 1.0], [1.0, 1.0], ["a", "a"])
    assert (found.low, found.p_value, found.test) == (None, None, "none")


@pytest.mark.parametrize(("count", "same"), [(56, 0.9), (56, 0.3), (300, 0.95)])
def test_paired_interval_holds_the_truth_in_19_of_20(count: int, same: float) -> None:
    rng = np.random.default_rng(23)
    trials, covered = 600, 0
    for _ in range(trials):
        was, now = right_or_wrong(rng, count, 0.5, 0.05, same)
        found = paired_difference(was, now, ALONE * count)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.05 <= found.high
    # 600 trials: 95% have a standard error of 0.9%; the interval is on the safe side.
    assert 0.93 <= covered / trials <= 0.995


def test_paired_comparison_has_the_power_that_was_stated() -> None:
    rng = np.random.default_rng(29)
    count, rate, effect, same = 1000, 0.5, 0.03, 0.9
    # Half the questions that aren't shared differ; of the shared, those in between.
    differ = (1 - same) * 2 * rate * (1 - rate) + same * effect
    error = (differ - effect**2) ** 0.5 / count**0.5
    trials, seen, seen_unpaired = 400, 0, 0
    for _ in range(trials):
        was, now = right_or_wrong(rng, count, rate, effect, same)
        p_value = paired_difference(was, now, ALONE * count).p_value
        assert p_value is not None
        seen += p_value <= 0.05
        seen_unpaired += stats.ttest_ind(was, now).pvalue <= 0.05
    stated = power_of(effect, error)
    # 400 trials: 2.2% standard error. McNemar's exact test is a little below the
    # normal power, as it never exceeds its level.
    assert stated - 0.09 < seen / trials < stated + 0.05
    # The same answers, taken for those to other questions, show next to nothing.
    assert seen_unpaired / trials < 0.5 * stated


def test_nothing_is_seen_in_1_of_20_where_nothing_is() -> None:
    rng = np.random.default_rng(31)
    seen = 0
    for _ in range(400):
        was, now = right_or_wrong(rng, 200, 0.4, 0.0, 0.5)
        p_value = paired_difference(was, now, ALONE * 200).p_value
        assert p_value is not None
        seen += p_value <= 0.05
    # The exact test stays below its level: some 3.5% here.
    assert 0.01 <= seen / 400 <= 0.06


def test_detectable_difference_comes_from_the_error_that_was_measured() -> None:
    found = paired_difference(
        [0.0, 1.0] * 50, [1.0] * 20 + [0.0, 1.0] * 40, ALONE * 100
    )
    assert found.standard_error is not None
    assert found.detectable == detectable_effect(found.standard_error)


def test_bootstrap_agrees_with_the_error_by_formula() -> None:
    rng = np.random.default_rng(7)
    values = rng.choice([-1.0, 0.0, 1.0], 500, p=[0.1, 0.75, 0.15]).tolist()
    codes = list(range(500))
    means = resampled_means(values, codes, key=1)
    error = error_of_mean(values, codes)
    assert len(means) == RESAMPLES
    # The bootstrap divides by n, the formula by n - 1: 0.1%; 10,000 resamples: 0.7%.
    assert means.std() == pytest.approx(error, rel=0.03)
    low, high = percentile_interval(means)
    assert error is not None
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert means.mean() == pytest.approx(np.mean(values), abs=error / 20)


def test_bootstrap_draws_whole_clusters() -> None:
    rng = np.random.default_rng(8)
    parts = rng.normal(0, 0.3, 60)
    values, codes = np.repeat(parts, 5).tolist(), np.repeat(np.arange(60), 5).tolist()
    error = error_of_mean(values, codes)
    assert resampled_means(values, codes, key=1).std() == pytest.approx(error, rel=0.04)


def test_bootstrap_is_the_same_everywhere() -> None:
    # Written down once; every machine must come to these very numbers.
    values = [(7 * at % 11 - 5) / 5 for at in range(99)]
    low, high = percentile_interval(resampled_means(values, list(range(99)), key=17))
    assert (low.hex(), high.hex()) == BOUNDS
    again = percentile_interval(resampled_means(values, list(range(99)), key=18))
    assert again != (low, high)


BOUNDS = ("-0x1.0084655dbcc48p-3", "0x1.f8c274e0f83e1p-4")


def test_average_of_differences_pairs_within_each_task() -> None:
    rng = np.random.default_rng(13)
    tasks = {}
    for name, count in (("small", 60), ("large", 900)):
        was, now = right_or_wrong(rng, count, 0.5, 0.1, 0.8)
        tasks[name] = paired_difference(was, now, ALONE * count)
    found = difference_of_averages(tasks)
    errors = [tasks[name].standard_error or 0 for name in tasks]
    assert found.mean == pytest.approx((tasks["small"].mean + tasks["large"].mean) / 2)
    assert found.standard_error == pytest.approx(np.hypot(*errors) / 2)
    assert found.p_value == pytest.approx(
        2 * stats.t.sf(abs(found.mean) / found.standard_error, found.degrees)
    )


def test_average_of_differences_holds_the_truth_in_19_of_20() -> None:
    rng = np.random.default_rng(37)
    trials, covered = 300, 0
    for _ in range(trials):
        tasks = {}
        for count, effect, same in (
            (56, 0.02, 0.95),
            (100, 0.0, 0.8),
            (400, 0.04, 0.8),
        ):
            was, now = right_or_wrong(rng, count, 0.5, effect, same)
            tasks[str(count)] = paired_difference(was, now, ALONE * count)
        found = difference_of_averages(tasks)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.02 <= found.high
    # 300 trials: 1.3% standard error; the interval is on the safe side.
    assert 0.92 <= covered / trials <= 0.995


def test_degrees_of_freedom_are_those_of_welch() -> None:
    rng = np.random.default_rng(41)
    one, other = rng.normal(0, 1, 8), rng.normal(0, 3, 5)
    parts = [
        (sample.var(ddof=1) / len(sample), len(sample) - 1) for sample in (one, other)
    ]
    known = stats.ttest_ind(one, other, equal_var=False).df
    assert satterthwaite(parts) == int(known)


def by_recipe(
    rng: np.random.Generator, num_seeds: int, count: int, spread: tuple[float, float]
) -> NDArray[np.float64]:
    """Seeds by questions: an effect of each seed, and noise; questions come later."""
    seed, noise = spread
    table = rng.normal(0, seed, (num_seeds, 1))
    return table + rng.normal(0, noise, (num_seeds, count))


def test_variance_is_taken_apart_as_by_a_table_of_two_ways() -> None:
    rng = np.random.default_rng(43)
    table = by_recipe(rng, 4, 50, (0.2, 0.5)) + rng.normal(0, 1, (1, 50))
    found = seed_errors([SeedTable(table.tolist(), ALONE * 50)])
    # Mean squares of the analysis of variance with two factors and no repeats.
    middle, rows, columns = table.mean(), table.mean(1), table.mean(0)
    of_seeds = 50 * ((rows - middle) ** 2).sum() / 3
    of_questions = 4 * ((columns - middle) ** 2).sum() / 49
    rest = table - rows[:, None] - columns[None, :] + middle
    of_rest = (rest**2).sum() / (3 * 49)
    assert found.over_seeds == pytest.approx((of_seeds / 200) ** 0.5)
    assert found.over_questions == pytest.approx((of_questions / 200) ** 0.5)
    assert found.left_over == pytest.approx((of_rest / 200) ** 0.5)
    assert found.standard_error == pytest.approx(
        ((of_seeds + of_questions - of_rest) / 200) ** 0.5
    )


def test_clusters_that_are_one_question_twice_take_apart_as_the_question() -> None:
    rng = np.random.default_rng(47)
    table = by_recipe(rng, 3, 20, (0.1, 0.5)) + rng.normal(0, 1, (1, 20))
    names: list[str | None] = [str(at) for at in range(20)]
    once = seed_errors([SeedTable(table.tolist(), names)])
    both = np.concatenate([table, table], axis=1).tolist()
    twice = seed_errors([SeedTable(both, names * 2)])
    for name in ("over_seeds", "over_questions", "left_over"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name), rel=1e-9)


def test_one_seed_says_nothing_of_seeds() -> None:
    found = seed_errors([SeedTable([[1.0, 0.0, 1.0]], ALONE * 3)])
    assert (found.over_seeds, found.standard_error) == (None, None)
    assert found.over_questions == estimate([1.0, 0.0, 1.0], ALONE * 3).standard_error
    several = [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    one, other = SeedTable([[1.0, 0.0, 1.0]], ALONE * 3), SeedTable(several, ALONE * 3)
    assert difference_over_seeds([one], [other]) is None
    assert difference_over_seeds([other], [one]) is None


def test_difference_over_seeds_holds_the_truth_where_one_of_questions_does_not() -> (
    None
):
    rng = np.random.default_rng(53)
    trials, count = 200, 60
    covered = {"both": 0, "questions": 0}
    for _ in range(trials):
        questions = rng.normal(0, 1, (1, count))
        was, now = (
            (questions + by_recipe(rng, 3, count, (0.3, 0.5))).tolist() for _ in "ab"
        )
        sides = ([SeedTable(rows, ALONE * count)] for rows in (was, now))
        found = difference_over_seeds(*sides)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered["both"] += found.low <= 0 <= found.high
        first = paired_difference(was[0], now[0], ALONE * count)
        assert first.low is not None
        assert first.high is not None
        covered["questions"] += first.low <= 0 <= first.high
    # 200 trials: 1.5% standard error.
    assert 0.92 <= covered["both"] / trials <= 0.995
    assert covered["questions"] / trials < 0.6


def test_what_is_counted_once_is_no_degree_of_freedom_either() -> None:
    """Seeds with luck at some questions, which the questions' error has as well."""
    rng = np.random.default_rng(61)
    trials, count = 600, 60
    wrong = 0
    for _ in range(trials):
        questions = rng.normal(0, 1, (1, count))
        was, now = (
            (questions + by_recipe(rng, 3, count, (0.2, 0.9))).tolist() for _ in "ab"
        )
        found = difference_over_seeds(
            [SeedTable(was, ALONE * count)], [SeedTable(now, ALONE * count)]
        )
        assert found is not None
        assert found.p_value is not None
        wrong += found.p_value < 0.05
    # With the degrees of freedom of both parts it is 40, without 17.
    assert wrong / trials <= 0.05


def test_seeds_that_are_good_at_all_tasks_do_not_average_out() -> None:
    # The same shift of a seed in both tasks: its error is no smaller with two.
    rng = np.random.default_rng(59)
    sides = []
    for _ in "ab":
        shift = rng.normal(0, 0.3, (4, 1))
        sides.append([shift + rng.normal(0, 0.01, (1, 300)) for _ in range(2)])
    was, now = (
        [SeedTable(table.tolist(), ALONE * 300) for table in side] for side in sides
    )
    one = difference_over_seeds(was[:1], now[:1])
    both = difference_over_seeds(was, now)
    assert one is not None
    assert both is not None
    assert one.standard_error is not None
    assert both.standard_error == pytest.approx(one.standard_error, rel=0.01)
    # Four seeds a side: Welch's degrees of freedom are at most 6.
    assert both.degrees is not None
    assert both.degrees <= 6
