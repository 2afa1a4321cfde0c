"""`codemix pin`: every byte that a spec names becomes DVC-tracked and enters the lock.

A file is tracked by a `.dvc` file beside it, a folder by one beside the folder, a glob
by one per matched file: that never overlaps with what else lies there. What a DVC
stage makes is tracked by the stage. What is elsewhere is downloaded once into
`data/<source>/` and tracked with its address, see `runtime.remote.bring`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ledger.dvc_files import tracked_by_git
from ledger.dvc_store import DvcStore
from runtime.amendment import check_prefix_data
from runtime.benchmarks import with_digests
from runtime.documents import count_documents
from runtime.file_endings import format_of
from runtime.hashing import FileHash
from runtime.inputs import (
    NO_SUCH_FILE,
    Input,
    Located,
    download_path,
    inputs_of,
    locate,
    remote_of,
)
from runtime.pinned import check_pinned as check_pinned
from runtime.progress import Listener, ignore_progress
from runtime.remote.bring import Brought, record_origins
from runtime.remote.pinning import bring_inputs, left_over, origin_in
from runtime.store_identity import store_identity, tokenizer_identity
from runtime.tracking import track
from specs.benchmarks import NO_BENCHMARKS, Benchmarks
from specs.errors import InputError, Problem
from specs.experiment import Experiment
from specs.loading import load_lock, lock_path, save_lock
from specs.lock import Lock, LockedFile, LockedInput
from specs.resolve import plan_experiment
from specs.version import VERSION


def pin(
    spec_path: Path,
    experiment: Experiment,
    workspace: Path,
    progress: Listener = ignore_progress,
    benchmarks: Benchmarks = NO_BENCHMARKS,
) -> Lock:
    """Track every input of a spec with DVC and write the spec's lock.

    May be killed at any moment and run again.

    Args:
        spec_path: The spec's file; its lock goes beside it.
        experiment: What the file holds.
        workspace: The folder that holds `.dvc/`.
        progress: Told how far it is.
        benchmarks: What the spec asks for, as it is declared.

    Returns:
        The lock, as written. Stores that were prepared from the same bytes stay in it.

    Raises:
        InputError: With every input that can't be pinned, or that is not what the
            stages were trained on that the experiment goes on from.
    """
    inputs = inputs_of(experiment, benchmarks)
    path = lock_path(spec_path)
    before = load_lock(path).inputs if path.is_file() else {}
    locked, benchmarks = pin_inputs(
        inputs, benchmarks, workspace, progress, before=before
    )
    lock = Lock(lock=1, codemix=VERSION, inputs=locked, benchmarks=benchmarks)
    check_prefix_data(experiment, lock, workspace)
    lock = _with_stores(lock, experiment, lock_path(spec_path))
    save_lock(lock, lock_path(spec_path))
    return lock


def pin_inputs(
    inputs: Sequence[Input],
    benchmarks: Benchmarks,
    workspace: Path,
    progress: Listener = ignore_progress,
    *,
    before: Mapping[str, LockedInput] | None = None,
) -> tuple[dict[str, LockedInput], Benchmarks]:
    """Track inputs with DVC.

    Args:
        inputs: What is pinned.
        benchmarks: Tasks whose questions are among the inputs.
        workspace: The folder that holds `.dvc/`.
        progress: Told how far it is.
        before: What a lock already says of them: what is elsewhere and in it is
            fetched as it says, or not at all.

    Returns:
        What the lock says of each input; and the tasks with the digests of their rows.

    Raises:
        InputError: With every input that can't be pinned, before any is tracked.
    """
    store = DvcStore(workspace)
    # Before anything is downloaded, so that all problems are told in one pass.
    located = _locate_all(inputs, store)
    brought = bring_inputs(inputs, store, before or {}, progress)
    if len(located) < len(inputs):
        located = _locate_all(inputs, store, brought)
    benchmarks = with_digests(
        benchmarks, {key: workspace / one.files[0] for key, one in located.items()}
    )
    hashes = track(list(located.values()), store, progress)
    record_origins(brought.values(), store)
    locked = {
        wanted.key: _locked(wanted, located[wanted.key], store, hashes).model_copy(
            update={"revision": brought[wanted.key].revision}
            if wanted.key in brought
            else {}
        )
        for wanted in inputs
    }
    return locked, benchmarks


def _locate_all(
    inputs: Iterable[Input],
    store: DvcStore,
    brought: Mapping[str, Brought] | None = None,
) -> dict[str, Located]:
    """Find all files; those from elsewhere only once they are `brought`."""
    located: dict[str, Located] = {}
    problems: list[Problem] = []
    for wanted in inputs:
        try:
            is_elsewhere = remote_of(wanted) is not None
            if brought is None and is_elsewhere:
                continue
            found = locate(wanted, store.workspace)
            located[wanted.key] = found
            if brought is not None and wanted.key in brought:
                problems += left_over(wanted, found, brought[wanted.key])
        except InputError as error:
            problems += [_with_remedy(problem, store) for problem in error.problems]
    problems += _files_named_twice(inputs, located)
    targets = {target for found in located.values() for target in found.targets}
    for path in tracked_by_git(store.workspace, sorted(targets)):
        problems.append(
            Problem(
                what="is tracked by git, which DVC needs to have for itself",
                file=path,
                fix=f"git rm -r --cached {path}",
            )
        )
    for target in sorted(targets):
        tracked = store.find(target)
        if tracked and tracked.stage and tracked.md5 is None:
            problems.append(
                Problem(
                    what=f"the DVC stage '{tracked.stage}' that makes it never ran",
                    file=target,
                    fix=f"dvc repro {tracked.stage}",
                )
            )
    if problems:
        raise InputError(problems)
    return located


def _files_named_twice(
    inputs: Iterable[Input], located: Mapping[str, Located]
) -> list[Problem]:
    """Name the files that two locations of one source have."""
    places: dict[tuple[str, str], Input] = {}
    problems = []
    for wanted in inputs:
        source = ".".join(wanted.key.split(".")[:2])
        if source == wanted.key or wanted.key not in located:
            continue
        for path in located[wanted.key].files:
            other = places.setdefault((source, path), wanted)
            if other is not wanted:
                what = f"is in {other.uri} and in {wanted.uri}, and would count twice"
                problems.append(
                    Problem(what=what, file=path, path=wanted.key, fix="name it once")
                )
    return problems


def _locked(
    wanted: Input, located: Located, store: DvcStore, hashes: dict[str, FileHash]
) -> LockedInput:
    files = []
    for path in located.files:
        found = hashes[path]
        file_format = format_of(path, wanted.format) if wanted.format else None
        if wanted.key.startswith(("evals.", "tasks.", "shots.")):
            file_format = format_of(path, "auto")
        files.append(
            LockedFile(
                path=path,
                sha256=found.sha256,
                bytes=found.num_bytes,
                documents=(
                    count_documents(store.workspace / path, file_format)
                    if file_format
                    else None
                ),
                dvc_hash=f"md5:{found.md5}",
                origin=origin_in(path, store),
            )
        )
    outputs = {store.find(path) for path in located.files}
    if len(outputs) == 1:
        tracked = outputs.pop()
        assert tracked is not None
        name, md5 = tracked.name, tracked.md5
    else:
        listing = "".join(f"{file.dvc_hash} {file.path}\n" for file in files)
        name = f"{download_path(wanted) or wanted.uri}.dvc"
        md5 = hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest()
    return LockedInput(
        uri=wanted.uri, dvc=name, dvc_hash=f"md5:{md5}", files=tuple(files)
    )


def _with_stores(lock: Lock, experiment: Experiment, path: Path) -> Lock:
    """Take over what was prepared from the same bytes."""
    if not path.is_file():
        return lock
    before = load_lock(path)
    plan = plan_experiment(experiment)
    sha256 = before.tokenizer_sha256
    if sha256 is None or before.tokenizer_identity != tokenizer_identity(
        experiment, plan, lock
    ):
        return lock
    stores = {
        name: store
        for name, store in before.stores.items()
        if name in plan.sources
        and store.identity == store_identity(name, plan, lock, sha256)
    }
    return lock.model_copy(
        update={
            "stores": stores,
            "tokenizer_sha256": sha256,
            "tokenizer_identity": before.tokenizer_identity,
        }
    )


def _with_remedy(problem: Problem, store: DvcStore) -> Problem:
    """Say how a file that DVC knows of comes back."""
    tracked = store.find(problem.file) if problem.file else None
    if tracked is None or problem.what != NO_SUCH_FILE:
        return problem
    if tracked.stage:
        fix = f"dvc repro {tracked.stage}"
    else:
        command = "checkout" if tracked.md5 and store.cached(tracked.md5) else "pull"
        fix = f"dvc {command} {tracked.name}"
    return Problem(what=problem.what, file=problem.file, path=problem.path, fix=fix)
