"""The tokenizer of an experiment: found, copied from a pinned file, or trained."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from runtime.choices import chosen_source
from runtime.keys import key
from runtime.progress import Listener, Progress
from runtime.shards import RowRange, plan_shards
from runtime.store_identity import tokenizer_identity, tokenizer_shares
from runtime.tokenizer import find_tokenizer, load_tokenizer, tokenizer_path
from runtime.tokenizer_training import SampledSource, TrainingJob
from runtime.watched import WatchedFiles
from runtime.workers import Done, Failed, WorkerPool
from specs.atomic import write_atomically
from specs.errors import InputError
from specs.experiment import Experiment
from specs.lock import Lock
from specs.plan import Plan


def known_tokenizer(
    experiment: Experiment, plan: Plan, lock: Lock, workspace: Path
) -> str | None:
    """Return the SHA-256 of the tokenizer if it was made before and is still there."""
    identity = tokenizer_identity(experiment, plan, lock)
    candidates = []
    if lock.tokenizer_identity == identity and lock.tokenizer_sha256:
        candidates.append(lock.tokenizer_sha256)
    try:
        record = json.loads(_record_path(workspace, identity).read_bytes())
        candidates.append(str(record["sha256"]))
    except (OSError, ValueError, KeyError):
        pass  # Never made on this machine.
    return next((sha for sha in candidates if find_tokenizer(workspace, sha)), None)


def make_tokenizer(
    experiment: Experiment,
    plan: Plan,
    lock: Lock,
    workspace: Path,
    watched: WatchedFiles,
    progress: Listener,
) -> str:
    """Put the tokenizer into the workspace and return its SHA-256.

    Raises:
        InputError: It is not a tokenizer that the spec can use, or can't be trained, or
            what it is made of has changed since `watched` began.
    """
    identity = tokenizer_identity(experiment, plan, lock)
    if experiment.tokenizer.train is None:
        pinned = lock.inputs["tokenizer"].files[0]
        sha256 = pinned.sha256
        model = (workspace / pinned.path).read_bytes()
        _check_unchanged(watched, [pinned.path])
        write_atomically(tokenizer_path(workspace, sha256), model)
        _check_size(experiment, pinned.path, tokenizer_path(workspace, sha256))
    else:
        job = _training_job(experiment, plan, lock, workspace)
        sha256 = _train(job, progress)
        for source in job.sources.values():
            _check_unchanged(watched, source.files)
    record = json.dumps({"sha256": sha256}).encode()
    write_atomically(_record_path(workspace, identity), record)
    return sha256


def _check_unchanged(watched: WatchedFiles, files: Iterable[str]) -> None:
    changes = watched.changes(files)
    if changes:
        raise InputError(changes)


def _train(job: TrainingJob, progress: Listener) -> str:
    """Train in a process of its own, which Ctrl-C can end at any moment."""
    total_bytes = sum(source.sample_bytes for source in job.sources.values())

    def tell(done_bytes: int) -> None:
        progress(
            Progress(
                task="train tokenizer",
                done_bytes=min(done_bytes, total_bytes),
                total_bytes=total_bytes,
            )
        )

    tell(0)
    module = "runtime.tokenizer_training"
    with WorkerPool(module, num_workers=1, environ={}) as pool:
        for event in pool.run([job.to_json()]):
            if isinstance(event, Failed):
                raise InputError(event.problems)
            if isinstance(event, Done):
                tell(total_bytes)
                return str(event.answer)
            tell(event.done_bytes)
    raise AssertionError("a job ends with an answer or a problem")


def _training_job(
    experiment: Experiment, plan: Plan, lock: Lock, workspace: Path
) -> TrainingJob:
    training = experiment.tokenizer.train
    assert training is not None
    shares = tokenizer_shares(experiment)
    return TrainingJob(
        sources={
            name: _sampled_source(
                name, plan, lock, workspace, int(share * training.sample_bytes)
            )
            for name, share in shares.items()
        },
        vocab_size=experiment.tokenizer.vocab_size,
        workspace=str(workspace),
        folder=str(tokenizer_path(workspace, "").parent),
    )


def _sampled_source(
    name: str, plan: Plan, lock: Lock, workspace: Path, sample_bytes: int
) -> SampledSource:
    planned = chosen_source(name, plan, lock, workspace)
    files = lock.pinned(plan.input_of(name)).files
    shards = list(enumerate(plan_shards(files, planned.format)))

    def rank(shard: tuple[int, tuple[RowRange, ...]]) -> int:
        return key(plan.seed, "tokenizer", name, shard[0])

    return SampledSource(
        planned=planned,
        files=tuple(file.path for file in files),
        shards=tuple(ranges for _, ranges in sorted(shards, key=rank)),
        order_key=str(key(plan.seed, "tokenizer", name)),
        sample_bytes=sample_bytes,
    )


def _check_size(experiment: Experiment, name: str, path: Path) -> None:
    wanted = experiment.tokenizer.vocab_size
    found = load_tokenizer(path, name).vocab_size
    if found != wanted:
        raise InputError(
            f"{name} has {found} pieces, tokenizer.vocab_size says {wanted}",
            path="tokenizer",
            fix=f"set tokenizer.vocab_size to {found}",
        )


def _record_path(workspace: Path, identity: str) -> Path:
    return tokenizer_path(workspace, identity).with_suffix(".json")
