"""Making a whole set: what was asked for, shards by workers, duplicates, a manifest.

A killed run goes on with the next one: shards that are whole are kept. Nothing in the
folder depends on the number of workers or on when it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.folder_lock import sole_user
from runtime.synth.card import Card, describe
from runtime.synth.catalogue import chosen_families
from runtime.synth.exclusion import digest_of_files, read_excluded
from runtime.synth.form import Form, fitting_families, form_of
from runtime.synth.isolation import Level, ensure
from runtime.synth.placement import capacity
from runtime.synth.problem import GENERATOR_VERSION
from runtime.synth.shard import ShardRecord, read_record
from runtime.synth.whole_set import agree, drop_duplicates, write_manifest
from runtime.workers import Done, Failed, Moved, WorkerPool
from specs.errors import InputError

PROBLEMS_PER_SHARD = 1000

Moves = Callable[[int, int], None]
"""Told how many problems are done, of how many."""
Range = tuple[str, int, int]
"""A shard's name, its first index, and the index after its last."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What decides the bytes of a set."""

    seed: int
    count: int
    families: tuple[str, ...]
    form: Form
    problems_per_shard: int
    sandbox: Level = "bubblewrap"
    generator_version: int = GENERATOR_VERSION
    excluded_sha256: str | None = None
    """Of what no problem may hold."""


@dataclass(frozen=True, kw_only=True)
class SyntheticSet:
    """A set that is whole."""

    request: Request
    shards: tuple[ShardRecord, ...]
    digest: str
    card: Card


def synthesise(
    folder: Path,
    *,
    count: int,
    seed: int,
    families: Sequence[str] = (),
    difficulties: Sequence[str] = (),
    layouts: Sequence[str] = (),
    exclude: Sequence[Path] = (),
    sandbox: Level = "bubblewrap",
    num_workers: int = 1,
    moved: Moves = lambda done, total: None,
) -> SyntheticSet:
    """Make a set of problems in a folder, or what is missing of it.

    Args:
        folder: Made if missing; holds one set.
        count: Problems; one set may be asked for again with more.
        seed: Decides which problems.
        families: Names; none for all that fit.
        difficulties: Of the solutions; none for all.
        layouts: Of the documents; none for all.
        exclude: Files of n-grams and of questions that no problem may hold.
        sandbox: Where problems are checked; part of their certificates.
        num_workers: Processes; changes no byte.
        moved: Told how far it is.

    Raises:
        InputError: An unknown name, a count that the families can't make, a folder
            that holds something else, or no sandbox.
    """
    form = form_of(difficulties, layouts)
    chosen = chosen_families(families)
    if not families:
        chosen = fitting_families(chosen, form)
    ensure(sandbox)
    most = capacity(chosen)
    if count > most:
        raise InputError(
            f"{len(chosen)} families make at most {most:,} problems, got {count:,}",
            fix="lower --count, or take more families",
        )
    read_excluded(exclude)
    request = Request(
        seed=seed,
        count=count,
        families=tuple(family.name for family in chosen),
        form=form,
        problems_per_shard=PROBLEMS_PER_SHARD,
        sandbox=sandbox,
        excluded_sha256=digest_of_files(exclude),
    )
    with sole_user(folder):
        agree(folder, _as_json(request))
        _make_shards(folder, request, exclude, num_workers, moved)
        records = drop_duplicates(folder, [name for name, _, _ in _ranges(request)])
        card = describe(folder, records, chosen)
        maker = f"codemix's generator version {GENERATOR_VERSION} from seed {seed}"
        digest = write_manifest(folder, _as_json(request), records, card, maker)
    return SyntheticSet(
        request=request, shards=tuple(records), digest=digest, card=card
    )


def _make_shards(
    folder: Path,
    request: Request,
    exclude: Sequence[Path],
    num_workers: int,
    moved: Moves,
) -> None:
    missing = [one for one in _ranges(request) if not _is_whole(folder, one)]
    jobs = [_job(folder, request, exclude, one) for one in missing]
    sizes = [stop - start for _, start, stop in missing]
    done = [0] * len(jobs)
    ready = request.count - sum(sizes)
    moved(ready, request.count)
    if not jobs:
        return
    with WorkerPool(
        "runtime.synth.shard_task",
        num_workers=min(num_workers, len(jobs)),
        environ={"PYTHONHASHSEED": "0"},
    ) as pool:
        for event in pool.run(jobs):
            if isinstance(event, Failed):
                raise InputError(event.problems)
            if isinstance(event, Moved):
                done[event.job] = event.done_bytes
            if isinstance(event, Done):
                done[event.job] = sizes[event.job]
            moved(ready + sum(done), request.count)


def _job(
    folder: Path, request: Request, exclude: Sequence[Path], shard: Range
) -> dict[str, Any]:
    name, start, stop = shard
    return {
        "name": name,
        "start": start,
        "stop": stop,
        "seed": request.seed,
        "families": list(request.families),
        "sandbox": request.sandbox,
        "difficulties": list(request.form.difficulties),
        "layouts": list(request.form.layouts),
        "folder": str(folder),
        "exclude": [str(path) for path in exclude],
    }


def _ranges(request: Request) -> list[Range]:
    size = request.problems_per_shard
    return [
        (f"synth-{number:05d}.jsonl.zst", start, min(start + size, request.count))
        for number, start in enumerate(range(0, request.count, size))
    ]


def _is_whole(folder: Path, shard: Range) -> bool:
    name, _, stop = shard
    record = read_record(folder, name)
    return record is not None and record.stop == stop


def _as_json(request: Request) -> dict[str, Any]:
    told: dict[str, Any] = {**asdict(request), "families": list(request.families)}
    del told["form"]
    return told | request.form.told()
