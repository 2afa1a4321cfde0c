"""Errors of weighted sums: what hangs together, what counts once, what would decide."""

from __future__ import annotations

import numpy as np
import pytest
from study_evidence import MadeStudy
from test_study_claims import difference, made, verdict

from evals.statistics.power import POWER
from evals.statistics.seeds import SeedTable, difference_over_seeds
from evals.study.measured import Answers, Measured
from evals.study.sums import Sum, Summing
from specs.claims import Cell
from specs.study import StudyScore


def mean_of(study: MadeStudy, *points: str, score: str = "loss") -> Sum:
    cells = [(1 / len(points), Cell(point=one, score=score)) for one in points]
    return Summing(study.evidence).sum_of(cells)


def test_stages_of_the_same_runs_go_up_and_down_together() -> None:
    study = made()
    study.numbers("begun", "loss", [3.0, 3.4, 3.1])
    study.numbers("ended", "loss", [2.0, 2.5, 2.2], runs_of="begun")
    found = mean_of(study, "begun", "ended")
    by_seed = [2.5, 2.95, 2.65]
    assert found.error == pytest.approx(np.std(by_seed, ddof=1) / 3**0.5, rel=1e-12)
    gain = difference(study, "begun", "ended", "loss")
    assert gain.error == pytest.approx(np.std([1.0, 0.9, 0.9], ddof=1) / 3**0.5)
    # As many degrees of freedom as there are runs, not points.
    assert gain.interval(0.95)[1] - gain.value == pytest.approx(4.302653 * gain.error)


def test_weights_of_a_shared_stage_are_trained_once() -> None:
    study = made()
    study.numbers("a", "loss", [3.0, 3.4])
    study.numbers("b", "loss", [3.0, 3.4], weights_of="a")
    assert mean_of(study, "a", "b").error == pytest.approx(mean_of(study, "a").error)
    study.numbers("c", "loss", [3.3])
    pooled = difference(study, "c", "b", "loss").seeds
    # Two points, and still one pair of seeds that tells of deviation.
    assert [square.degrees for square in pooled.squares()] == [1]


def test_a_stage_that_was_shared_counts_once_however_many_go_on_from_it() -> None:
    study = made()
    study.numbers("base", "loss", [3.0, 3.4])
    for name in ("cooled", "continued"):
        study.numbers(name, "loss", [2.0, 2.4], trunk="base")
    study.numbers("a", "loss", [3.3])
    study.numbers("b", "loss", [3.1])
    found = difference(study, "a", "b", "loss")
    assert [square.degrees for square in found.seeds.squares()] == [1]
    gain = difference(study, "continued", "cooled", "loss")
    assert gain.seeds.is_own
    assert gain.over_seeds == 0.0


def test_stages_of_three_runs_know_their_difference_better_than_the_study() -> None:
    study = made()
    study.numbers("begun", "loss", [3.0, 3.4, 3.1])
    study.numbers("ended", "loss", [2.0, 2.5, 2.2], runs_of="begun")
    alone = difference(study, "begun", "ended", "loss").error
    for other in ("c", "d", "e"):
        study.numbers(other, "loss", [5.0, 5.9])
    assert difference(study, "begun", "ended", "loss").error == alone
    # Two runs don't.
    study.numbers("begun", "loss", [3.0, 3.4])
    study.numbers("ended", "loss", [2.0, 2.5], runs_of="begun")
    found = difference(study, "begun", "ended", "loss")
    assert not found.seeds.is_own
    assert found.seeds.squares()[0].degrees == 4


def test_stages_of_other_runs_are_not_paired() -> None:
    study = made()
    study.numbers("begun", "loss", [3.0, 3.1, 3.2, 3.3, 3.4, 9.0])
    study.numbers("ended", "loss", [2.0, 2.1, 2.2, 2.3, 2.4], runs_of="begun")
    # Each gains 1.0 of those that are in both; the sixth has not ended.
    assert verdict(study, "begun.loss > ended.loss by >= 1").outcome == "undecided"


def test_a_mean_of_scores_is_pooled_seed_by_seed() -> None:
    study = made()
    study.scores["mean"] = StudyScore(mean=("loss", "code"))
    study.numbers("a", "loss", [3.0])
    study.numbers("a", "code", [30.0])
    study.numbers("b", "loss", [3.0, 5.0, 4.0])
    study.numbers("b", "code", [6.0, 4.0, 5.2])
    found = mean_of(study, "a", score="mean")
    assert found.error == pytest.approx(np.std([4.5, 4.5, 4.6], ddof=1), rel=1e-9)


def test_of_points_of_one_run_the_worst_is_taken() -> None:
    study = made()
    study.numbers("one", "loss", [3.0])
    for name in ("two", "three"):
        study.numbers(name, "loss", [2.0], runs_of="one")
    study.numbers("other", "loss", [2.0, 2.2])
    cells = [
        (weight, Cell(point=point, score="loss"))
        for point, weight in {"one": 0.5, "two": 0.5, "three": -1.0}.items()
    ]
    found = Summing(study.evidence).sum_of(cells)
    # The first two may have all in common, and nothing with the third.
    assert found.error == pytest.approx(0.02**0.5 * 2**0.5)


