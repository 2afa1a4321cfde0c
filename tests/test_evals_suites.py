from __future__ import annotations

import json

import pytest
from eval_fakes import ByteCodec, FakeModel, MemoryStore, pair_losses

from evals.suites import (
    check_suites,
    evaluate,
    heldout_sources,
    prepare_evals,
)
from specs.errors import InputError, SpecError
from specs.experiment import Experiment


def experiment(*evals: dict, holdout: float = 0.1) -> Experiment:
    return Experiment.model_validate(
        {
            "codemix": 1,
            "name": "small",
            "seed": 17,
            "model": {"preset": "debug"},
            "tokenizer": {"vocab_size": 512, "train": {"mixture": {"code": 1.0}}},
            "sources": {
                "code": {"uri": "code/*.py", "holdout": holdout},
                "web": {"uri": "web/*.py", "holdout": 0.0},
            },
            "batch": {"sequences": 2, "length": 16},
            "stages": [
                {
                    "name": "only",
                    "tokens": 640,
                    "mixture": {"code": 1.0, "web": 1.0},
                    "learning_rate": {"schedule": "constant", "peak": 0.001},
                }
            ],
            "evals": evals,
        },
        strict=False,
    )


QUESTIONS = {"suite": "choices", "file": "benchmarks/sky colour.jsonl"}


def test_suites_of_this_version_pass():
    check_suites(experiment({"suite": "heldout"}, QUESTIONS))


def test_unknown_suites_are_refused_with_a_suggestion():
    with pytest.raises(SpecError, match="did you mean 'heldout'") as caught:
        check_suites(experiment({"suite": "helout"}, {"tasks": ["no-such"]}))
    assert [one.path for one in caught.value.problems] == [
        "evals.0.suite",
        "evals.1.tasks.0",
    ]


def test_held_out_loss_of_nothing_is_refused():
    with pytest.raises(SpecError, match="no source holds out"):
        check_suites(experiment({"suite": "heldout"}, holdout=0.0))


def test_only_sources_that_hold_out_are_scored():
    assert heldout_sources(experiment()) == ("code",)


def prepared(tmp_path, *evals: dict, length: int = 16):
    path = tmp_path / "questions.jsonl"
    line = {"prompt": "The sky is", "choices": [" blue", " so green"], "answer": 0}
    path.write_text(json.dumps(line) + "\n")
    return prepare_evals(
        experiment(*evals),
        heldout={"code": MemoryStore(["x = 1\n", "y = 2\n"])},
        tokenizer=ByteCodec(),
        question_files=dict.fromkeys(range(len(evals)), path),
        shortest_length=length,
    )


def test_every_suite_that_is_asked_for_is_scored(tmp_path):
    inputs = prepared(tmp_path, {"suite": "heldout"}, QUESTIONS, QUESTIONS)
    scorer = FakeModel(token_losses=pair_losses, rows=2, length=16)
    scores = evaluate(inputs, scorer, range(3))
    assert [score.suite for score in scores] == [
        "heldout",
        "choices.sky_colour",
        "choices.sky_colour.2",
    ]
    assert sorted(scores[0].values) == ["code.bits_per_byte", "code.loss"]
    assert scores[1].values == scores[2].values
    later = evaluate(inputs, scorer, [2])
    assert [score.suite for score in later] == ["choices.sky_colour.2"]


def test_nothing_is_scored_that_is_not_asked_for(tmp_path):
    inputs = prepared(tmp_path)
    assert (
        evaluate(inputs, FakeModel(token_losses=pair_losses, rows=2, length=16), [])
        == []
    )


def test_questions_that_do_not_fit_are_refused_before_training(tmp_path):
    with pytest.raises(InputError, match=r"sky colour\.jsonl: question 1"):
        prepared(tmp_path, QUESTIONS, length=8)
