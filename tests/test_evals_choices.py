from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest
from eval_fakes import EOS, ByteCodec, FakeModel, pair_losses

from evals.choices import accuracy, check_questions, score_choices
from evals.questions import Question, encode_question, read_questions
from evals.scoring import log_likelihoods
from runtime.scoring import Continuation
from specs.canonical import digest_of
from specs.errors import InputError, RunError

QUESTIONS = [
    Question(prompt="The sky is", choices=(" blue", " made of cheese"), answer=0),
    Question(prompt="2 + 2 =", choices=(" 5", " 4", " 22"), answer=1),
    Question(prompt="", choices=("é", "no prompt at all"), answer=0),
    Question(prompt="p" * 70, choices=(" a", " b"), answer=1),
]


def scorer(token_losses=pair_losses, rows: int = 3, length: int = 64) -> FakeModel:
    return FakeModel(token_losses=token_losses, rows=rows, length=length)


def encoded(questions=QUESTIONS):
    return [encode_question(question, ByteCodec()) for question in questions]


def log_likelihood(question: Question, choice: str) -> float:
    """Sum one by one, in one long row, what the choice's tokens cost."""
    tokens = [EOS, *ByteCodec().encode(question.prompt + choice)]
    losses = pair_losses(np.array([tokens], np.int32))[0]
    return -math.fsum(losses[-len(choice.encode("utf-8")) :].tolist())


def test_log_likelihoods_are_those_of_the_choice_alone():
    score = score_choices(encoded(), scorer())
    for question, result in zip(QUESTIONS, score.detail["results"], strict=True):
        assert result["log_likelihoods"] == [
            log_likelihood(question, choice) for choice in question.choices
        ]
        assert result["bytes"] == [len(choice.encode()) for choice in question.choices]


def test_accuracy_takes_the_likeliest_choice_by_sum_and_by_byte():
    def constant(tokens):
        # Every token costs one nat: the shortest choice has the best sum, and all are
        # alike per byte, where the first is taken.
        return np.ones(tokens[:, 1:].shape, np.float32)

    questions = [
        Question(prompt="a", choices=(" long", " b"), answer=1),
        Question(prompt="a", choices=(" long", " b"), answer=0),
        Question(prompt="a", choices=(" b", " long"), answer=0),
    ]
    score = score_choices(encoded(questions), scorer(constant))
    assert [one["choice"] for one in score.detail["results"]] == [1, 1, 0]
    assert [one["per_byte"] for one in score.detail["results"]] == [0, 0, 0]
    assert score.values["accuracy"] == 2 / 3
    assert score.values["accuracy_per_byte"] == 2 / 3
    error = score.values["accuracy_standard_error"]
    assert error == pytest.approx(1 / 3, rel=1e-15)


def test_results_carry_their_digest():
    detail = score_choices(encoded(), scorer()).detail
    assert detail["results_digest"] == digest_of(detail["results"])


def test_a_prompt_too_long_is_cut_from_the_left_and_counted():
    question = Question(prompt="p" * 500 + "?", choices=(" a", " b"), answer=0)
    score = score_choices(encoded([question]), scorer(length=16))
    assert score.detail["prompts_cut"] == 1
    assert score.detail["results"][0]["log_likelihoods"] == [
        log_likelihood(question, choice) for choice in question.choices
    ]


def test_what_is_asked_twice_is_scored_once():
    asked = []

    class Counting(FakeModel):
        def continuations(self, requests):
            asked.extend(requests)
            return super().continuations(requests)

    model = Counting(token_losses=pair_losses, rows=1, length=64)
    once = score_choices(encoded(), model)
    assert len(asked) == len(set(asked)) == 9
    twice = score_choices(encoded() * 2, model)
    assert len(asked) == 18
    assert twice.detail["results"] == once.detail["results"] * 2


def test_a_continuation_is_greedy_if_all_of_its_tokens_are():
    def costing(tokens):
        # The fake takes what costs less than a nat for the likeliest.
        return np.where(tokens[:, 1:] == 7, np.float32(2), np.float32(0.5))

    model = scorer(costing)
    requests = [
        Continuation(context=(EOS,), tokens=(5, 6)),
        Continuation(context=(EOS,), tokens=(5, 7)),
        Continuation(context=(EOS, 7), tokens=(5,)),
    ]
    found = log_likelihoods(requests, model)
    assert [one.nats for one in found] == [-1.0, -2.5, -0.5]
    assert [one.is_greedy for one in found] == [True, False, True]


def test_a_loss_that_is_not_finite_is_refused():
    def failing(tokens):
        return np.full(tokens[:, 1:].shape, np.nan, np.float32)

    with pytest.raises(RunError, match="2 of 2 losses are not finite"):
        log_likelihoods([Continuation(context=(EOS,), tokens=(5, 6))], scorer(failing))


def test_a_token_across_the_border_belongs_to_the_choice():
    class Words(ByteCodec):
        """A token is a word with the space before it."""

        ids: dict[str, int] = {}

        def encode(self, text):
            words = text.replace(" ", "| ").split("|")
            return [self.ids.setdefault(word, len(self.ids) + 2) for word in words]

    one = encode_question(
        Question(prompt="the sky is ", choices=("blue", "big and blue"), answer=0),
        Words(),
    )
    assert [choice.num_scored for choice in one.choices] == [1, 3]


def test_a_standard_error_of_one_answer_is_the_largest_there_is():
    assert accuracy([True]) == (1.0, 0.5)


def test_a_choice_that_fits_no_sequence_is_refused():
    questions = encoded([QUESTIONS[1], QUESTIONS[0]])
    with pytest.raises(InputError, match="question 2: a choice has 15 tokens"):
        check_questions(questions, 10, name="q.jsonl")
    check_questions(questions, 15, name="q.jsonl")


def test_a_choice_that_the_tokenizer_drops_is_refused():
    class Stripping(ByteCodec):
        def encode(self, text):
            return super().encode(text.strip())

    question = Question(prompt="a", choices=(" ", " b"), answer=1)
    with pytest.raises(InputError, match="leaves nothing of a choice"):
        check_questions([encode_question(question, Stripping())], 9, name="q.jsonl")


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_questions_are_read_from_json_lines(tmp_path, suffix):
    lines = "\n\n".join(json.dumps(one.to_json()) for one in QUESTIONS) + "\n"
    data = lines.encode()
    path = tmp_path / f"q{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    assert list(read_questions(path, name="q")) == QUESTIONS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        ('{"prompt": "", "choices": ["a"], "answer": 0}', "choices must be at least 2"),
        (
            '{"prompt": "", "choices": ["a", "b"], "answer": 2}',
            "answer must be below the number of choices = 2, got 2",
        ),
        ('{"prompt": "", "choices": ["a", ""], "answer": 0}', "choices.1: "),
        ('{"prompt": "", "choices": ["a", "b"], "label": 0}', "answer: Field required"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "q.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(InputError, match=r"q\.jsonl:2: ") as caught:
        read_questions(path, name="data/q.jsonl")
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff\n", b"", None])
def test_a_file_without_questions_is_refused(tmp_path, data):
    path = tmp_path / "q.jsonl"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=r"data/q.jsonl: (can't be|there is no)"):
        read_questions(path, name="data/q.jsonl")


def test_a_damaged_gzip_file_is_refused(tmp_path):
    path = tmp_path / "q.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 99)[:-9])
    with pytest.raises(InputError, match="can't be read"):
        read_questions(path, name="q.jsonl.gz")
