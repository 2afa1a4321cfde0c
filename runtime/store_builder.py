"""Building one token store out of its shards, from where a killed build stopped.

Each finished shard leaves a record with the digests of its files. A later build keeps
the shards whose files still have these digests. The manifest, written last, lists all
shards in order and replaces the records.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runtime.choices import choices_of, chosen_source
from runtime.deduplication.folders import drops_folder, drops_path
from runtime.engines import Workers
from runtime.funnel import build_funnel, funnel_path
from runtime.keys import key
from runtime.progress import Listener
from runtime.shard_meter import ShardMeter
from runtime.shards import ShardJob, plan_shards
from runtime.splits import SPLITS
from runtime.storage import Folder, Storage
from runtime.store_bucket import open_bucket
from runtime.store_format import (
    MANIFEST,
    FileRecord,
    Manifest,
    ShardRecord,
    ShardResult,
    SplitRecord,
)
from runtime.store_identity import store_folder
from runtime.store_sharing import put_manifest
from runtime.token_store import sha256_of
from runtime.tokenizer import load_tokenizer, tokenizer_path
from runtime.watched import WatchedFiles
from runtime.workers import Done, Failed
from specs.atomic import sweep, write_atomically
from specs.errors import InputError, Problem
from specs.lock import Lock, LockedInput
from specs.plan import Plan
from specs.stores import Stores

MAX_PROBLEMS = 10
BYTES_PER_WORKER = 64 * 2**20
"""A worker takes seconds to import seqio: a further one must have this much to do."""


@dataclass(frozen=True)
class StoreBuilder:
    """One store: what it is made of and where it goes."""

    name: str
    identity: str
    plan: Plan
    lock: Lock
    workspace: Path
    tokenizer_sha256: str
    stores: Stores | None = None
    """Where finished stores are kept; None: in the workspace."""

    @property
    def folder(self) -> Path:
        """The store's folder."""
        return store_folder(self.workspace, self.identity)

    @property
    def is_complete(self) -> bool:
        """Whether the manifest is there."""
        return (self.folder / MANIFEST).is_file()

    @property
    def files(self) -> tuple[str, ...]:
        """The source's files, in the order read."""
        return tuple(file.path for file in self._input.files)

    @property
    def num_input_bytes(self) -> int:
        """Bytes of the source's files."""
        return self._input.num_bytes

    @property
    def sample_key(self) -> int:
        """Key of which documents of the source are sampled."""
        return key(self.plan.seed, "samples", self.name)

    @property
    def _input(self) -> LockedInput:
        return self.lock.pinned(self.plan.input_of(self.name))

    def jobs(self) -> list[ShardJob]:
        """Return a job for every shard of the store, done or not."""
        planned = chosen_source(self.name, self.plan, self.lock, self.workspace)
        shards = plan_shards(self._input.files, planned.format)
        return [
            ShardJob(
                source=self.name,
                planned=planned,
                files=self.files,
                ranges=ranges,
                shard=index,
                num_shards=len(shards),
                order_key=str(key(self.plan.seed, "documents", self.name, index)),
                sample_key=str(self.sample_key),
                workspace=str(self.workspace),
                folder=str(self.folder),
                location=self.stores.location if self.stores else None,
                tokenizer=str(tokenizer_path(self.workspace, self.tokenizer_sha256)),
                drops=self._drops(index),
            )
            for index, ranges in enumerate(shards)
        ]

    def finished_shard(self, shard: int) -> ShardResult | None:
        """Return the result of a shard that an earlier build finished, if intact."""
        try:
            result = ShardResult.model_validate_json(self._records.read(_record(shard)))
        except (FileNotFoundError, ValueError):
            return None
        if self.stores is not None:
            return result  # Written after its files, which appear whole there.
        records = [
            file
            for split in result.splits.values()
            for file in (split.tokens, split.documents)
        ]
        is_intact = all(_is_intact(self.folder, file) for file in records)
        return result if is_intact else None

    def keep_shard(self, shard: int, result: ShardResult) -> None:
        """Record that a shard is finished."""
        self._records.write(_record(shard), [result.to_bytes()])

    def finish(self, results: list[ShardResult]) -> Manifest:
        """Write the manifest, which makes the store complete."""
        model = tokenizer_path(self.workspace, self.tokenizer_sha256)
        tokenizer = load_tokenizer(model)
        dropped: Counter[str] = Counter()
        for result in results:
            dropped.update(result.dropped)
        manifest = Manifest(
            store=1,
            identity=self.identity,
            source=self.name,
            tokenizer_sha256=self.tokenizer_sha256,
            vocab_size=tokenizer.vocab_size,
            eos_id=tokenizer.eos_id,
            files=self.files,
            splits={
                split: _split_record([result.splits[split] for result in results])
                for split in SPLITS
            },
            read=sum(result.read for result in results),
            dropped=dict(sorted(dropped.items())),
            reserved=sum(result.reserved for result in results),
            corrupt=sum(result.corrupt for result in results),
            choices=choices_of(self.name, self.plan, self.lock, self.workspace),
        )
        # Before the manifest, so that a store that is complete has its funnel.
        self.keep_funnel(manifest, [result.funnel for result in results])
        if self.stores is not None:
            put_manifest(self.stores, self.folder, manifest.to_bytes())
            return manifest
        write_atomically(self.folder / MANIFEST, manifest.to_bytes())
        for index in range(len(results)):
            self._records.delete(_record(index))
        return manifest

    def keep_funnel(self, manifest: Manifest, shards: list[str | None]) -> None:
        """Write the funnel of the store, unless some shard has kept no part of it."""
        parts = [part for part in shards if part is not None]
        if len(parts) == len(shards):
            planned = self.plan.sources[self.name]
            funnel = build_funnel(manifest, planned, parts)
            path = funnel_path(self.workspace, self.identity)
            write_atomically(path, funnel.to_bytes())

    def _drops(self, shard: int) -> str | None:
        if not self.plan.deduplicated_until(self.name):
            return None
        folder = drops_folder(self.name, self.plan, self.lock, self.workspace)
        return str(drops_path(folder, shard))

    @cached_property
    def _records(self) -> Storage:
        """Where the records of finished shards are: with their files."""
        if self.stores is None:
            return Folder(self.folder)
        return open_bucket(self.stores.location, self.identity)


