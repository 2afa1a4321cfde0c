"""Made-up evaluations of made-up runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ledger_runs
from ledger_runs import hex_of, play

from ledger.entry import Entry
from ledger.evaluation import AskedSuite, AskedTask
from ledger.record_evaluation import (
    GivenExtra,
    Made,
    RecordedEvaluation,
    record_evaluation,
)
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.task_results import metric_mean
from ledger.weights import Weights, weights_after

Answers = Sequence[float]
"""One value per question."""


@dataclass(frozen=True)
class Score:
    suite: str
    values: Mapping[str, float]
    detail: dict[str, Any] = field(default_factory=dict)


def task(name: str, version: int = 1) -> AskedTask:
    return AskedTask(
        name=name,
        version=version,
        fingerprint=hex_of("task", name, version),
        data=hex_of("rows", name),
        main="accuracy",
    )


def result(asked: AskedTask, answers: Answers, said: str = "a") -> dict[str, Any]:
    """What `evals.results.TaskResult` is as JSON."""
    questions = [
        {"id": str(at), "values": {"accuracy": one}, "cluster": None, "output": said}
        for at, one in enumerate(answers)
    ]
    return {
        "task": asked.name,
        "fingerprint": asked.fingerprint,
        "main": "accuracy",
        "chance": 0.5,
        "questions": questions,
    }


def score(asked: AskedTask, answers: Answers, said: str = "a") -> Score:
    values = {
        "accuracy": metric_mean(answers),
        "accuracy_standard_error": 0.25,
    }
    return Score(asked.name, values, result(asked, answers, said))


BOOLQ, COPA = task("boolq"), task("copa")
ANSWERS = {"boolq": (1.0, 0.0, 1.0), "copa": (0.1, 0.2, 0.7, 0.3)}


def made(**changes: Any) -> Made:
    fields = {
        "code": ledger_runs.code(),
        "environment": ledger_runs.environment(),
        "devices": {"kind": "cpu", "count": 2},
        "numerics": "1",
        "canary": hex_of("canary"),
    }
    return Made(**{**fields, **changes})


def make_run(workspace: Path, name: str = "made-up", **changes: Any) -> str:
    """Record a made-up run; return its digest."""
    folder = workspace / ".codemix" / "runs" / name
    recorder = RunRecorder(Ledger.open(workspace), folder)
    facts = ledger_runs.facts.__wrapped__(spec={"name": name}, **changes)
    play(recorder, run_facts=facts)
    assert recorder.digest is not None
    return recorder.digest


def weights(ledger: Ledger, digest: str, step: int = 12) -> Weights:
    entry = ledger.read(digest)
    assert isinstance(entry, Entry)
    found = weights_after(digest, entry, step, ledger.objects)
    assert found is not None
    return found


def evaluate(
    ledger: Ledger,
    digest: str,
    *,
    step: int = 12,
    name: str = "made-up",
    tasks: Sequence[AskedTask] = (BOOLQ, COPA),
    answers: Mapping[str, Answers] = ANSWERS,
    said: str = "a",
    **changes: Any,
) -> RecordedEvaluation:
    """Record an evaluation of a run, with a suite over its tasks and an extra."""
    names = tuple(one.name for one in tasks)
    scores = [score(one, answers[one.name], said) for one in tasks]
    average = metric_mean([one.values["accuracy"] for one in scores] or [0.0])
    fields: dict[str, Any] = {
        "name": name,
        "weights": weights(ledger, digest, step),
        "tasks": tasks,
        "scores": [*scores, Score("quick", {"average": average})],
        "suites": [AskedSuite(name="quick", version=1, tasks=names)],
        "extras": [GivenExtra(name="shapes", content={"rows": 8, "lengths": [32]})],
        "made": made(),
    }
    return record_evaluation(ledger, **{**fields, **changes})
