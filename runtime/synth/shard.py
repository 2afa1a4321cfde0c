"""One shard: problems of a range of indices, made, checked, written whole."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.synth.exclusion import NOTHING, Excluded
from runtime.synth.family import Family, UnsuitableError
from runtime.synth.form import ANY_FORM, Form
from runtime.synth.placement import ATTEMPTS, place_of
from runtime.synth.problem import Candidate, candidate, finished
from specs.atomic import write_atomically

BATCH = 250
"""Problems that one process of the sandbox checks."""
RECORDS = "records"
"""Folder of what is known of each shard."""

Check = Callable[[Sequence[dict[str, Any]]], list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What is known of a shard that is whole."""

    name: str
    start: int
    stop: int
    """Index after the last."""
    num_problems: int
    sha256: str
    num_bytes: int
    rejected: tuple[tuple[int, int, str, str], ...]
    """Index, attempt, family and reason of each candidate that was not good."""
    given_up: tuple[int, ...]
    """Indices of which no attempt was good."""
    duplicates: tuple[str, ...] = ()
    """Ids that were taken out, as an earlier problem is the same."""


def make_problems(
    indices: Sequence[int],
    *,
    seed: int,
    families: Sequence[Family],
    check: Check,
    excluded: Excluded = NOTHING,
    form: Form = ANY_FORM,
    moved: Callable[[int], None] = lambda done: None,
) -> tuple[list[dict[str, Any]], list[tuple[int, int, str, str]]]:
    """Make problems; returns them in the order of indices, and what was rejected.

    Args:
        indices: Which problems.
        seed: Of the set.
        families: Of the set, in order.
        check: Gives a verdict on each candidate.
        excluded: What no problem may hold.
        form: Of the set.
        moved: Called with how many problems are done.
    """
    done: dict[int, dict[str, Any]] = {}
    rejected: list[tuple[int, int, str, str]] = []
    waiting = list(indices)
    for attempt in range(ATTEMPTS):
        again: list[int] = []
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            made, refused = _attempt(
                batch, attempt, seed=seed, families=families, excluded=excluded,
                check=check, form=form,
            )  # fmt: skip
            done |= made
            rejected += refused
            again += [index for index, *_ in refused]
            moved(len(done))
        waiting = sorted(again)
    return [done[index] for index in indices if index in done], sorted(rejected)


def _attempt(
    indices: Sequence[int],
    attempt: int,
    *,
    seed: int,
    families: Sequence[Family],
    excluded: Excluded,
    check: Check,
    form: Form,
) -> tuple[dict[int, dict[str, Any]], list[tuple[int, int, str, str]]]:
    chosen: list[Candidate] = []
    refused = []

    def refuse(index: int, reason: str) -> None:
        family = place_of(index, seed=seed, families=families).family
        refused.append((index, attempt, family.name, reason))

    for index in indices:
        try:
            chosen.append(
                candidate(index, attempt, seed=seed, families=families, form=form)
            )
        except UnsuitableError:
            refuse(index, "unsuitable")
    made = {}
    verdicts = check([one.to_check() for one in chosen])
    for one, verdict in zip(chosen, verdicts, strict=True):
        if not verdict["ok"]:
            refuse(one.index, verdict["reason"])
            continue
        problem = finished(one, verdict, form)
        against = excluded.reason_against(
            problem["text"], problem["solution"], problem["entry"]
        )
        if against is not None:
            refuse(one.index, against)
        else:
            made[one.index] = problem
    return made, refused


def write_shard(
    folder: Path, record: dict[str, Any], problems: Sequence[dict[str, Any]]
) -> ShardRecord:
    """Write a shard and then its record, each whole or not at all.

    Args:
        folder: The set's folder.
        record: `name`, `start`, `stop`, `rejected`, `given_up`, maybe `duplicates`.
        problems: In the order of their indices.
    """
    data = _compressed(problems)
    whole = ShardRecord(
        **record,
        num_problems=len(problems),
        sha256=hashlib.sha256(data).hexdigest(),
        num_bytes=len(data),
    )
    write_atomically(folder / whole.name, data)
    text = json.dumps(asdict(whole), sort_keys=True, indent=1) + "\n"
    write_atomically(record_path(folder, whole.name), text.encode())
    return whole


def record_path(folder: Path, name: str) -> Path:
    """Return where the record of a shard lies."""
    return folder / RECORDS / f"{name.split('.')[0]}.json"


def read_record(folder: Path, name: str) -> ShardRecord | None:
    """Return the record of a shard, if the shard is whole and as recorded."""
    try:
        told = json.loads(record_path(folder, name).read_text("utf-8"))
        data = (folder / name).read_bytes()
    except (OSError, ValueError):
        return None
    told["rejected"] = tuple(tuple(one) for one in told["rejected"])
    told["given_up"] = tuple(told["given_up"])
    told["duplicates"] = tuple(told["duplicates"])
    record = ShardRecord(**told)
    return record if hashlib.sha256(data).hexdigest() == record.sha256 else None


def read_shard(path: Path) -> list[dict[str, Any]]:
    """Return the problems of a shard."""
    import zstandard

    text = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    return [json.loads(line) for line in text.decode().splitlines()]


def rejections(records: Sequence[ShardRecord]) -> Counter[tuple[str, str]]:
    """Count what was rejected, by family and reason."""
    return Counter(
        (family, reason)
        for record in records
        for _, _, family, reason in record.rejected
    )


def _compressed(problems: Sequence[dict[str, Any]]) -> bytes:
    import zstandard

    lines = (
        json.dumps(problem, sort_keys=True, ensure_ascii=True) + "\n"
        for problem in problems
    )
    return zstandard.ZstdCompressor(level=9).compress("".join(lines).encode())
