"""Evaluations that were made after a run: documents of the ledger like all others."""

from __future__ import annotations

import json
import math
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from evaluated import (
    ANSWERS,
    BOOLQ,
    COPA,
    Score,
    evaluate,
    made,
    make_run,
    result,
    score,
    task,
    weights,
)
from hypothesis import example, given
from hypothesis import strategies as st
from ledger_runs import environment, hex_of

from ledger.evaluation import Evaluation, results_digest
from ledger.evaluations import all_scores_of, find_weights, scores_of
from ledger.floats import float_text
from ledger.record_evaluation import GivenExtra
from ledger.store import Ledger
from ledger.task_results import first_difference, metric_mean
from ledger.verify import verify
from ledger.weights import Weights
from specs.atomic import write_atomically
from specs.errors import CheckFailed, InputError


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    make_run(tmp_path)
    return Ledger.open(tmp_path)


@pytest.fixture
def run(ledger: Ledger) -> str:
    return ledger.log()[0].digest


def problems(ledger: Ledger) -> list[str]:
    return [one.what for one in verify(ledger).problems]


def test_an_evaluation_is_a_document_that_names_the_weights_of_its_entry(ledger, run):
    done = evaluate(ledger, run)
    assert (done.is_new, done.disagreements) == (True, ())
    assert [line.kind for line in ledger.log()] == ["run", "evaluation"]
    entry = ledger.read(done.digest)
    assert entry == done.entry
    assert isinstance(entry, Evaluation)
    assert entry.subject == run
    assert (entry.stage, entry.step) == ("text", 12)
    assert entry.weights_digest == ledger.read(run).weights_digest
    assert [task.fingerprint for task in entry.tasks] == [
        hex_of("task", name, 1) for name in ("boolq", "copa")
    ]
    assert entry.scores[0].values["accuracy"] == float_text(2 / 3)
    kept = ledger.objects.get_json(entry.scores[1].detail)
    assert kept == result(COPA, ANSWERS["copa"])
    assert ledger.objects.get_json(entry.extras[0].content)["rows"] == 8
    checked = verify(ledger)
    assert checked.problems == checked.notes == ()


def test_a_checkpoint_within_a_stage_is_known_by_its_tensors(ledger, run):
    within = weights(ledger, run, 4)
    assert within.stage == "balanced"
    assert within.digest not in {weights(ledger, run, step).digest for step in (8, 12)}
    evaluate(ledger, run, step=4)
    assert problems(ledger) == []


def test_the_same_evaluation_twice_is_one_document(ledger, run):
    first = evaluate(ledger, run)
    elsewhere = made(environment=environment("0.11.0"), devices={"kind": "tpu"})
    again = evaluate(ledger, run, made=elsewhere)
    assert (again.digest, again.is_new) == (first.digest, False)
    assert again.entry == first.entry
    assert len(ledger.log()) == 2


def test_many_who_record_the_same_at_once_record_one_document(ledger, run):
    def record(_: int) -> str:
        return evaluate(Ledger(ledger.folder), run).digest

    with ThreadPoolExecutor(4) as pool:
        digests = set(pool.map(record, range(8)))
    assert len(digests) == 1
    assert len(ledger.log()) == 2


class Killed(BaseException):
    """Stands for a process that is gone."""


