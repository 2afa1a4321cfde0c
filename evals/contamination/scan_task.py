"""Scanning one shard in a worker process, see `runtime.worker_process`."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evals.contamination.jobs import ScanJob, StoredShard, TextShard
from evals.contamination.results import read_index, write_findings
from evals.contamination.scan import Scanned, Scanner
from runtime.documents import Rows
from runtime.source_reader import SourceReader, Tally
from runtime.token_store import TokenStore
from runtime.tokenizer import load_tokenizer
from runtime.worker_process import Handler, Report


def scan_shard(job: ScanJob, report: Report) -> None:
    """Scan a shard and keep what was found.

    Raises:
        InputError: Rows are corrupt and the source does not skip those.
    """
    tally = Tally()
    documents = (
        stored_documents(job.stored)
        if job.stored is not None
        else text_documents(job.text, Path(job.workspace), tally)
    )
    findings = _scanner(job.folder, job.index).scan(documents, report)
    findings = findings.model_copy(update={"corrupt": tally.corrupt})
    write_findings(job.path, findings)


def stored_documents(shard: StoredShard) -> Iterator[Scanned]:
    """Read the documents of a shard of a token store, as text."""
    store = TokenStore.open(Path(shard.folder))
    pieces = np.array(load_tokenizer(Path(shard.tokenizer)).piece_bytes(), object)
    shards = store.manifest.splits["train"].shards
    first = sum(one.num_documents for one in shards[: shard.shard])
    for index in range(first, first + shards[shard.shard].num_documents):
        document = store.document(index)
        start, stop = document.start_token, document.stop_token
        found = store.read(start, stop - start)
        text = b"".join(pieces[found].tolist())
        yield Scanned(document.file, document.number, text)


def text_documents(
    shard: TextShard | None, workspace: Path, tally: Tally
) -> Iterator[Scanned]:
    """Read the documents of rows of files that would be trained on."""
    assert shard is not None, "a shard is of a store or of files"
    ranges = [
        Rows(shard.files[one.file], one.start_row, one.stop_row) for one in shard.ranges
    ]
    for kept in SourceReader(shard.planned, workspace).read(ranges, tally):
        if kept.split == "train":
            yield Scanned(ranges[kept.rows].file, kept.number, kept.text)


@functools.lru_cache(maxsize=1)
def _scanner(folder: Path, digest: str) -> Scanner:
    return Scanner(read_index(folder, digest))


def load() -> Handler:
    """Return the handler of jobs."""

    def handle(job: Any, report: Report) -> None:
        scan_shard(ScanJob.model_validate_json(json.dumps(job)), report)

    return handle
