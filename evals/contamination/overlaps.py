"""Which training documents hold questions of benchmarks that a spec keeps out.

What `runtime.deduplication` is handed by whoever prepares: it may not import this
package. Documents are read as text, before anything is dropped as a duplicate, so an
old token store makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evals.catalogue import declared_benchmarks, kept_out_of
from evals.contamination.collect import scan_sources
from evals.contamination.needles import index_questions
from evals.contamination.tally import Tally
from runtime.benchmarks import check_declared
from runtime.deduplication.overlaps import Overlap
from runtime.progress import Listener
from runtime.question_rows import read_rows
from specs.experiment import Experiment
from specs.lock import Lock
from specs.plan import Plan
from specs.task import Task


def find_overlaps(
    plan: Plan,
    lock: Lock,
    workspace: Path,
    num_workers: int | None,
    progress: Listener,
) -> Iterator[Overlap]:
    """Yield the documents of deduplicated sources that hold questions.

    Args:
        plan: With `deduplicate.benchmarks`.
        lock: Its lock, with the tasks.
        workspace: The folder that holds `.dvc/`.
        num_workers: Worker processes; None chooses by cores and bytes.
        progress: Told how far it is.

    Raises:
        SpecError: A task looks for fields that a row lacks.
        InputError: Questions are not what is pinned, or documents are corrupt.
    """
    rule = plan.deduplicate
    assert rule is not None
    assert rule.benchmarks is not None
    tasks = [
        (
            _with_ngram(task, rule.benchmarks.ngram),
            read_rows(_path(name, lock, workspace), task.data),
        )
        for name, task in sorted(lock.benchmarks.kept_out.items())
    ]
    listed = {name: plan.sources[name] for name in rule.sources}
    scan = scan_sources(
        index_questions(tasks),
        plan.model_copy(update={"sources": listed}),
        lock.model_copy(update={"stores": {}}),
        workspace,
        num_workers=num_workers,
        progress=progress,
    )
    for found in Tally(scan, {}).documents():
        yield Overlap(
            source=found.source,
            file=found.file,
            number=found.number,
            longest=found.longest,
            tasks=found.tasks,
        )


def check_kept_out(
    experiment: Experiment, lock: Lock, workspace: Path, spec: str
) -> None:
    """Check that a lock has the benchmarks that a spec keeps out, as declared now.

    Args:
        experiment: The spec.
        lock: Its lock.
        workspace: The folder that task files are named from.
        spec: What messages call the spec.

    Raises:
        SpecError: A name or a task file is wrong.
        InputError: With every task that differs.
    """
    if kept_out_of(experiment) is not None:
        declared = declared_benchmarks(experiment, workspace)
        check_declared(declared, lock.benchmarks, spec)


def _path(name: str, lock: Lock, workspace: Path) -> Path:
    return workspace / lock.inputs[f"kept_out.{name}"].files[0].path


def _with_ngram(task: Task, ngram: int | None) -> Task:
    """Return a task that is looked for by so many words."""
    assert task.contamination is not None, "the catalogue refuses others"
    if ngram is None:
        return task
    overlap = task.contamination.model_copy(update={"ngram": ngram})
    return task.model_copy(update={"contamination": overlap})
