"""Which questions of some tasks are in the training text of a spec.

    found = look_for_questions(tasks, experiment=..., plan=..., lock=..., workspace=...)
    found.report()       # per task and source, with evidence
    found.documents()    # the training documents, to be dropped

What of a benchmark was in the training text is told beside its scores, see `clean`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.contamination.collect import scan_sources
from evals.contamination.jobs import SourceJobs, is_prepared
from evals.contamination.needles import IndexedTask, Kind, index_questions
from evals.contamination.report import (
    Contamination,
    OverlapCounts,
    OverlappingDocument,
    QuestionOverlap,
    ScannedSource,
    TaskOverlap,
)
from evals.contamination.tally import QuestionTally, Tally
from evals.contamination.trained import trained_tokens
from evals.rendering import Row
from runtime.choosing import make_choices
from runtime.pinned import check_pinned
from runtime.progress import Listener, ignore_progress
from runtime.watched import WatchedFiles
from specs.experiment import Experiment
from specs.lock import Lock
from specs.plan import Plan
from specs.task import Task


def look_for_questions(
    tasks: Sequence[tuple[Task, Sequence[Row]]],
    *,
    experiment: Experiment,
    plan: Plan,
    lock: Lock,
    workspace: Path,
    num_workers: int | None = None,
    progress: Listener = ignore_progress,
) -> FoundQuestions:
    """Look for the questions of tasks in the training text of a spec.

    Args:
        tasks: Each with all rows of its pinned file.
        experiment: The spec.
        plan: Its plan.
        lock: Its lock. Sources with a token store in it are read from there; the
            others from their files, whose bytes are checked first.
        workspace: The folder that holds `.dvc/`.
        num_workers: Worker processes; None chooses by cores and bytes. The result does
            not depend on it.
        progress: Told how far it is.

    Raises:
        SpecError: A task looks for fields that a row lacks.
        InputError: A source is not pinned, differs from its pin, or is corrupt.
    """
    wanted = [pair for pair in tasks if pair[0].contamination is not None]
    index = index_questions(wanted)
    prepared = all(is_prepared(name, lock, workspace) for name in plan.sources)
    if not prepared:
        watched = WatchedFiles(workspace, lock.paths)
        check_pinned(experiment, lock, workspace, progress)
        make_choices(plan, lock, workspace, watched, num_workers, progress)
    scan = scan_sources(
        index, plan, lock, workspace, num_workers=num_workers, progress=progress
    )
    # Which of a source's tokens come up depends on the sizes of all stores.
    trained = trained_tokens(plan, lock, workspace) if prepared else {}
    others = sorted(task.name for task, _ in tasks if task.contamination is None)
    return FoundQuestions(tally=Tally(scan, trained), not_looked_for=tuple(others))


@dataclass(frozen=True, kw_only=True)
class FoundQuestions:
    """What a scan found."""

    tally: Tally
    not_looked_for: tuple[str, ...]
    """Tasks that don't say how they are looked for."""

    def report(self) -> Contamination:
        """Return what was found, per task and source."""
        index = self.tally.index
        return Contamination(
            index=index.digest,
            normalisation=index.normalisation,
            sources={
                source.source: self._scanned(source)
                for source in self.tally.scan.sources
            },
            tasks=tuple(
                self._task(place, task) for place, task in enumerate(index.tasks)
            ),
            not_looked_for=self.not_looked_for,
        )

    def documents(self) -> Iterator[OverlappingDocument]:
        """Yield the training documents that questions are found in, source by source.

        Common words count: `is_common` tells the documents with nothing else.
        """
        return self.tally.documents()

    def _scanned(self, source: SourceJobs) -> ScannedSource:
        shards = [findings for _, findings in self.tally.scan.findings(source)]
        trained = self.tally.trained.get(source.source)
        return ScannedSource(
            read_from=source.read_from,
            documents=sum(shard.documents for shard in shards),
            text_bytes=sum(shard.text_bytes for shard in shards),
            corrupt=sum(shard.corrupt for shard in shards),
            trained_share=None if trained is None else trained.share,
        )

    def _task(self, place: int, task: IndexedTask) -> TaskOverlap:
        kinds: dict[str, set[Kind]] = {}
        for needle in task.needles:
            kinds.setdefault(needle.question, set()).add(needle.kind)
        tallies = [
            (question, tally)
            for (of_task, question), tally in self.tally.questions.items()
            if of_task == place
        ]
        tallies.sort(key=lambda one: int(one[0]))
        names = [source.source for source in self.tally.scan.sources]
        return TaskOverlap(
            task=task.name,
            data=task.data,
            ngram=task.ngram,
            is_ngram_given=task.is_ngram_given,
            questions=task.questions,
            by_ngram=sum("ngram" in found for found in kinds.values()),
            by_whole=sum("ngram" not in found for found in kinds.values()),
            too_short=task.too_short,
            sources={name: _counts(tallies, {name}, task.questions) for name in names},
            together=_counts(tallies, set(names), task.questions),
            overlaps=tuple(_overlap(*one) for one in tallies),
        )


def _overlap(question: str, tally: QuestionTally) -> QuestionOverlap:
    assert tally.evidence is not None
    return QuestionOverlap(
        question=question,
        kind="whole" if tally.by_whole and not tally.by_ngram else "ngram",
        is_found=bool(tally.found),
        is_common=bool(tally.found) and not tally.uncommon,
        is_answer_near=bool(tally.answered),
        longest=tally.longest,
        sources=tuple(sorted(tally.found)),
        evidence=tally.evidence,
    )


def _counts(
    tallies: Sequence[tuple[str, QuestionTally]], sources: set[str], questions: int
) -> OverlapCounts:
    """Count the questions that are found in any of some sources."""
    found = [tally for _, tally in tallies if tally.found & sources]
    num_ngram = sum(bool(tally.by_ngram & sources) for tally in found)
    return OverlapCounts(
        found=len(found),
        share=len(found) / questions if questions else 0.0,
        ngram=num_ngram,
        whole=len(found) - num_ngram,
        common=sum(not tally.uncommon & sources for tally in found),
        answer_near=sum(bool(tally.answered & sources) for tally in found),
    )
