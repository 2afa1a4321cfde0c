"""A judged evaluation from end to end: replies from the ledger, judged, recorded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from evals.judging.compare import compare_replies
from evals.judging.judge import LoadedJudge, load_judge
from evals.judging.judgement import JudgementStore
from evals.judging.local import JudgingCheckpoint, compare_locally
from evals.judging.panel import JudgingListener, Mode, ignore_judging
from evals.judging.recorded import (
    record_win_rate,
    recorded_comparison,
    restore_recorded,
)
from evals.judging.replies import Comparison
from evals.judging.win_rate import WinRate
from evals.scores import TextCodec
from ledger.keys import SigningKey
from ledger.record_evaluation import RecordedEvaluation
from runtime.deduplication.overlaps import FindOverlaps, overlaps_unknown
from runtime.kept_run import find_weights_of
from runtime.progress import Listener, ignore_progress
from runtime.ready import Ready
from runtime.rescoring import rescore
from runtime.scoring import ScoredModel
from specs.benchmarks import NO_BENCHMARKS, Benchmarks
from specs.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Whose replies are compared, and by whom."""

    a: str
    """Entry, spec file or checkpoint."""
    b: str | None
    """Another; null: the task's reference replies."""
    task: str
    """Name, or YAML file from the workspace's folder."""
    judge: Path
    limit: int | None = None
    """Of the task's questions, as the replies were asked for."""
    stage: str | None = None
    """Of A, whose end is meant; null: the last."""


def judge_replies(
    asked: Asked,
    *,
    workspace: Path,
    mode: Mode = "record",
    num_devices: int | None = None,
    progress: Listener = ignore_progress,
    judging: JudgingListener = ignore_judging,
    key: SigningKey | None = None,
) -> tuple[WinRate, RecordedEvaluation]:
    """Let a judge compare replies that the ledger holds, and record what comes of it.

    Args:
        asked: Whose replies, by whom.
        workspace: The folder that holds `.dvc/`.
        mode: Whether a judge behind an endpoint is asked.
        num_devices: For a local judge.
        progress: Told how far a local judge's preparing is.
        judging: Told how many questions to an endpoint are answered.
        key: Signs the document.

    Raises:
        SpecError: The judge file or the task is wrong.
        InputError: There are no such replies, or the judge can't be asked.
        RunError: It states too few verdicts.
    """
    judge = load_judge(asked.judge)
    found = recorded_comparison(
        asked.a,
        asked.b,
        task=asked.task,
        workspace=workspace,
        limit=asked.limit,
        stages=(asked.stage, None),
    )
    store = JudgementStore.of(workspace)
    if judge.spec.local is not None:
        result = _judged_locally(
            found.comparison, judge, workspace, num_devices, progress
        )
    else:
        if mode != "refresh":
            # What was imported is in the ledger alone.
            restore_recorded(found.kept, store)
        result = compare_replies(
            found.comparison, judge=judge, store=store, mode=mode, progress=judging
        )
    recorded = record_win_rate(result, kept=found.kept, store=store, mode=mode, key=key)
    return result, recorded


def _judged_locally(
    comparison: Comparison,
    judge: LoadedJudge,
    workspace: Path,
    num_devices: int | None,
    progress: Listener,
) -> WinRate:
    local = judge.spec.local
    assert local is not None
    kept = find_weights_of(local.checkpoint, workspace, None)
    asking = _Asking(comparison, judge, kept.weights.digest)
    rescore(
        local.checkpoint,
        (),
        workspace=workspace,
        evaluator=asking,
        num_devices=num_devices,
        progress=progress,
    )
    assert asking.result is not None, "rescoring asks for scores"
    return asking.result


class _Asking:
    """An `Evaluator` that has its weights judge, and scores nothing."""

    def __init__(self, comparison: Comparison, judge: LoadedJudge, weights: str):
        self.result: WinRate | None = None
        self._comparison, self._judge, self._weights = comparison, judge, weights
        self._tokenizer: TextCodec | None = None

    def check(self, experiment: Experiment) -> None:
        """Refuse nothing: replies come from the ledger."""

    def declare(self, experiment: Experiment, workspace: Path) -> Benchmarks:
        """Ask no benchmark."""
        return NO_BENCHMARKS

    @property
    def find_overlaps(self) -> FindOverlaps:
        """Finds nothing: nothing is prepared here."""
        return overlaps_unknown

    def prepare(self, ready: Ready) -> None:
        """Take the tokenizer of the weights that judge."""
        self._tokenizer = ready.prepared.tokenizer

    def score(self, model: ScoredModel, items: Collection[int]) -> tuple[()]:
        """Let the weights judge."""
        assert self._tokenizer is not None
        checkpoint = JudgingCheckpoint(
            weights=self._weights, model=model, tokenizer=self._tokenizer
        )
        self.result = compare_locally(
            self._comparison, judge=self._judge, checkpoint=checkpoint
        )
        return ()