def test_two_kinds_of_score_with_two_seeds_each_are_known_by_one_degree() -> None:
    study = made()
    study.numbers("a", "loss", [3.0, 3.1])
    study.numbers("b", "code", [5.0, 5.2])
    cells = [
        (1.0, Cell(point="a", score="loss")),
        (-1.0, Cell(point="b", score="code")),
    ]
    found = Summing(study.evidence).sum_of(cells)
    assert [square.degrees for square in found.seeds.squares()] == [1]
    # A third of each doesn't make 4 of it.
    assert [one.degrees for one in found.seeds.squares_with(3)] == [2]


def test_borrowed_deviations_of_the_same_run_are_taken_for_alike_or_not() -> None:
    study = made()
    study.numbers("begun", "loss", [3.0])
    study.numbers("ended", "loss", [2.0], runs_of="begun")
    study.numbers("other", "loss", [2.0, 2.2])
    deviation = 0.02**0.5
    assert mean_of(study, "begun", "ended").error == pytest.approx(deviation)
    gain = difference(study, "begun", "ended", "loss")
    assert gain.error == pytest.approx(deviation * 2**0.5)


def test_what_is_of_seeds_and_questions_counts_once() -> None:
    draw = np.random.default_rng(7)
    study, tables = made(), []
    for point in "ab":
        rows = (100.0 * (draw.normal(0, 1, (5, 40)) > 0)).tolist()
        study.answers(point, "nl", {"x": rows})
        tables.append([SeedTable(rows, [None] * 40)])
    right = difference_over_seeds(tables[1], tables[0])
    found = difference(study, "a", "b", "nl")
    assert right is not None
    assert found.value == pytest.approx(right.mean, rel=1e-12)
    assert found.error == pytest.approx(right.standard_error, rel=1e-12)
    assert found.interval(0.95) == pytest.approx((right.low, right.high), rel=1e-9)
    assert found.error < np.hypot(found.over_seeds, found.over_questions)


def test_a_task_in_two_scores_is_one_task() -> None:
    study = made()
    study.scores["copa"] = StudyScore(suite="copa", unit="percent")
    study.scores["all"] = StudyScore(mean=("nl", "copa"), unit="percent")
    rows = [[0.0, 100.0, 100.0, 0.0, 100.0]]
    study.answers("a", "nl", {"copa": rows})
    study.answers("a", "copa", {"copa": rows})
    alone = mean_of(study, "a", score="copa")
    assert mean_of(study, "a", score="all").error == pytest.approx(alone.error)


def test_points_that_were_asked_other_tasks_are_not_compared() -> None:
    study = made()
    study.answers("a", "nl", {"x": [[1.0, 2.0]], "y": [[1.0, 2.0]]})
    study.answers("b", "nl", {"x": [[1.0, 3.0]]})
    for says in ("a.nl < b.nl", "b.nl < a.nl"):
        found = verdict(study, says)
        assert found.outcome == "unknown"
        assert found.why.endswith("were asked other tasks of nl: y")


def test_questions_are_paired_by_their_names() -> None:
    draw = np.random.default_rng(3)
    before, after = draw.normal(50, 9, 12), draw.normal(54, 9, 12)
    study, thinned = made(), made()
    study.answers("a", "nl", {"x": [after.tolist()]})
    study.answers("b", "nl", {"x": [before.tolist()]})
    # One of them lacks the first two, the other the last.
    for some, point, kept in (
        (after, "a", range(2, 12)),
        (before, "b", range(11)),
    ):
        thinned.answers(point, "nl", {"x": [some.tolist()]})
        whole = thinned.found[point, "nl"]
        assert isinstance(whole, Measured)
        answers = whole.tasks["x"]
        cut = Answers(
            answers.fingerprint,
            (tuple(some[list(kept)].tolist()),),
            (None,) * len(kept),
            tuple(str(index) for index in kept),
        )
        thinned.found[point, "nl"] = Measured(point, "nl", whole.runs, {"x": cut})
    right = np.std((after - before)[2:11], ddof=1) / 9**0.5
    assert difference(thinned, "a", "b", "nl").error == pytest.approx(right, rel=1e-12)
    assert difference(study, "a", "b", "nl").error != pytest.approx(right, rel=1e-6)


def test_seeds_that_do_not_differ_tell_nothing() -> None:
    study = made()
    study.numbers("a", "loss", [3.0, 3.0])
    study.numbers("b", "loss", [4.0, 4.0])
    found = verdict(study, "a.loss < b.loss")
    assert (found.outcome, found.seeds_to_decide) == ("undecided", None)
    assert found.why == "no two seeds differ, so that nothing tells how sure they are"


def test_a_share_of_less_than_nothing_is_no_margin() -> None:
    study = made()
    study.numbers("a", "loss", [-9.0, -9.1, -9.2])
    study.numbers("b", "loss", [-10.0, -10.1, -10.2])
    found = verdict(study, "a.loss > b.loss by >= 5% relative")
    assert (found.outcome, found.why) == (
        "unknown",
        "b.loss is -10.1: a share of it is no margin",
    )
    assert verdict(study, "a.loss > b.loss").outcome == "supported"


