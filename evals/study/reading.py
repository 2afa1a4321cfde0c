"""Reading the scores of points out of entries, and out of evaluations made later."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evals.judging.win_rate import WinRate
from evals.results import TaskResult
from evals.statistics.sides import task_results
from evals.study.ends import stage_end
from evals.study.measured import (
    Answers,
    Measured,
    Missing,
    NotFinite,
    RunScore,
    scale_of,
)
from ledger.documents import run_of
from ledger.entry import Entry, StageFacts
from ledger.evaluation import Evaluation
from ledger.evaluations import FoundScore, scores_after
from ledger.store import Ledger
from ledger.weights import weights_after
from specs.experiment import Experiment
from specs.lock import Lock
from specs.study import WIN_METRICS, StudyScore
from specs.study_loaded import StudyPoint

WIN_SHARES = {"wins": 1.0, "losses": 0.0, "ties": 0.5}
"""Metric of a win-rate -> the score of the prompts that it counts."""


class PointReader:
    """Reads scores of points, each document once."""

    def __init__(
        self,
        ledger: Ledger,
        entries: Mapping[str, str],
        points: Mapping[str, StudyPoint],
    ) -> None:
        """Open nothing yet.

        Args:
            ledger: Holds the runs.
            entries: Experiment -> digest of the entry of its run.
            points: Of the study, by name.
        """
        self._ledger, self._entries, self._points = ledger, entries, points
        self._scores: dict[tuple[str, int], list[FoundScore]] = {}
        self._runs: dict[str, Entry] = {}

    def read(
        self, point: StudyPoint, name: str, score: StudyScore
    ) -> Measured | Missing:
        """Return one score of one point."""
        found: list[tuple[RunScore, dict[str, TaskResult]]] = []
        why = Missing(why="no run of it is in the ledger")
        for digest, stage in self._ends(point):
            if isinstance(stage, Missing):
                why = stage
                continue
            one = self._of_run(digest, stage, score)
            if not isinstance(one, Missing):
                found.append(one)
            elif isinstance(one, NotFinite):
                return one
            else:
                why = one
        if not found:
            return why
        tasks = _answers([results for _, results in found], score)
        if isinstance(tasks, Missing):
            return tasks
        runs = tuple(run for run, _ in found)
        return Measured(point=point.name, score=name, runs=runs, tasks=tasks)

    def _ends(self, point: StudyPoint) -> Iterator[tuple[str, StageFacts | Missing]]:
        for experiment in point.experiments:
            digest = self._entries.get(experiment)
            if digest is not None:
                yield digest, stage_end(digest, self._run(digest), point)

    def _run(self, digest: str) -> Entry:
        if digest not in self._runs:
            self._runs[digest] = run_of(self._ledger.find(digest))
        return self._runs[digest]

    def _of_run(
        self, digest: str, stage: StageFacts, score: StudyScore
    ) -> tuple[RunScore, dict[str, TaskResult]] | Missing:
        scores = self._scores_after(digest, stage.stop_step)
        if score.win_rate is not None:
            taken = self._win_rate(scores, score)
        else:
            taken = self._suite(digest, scores, score)
        if isinstance(taken, Missing):
            return taken
        value, sources, results = taken
        if not math.isfinite(value):
            what = f"{score.suite or score.win_rate} of {digest[:12]} is {value}"
            return NotFinite(why=what)
        run = RunScore(
            entry=digest,
            weights=stage.weights_digest or digest,
            trunk=self._trunk(digest, stage),
            sources=tuple(dict.fromkeys(sources)),
            step=stage.stop_step,
            seed=Experiment.model_validate(self._run(digest).spec).seed,
            value=value * scale_of(score),
        )
        return run, results

    def _trunk(self, digest: str, stage: StageFacts) -> tuple[str, ...]:
        before = (
            one for one in self._run(digest).stages if one.stop_step < stage.stop_step
        )
        return tuple(
            one.weights_digest for one in before if one.weights_digest is not None
        )

    def _scores_after(self, digest: str, step: int) -> list[FoundScore]:
        key = digest, step
        if key not in self._scores:
            self._scores[key] = scores_after(self._ledger, digest, step)
        return self._scores[key]

    def _suite(
        self, digest: str, scores: Sequence[FoundScore], score: StudyScore
    ) -> _Taken | Missing:
        assert score.suite is not None
        results = task_results(scores, self._ledger.objects)
        tasks = self._tasks_of(digest, scores, score.suite)
        if tasks is not None:
            missing = sorted(set(tasks) - results.keys())
            if missing:
                return Missing(why=f"was not asked {', '.join(missing)}")
            chosen = {name: _last(results[name]) for name in tasks}
            return _averaged(chosen, score.metric, scores)
        if score.suite in results:
            return _averaged(
                {score.suite: _last(results[score.suite])}, score.metric, scores
            )
        named = [one for one in scores if one.task == score.suite]
        if not named:
            return Missing(why=f"has no scores of {score.suite}")
        values = named[-1].score.values
        if score.metric not in values:
            return Missing(why=f"{score.suite} has no {score.metric}")
        return float(values[score.metric]), [named[-1].source], {}

    def _tasks_of(
        self, digest: str, scores: Sequence[FoundScore], suite: str
    ) -> tuple[str, ...] | None:
        """Return the tasks of a suite, as the run or an evaluation asked it."""
        found = None
        lock = Lock.model_validate(
            self._ledger.objects.get_json(self._run(digest).lock)
        )
        for asked in Lock.model_validate(lock).benchmarks.asked:
            if asked.suite == suite:
                found = asked.tasks
        for source in dict.fromkeys(one.source for one in scores):
            document = self._ledger.read(source)
            if isinstance(document, Evaluation):
                for one in document.suites:
                    if one.name == suite:
                        found = one.tasks
        return found

    def _win_rate(
        self, scores: Sequence[FoundScore], score: StudyScore
    ) -> _Taken | Missing:
        assert score.against is not None
        others = self._weights_of(self._points[score.against])
        found: tuple[WinRate, str] | None = None
        for one in scores:
            if one.score.detail is None or not one.task.startswith(
                f"{score.win_rate}.against."
            ):
                continue
            result = WinRate.model_validate(
                self._ledger.objects.get_json(one.score.detail)
            )
            if any(result.b.endswith(f".{other}") for other in others):
                found = result, one.source
        if found is None:
            return Missing(
                why=f"no judge has compared it with {score.against} on {score.win_rate}"
            )
        result, source = found
        metric = score.metric or WIN_METRICS[0]
        shares = {**result.shares, "win_rate": result.win_rate.value}
        return shares[metric], [source], {score.win_rate or "": _judged(result, metric)}

    def _weights_of(self, point: StudyPoint) -> list[str]:
        """Return how a win-rate calls the weights of a point."""
        names = []
        for digest, stage in self._ends(point):
            if isinstance(stage, Missing):
                continue
            weights = weights_after(
                digest, self._run(digest), stage.stop_step, self._ledger.objects
            )
            if weights is not None:
                names.append(weights.digest[:12])
        return names


_Taken = tuple[float, list[str], dict[str, TaskResult]]
"""Value as recorded, digests of documents, results by task."""


def _last(results: Mapping[str, TaskResult]) -> TaskResult:
    return list(results.values())[-1]


def _averaged(
    results: dict[str, TaskResult], metric: str | None, scores: Sequence[FoundScore]
) -> _Taken | Missing:
    means = []
    for name, result in results.items():
        wanted = metric or result.main
        if wanted not in result.questions[0].values:
            return Missing(why=f"{name} has no {wanted}")
        values = [question.values[wanted] for question in result.questions]
        means.append(math.fsum(values) / len(values))
    sources = [one.source for one in scores if one.task in results]
    return math.fsum(means) / len(means), sources, results


def _answers(
    runs: Sequence[Mapping[str, TaskResult]], score: StudyScore
) -> dict[str, Answers] | Missing:
    """Put the results of several seeds beside each other."""
    found = {}
    for name in dict.fromkeys(name for run in runs for name in run):
        results = [run[name] for run in runs if name in run]
        asked = {result.fingerprint for result in results}
        if len(results) < len(runs) or len(asked) > 1:
            return Missing(why=f"its seeds were asked {name} differently")
        found[name] = _side_by_side(results, score)
    return found


def _side_by_side(results: Sequence[TaskResult], score: StudyScore) -> Answers:
    scale = scale_of(score)
    by_id = [{one.id: one for one in result.questions} for result in results]
    # A judge may have had no verdict on some.
    shared = [
        one for one in results[0].questions if all(one.id in run for run in by_id)
    ]
    return Answers(
        fingerprint=results[0].fingerprint,
        rows=tuple(
            tuple(
                scale * run[one.id].values[score.metric or result.main]
                for one in shared
            )
            for result, run in zip(results, by_id, strict=True)
        ),
        clusters=tuple(one.cluster for one in shared),
        ids=tuple(one.id for one in shared),
    )


def _judged(result: WinRate, metric: str) -> TaskResult:
    """Return a win-rate as a task: each prompt counts as the metric says."""
    wanted = WIN_SHARES.get(metric)

    def value(output: Mapping[str, Any]) -> float:
        score = float(output["score"])
        return score if wanted is None else float(score == wanted)

    return TaskResult(
        task=result.task,
        # Against whom, the score says; each seed may be compared with another's.
        fingerprint=f"{result.task_fingerprint}.{result.judge_fingerprint}",
        main=metric,
        chance=0.5,
        questions=tuple(
            question.model_copy(update={"values": {metric: value(question.values)}})
            for question in result.questions
            if "score" in question.values
        ),
    )