def build_stores(
    builders: list[StoreBuilder],
    workers: Workers,
    watched: WatchedFiles,
    progress: Listener,
) -> None:
    """Build stores that are not complete, all their shards in one queue.

    Raises:
        InputError: With the first problems of the documents, or the files that have
            changed since `watched` began; finished shards of others are kept.
    """
    results: dict[str, dict[int, ShardResult]] = {}
    jobs: list[tuple[StoreBuilder, ShardJob]] = []
    for builder in builders:
        builder.folder.mkdir(parents=True, exist_ok=True)
        sweep(builder.folder)
        results[builder.name] = {}
        for job in builder.jobs():
            finished = builder.finished_shard(job.shard)
            if finished is None:
                jobs.append((builder, job))
            else:
                results[builder.name][job.shard] = finished
    sizes = {builder.name: builder.num_input_bytes for builder in builders}
    meter = ShardMeter("tokenise", [job for _, job in jobs], sizes, progress)
    problems: list[Problem] = []
    for event in workers.run([job.to_json() for _, job in jobs]):
        builder, job = jobs[event.job]
        meter.hear(event)
        if not isinstance(event, Done | Failed):
            continue
        changes = watched.changes(job.files[one.file] for one in job.ranges)
        if changes:
            problems += changes
        elif isinstance(event, Failed):
            problems += event.problems
        else:
            result = ShardResult.model_validate(event.answer)
            builder.keep_shard(job.shard, result)
            results[builder.name][job.shard] = result
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        problems = sorted(
            set(problems), key=lambda problem: (problem.file or "", problem.line or 0)
        )
        raise InputError(problems[:MAX_PROBLEMS])
    for builder in builders:
        in_order = [result for _, result in sorted(results[builder.name].items())]
        builder.finish(in_order)


def default_num_workers(num_bytes: int) -> int:
    """Choose how many worker processes are worth their start.

    Args:
        num_bytes: Bytes of input.
    """
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, num_bytes // BYTES_PER_WORKER))


def _split_record(shards: list[ShardRecord]) -> SplitRecord:
    return SplitRecord(
        shards=tuple(shards),
        num_tokens=sum(shard.num_tokens for shard in shards),
        num_documents=sum(shard.num_documents for shard in shards),
        num_bytes=sum(shard.num_text_bytes for shard in shards),
    )


def _record(shard: int) -> str:
    return f"shard-{shard:05d}.json"


def _is_intact(folder: Path, record: FileRecord) -> bool:
    path = folder / record.name
    return path.is_file() and sha256_of(path) == record.sha256
