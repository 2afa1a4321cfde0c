"""What a run is handed to score its weights with.

`runtime` may not import this package, so it is given an `Evaluator` and asks it three
things: can this be scored at all, read what is scored, score these weights.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from evals.baselines import measure_baselines
from evals.benchmarks import PreparedBenchmarks, prepare_benchmarks
from evals.catalogue import declared_benchmarks
from evals.contamination.overlaps import find_overlaps
from evals.scores import Score
from evals.suites import (
    PreparedEvals,
    check_suites,
    evaluate,
    prepare_evals,
)
from runtime.deduplication.overlaps import FindOverlaps
from runtime.prepared import open_stores
from runtime.ready import Ready
from runtime.scoring import ScoredModel
from runtime.token_store import TokenStore
from specs.benchmarks import Benchmarks
from specs.experiment import Experiment


class Evaluator:
    """The suites of one experiment; see `runtime.scoring.Evaluator` for the calls."""

    def __init__(self) -> None:
        """Know nothing until `prepare`."""
        self._suites: PreparedEvals | None = None
        self._benchmarks: PreparedBenchmarks | None = None

    def check(self, experiment: Experiment) -> None:
        """Refuse what this version can't score, before any work is done."""
        check_suites(experiment)

    def declare(self, experiment: Experiment, workspace: Path) -> Benchmarks:
        """Return the benchmark tasks that a spec asks for, as they are declared."""
        return declared_benchmarks(experiment, workspace)

    @property
    def find_overlaps(self) -> FindOverlaps:
        """Finds the training documents that hold questions which are kept out."""
        return find_overlaps

    def prepare(self, ready: Ready) -> Score | None:
        """Read everything that is going to be scored.

        Returns:
            What the held-out text costs without a neural network, for scale; null
            where no held-out text is scored.
        """
        tokenizer = ready.prepared.tokenizer
        length = min(stage.sequence_length for stage in ready.plan.stages)
        files = {
            key: ready.workspace / pinned.files[0].path
            for key, pinned in ready.lock.inputs.items()
        }
        self._benchmarks = prepare_benchmarks(
            ready.lock.benchmarks, files, tokenizer, length=length
        )
        self._suites = prepare_evals(
            ready.experiment,
            heldout=_heldout_stores(ready),
            tokenizer=tokenizer,
            question_files={
                index: files[f"evals.{index}"]
                for index, evaluation in enumerate(ready.experiment.evals)
                if evaluation.file is not None
            },
            shortest_length=length,
        )
        if not self._suites.heldout:
            return None
        return measure_baselines(
            self._suites.heldout,
            ready.prepared.stores,
            tokenizer,
            vocab_size=ready.plan.model.vocab_size,
        )

    def score(self, model: ScoredModel, items: Collection[int]) -> list[Score]:
        """Score one set of weights with some items of the spec's evals."""
        assert self._suites is not None, "score without prepare"
        assert self._benchmarks is not None
        scores = evaluate(self._suites, model, items)
        return scores + self._benchmarks.score(model, items)


def _heldout_stores(ready: Ready) -> dict[str, TokenStore]:
    """Open what was held out, where anything asks for it."""
    if not any(item.suite == "heldout" for item in ready.experiment.evals):
        return {}
    return open_stores(ready.plan, ready.lock, ready.workspace, "heldout")
