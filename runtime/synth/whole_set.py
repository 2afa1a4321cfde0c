"""A folder that holds one set: agreed on, duplicates taken out, a manifest, a card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runtime.synth.card import Card
from runtime.synth.card_text import write_card
from runtime.synth.shard import ShardRecord, read_record, read_shard, write_shard
from specs.atomic import sweep, write_atomically
from specs.canonical import digest_of
from specs.errors import InputError, Problem

REQUEST = "request.json"
MANIFEST = "manifest.json"

Asked = dict[str, Any]
"""What decides the bytes of a set, as JSON; `count` is part of it."""


def agree(folder: Path, asked: Asked) -> None:
    """Write down what is asked for; refuse a folder that holds something else.

    In a folder of this set, what killed writers left is deleted.

    Raises:
        InputError: It does.
    """
    path = folder / REQUEST
    if not path.exists():
        if any(folder.glob("*.jsonl*")):
            raise InputError(
                "holds documents that are not of a synthetic set",
                file=str(folder),
                fix="choose another folder with --out",
            )
    else:
        before, now = json.loads(path.read_text("utf-8")), asked
        problems = [
            Problem(
                what=f"{name} of this set is {before.get(name, 'not said')}, got "
                f"{now.get(name, 'nothing')}",
                file=str(folder),
                fix="choose another folder with --out",
            )
            for name in sorted({*now, *before})
            if before.get(name) != now.get(name)
            # More of the same set is the same problems and some others.
            and not (name == "count" and now[name] > before.get(name, 0))
        ]
        if problems:
            raise InputError(problems)
        # Only now is it known to be ours.
        sweep(folder)
    write_atomically(path, _json_bytes(asked))


def drop_duplicates(folder: Path, names: Sequence[str]) -> list[ShardRecord]:
    """Take out problems that are the same as one of a lower index."""
    codes: set[str] = set()
    statements: set[str] = set()
    records = []
    for name in names:
        record = read_record(folder, name)
        assert record is not None
        problems = read_shard(folder / name)
        kept = []
        for problem in problems:
            certificate = problem["certificate"]
            code, told = certificate["same_code"], certificate["same_statement"]
            if code not in codes and told not in statements:
                kept.append(problem)
            codes.add(code)
            statements.add(told)
        if len(kept) < len(problems):
            record = _without(folder, record, problems, kept)
        records.append(record)
    return records


def _without(
    folder: Path,
    record: ShardRecord,
    problems: Sequence[dict[str, Any]],
    kept: Sequence[dict[str, Any]],
) -> ShardRecord:
    gone = {one["id"] for one in problems} - {one["id"] for one in kept}
    fields = asdict(record)
    for name in ("num_problems", "sha256", "num_bytes"):
        del fields[name]
    fields["duplicates"] = tuple(sorted({*record.duplicates, *gone}))
    return write_shard(folder, fields, kept)


def write_manifest(
    folder: Path, asked: Asked, records: Sequence[ShardRecord], card: Card, maker: str
) -> str:
    """Write the manifest and the card; returns the digest of the set.

    Args:
        folder: Of the set.
        asked: What was asked for.
        records: Of all shards.
        card: Counted from them.
        maker: Who made the problems, for the card.
    """
    shards = [
        {"name": one.name, "num_bytes": one.num_bytes, "num_problems": one.num_problems,
         "sha256": one.sha256}
        for one in records
    ]  # fmt: skip
    digest = digest_of(shards)
    write_card(folder, card, digest=digest, maker=maker)
    manifest = {"digest": digest, "request": asked, "shards": shards}
    write_atomically(folder / MANIFEST, _json_bytes(manifest))
    return digest


def _json_bytes(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()