def test_all_must_hold_so_each_is_asked_alone() -> None:
    study = made()
    for point, mean in {"a": 3.0, "b": 3.2, "c": 4.0, "d": 4.0, "e": 4.0}.items():
        study.numbers(point, "loss", [mean, mean + 0.1, mean - 0.1])
    assert verdict(study, "a.loss < b.loss").outcome == "supported"
    best = verdict(study, "best of {a, b, c, d, e} in loss is a")
    # Its weakest sum is as it would be alone.
    assert best.outcome == "supported"
    # That any of four is the other way is likelier than that one is.
    assert verdict(study, "b.loss < a.loss").outcome == "contradicted"
    worst = verdict(study, "best of {b, a, c, d, e} in loss is b")
    assert worst.outcome == "undecided"


def test_one_sum_on_the_other_side_would_decide_a_claim() -> None:
    study = made()
    study.numbers("a", "loss", [3.0, 3.2, 3.4])
    study.numbers("b", "loss", [3.25, 3.05, 3.45])
    study.numbers("c", "loss", [3.3, 2.8, 2.9])
    alone = verdict(study, "a.loss < b.loss").seeds_to_decide
    chain = verdict(study, "a.loss < b.loss < c.loss").seeds_to_decide
    assert alone is not None
    assert chain is not None
    assert chain < alone


@pytest.mark.parametrize("others", [0, 9])
@pytest.mark.parametrize("num_seeds", [2, 3, 4, 5, 7])
def test_more_seeds_are_reckoned_with_as_they_would_be_judged(
    num_seeds: int, others: int
) -> None:
    study, later = made(), made()
    study.numbers("a", "loss", [3.0])
    study.numbers("b", "loss", [3.5, 3.7])
    for point in "ab":
        later.numbers(point, "loss", [float(3 + at % 2) for at in range(num_seeds)])
    if others:
        for one in (study, later):
            one.numbers("c", "loss", [float(3 + at % 2) for at in range(others)])
    planned = difference(study, "a", "b", "loss").seeds.squares_with(num_seeds)
    judged = difference(later, "a", "b", "loss").seeds.squares()
    assert len(planned) == len(judged)
    if others and num_seeds < 5:
        # Of the two what is more, where they are put together later.
        assert planned[0].degrees == 1 + 8
        assert judged[0].degrees == 8 + 2 * (num_seeds - 1)
    else:
        assert [one.degrees for one in planned] == [one.degrees for one in judged]


def test_what_is_undecided_is_not_decided_by_as_many_seeds() -> None:
    """Seeds whose means happen to agree: the questions' error stays, luck and all."""
    draw = np.random.default_rng(17)
    luck = draw.normal(0, 12, (2, 2, 56))
    luck -= luck.mean(2, keepdims=True)

    def asked(ahead: float) -> Sum:
        study = made()
        for point, rows in zip("ab", luck, strict=True):
            mean = 50.0 + (ahead if point == "a" else 0.0)
            study.answers(point, "nl", {"x": (mean + rows).tolist()})
        return difference(study, "a", "b", "nl")

    error = asked(0.0).over_questions
    found = asked(1.9 * error)
    assert found.over_seeds == pytest.approx(0, abs=1e-9)
    assert found.interval(0.95)[0] < 0
    number = found.seeds_to_decide(0.95, POWER)
    assert number is not None
    assert number > 2


def test_three_seeds_may_be_enough() -> None:
    study = made()
    study.numbers("a", "loss", [3.0])
    study.numbers("b", "loss", [3.5])
    study.numbers("c", "loss", [3.0, 3.2])
    study.numbers("d", "loss", [4.0, 4.2])
    found = verdict(study, "a.loss < b.loss")
    # 2 of them: 0.76 = 0.141 * (4.30 + 1.06). 3 of them: 0.43 = 0.115 * (2.78 + 0.94).
    assert (found.outcome, found.seeds_to_decide) == ("undecided", 3)


@pytest.mark.parametrize("says", ["a.loss < b.loss", "a.loss =~ b.loss within 0.5"])
def test_the_seeds_that_would_decide_do_so_in_4_of_5_tries(says: str) -> None:
    """Of 200 studies of such a truth 160 are expected, which varies by 6."""
    study = made()
    study.numbers("a", "loss", [3.0, 3.4, 3.2])
    study.numbers("b", "loss", [3.3, 3.6, 3.15])
    number = verdict(study, says).seeds_to_decide
    assert number is not None
    draw = np.random.default_rng(13)
    count = 0
    for _ in range(200):
        tried = made()
        tried.numbers("a", "loss", draw.normal(3.2, 0.2, number).tolist())
        tried.numbers("b", "loss", draw.normal(3.35, 0.2291, number).tolist())
        count += verdict(tried, says).outcome == "supported"
    assert POWER * 200 - 18 <= count <= POWER * 200 + 24  # rounded up to whole seeds
