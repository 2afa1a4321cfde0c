"""What a run is handed to score its weights with.

`runtime` may not import this package, so it is given an `Evaluator` and asks it three
things: can this be scored at all, read what is scored, score these weights.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from evals.baselines import measure_baselines
from evals.catalogue import declared_benchmarks
from evals.scores import Score
from evals.suites import (
    PreparedEvals,
    check_suites,
    evaluate,
    prepare_evals,
)
from runtime.prepared import open_stores
from runtime.ready import Ready
from runtime.scoring import ScoredModel
from specs.benchmarks import Benchmarks
from specs.experiment import Experiment


class Evaluator:
    """The suites of one experiment; see `runtime.scoring.Evaluator` for the calls."""

    def __init__(self) -> None:
        """Know nothing until `prepare`."""
        self._prepared: PreparedEvals | None = None

    def check(self, experiment: Experiment) -> None:
        """Refuse what this version can't score, before any work is done."""
        check_suites(experiment)

    def declare(self, experiment: Experiment, workspace: Path) -> Benchmarks:
        """Return the benchmark tasks that a spec asks for, as they are declared."""
        return declared_benchmarks(experiment, workspace)

    def prepare(self, ready: Ready) -> Score | None:
        """Read everything that is going to be scored.

        Returns:
            What the held-out text costs without a neural network, for scale; null
            where no held-out text is scored.
        """
        tokenizer = ready.prepared.tokenizer
        self._prepared = prepare_evals(
            ready.experiment,
            heldout=open_stores(ready.plan, ready.lock, ready.workspace, "heldout"),
            tokenizer=tokenizer,
            question_files={
                index: ready.workspace
                / ready.lock.inputs[f"evals.{index}"].files[0].path
                for index, evaluation in enumerate(ready.experiment.evals)
                if evaluation.file is not None
            },
            shortest_length=min(s.sequence_length for s in ready.plan.stages),
        )
        if not self._prepared.heldout:
            return None
        return measure_baselines(
            self._prepared.heldout,
            ready.prepared.stores,
            tokenizer,
            vocab_size=ready.plan.model.vocab_size,
        )

    def score(self, model: ScoredModel, items: Collection[int]) -> list[Score]:
        """Score one set of weights with some items of the spec's evals."""
        assert self._prepared is not None, "score without prepare"
        return evaluate(self._prepared, model, items)
