"""`codemix prepare`: from pinned bytes to a tokenizer and a token store per source.

Each step is looked up by the digest of what determines it, so nothing is done twice,
and written whole, so a kill at any moment costs only what was under way.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from runtime.choosing import make_choices
from runtime.deduplication.overlaps import FindOverlaps, overlaps_unknown
from runtime.deduplication.run import deduplicate
from runtime.engines import LOCAL, Engine, Workers
from runtime.folder_lock import folder_lock
from runtime.pinned import check_covers, check_pinned
from runtime.prepare_tokenizer import known_tokenizer, make_tokenizer
from runtime.progress import Listener, ignore_progress
from runtime.shared_stores import has_tokenizer, is_there, share_stores
from runtime.store_builder import StoreBuilder, build_stores, default_num_workers
from runtime.store_format import MANIFEST
from runtime.store_identity import store_folder, store_identity, tokenizer_identity
from runtime.token_store import read_manifest, sha256_of
from runtime.tokenizer import tokenizer_path
from runtime.value_counts import Choice
from runtime.watched import WatchedFiles
from specs.errors import InputError, Problem
from specs.experiment import Experiment
from specs.lock import Lock, LockedStore
from specs.plan import Plan
from specs.stores import Stores

WORKER_ENVIRON = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # The accelerator belongs to training; TensorFlow would take all of its memory.
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "cpu",
}


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """What one split of a source came to."""

    documents: int
    tokens: int
    text_bytes: int

    @property
    def bytes_per_token(self) -> float | None:
        """UTF-8 bytes of text per token, EOS included; None without a token."""
        return self.text_bytes / self.tokens if self.tokens else None


@dataclass(frozen=True, kw_only=True)
class SourceSummary:
    """What became of the documents of one source."""

    name: str
    read: int
    dropped: dict[str, int]
    """Reason -> documents."""
    reserved: int
    """Documents that another source may hold out, so that none trains on them."""
    corrupt: int
    train: SplitSummary
    heldout: SplitSummary
    choices: dict[str, Choice]
    """Reason of a filter that chose by counting -> what it keeps."""


def prepare(
    experiment: Experiment,
    plan: Plan,
    lock: Lock,
    workspace: Path,
    num_workers: int | None = None,
    progress: Listener = ignore_progress,
    find_overlaps: FindOverlaps = overlaps_unknown,
    engine: Engine = LOCAL,
) -> Lock:
    """Make the tokenizer and the token stores that are not there yet.

    Args:
        experiment: The spec.
        plan: Its plan.
        lock: Its lock, whose bytes are checked if anything has to be made.
        workspace: The folder that holds `.dvc/`.
        num_workers: Worker processes; None chooses by cores and bytes. The result does
            not depend on it.
        progress: Told how far it is.
        find_overlaps: Finds the documents that hold questions of benchmarks.
        engine: Who does the work, shard by shard; it changes no byte either.

    Returns:
        The lock with tokenizer and stores filled in, for the caller to save.

    Raises:
        InputError: The pinned bytes differ from the lock, documents are corrupt, or
            what came out differs from what the lock says came out before.
    """
    check_covers(experiment, lock)
    stores = experiment.stores
    sha256 = known_tokenizer(experiment, plan, lock, workspace)
    if sha256 is None or not all(
        is_there(builder, lock)
        for builder in builders_of(plan, lock, workspace, sha256, stores)
    ):
        watched = WatchedFiles(workspace, lock.paths)
        check_pinned(experiment, lock, workspace)
        make_choices(plan, lock, workspace, watched, num_workers, progress, engine)
        if plan.deduplicate is not None:
            deduplicate(
                plan,
                lock,
                workspace,
                watched=watched,
                num_workers=num_workers,
                progress=progress,
                find_overlaps=find_overlaps,
                engine=engine,
            )
        with _workers(plan, lock, num_workers, engine) as workers:
            # The workers import seqio while the tokenizer is trained.
            sha256 = sha256 or make_tokenizer(
                experiment, plan, lock, workspace, watched, progress
            )
            builders = builders_of(plan, lock, workspace, sha256, stores)
            _build(builders, workers, watched, progress)
    identity = tokenizer_identity(experiment, plan, lock)
    builders = builders_of(plan, lock, workspace, sha256, stores)
    if stores is not None:
        share_stores(stores, builders, tokenizer_path(workspace, sha256))
    return _filled_in(lock, identity, sha256, builders)


def summarise(lock: Lock, workspace: Path) -> tuple[SourceSummary, ...]:
    """Return what `prepare` made of each source, by name."""
    summaries = []
    for name, store in sorted(lock.stores.items()):
        manifest = read_manifest(store_folder(workspace, store.identity))
        splits = {
            split: SplitSummary(
                documents=record.num_documents,
                tokens=record.num_tokens,
                text_bytes=record.num_bytes,
            )
            for split, record in manifest.splits.items()
        }
        summaries.append(
            SourceSummary(
                name=name,
                read=manifest.read,
                dropped=manifest.dropped,
                reserved=manifest.reserved,
                corrupt=manifest.corrupt,
                train=splits["train"],
                heldout=splits["heldout"],
                choices=manifest.choices,
            )
        )
    return tuple(summaries)


def are_shared(experiment: Experiment, plan: Plan, lock: Lock, workspace: Path) -> bool:
    """Tell whether everything that a lock says was prepared is here or in the bucket.

    What is in the bucket is taken over, so that no document is needed here.

    Raises:
        InputError: The bucket can't be read, or has something else.
    """
    stores, sha256 = experiment.stores, lock.tokenizer_sha256
    if stores is None or sha256 is None:
        return False
    builders = builders_of(plan, lock, workspace, sha256, stores)
    return has_tokenizer(stores, workspace, sha256) and all(
        is_there(builder, lock) for builder in builders
    )


def builders_of(
    plan: Plan,
    lock: Lock,
    workspace: Path,
    tokenizer_sha256: str,
    stores: Stores | None = None,
) -> list[StoreBuilder]:
    """Return a builder for the token store of every source, by name."""
    return [
        StoreBuilder(
            name=name,
            identity=store_identity(name, plan, lock, tokenizer_sha256),
            plan=plan,
            lock=lock,
            workspace=workspace,
            tokenizer_sha256=tokenizer_sha256,
            stores=stores,
        )
        for name in sorted(plan.sources)
    ]


def _workers(
    plan: Plan, lock: Lock, num_workers: int | None, engine: Engine
) -> Workers:
    if num_workers is None:
        pinned = [lock.pinned(plan.input_of(name)) for name in plan.sources]
        num_workers = default_num_workers(sum(source.num_bytes for source in pinned))
    return engine.open(
        "runtime.tokenise_task", num_workers=num_workers, environ=WORKER_ENVIRON
    )


def _build(
    builders: list[StoreBuilder],
    workers: Workers,
    watched: WatchedFiles,
    progress: Listener,
) -> None:
    with ExitStack() as stack:
        # In the order of names, so that two processes can't wait for each other.
        for builder in builders:
            stack.enter_context(folder_lock(builder.folder))
        # Another process may have built some while we waited.
        missing = [builder for builder in builders if not builder.is_complete]
        build_stores(missing, workers, watched, progress)


def _filled_in(
    lock: Lock, identity: str, sha256: str, builders: list[StoreBuilder]
) -> Lock:
    """Return the lock with what was made.

    Raises:
        InputError: The lock says that the same inputs came out differently before.
    """
    problems = []
    if lock.tokenizer_identity == identity and lock.tokenizer_sha256 != sha256:
        problems.append(_differs("tokenizer", lock.tokenizer_sha256 or "", sha256))
    stores = {builder.name: _locked_store(builder) for builder in builders}
    for name, store in stores.items():
        before = lock.stores.get(name)
        if before and before.identity == store.identity and before != store:
            problems.append(
                _differs(
                    f"stores.{name}", before.manifest_sha256, store.manifest_sha256
                )
            )
    if problems:
        raise InputError(problems)
    return lock.model_copy(
        update={
            "stores": stores,
            "tokenizer_sha256": sha256,
            "tokenizer_identity": identity,
        }
    )


def _locked_store(builder: StoreBuilder) -> LockedStore:
    manifest = read_manifest(builder.folder)
    return LockedStore(
        identity=builder.identity,
        manifest_sha256=sha256_of(builder.folder / MANIFEST),
        train_tokens=manifest.splits["train"].num_tokens,
        heldout_tokens=manifest.splits["heldout"].num_tokens,
    )


def _differs(path: str, locked: str, found: str) -> Problem:
    return Problem(
        path=path,
        what=(
            f"prepared bytes differ from the lock: digest {found[:12]}, the lock "
            f"says {locked[:12]}; the inputs are the same, so the versions of "
            "sentencepiece, seqio or TensorFlow differ, or the store was changed"
        ),
        fix="install the locked versions and delete the store's folder under "
        ".codemix/stores, or pin again to accept what is here",
    )
