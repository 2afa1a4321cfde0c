"""What evaluations hand over is what the ledger computes again, to the last digit."""

from __future__ import annotations

import tempfile
from pathlib import Path

from evaluated import evaluate, make_run, task
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evals.benchmarks import average_of, score_of
from evals.results import QuestionResult, TaskResult
from ledger.evaluation import AskedSuite
from ledger.store import Ledger
from ledger.verify import verify

NAMES = ("boolq", "copa", "humaneval")


def result_of(name: str, values: list[float]) -> TaskResult:
    """Two questions of a passage depend on each other."""
    return TaskResult(
        task=name,
        fingerprint=task(name).fingerprint,
        main="accuracy",
        chance=0.5,
        questions=tuple(
            QuestionResult(
                id=str(at),
                values={"accuracy": value, "bits": -value / 3},
                cluster=str(at // 2),
                output={"log_likelihoods": [-value, 0.1 + value]},
            )
            for at, value in enumerate(values)
        ),
    )


# Each example writes a ledger, with its syncs to the disk.
@settings(max_examples=5, deadline=None)
# Plain sums of these end in another digit: 0.1 + 0.2 + 0.3 is 0.6000000000000001.
@example([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])
@example([[0.1, 0.2, 0.3], [0.0, 0.0], [0.0, 0.0]])
@given(st.lists(st.lists(st.floats(0, 1), min_size=2), min_size=3, max_size=3))
def test_what_tasks_and_suites_score_is_recorded_and_verified(answers):
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder))
        ledger = Ledger.open(Path(folder))
        results = [result_of(*one) for one in zip(NAMES, answers, strict=True)]
        scores = [*map(score_of, results), average_of("three", results)]
        done = evaluate(
            ledger,
            run,
            tasks=[task(name) for name in NAMES],
            answers=dict.fromkeys(NAMES, (0.0,)),
            scores=scores,
            suites=[AskedSuite(name="three", version=1, tasks=NAMES)],
        )
        assert done.is_new
        assert [one.suite for one in done.entry.scores] == [*NAMES, "three"]
        assert "average" in done.entry.scores[-1].values
        assert verify(ledger).problems == ()
