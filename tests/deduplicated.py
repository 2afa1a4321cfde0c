"""Deduplicating small sources without git, DVC or a tokenizer, and by brute force."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from runtime.deduplication.drops import read_drops
from runtime.deduplication.folders import drops_folder, drops_path, report_path
from runtime.deduplication.report import Deduplicated
from runtime.deduplication.run import deduplicate
from runtime.progress import Listener, ignore_progress
from runtime.shards import plan_shards
from runtime.splits import Splitter
from runtime.watched import WatchedFiles
from specs.experiment import Experiment
from specs.lock import Lock, LockedFile, LockedInput
from specs.plan import Plan
from specs.resolve import plan_experiment

Dropped = dict[tuple[str, int], str]
"""File and number -> reason."""


class Sources:
    """Sources of JSONL files in a folder."""

    def __init__(
        self,
        workspace: Path,
        texts: Mapping[str, Sequence[Sequence[str]]],
        rule: dict[str, Any],
        **source: Any,
    ):
        """Write the files.

        Args:
            workspace: Where they go.
            texts: Source -> files -> documents.
            rule: `deduplicate` of the spec.
            **source: Keys of every source.
        """
        self.workspace = workspace
        self.texts = texts
        inputs = {}
        for name, files in texts.items():
            locked = [
                self._write(f"data/{name}/{n}.jsonl", one)
                for n, one in enumerate(files)
            ]
            inputs[f"sources.{name}"] = LockedInput(
                uri=f"data/{name}/*.jsonl", dvc="", dvc_hash="", files=tuple(locked)
            )
        self.lock = Lock(lock=1, codemix="", inputs=inputs)
        self.plan = self._plan(rule, source)

    def deduplicate(
        self, num_workers: int = 1, progress: Listener = ignore_progress
    ) -> Deduplicated:
        """Run it, and return its report."""
        deduplicate(
            self.plan,
            self.lock,
            self.workspace,
            watched=WatchedFiles(self.workspace, self.lock.paths),
            num_workers=num_workers,
            progress=progress,
        )
        path = report_path(self.plan, self.lock, self.workspace)
        return Deduplicated.model_validate_json(path.read_bytes())

    def dropped(self, name: str) -> Dropped:
        """Return what is dropped of a source."""
        files = self.lock.inputs[f"sources.{name}"].files
        folder = drops_folder(name, self.plan, self.lock, self.workspace)
        found: Dropped = {}
        for shard in range(len(plan_shards(files, "auto"))):
            path = drops_path(folder, shard)
            found |= read_drops(path, [file.path for file in files])
        return found

    def expected(self) -> dict[str, Dropped]:
        """Compare every document with all kept ones before it."""
        rule = self.plan.deduplicate
        assert rule is not None
        dropped: dict[str, Dropped] = {name: {} for name in rule.sources}
        seen: set[str] = set()
        kept: list[set[tuple[str, ...]]] = []
        for _, name, place, text in self.documents(rule.sources):
            compared = text
            if rule.normalise == "whitespace":
                compared = " ".join(text.split())
            if rule.exact and compared in seen:
                dropped[name][place] = "deduplicate.exact"
                continue
            seen.add(compared)
            found = shingles(compared, 5)
            if rule.near is not None and found:
                if any(
                    jaccard(found, one) >= Fraction(rule.near.threshold) for one in kept
                ):
                    dropped[name][place] = "deduplicate.near"
                    continue
                kept.append(found)
        return dropped

    def documents(self, names: Sequence[str]) -> Iterator[tuple[str, str, Any, str]]:
        """Yield split, source, file and number, and text, in the order of the rule."""
        for name in names:
            planned = self.plan.sources[name]
            splitter = Splitter(holdout=planned.holdout, reserve=planned.reserve)
            for split in ("heldout", "train"):
                for n, file in enumerate(self.texts[name]):
                    for number, text in enumerate(file, start=1):
                        if text and splitter.split_of(text.encode()) == split:
                            place = (f"data/{name}/{n}.jsonl", number)
                            yield split, name, place, text

    def plan_small_shards(self) -> None:
        """Pretend that files are large, so that they make several shards."""
        inputs = {
            key: one.model_copy(
                update={
                    "files": tuple(
                        file.model_copy(update={"bytes": 2**24}) for file in one.files
                    )
                }
            )
            for key, one in self.lock.inputs.items()
        }
        self.lock = self.lock.model_copy(update={"inputs": inputs})

    def _write(self, name: str, texts: Sequence[str]) -> LockedFile:
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
        path.write_bytes(data)
        return LockedFile(
            path=name,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            documents=len(texts),
        )

    def _plan(self, rule: dict[str, Any], source: dict[str, Any]) -> Plan:
        names = list(self.texts)
        return plan_experiment(
            Experiment.model_validate(
                {
                    "codemix": 1,
                    "name": "small",
                    "seed": 17,
                    "model": {"layers": 1, "width": 16, "heads": 2, "ffn_width": 16},
                    "tokenizer": {"vocab_size": 320, "file": "a.model"},
                    "sources": {
                        name: {"uri": f"data/{name}/*.jsonl", **source}
                        for name in names
                    },
                    "deduplicate": rule,
                    "batch": {"sequences": 2, "length": 8, "lane": 1},
                    "stages": [
                        {
                            "name": "only",
                            "tokens": 4096,
                            "mixture": dict.fromkeys(names, 1),
                            "learning_rate": {"schedule": "constant", "peak": 0.001},
                        }
                    ],
                }
            )
        )


def shingles(text: str, size: int) -> set[tuple[str, ...]]:
    """Return the runs of ASCII words of a text, of all of them if they are few."""
    words = "".join(c if c.isalnum() or c == "_" else " " for c in text).split()
    if len(words) < size:
        return {tuple(words)} if words else set()
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def jaccard(one: set[Any], other: set[Any]) -> Fraction:
    """Return what two sets share of what either has."""
    return Fraction(len(one & other), len(one | other))