def kill_at(write_number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die where it would write its next file but so many."""
    left = [write_number]

    def write(path: Path, data: bytes) -> None:
        if left[0] == 0:
            raise Killed
        write_atomically(path, data)
        left[0] -= 1

    monkeypatch.setattr("ledger.objects.write_atomically", write)
    monkeypatch.setattr("ledger.store.write_atomically", write)


def test_a_process_that_dies_at_any_write_leaves_a_ledger_that_goes_on(
    ledger, run, monkeypatch
):
    """Two results and the shapes are written before the document, then its line."""
    workspace = ledger.folder.parents[1]
    for number in range(4):
        with monkeypatch.context() as patched:
            kill_at(number, patched)
            with pytest.raises(Killed):
                evaluate(ledger, run, said=f"cut {number}")
        assert len(Ledger.open(workspace).log()) == 1
        assert problems(ledger) == []

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "_append_line", die)
        with pytest.raises(Killed):
            evaluate(ledger, run)
    opened = Ledger.open(workspace)
    assert len(opened.healed) == 1
    again = evaluate(opened, run)
    assert (again.digest, again.is_new) == (opened.healed[0], False)
    assert problems(opened) == []


def test_judgements_that_are_read_again_are_the_same_evaluation(ledger, run):
    def judged(mode: str, verdict: str = "left") -> Any:
        content = {"verdicts": [verdict]}
        extra = GivenExtra(name="judgements/dolly", content=content, mode=mode)
        return evaluate(ledger, run, extras=[extra])

    first = judged("record")
    assert judged("replay").digest == first.digest
    assert judged("replay", "right").is_new


@pytest.mark.parametrize(
    "changes",
    [
        {"tasks": (BOOLQ,)},
        {"tasks": (task("boolq", 2), COPA)},
        {"said": "b"},
        {"step": 8},
        {"suites": ()},
        {"extras": ()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_else_was_asked_or_found_is_another_document(ledger, run, changes):
    first = evaluate(ledger, run)
    other = evaluate(ledger, run, **changes)
    assert other.is_new
    assert other.entry.results != first.entry.results
    assert problems(ledger) == []


def test_another_result_of_the_same_weights_is_recorded_and_shown(ledger, run):
    first = evaluate(ledger, run)
    answers = {**ANSWERS, "copa": (0.1, 0.2, 0.6, 0.4)}
    second = evaluate(ledger, run, answers=answers)
    assert second.is_new
    [found] = second.disagreements
    assert (found.task, found.question) == ("copa", "2")
    assert (found.first, found.second) == (first.digest, second.digest)
    assert "question 2: accuracy is 0.7 and 0.6" in str(found)
    # Nothing was changed in the ledger, so it is no problem of the ledger.
    checked = verify(ledger)
    assert checked.problems == ()
    assert checked.notes == (str(found),)


def test_other_words_of_the_model_with_the_same_numbers_are_a_disagreement(ledger, run):
    evaluate(ledger, run)
    found = evaluate(ledger, run, said="b").disagreements
    assert [(one.task, one.question) for one in found] == [
        ("boolq", "0"),
        ("copa", "0"),
    ]
    assert "the model said something else" in found[0].what


def test_a_number_beside_equal_questions_is_a_disagreement(ledger, run):
    evaluate(ledger, run, tasks=(BOOLQ,))
    told = score(BOOLQ, ANSWERS["boolq"])
    told = Score("boolq", {**told.values, "accuracy_standard_error": 0.5}, told.detail)
    [found] = evaluate(ledger, run, tasks=(BOOLQ,), scores=[told]).disagreements
    assert found.question is None
    assert found.what == "accuracy_standard_error is 0.25 and 0.5"


def test_another_version_of_a_task_is_no_disagreement(ledger, run):
    evaluate(ledger, run, tasks=(BOOLQ,))
    answers = {"boolq": (0.0, 0.0, 0.0)}
    again = evaluate(ledger, run, tasks=(task("boolq", 2),), answers=answers)
    assert again.disagreements == ()
    assert verify(ledger).notes == ()


def test_weights_that_no_entry_has_may_be_evaluated_and_it_is_told(ledger, run):
    strange = Weights(hex_of("strange"), 70, None, None)
    done = evaluate(ledger, run, name="copied", weights=strange)
    assert done.entry.subject is None
    assert (done.entry.name, done.entry.step) == ("copied", 70)
    assert evaluate(ledger, run, name="copied", weights=strange).is_new is False
    assert problems(ledger) == []
    other = evaluate(ledger, run, name="copied", weights=strange, said="b")
    assert len(other.disagreements) == 2


def test_weights_are_found_by_their_digest(ledger, run):
    for step in (4, 8, 12):
        assert find_weights(ledger, weights(ledger, run, step).digest) == weights(
            ledger, run, step
        )
    assert find_weights(ledger, hex_of("strange")) is None


def test_weights_of_another_step_are_refused(ledger, run):
    wrong = weights(ledger, run, 12)._replace(digest=hex_of("other"))
    with pytest.raises(InputError, match="does not have the weights"):
        evaluate(ledger, run, weights=wrong)
    with pytest.raises(InputError, match="does not have the weights"):
        evaluate(ledger, run, name="another")
    assert len(ledger.log()) == 1


def wrong_scores() -> dict[str, tuple[Score, str]]:
    good = score(BOOLQ, ANSWERS["boolq"])
    other = result(task("boolq", 2), ANSWERS["boolq"])
    lacking = json.loads(json.dumps(good.detail))
    del lacking["questions"][1]["values"]["accuracy"]
    double = {**good.detail, "questions": good.detail["questions"][:1] * 3}
    almost = {**good.values, "accuracy": 0.6666666666666667}
    return {
        "a number": (
            Score("boolq", almost, good.detail),
            r"is 0\.66\d*7, its questions",
        ),
        "fingerprint": (Score("boolq", good.values, other), "another fingerprint"),
        "a value": (Score("boolq", good.values, lacking), "question 1 of boolq has no"),
        "a question": (Score("boolq", {"accuracy": 1.0}, double), "question twice"),
        "no results": (Score("boolq", good.values), "no results per question"),
        "another task": (score(COPA, ANSWERS["copa"]), "no results per question"),
    }


@pytest.mark.parametrize(
    ("told", "what"), wrong_scores().values(), ids=list(wrong_scores())
)
def test_a_score_that_its_questions_do_not_give_is_not_recorded(
    ledger, run, told, what
):
    with pytest.raises(CheckFailed, match=what):
        evaluate(ledger, run, tasks=(BOOLQ,), scores=[told])
    assert len(ledger.log()) == 1


def test_an_average_that_its_tasks_do_not_give_is_not_recorded(ledger, run):
    told = [score(BOOLQ, ANSWERS["boolq"]), Score("quick", {"average": 0.75})]
    with pytest.raises(
        CheckFailed, match=r"quick/average is 0\.75, its tasks give 0\.6"
    ):
        evaluate(ledger, run, tasks=(BOOLQ,), scores=told)
    assert len(ledger.log()) == 1


def test_what_is_no_task_is_kept_and_not_compared(ledger, run):
    def judged(rate: float) -> Any:
        told = Score("dolly.against.b", {"win_rate": rate}, {"judge": "x"})
        return evaluate(ledger, run, tasks=(), suites=(), scores=[told])

    judged(0.5)
    assert judged(0.75).disagreements == ()
    assert scores_of(ledger, run)["dolly.against.b"].score.values == {
        "win_rate": "0.75"
    }
    assert problems(ledger) == []


def test_scores_are_looked_up_in_the_entry_and_in_every_evaluation(ledger, run):
    first = evaluate(ledger, run, tasks=(BOOLQ, COPA))
    newer = evaluate(ledger, run, tasks=(task("boolq", 2),))
    earlier = evaluate(ledger, run, tasks=(task("copa", 2),), step=8)
    found = scores_of(ledger, run)
    assert {name: (one.source, one.kind) for name, one in found.items()} == {
        "heldout": (run, "run"),
        "boolq": (newer.digest, "evaluation"),
        "copa": (first.digest, "evaluation"),
        "quick": (newer.digest, "evaluation"),
    }
    assert found["boolq"].fingerprint == task("boolq", 2).fingerprint
    assert found["heldout"].fingerprint is None
    assert found["copa"].score.values["accuracy"] == float_text(0.325)
    assert scores_of(ledger, run, 8)["copa"].source == earlier.digest
    assert [one.task for one in all_scores_of(ledger, run, 12)] == [
        *("heldout", "boolq", "copa", "quick", "boolq", "quick")
    ]
    with pytest.raises(InputError, match="has weights after 4, 8, 12 steps"):
        scores_of(ledger, run, 5)


def test_an_evaluation_counts_for_every_entry_with_the_same_weights(
    ledger, run, tmp_path
):
    done = evaluate(ledger, run)
    twin = make_run(tmp_path, "twin")
    assert twin != run
    assert scores_of(ledger, twin)["boolq"].source == done.digest


def test_a_score_of_the_run_itself_is_compared_with_later_ones(tmp_path):
    from ledger_runs import facts, play

    from ledger.run_recorder import RunRecorder

    class Scoring(RunRecorder):
        def scores(self, step, suite, values, detail=None):
            super().scores(step, suite, values, detail)
            if suite == "heldout":
                own = score(BOOLQ, ANSWERS["boolq"])
                super().scores(step, "boolq", own.values, own.detail)

    recorder = Scoring(Ledger.open(tmp_path), tmp_path / ".codemix" / "runs" / "a")
    play(recorder, run_facts=facts())
    ledger = Ledger.open(tmp_path)
    run = recorder.digest
    assert scores_of(ledger, run)["boolq"].fingerprint == BOOLQ.fingerprint
    assert evaluate(ledger, run).disagreements == ()
    [found] = evaluate(
        ledger, run, tasks=(BOOLQ,), answers={"boolq": (1.0, 1.0, 1.0)}
    ).disagreements
    assert (found.first, found.question) == (run, "1")
    assert problems(ledger) == []


@given(st.lists(st.floats(0, 1), min_size=1), st.randoms())
@example(values=[0.2320391492807608] * 3, random=random.Random(0))
def test_a_mean_is_the_same_bits_in_any_order(values, random):
    shuffled = random.sample(values, len(values))
    assert metric_mean(shuffled) == metric_mean(values)
    # Sum and quotient are each rounded once, so the last place may be one off.
    low, high = math.nextafter(min(values), -1), math.nextafter(max(values), 2)
    assert low <= metric_mean(values) <= high


@given(st.lists(st.sampled_from([0.0, 1.0, 0.5]), min_size=1), st.data())
def test_the_first_question_that_differs_is_named(answers, data):
    at = data.draw(st.integers(0, len(answers) - 1))
    changed = [*answers]
    changed[at] += 1
    was, now = result(BOOLQ, answers), result(BOOLQ, changed)
    assert first_difference(was, was) is None
    assert first_difference(was, now).question == str(at)
    shorter = result(BOOLQ, answers[:-1])
    assert "questions" in first_difference(was, shorter).what


def test_the_digest_of_results_sees_all_but_where_and_when(ledger, run):
    told = evaluate(ledger, run).entry.to_json()
    for name in ("weights_digest", "step", "suites", "tasks", "scores", "extras"):
        assert (
            results_digest({**told, name: "x" if name != "extras" else []})
            != (told["results"])
        )
    for name in ("unix_ms", "code", "environment", "devices", "subject"):
        assert results_digest({**told, name: None}) == told["results"]
