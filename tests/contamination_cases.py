"""Tasks and a plain scan, for tests of contamination."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from data_workspace import experiment_of, write_spec

from evals.contamination.needles import QuestionIndex, index_questions
from runtime.documents import Rows
from runtime.shard_writer import ShardWriter
from runtime.shards import plan_shards
from runtime.source_reader import Kept, SourceReader, Tally
from runtime.splits import SPLITS
from runtime.store_builder import StoreBuilder
from runtime.store_format import ShardResult
from runtime.store_identity import store_identity
from runtime.tokenizer import load_tokenizer, tokenizer_path
from runtime.tokenizer_training import train_model
from specs.experiment import Experiment
from specs.lock import Lock, LockedFile, LockedInput, LockedStore
from specs.plan import Plan
from specs.resolve import plan_experiment
from specs.task import Task

NO_ANSWER = ("none of these",)


def task_of(name: str, fields: Sequence[str], *, ngram: int | None = None) -> Task:
    """Make a task that looks for some fields of its rows."""
    return Task.model_validate(
        {
            "codemix_task": 1,
            "name": name,
            "version": 1,
            "data": {
                "file": f"benchmarks/{name}.jsonl",
                "split": "test",
                "licence": "none",
                "fields": [*fields, "answers"],
            },
            "prompt": "{{ question }}",
            "answer": {"accepted": "{{ answers }}", "stop": ["\n"]},
            "contamination": {"fields": list(fields), "ngram": ngram},
        }
    )


def rows_of(questions: Iterable[str], answers: Sequence[str] = NO_ANSWER) -> list[Any]:
    """Make rows of questions that share their right answers."""
    return [{"question": question, "answers": list(answers)} for question in questions]


def index_of(
    questions: Iterable[str],
    *,
    ngram: int | None = None,
    answers: Sequence[str] = NO_ANSWER,
) -> QuestionIndex:
    """Index questions of one field."""
    task = task_of("quiz", ["question"], ngram=ngram)
    return index_questions([(task, rows_of(questions, answers))])


def plain_words(text: str) -> list[str]:
    """Split a text as the documentation says, one character at a time."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = ""
    for character in folded:
        category = unicodedata.category(character)
        if category[0] in "LMN":
            kept += character
        elif category != "Cf":
            kept += " "
    return kept.split(" ")


def longest_match(question: list[str], document: list[str]) -> int:
    """Return the most words in a row that two texts share."""
    best = 0
    for place in range(len(question)):
        for other in range(len(document)):
            count = 0
            while (
                place + count < len(question)
                and other + count < len(document)
                and question[place + count] == document[other + count]
            ):
                count += 1
            best = max(best, count)
    return best


def plain_scan(index: QuestionIndex, documents: Iterable[str]) -> dict[int, int]:
    """Return needle number -> longest match, by comparing all with all."""
    longest: dict[int, int] = {}
    split = [[word for word in plain_words(text) if word] for text in documents]
    for number, (task, needle) in enumerate(index.needles()):
        question = needle.words.split(" ")
        best = max((longest_match(question, words) for words in split), default=0)
        least = len(question) if needle.kind == "whole" else min(task.ngram, 8)
        if best >= least:
            longest[number] = best
    return longest


@dataclass(frozen=True)
class Study:
    """A pinned spec, made without DVC: nothing here asks DVC for anything."""

    workspace: Path
    experiment: Experiment
    plan: Plan
    lock: Lock

    def prepared(self) -> Study:
        """Return the study with token stores, made without seqio."""
        texts = {name: list(self._kept(name)) for name in self.plan.sources}
        sample = [kept.text for found in texts.values() for _, kept in found]
        model = train_model(sample, 320)
        sha256 = hashlib.sha256(model).hexdigest()
        path = tokenizer_path(self.workspace, sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model)
        stores = {name: self._store(name, sha256) for name in texts}
        lock = self.lock.model_copy(
            update={"stores": stores, "tokenizer_sha256": sha256}
        )
        return replace(self, lock=lock)

    def _kept(self, name: str) -> Iterator[tuple[int, Kept]]:
        """Yield the documents of a source with their shard, as `prepare` reads them."""
        planned = self.plan.sources[name]
        files = self.lock.inputs[f"sources.{name}"].files
        for shard, ranges in enumerate(plan_shards(files, planned.format)):
            rows = [Rows(files[r.file].path, r.start_row, r.stop_row) for r in ranges]
            for kept in SourceReader(planned, self.workspace).read(rows, Tally()):
                yield shard, replace(kept, rows=ranges[kept.rows].file)

    def _store(self, name: str, sha256: str) -> LockedStore:
        identity = store_identity(name, self.plan, self.lock, sha256)
        builder = StoreBuilder(
            name, identity, self.plan, self.lock, self.workspace, sha256
        )
        builder.folder.mkdir(parents=True, exist_ok=True)
        tokenizer = load_tokenizer(tokenizer_path(self.workspace, sha256))
        results = []
        for job in builder.jobs():
            writers = {
                split: ShardWriter(
                    builder.folder,
                    split=split,
                    shard=job.shard,
                    order_key=int(job.order_key),
                    vocab_size=320,
                )
                for split in SPLITS
            }
            for shard, kept in self._kept(name):
                if shard == job.shard:
                    tokens = [*tokenizer.encode(kept.text.decode()), tokenizer.eos_id]
                    writers[kept.split].add(
                        np.array(tokens),
                        file=kept.rows,
                        number=kept.number,
                        num_bytes=len(kept.text),
                    )
            splits = {split: writer.finish() for split, writer in writers.items()}
            results.append(
                ShardResult(splits=splits, read=0, dropped={}, reserved=0, corrupt=0)
            )
        manifest = builder.finish(results)
        return LockedStore(
            identity=identity,
            manifest_sha256=manifest.digest,
            train_tokens=manifest.splits["train"].num_tokens,
            heldout_tokens=manifest.splits["heldout"].num_tokens,
        )


def make_study(
    folder: Path,
    sources: dict[str, list[str | bytes]],
    *,
    stages: Sequence[Any] | None = None,
    **options: Any,
) -> Study:
    """Pin a source per list of documents.

    Args:
        folder: The workspace.
        sources: Name -> documents; bytes are whole lines of the file as they are.
        stages: Of the spec; null: a single one.
        options: Added to each source of the spec.
    """
    inputs = {}
    for name, texts in sources.items():
        path = folder / "data" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            text if isinstance(text, bytes) else json.dumps({"text": text}).encode()
            for text in texts
        ]
        data = b"".join(line + b"\n" for line in lines)
        path.write_bytes(data)
        uri = f"data/{name}.jsonl"
        file = LockedFile(
            path=uri,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            documents=len(lines),
        )
        inputs[f"sources.{name}"] = LockedInput(
            uri=uri, dvc=f"{uri}.dvc", dvc_hash="md5:0", files=(file,)
        )
    spec = write_spec(
        folder,
        {name: {"uri": f"data/{name}.jsonl", **options} for name in sources},
        **({} if stages is None else {"stages": stages}),
    )
    experiment = experiment_of(spec)
    lock = Lock(lock=1, codemix="0", inputs=inputs)
    return Study(folder, experiment, plan_experiment(experiment), lock)
