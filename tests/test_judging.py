"""Win-rates by a biased judge: what both orders and equal lengths take out of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from eval_fakes import ByteCodec, FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_server import (
    client_of,
    comparison,
    judge_server,
    replies,
    write_judge,
)

from evals.judging.compare import compare_replies
from evals.judging.judge import LoadedJudge, load_judge
from evals.judging.judgement import JudgementStore
from evals.judging.local import JudgingCheckpoint
from evals.judging.replies import comparison_of, pair_replies
from evals.judging.resampling import length_controlled_rate, raw_rate
from evals.judging.win_rate import WinRate
from evals.results import QuestionResult, TaskResult
from specs.errors import InputError, RunError
from specs.task import Task
from specs.task_ways import Answer, Reply

JUDGES = Path(__file__).resolve().parent.parent / "evals" / "judges"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, WinRate]:
    """Two models as good as each other, one that writes more, one that is better."""
    folder = tmp_path_factory.mktemp("judging")
    judge = write_judge(folder)
    sides = {
        "equal": (replies("one"), replies("two")),
        "longer": (replies("one", extra_characters=300), replies("two")),
        "better": (
            replies("one", num=100, good=0.9),
            replies("two", num=100, good=0.1),
        ),
    }
    with judge_server() as server:
        return {
            name: compare_replies(
                comparison(a, b),
                judge=judge,
                store=JudgementStore(folder / name),
                client=client_of(judge, server.url),
            )
            for name, (a, b) in sides.items()
        }


def test_both_orders_find_equal_models_equal(found: dict[str, WinRate]) -> None:
    rate = found["equal"].win_rate
    assert rate.low < 0.5 < rate.high


@pytest.mark.parametrize(
    ("order", "seems"), [("a_first", "better"), ("b_first", "worse")]
)
def test_one_order_alone_finds_equal_models_different(
    order: str, seems: str, found: dict[str, WinRate]
) -> None:
    wins = [float(q.output[order] == "a") for q in found["equal"].questions]
    rate = raw_rate(wins, clusters=[None] * len(wins), name="one order")
    assert rate.low > 0.5 if seems == "better" else rate.high < 0.5


def test_position_bias_is_told(found: dict[str, WinRate]) -> None:
    assert 0.6 < found["equal"].first_preferred < 0.7
    assert 0.3 < found["equal"].inconsistent < 0.6


def test_longer_replies_win_but_not_at_equal_lengths(found: dict[str, WinRate]) -> None:
    result = found["longer"]
    assert result.mean_characters_a - result.mean_characters_b > 250
    assert result.win_rate.low > 0.5
    assert result.length_controlled is not None
    assert result.length_controlled.low < 0.5 < result.length_controlled.high


def test_better_model_is_found_raw_and_at_equal_lengths(
    found: dict[str, WinRate],
) -> None:
    result = found["better"]
    assert result.win_rate.low > 0.55
    assert result.length_controlled is not None
    assert result.length_controlled.low > 0.55
    assert result.p_value is not None
    assert result.p_value < 1e-6
    assert (found["equal"].p_value or 0) > 0.05


def test_win_rate_is_wins_and_half_of_the_ties(found: dict[str, WinRate]) -> None:
    for result in found.values():
        assert result.wins + result.losses + result.ties == len(result.questions)
        expected = (result.wins + result.ties / 2) / len(result.questions)
        assert result.win_rate.value == pytest.approx(expected, abs=1e-6)
        assert sum(result.shares.values()) == pytest.approx(1)


def test_result_goes_through_json_unchanged(found: dict[str, WinRate]) -> None:
    result = found["equal"]
    again = WinRate.model_validate(json.loads(result.to_bytes()))
    assert again == result
    assert again.digest == result.digest


def test_who_won_turns_around_with_the_sides(tmp_path: Path) -> None:
    judge = write_judge(tmp_path)
    a, b = replies("one", num=30, good=0.7), replies("two", num=30)
    store = JudgementStore(tmp_path / "judgements")
    with judge_server() as server:
        client = client_of(judge, server.url)
        there = compare_replies(
            comparison(a, b), judge=judge, store=store, client=client
        )
        calls = len(server.requests)
        back = compare_replies(
            comparison(b, a), judge=judge, store=store, client=client
        )
        assert (calls, len(server.requests)) == (60, 60)
    assert (there.wins, there.losses, there.ties) == (back.losses, back.wins, back.ties)
    assert there.wins > there.losses
    assert there.win_rate.value == pytest.approx(1 - back.win_rate.value)
    assert there.length_controlled is not None
    assert back.length_controlled is not None
    # Both are rounded to six places.
    total = there.length_controlled.value + back.length_controlled.value
    assert total == pytest.approx(1, abs=2e-6)


def test_equal_replies_tie_and_are_asked_about_once(tmp_path: Path) -> None:
    judge = write_judge(tmp_path)
    store = JudgementStore(tmp_path / "judgements")
    with judge_server() as server:
        result = compare_replies(
            comparison(["same"], ["same"]),
            judge=judge,
            store=store,
            client=client_of(judge, server.url),
        )
        assert len(server.requests) == 1
    assert (result.wins, result.losses, result.ties) == (0, 0, 1)
    assert result.win_rate.value == 0.5


def test_lengths_that_never_meet_give_no_length_controlled_rate() -> None:
    scores, clusters = [1.0, 0.5, 1.0], [None] * 3
    for differences, is_known in (([5, 9, 7], False), ([5, 9, 0], True)):
        rate = length_controlled_rate(
            scores, length_differences=differences, clusters=clusters, name="x"
        )
        assert (rate is not None) == is_known


def test_length_controlled_rate_of_a_model_that_always_wins_is_finite() -> None:
    rate = length_controlled_rate(
        [1.0] * 40,
        length_differences=list(range(-20, 20)),
        clusters=[None] * 40,
        name="x",
    )
    assert rate is not None
    assert 0.9 < rate.low <= rate.value < 1


def test_length_controlled_rate_agrees_with_another_fit() -> None:
    rng = np.random.default_rng(5)
    differences = rng.integers(-500, 700, 150)
    lengths = np.tanh(differences / differences.std())
    scores = rng.choice([0.0, 0.5, 1.0], 150, p=[0.2, 0.3, 0.5])
    both = np.zeros(2)
    # Plain descent on the penalised loss, until it is where it was to the last bit.
    for _ in range(3000):
        expected = 1 / (1 + np.exp(-(both[0] + both[1] * lengths)))
        gradient = np.array([(expected - scores).sum(), (expected - scores) @ lengths])
        both -= 0.01 * (gradient + 0.1 * both)
    rate = length_controlled_rate(
        scores.tolist(),
        length_differences=differences.tolist(),
        clusters=[None] * 150,
        name="x",
    )
    assert rate is not None
    assert rate.value == round(1 / (1 + np.exp(-both[0])), 6)


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(-(10**7), 10**7)),
        min_size=1,
        max_size=10,
    )
)
def test_length_controlled_rate_is_found_whatever_the_lengths(
    prompts: list[tuple[float, int]],
) -> None:
    # Zero is among the differences, so that there is one.
    scores, differences = zip(*prompts, (0.5, 0), strict=True)
    rate = length_controlled_rate(
        scores,
        length_differences=differences,
        clusters=[None] * len(scores),
        name="x",
    )
    assert rate is not None
    assert 0 < rate.low <= rate.high < 1


def test_prompts_of_one_cluster_are_drawn_together() -> None:
    scores = [1.0] * 20 + [0.0] * 20
    alone = raw_rate(scores, clusters=[None] * 40, name="x")
    together = raw_rate(scores, clusters=["a"] * 20 + ["b"] * 20, name="x")
    assert 0.25 < alone.low < alone.high < 0.75
    assert (together.low, together.high) == (0.0, 1.0)


def test_intervals_are_the_same_everywhere() -> None:
    # Written down once; every machine must come to these very numbers.
    scores = [(3 * at % 7 % 3) / 2 for at in range(60)]
    lengths = [(7 * at % 41) - 15 for at in range(60)]
    raw = raw_rate(scores, clusters=[None] * 60, name="dolly")
    controlled = length_controlled_rate(
        scores, length_differences=lengths, clusters=[None] * 60, name="dolly"
    )
    assert controlled is not None
    assert (raw.value, raw.low, raw.high) == RAW
    assert (controlled.value, controlled.low, controlled.high) == CONTROLLED


RAW = (0.416667, 0.308333, 0.525)
CONTROLLED = (0.420546, 0.309473, 0.530823)


def test_replies_that_are_missing_are_named() -> None:
    asked = {str(index): "?" for index in range(8)}
    with pytest.raises(
        InputError, match=r"no reply to 7 questions: 1, 2, 3, 4, 5, \.\.\."
    ) as error:
        pair_replies(asked, a={"0": "x"}, b={**asked, "9": "x"})
    assert "B has replies to other 1 questions: 9" in str(error.value)


TASK = Task.model_validate(
    {
        "codemix_task": 1,
        "name": "dolly",
        "version": 1,
        "data": {
            "file": "dolly.jsonl",
            "split": "test",
            "licence": "none",
            "fields": ["ask", "best"],
        },
        "prompt": "Do: {{ ask }}\n",
        "reply": {"reference": "{{ best }}"},
    }
)
ROWS = [{"ask": f"thing {index}", "best": f"did {index}"} for index in range(4)]


def replied(texts: dict[str, str], fingerprint: str = "f" * 64) -> TaskResult:
    return TaskResult(
        task="dolly",
        fingerprint=fingerprint,
        main="tokens",
        chance=0.0,
        questions=tuple(
            QuestionResult(id=id, values={}, cluster="c", output={"texts": [text]})
            for id, text in texts.items()
        ),
    )


def test_evaluations_of_two_models_are_compared_question_by_question() -> None:
    a, b = replied({"1": "yes", "3": "no"}), replied({"3": "maybe", "1": "never"})
    found = comparison_of(TASK, ROWS, a=a, b=b, names=("one", "two"))
    assert (found.a, found.b, found.task_fingerprint) == ("one", "two", "f" * 64)
    assert [(p.id, p.instruction, p.a, p.b, p.cluster) for p in found.pairs] == [
        ("1", "Do: thing 1\n", "yes", "never", "c"),
        ("3", "Do: thing 3\n", "no", "maybe", "c"),
    ]


def test_without_another_model_the_references_are_compared_with() -> None:
    found = comparison_of(
        TASK, ROWS, a=replied({"2": "yes"}), b=None, names=("one", "reference")
    )
    assert [(pair.a, pair.b) for pair in found.pairs] == [("yes", "did 2")]


def test_what_can_not_be_compared_is_refused() -> None:
    a, other = replied({"1": "yes"}), replied({"1": "no"}, "e" * 64)
    with pytest.raises(
        InputError, match=r"not asked the same: .* ffffffffffff and eee"
    ):
        comparison_of(TASK, ROWS, a=a, b=other, names=("one", "two"))
    bare = TASK.model_copy(update={"reply": Reply()})
    with pytest.raises(InputError, match="no reference replies"):
        comparison_of(bare, ROWS, a=a, b=None, names=("one", "reference"))
    answers = Answer(accepted="x", stop=("x",))
    asks = TASK.model_copy(update={"reply": None, "answer": answers})
    with pytest.raises(InputError, match="asks for answer, and a judge compares"):
        comparison_of(asks, ROWS, a=a, b=a, names=("one", "two"))


# Judging by a checkpoint


def prefers(which: str) -> FakeModel:
    """A model that finds good answers a nat better than others, or the first ones."""

    def losses(windows: np.ndarray) -> np.ndarray:
        found = np.ones((len(windows), windows.shape[1] - 1), np.float32)
        for row, window in enumerate(windows):
            text = ByteCodec().decode([token for token in window.tolist() if token > 1])
            first, _, second = text.partition("Answer B:")
            is_a = text.endswith(" A")
            is_better = is_a if which == "first" else "good" in (second, first)[is_a]
            found[row, -1] = 1.0 if is_better else 2.0
        return found

    return FakeModel(losses, rows=4, length=400)


def local_judge(folder: Path, preference: str = "hard") -> LoadedJudge:
    text = (JUDGES / "local.yaml").read_text("utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "local.yaml").write_text(text.replace("soft", preference), "utf-8")
    template = (JUDGES / "verdict-only.jinja").read_text("utf-8")
    (folder / "verdict-only.jinja").write_text(template, "utf-8")
    return load_judge(folder / "local.yaml")


def judged_locally(folder: Path, model: FakeModel, preference: str) -> WinRate:
    checkpoint = JudgingCheckpoint(weights="f" * 32, model=model, tokenizer=ByteCodec())
    return compare_replies(
        comparison(["is good", "is bad", "is bad"], ["is bad", "is bad", "is good"]),
        judge=local_judge(folder, preference),
        store=JudgementStore(folder / "unused"),
        checkpoint=checkpoint,
    )


def test_local_judge_prefers_the_likelier_verdict(tmp_path: Path) -> None:
    result = judged_locally(tmp_path, prefers("good"), "hard")
    assert [one.values["score"] for one in result.questions] == [1.0, 0.5, 0.0]
    assert (result.wins, result.losses, result.ties) == (1, 1, 1)
    assert result.judgements is None
    assert not (tmp_path / "unused").exists()


def test_local_judge_that_always_names_the_first_finds_ties(tmp_path: Path) -> None:
    result = judged_locally(tmp_path, prefers("first"), "hard")
    assert (result.wins, result.losses, result.ties) == (0, 0, 3)
    assert result.first_preferred == 1.0


def test_soft_local_judge_counts_probabilities(tmp_path: Path) -> None:
    result = judged_locally(tmp_path, prefers("good"), "soft")
    scores = [one.values["score"] for one in result.questions]
    # A verdict that is one nat likelier has the odds e to 1.
    assert scores == [
        round(1 / (1 + np.exp(-1)), 6),
        0.5,
        round(1 / (1 + np.exp(1)), 6),
    ]
    assert result.win_rate.value == pytest.approx(0.5)


def test_weights_of_a_local_judge_are_part_of_its_fingerprint(tmp_path: Path) -> None:
    judge = local_judge(tmp_path)
    results = {
        compare_replies(
            comparison(["x"], ["y"]),
            judge=judge,
            store=JudgementStore(tmp_path),
            checkpoint=JudgingCheckpoint(
                weights=weights, model=prefers("good"), tokenizer=ByteCodec()
            ),
        ).judge_fingerprint
        for weights in ("0" * 32, "1" * 32)
    }
    assert len(results) == 2


def test_local_judge_refuses_replies_that_it_can_not_see_whole(tmp_path: Path) -> None:
    checkpoint = JudgingCheckpoint(
        weights="0" * 32, model=prefers("good"), tokenizer=ByteCodec()
    )
    with pytest.raises(
        InputError, match=r"1 of 2 prompts .* longer than the 400 tokens"
    ):
        compare_replies(
            comparison(["short", "x" * 400], ["short", "short"]),
            judge=local_judge(tmp_path),
            store=JudgementStore(tmp_path),
            checkpoint=checkpoint,
        )


def test_local_judge_with_diverged_weights_is_refused(tmp_path: Path) -> None:
    model = FakeModel(
        lambda tokens: np.full((len(tokens), tokens.shape[1] - 1), np.nan, np.float32),
        rows=4,
        length=400,
    )
    with pytest.raises(RunError, match="not finite"):
        judged_locally(tmp_path, model, "hard")
