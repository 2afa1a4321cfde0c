"""Deduplicating the sources of a plan: what is done in which order, in workers.

Sketches of all shards -> equal texts -> documents that share a band -> their shingles
-> comparisons -> which documents are dropped. Every job writes one file whole, named by
what determines it, so what an interrupted run finished is not done again, and neither
the number of workers nor an interruption changes a byte.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.deduplication.candidates import Candidates, find_candidates
from runtime.deduplication.catalogue import Catalogue
from runtime.deduplication.compare import DROPPED, CompareJob
from runtime.deduplication.drops import BENCHMARK, EXACT, KEPT, NEAR, write_drops
from runtime.deduplication.folders import (
    DONE,
    REPORT,
    UNFINISHED,
    drops_folder,
    drops_path,
    is_deduplicated,
    report_path,
)
from runtime.deduplication.groups import GroupJob, Groups, num_partitions
from runtime.deduplication.outcome import Outcome
from runtime.deduplication.overlaps import (
    FindOverlaps,
    Overlap,
    overlapping_ranks,
    overlaps_from_bytes,
    overlaps_to_bytes,
    overlaps_unknown,
)
from runtime.deduplication.report import Deduplicated
from runtime.deduplication.shingle_files import ShinglesJob, ShinglesResult, index_path
from runtime.deduplication.sketches import shards_of, sketched
from runtime.deduplication.task import Job
from runtime.deduplication.work import Work
from runtime.engines import LOCAL, Engine
from runtime.folder_lock import folder_lock
from runtime.progress import Listener
from runtime.store_builder import default_num_workers
from runtime.store_identity import deduplication_identity
from runtime.watched import WatchedFiles
from specs.atomic import write_atomically
from specs.errors import InputError
from specs.lock import Lock
from specs.plan import Plan, PlannedDeduplication

# One thread each: there are as many workers as the user wants cores to be busy.
WORKER_ENVIRON = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def deduplicate(
    plan: Plan,
    lock: Lock,
    workspace: Path,
    *,
    watched: WatchedFiles,
    num_workers: int | None,
    progress: Listener,
    find_overlaps: FindOverlaps = overlaps_unknown,
    engine: Engine = LOCAL,
) -> None:
    """Decide which documents are dropped, unless that was done before.

    Args:
        plan: With `deduplicate`; its pinned bytes were checked.
        lock: Its lock.
        workspace: The folder that holds `.dvc/`.
        watched: The pinned files, watched since before their bytes were checked.
        num_workers: Worker processes; None chooses by cores and bytes.
        progress: Told how far it is.
        find_overlaps: Finds the documents that hold questions of benchmarks.
        engine: Who does the work.

    Raises:
        InputError: Documents are corrupt, files changed meanwhile, or the disk is full;
            what is done is kept.
    """
    assert plan.deduplicate is not None
    if is_deduplicated(plan, lock, workspace):
        return
    folder = report_path(plan, lock, workspace).parent
    with folder_lock(folder):
        if is_deduplicated(plan, lock, workspace):
            return
        inputs = {plan.input_of(name) for name in plan.deduplicate.sources}
        num_bytes = sum(lock.pinned(one).num_bytes for one in inputs)
        with engine.open(
            "runtime.deduplication.task",
            num_workers=num_workers or default_num_workers(num_bytes),
            environ=WORKER_ENVIRON,
        ) as workers:
            work = Work(workers, watched, progress)
            find = partial(find_overlaps, plan, lock, workspace, num_workers, progress)
            _Run(plan, lock, workspace, work, find).finish()
        shutil.rmtree(folder / UNFINISHED)


class _Run:
    """One run, from sketches to the report."""

    def __init__(
        self,
        plan: Plan,
        lock: Lock,
        workspace: Path,
        work: Work,
        find_overlaps: Callable[[], Iterable[Overlap]],
    ):
        assert plan.deduplicate is not None
        self._plan = plan
        self._rule: PlannedDeduplication = plan.deduplicate
        self._lock = lock
        self._workspace = workspace
        self._work = work
        self._find_overlaps = find_overlaps
        self._folder = report_path(plan, lock, workspace).parent / UNFINISHED
        self._shards = {
            name: shards_of(name, plan, lock, workspace) for name in self._rule.sources
        }

    def finish(self) -> None:
        """Do all of it."""
        catalogue = sketched(self._shards, self._work)
        write_atomically(self._folder / "catalogue.json", catalogue.to_bytes())
        reasons_N = np.zeros(catalogue.num_documents, np.uint8)
        dropped = [np.empty(0, DROPPED)]
        overlaps = self._overlapping()
        files = {name: shards[0].files for name, shards in self._shards.items()}
        reasons_N[overlapping_ranks(overlaps, catalogue, files)] = BENCHMARK
        if self._rule.exact:
            same = self._same_texts(catalogue, reasons_N)
            reasons_N[same["rank"]] = EXACT
            dropped.append(same)
        if self._rule.near is not None:
            near = self._near(catalogue, reasons_N)
            reasons_N[near["rank"]] = NEAR
            dropped.append(near)
        together = np.concatenate(dropped)
        outcome = Outcome(
            catalogue=catalogue,
            files=files,
            reasons_N=reasons_N,
            dropped_X=together[np.argsort(together["rank"])],
            codes=(EXACT, NEAR, *([BENCHMARK] if self._rule.benchmarks else [])),
            overlaps=overlaps,
            tasks=tuple(self._lock.benchmarks.kept_out),
        )
        self._write(outcome)

    def _overlapping(self) -> tuple[Overlap, ...]:
        """Return the documents that hold questions of benchmarks."""
        if self._rule.benchmarks is None:
            return ()
        path = self._folder / "overlaps.json"
        if not path.exists():
            found = overlaps_to_bytes(self._find_overlaps())
            files = [file for one in self._shards.values() for file in one[0].files]
            changes = self._work.watched.changes(files)
            if changes:
                raise InputError(changes)
            write_atomically(path, found)
        return overlaps_from_bytes(path.read_bytes())

    def _same_texts(
        self, catalogue: Catalogue, reasons_N: NDArray[np.uint8]
    ) -> NDArray[np.void]:
        """Return the documents with the text of an earlier one, as `DROPPED`."""
        paths = self._grouped("texts", [None], catalogue, reasons_N)
        found = [np.empty(0, DROPPED)]
        for path in paths:
            groups = Groups.load(path)
            is_later = groups.members_M != groups.first_M
            dropped = np.zeros(np.count_nonzero(is_later), DROPPED)
            dropped["rank"] = groups.members_M[is_later]
            dropped["keeper"] = groups.first_M[is_later]
            found.append(dropped)
        return np.concatenate(found)

    def _near(
        self, catalogue: Catalogue, reasons_N: NDArray[np.uint8]
    ) -> NDArray[np.void]:
        """Return the documents nearly the same as an earlier one, as `DROPPED`."""
        assert self._rule.near is not None
        bands = list(range(self._rule.near.bands))
        groups = self._grouped("bands", bands, catalogue, reasons_N)
        path = self._folder / "candidates.npz"
        if not path.exists():
            find_candidates(groups).save(path)
        candidates = Candidates.load(path)
        shingles = self._with_shingles(catalogue, candidates)
        jobs = [
            CompareJob(
                groups=tuple(map(str, groups)),
                candidates=str(path),
                shingles=tuple(map(str, shingles)),
                first_cluster=first,
                stop_cluster=stop,
                threshold=self._rule.near.threshold,
                num_documents=candidates.num_within(first, stop),
                path=str(self._folder / f"compared-{first:09d}.npy"),
            )
            for first, stop in candidates.cluster_ranges()
        ]
        missing = [one for one in jobs if not Path(one.path).exists()]
        sizes = [one.num_documents for one in missing]
        self._work.do("compare documents", [Job(compare=one) for one in missing], sizes)
        return np.concatenate([np.empty(0, DROPPED), *(np.load(o.path) for o in jobs)])

    def _grouped(
        self,
        name: str,
        bands: Sequence[int | None],
        catalogue: Catalogue,
        reasons_N: NDArray[np.uint8],
    ) -> list[Path]:
        """Group the documents that are not dropped yet."""
        excluded = self._folder / f"{name}.excluded"
        write_atomically(excluded, (reasons_N != KEPT).tobytes())
        parts = num_partitions(catalogue.num_documents)
        jobs = [
            GroupJob(
                catalogue=str(self._folder / "catalogue.json"),
                excluded=str(excluded),
                band=band,
                partition=part,
                num_partitions=parts,
                path=str(self._folder / f"{name}-{band or 0:04d}-{part:04d}.npz"),
            )
            for band in bands
            for part in range(parts)
        ]
        missing = [one for one in jobs if not Path(one.path).exists()]
        self._work.do(f"find equal {name}", [Job(groups=one) for one in missing])
        return [Path(one.path) for one in jobs]

    def _with_shingles(
        self, catalogue: Catalogue, candidates: Candidates
    ) -> list[Path]:
        """Write the shingles of all candidates and return where they are."""
        wanted = {
            (one.source, one.shard)
            for one in catalogue.segments
            if len(candidates.within(one.first_rank, one.stop_rank))
        }
        jobs = [
            ShinglesJob(
                shard=shard,
                number=number,
                catalogue=str(self._folder / "catalogue.json"),
                candidates=str(self._folder / "candidates.npz"),
                path=str(self._folder / f"{name}-{number:05d}.shingles"),
            )
            for name, shards in self._shards.items()
            for number, shard in enumerate(shards)
            if (name, number) in wanted
        ]
        missing = [one for one in jobs if not index_path(Path(one.path)).exists()]

        def keep(place: int, answer: Any) -> None:
            found = ShinglesResult.model_validate(answer)
            found.save(index_path(Path(missing[place].path)))

        sizes = [one.shard.num_bytes for one in missing]
        work = [Job(shingles=one) for one in missing]
        self._work.do("read candidates", work, sizes, keep)
        return [Path(one.path) for one in jobs]

    def _write(self, outcome: Outcome) -> None:
        """Write what `prepare` reads, the report last: it says that all is there."""
        found = []
        for name in self._rule.sources:
            folder = drops_folder(name, self._plan, self._lock, self._workspace)
            for shard, drops in outcome.drops(name):
                write_drops(drops_path(folder, shard), drops)
            found.append(outcome.source(name))
            write_atomically(folder / DONE, found[-1].to_bytes())
        last = self._rule.sources[-1]
        report = Deduplicated(
            identity=deduplication_identity(last, self._plan, self._lock),
            sources=tuple(found),
            clusters=outcome.clusters(),
            benchmarks=outcome.kept_out(),
        )
        write_atomically(self._folder.parent / REPORT, report.to_bytes())
