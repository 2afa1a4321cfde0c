"""What is scanned of a spec's sources, cut into shards.

Where a source is prepared its token store is read, and its tokens turned back into
text: that is what the model was trained on, after filters, splits and tokenizer.
Otherwise its files are read as `prepare` would read them. Either way held-out documents
are left out, and a document belongs to one shard whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from evals.contamination.needles import QuestionIndex
from evals.contamination.scan import SCAN_VERSION
from runtime.choices import chosen_source
from runtime.shards import RowRange, plan_shards
from runtime.store_format import MANIFEST
from runtime.store_identity import rules_of, store_folder
from runtime.token_store import read_manifest
from runtime.tokenizer import tokenizer_path
from specs.base import Value
from specs.canonical import digest_of
from specs.errors import InputError
from specs.lock import Lock
from specs.plan import Plan, PlannedSource

ReadFrom = Literal["tokens", "text"]


class StoredShard(Value):
    """A shard of a token store."""

    folder: str
    shard: int
    tokenizer: str
    """The SentencePiece model."""


class TextShard(Value):
    """Rows of the files of a source."""

    planned: PlannedSource
    files: tuple[str, ...]
    """The source's files, relative to the workspace."""
    ranges: tuple[RowRange, ...]


class ScanJob(Value):
    """One shard to be scanned."""

    source: str
    workspace: str
    index: str
    """Digest of the index, whose file lies in the folder of results."""
    key: str
    """Digest of all that the findings depend on, but for the index."""
    num_bytes: int
    """About how much text it is, to tell how far the scan is."""
    stored: StoredShard | None = None
    text: TextShard | None = None

    @property
    def folder(self) -> Path:
        """Where the index and the findings are kept."""
        return results_folder(Path(self.workspace), self.index)

    @property
    def path(self) -> Path:
        """Where its findings are kept."""
        return self.folder / f"{self.key}.json"


class SourceJobs(Value):
    """The shards of one source."""

    source: str
    read_from: ReadFrom
    jobs: tuple[ScanJob, ...]


def results_folder(workspace: Path, index_digest: str) -> Path:
    """Return where what was found of an index is kept."""
    return workspace / ".codemix" / "contamination" / index_digest


def plan_scan(
    index: QuestionIndex, plan: Plan, lock: Lock, workspace: Path
) -> tuple[SourceJobs, ...]:
    """Return what is to be scanned of each source of a plan, by name.

    Raises:
        InputError: A source is not pinned, or its token store can't be read.
    """
    digest = index.digest
    return tuple(
        _stored(name, digest, lock, workspace)
        if is_prepared(name, lock, workspace)
        else _text(name, digest, plan, lock, workspace)
        for name in sorted(plan.sources)
    )


def is_prepared(name: str, lock: Lock, workspace: Path) -> bool:
    """Tell whether a source's token store is there."""
    store = lock.stores.get(name)
    if store is None or lock.tokenizer_sha256 is None:
        return False
    return (store_folder(workspace, store.identity) / MANIFEST).is_file()


def _stored(name: str, index: str, lock: Lock, workspace: Path) -> SourceJobs:
    identity = lock.stores[name].identity
    folder = store_folder(workspace, identity)
    manifest = read_manifest(folder)
    model = tokenizer_path(workspace, manifest.tokenizer_sha256)
    jobs = [
        ScanJob(
            source=name,
            workspace=str(workspace),
            index=index,
            key=digest_of(
                {
                    "scan": SCAN_VERSION,
                    "store": identity,
                    "shard": number,
                    "tokens": shard.tokens.sha256,
                    "documents": shard.documents.sha256,
                }
            ),
            num_bytes=shard.num_text_bytes,
            stored=StoredShard(folder=str(folder), shard=number, tokenizer=str(model)),
        )
        for number, shard in enumerate(manifest.splits["train"].shards)
    ]
    return SourceJobs(source=name, read_from="tokens", jobs=tuple(jobs))


def _text(name: str, index: str, plan: Plan, lock: Lock, workspace: Path) -> SourceJobs:
    if not lock.keys_of(plan.input_of(name)):
        raise InputError(
            "is in the spec but not in the lock",
            path=f"sources.{name}",
            fix="codemix pin SPEC",
        )
    pinned = lock.pinned(plan.input_of(name))
    planned = plan.sources[name]
    rules = rules_of(planned)
    files = [[file.path, file.sha256] for file in pinned.files]
    chosen = chosen_source(name, plan, lock, workspace)
    shards = plan_shards(pinned.files, planned.format)
    jobs = []
    for ranges in shards:
        shard = TextShard(
            planned=chosen,
            files=tuple(file.path for file in pinned.files),
            ranges=ranges,
        )
        which = [row_range.to_json() for row_range in ranges]
        jobs.append(
            ScanJob(
                source=name,
                workspace=str(workspace),
                index=index,
                key=digest_of(
                    {
                        "scan": SCAN_VERSION,
                        "rules": rules,
                        "files": files,
                        "ranges": which,
                    }
                ),
                num_bytes=pinned.num_bytes // len(shards),
                text=shard,
            )
        )
    return SourceJobs(source=name, read_from="text", jobs=tuple(jobs))
