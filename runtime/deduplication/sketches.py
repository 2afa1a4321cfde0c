"""The sketches of all shards: made where they are not there yet, then put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.choices import chosen_source
from runtime.deduplication.catalogue import Catalogue, catalogue_of
from runtime.deduplication.folders import sketch_path
from runtime.deduplication.sketch import (
    SketchedShard,
    SketchResult,
    record_path,
    sketch_result,
)
from runtime.deduplication.task import Job
from runtime.deduplication.work import Work
from runtime.shards import plan_shards
from specs.atomic import write_atomically
from specs.lock import Lock
from specs.plan import Plan


def shards_of(
    name: str, plan: Plan, lock: Lock, workspace: Path
) -> list[SketchedShard]:
    """Return the shards of a source, as they are tokenised too."""
    assert plan.deduplicate is not None
    planned = chosen_source(name, plan, lock, workspace)
    pinned = lock.pinned(plan.input_of(name))
    shards = plan_shards(pinned.files, planned.format)
    return [
        SketchedShard(
            source=name,
            planned=planned,
            files=tuple(file.path for file in pinned.files),
            ranges=ranges,
            workspace=str(workspace),
            normalise=plan.deduplicate.normalise,
            near=plan.deduplicate.near,
            num_bytes=pinned.num_bytes // len(shards),
            path=str(sketch_path(name, shard, plan, lock, workspace)),
        )
        for shard, ranges in enumerate(shards)
    ]


def sketched(shards: Mapping[str, Sequence[SketchedShard]], work: Work) -> Catalogue:
    """Sketch what was not sketched before.

    Args:
        shards: Source -> its shards, in the order of sources.
        work: Does the jobs.

    Raises:
        InputError: Documents are corrupt; the sketches that are done are kept.
    """
    missing = [
        one for found in shards.values() for one in found if sketch_result(one) is None
    ]

    def keep(place: int, answer: Any) -> None:
        result = SketchResult.model_validate(answer)
        write_atomically(record_path(missing[place]), result.to_bytes())

    jobs = [Job(sketch=one) for one in missing]
    work.do("hash documents", jobs, [one.num_bytes for one in missing], keep)
    return catalogue_of(
        [
            (name, [(Path(one.path), _known(one)) for one in found])
            for name, found in shards.items()
        ]
    )


def _known(shard: SketchedShard) -> SketchResult:
    found = sketch_result(shard)
    assert found is not None, "it was sketched before"
    return found
