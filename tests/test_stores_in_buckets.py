"""Token stores in a bucket: the same bytes, read in place, without any document here.

The bucket is moto's, on loopback. Importing seqio takes half a minute of a busy
machine, so all tests look at one study, prepared in the workspace and in the bucket.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_workspace import experiment_of, make_workspace, sentences, write_lines
from data_workspace import write_spec as write_plain_spec

from runtime.block_cache import BLOCK_BYTES
from runtime.funnel import funnel_path
from runtime.pin import pin
from runtime.prepare import are_shared, prepare
from runtime.prepared import open_prepared
from runtime.ready import ready_spec
from runtime.storage import open_storage
from runtime.store_bucket import BLOCKS, ELSEWHERE, open_bucket
from runtime.store_format import MANIFEST
from runtime.store_identity import store_folder
from runtime.store_sharing import publish_store
from runtime.token_store import KeptSplit, TokenStore, read_manifest
from runtime.tokenizer import tokenizer_path
from specs.errors import InputError
from specs.experiment import Experiment, experiment_digest
from specs.loading import lock_path, save_lock
from specs.lock import Lock
from specs.plan import Plan
from specs.resolve import plan_experiment
from specs.stores import Stores

SPLITS: tuple[KeptSplit, ...] = ("train", "heldout")
NAMES = ("code", "web")


@dataclass(frozen=True)
class Study:
    workspace: Path
    spec: Path
    experiment: Experiment
    plan: Plan
    lock: Lock

    def folder(self, name: str) -> Path:
        return store_folder(self.workspace, self.lock.stores[name].identity)


def write_spec(workspace: Path, location: str | None) -> Path:
    sources = {
        name: {"uri": f"data/{name}.jsonl", "holdout": 0.1, "max_epochs": 9}
        for name in NAMES
    }
    changes: dict[str, Any] = {}
    if location is not None:
        changes["stores"] = {"location": location, "cache_bytes": BLOCK_BYTES}
    return write_plain_spec(workspace, sources, **changes)


def write_data(workspace: Path) -> None:
    write_lines(workspace / "data" / "code.jsonl", sentences(4000, seed=1))
    write_lines(workspace / "data" / "web.jsonl", sentences(500, seed=2))


def prepared(workspace: Path, location: str | None) -> Study:
    make_workspace(workspace)
    write_data(workspace)
    spec = write_spec(workspace, location)
    experiment = experiment_of(spec)
    plan = plan_experiment(experiment)
    lock = prepare(experiment, plan, pin(spec, experiment, workspace), workspace, 1)
    save_lock(lock, lock_path(spec))
    return Study(workspace, spec, experiment, plan, lock)


@pytest.fixture(scope="module")
def bucket(endpoint: str) -> Any:
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ENDPOINT_URL", endpoint)
    patch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    yield f"s3://bucket/stores/{time.monotonic_ns()}"
    patch.undo()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return prepared(tmp_path_factory.mktemp("local") / "study", None)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, bucket: str) -> Study:
    return prepared(tmp_path_factory.mktemp("shared") / "study", bucket)


@pytest.fixture
def elsewhere(shared: Study, tmp_path: Path) -> Study:
    """Another machine: the spec and its lock, and not one document."""
    workspace = make_workspace(tmp_path / "other")
    spec = workspace / "specs" / "small.yaml"
    spec.parent.mkdir()
    for path in (shared.spec, lock_path(shared.spec)):
        shutil.copy(path, spec.parent)
    return Study(workspace, spec, shared.experiment, shared.plan, shared.lock)


def test_the_bucket_has_the_bytes_that_a_workspace_would_have(
    local: Study, shared: Study, bucket: str
) -> None:
    assert local.lock == shared.lock
    for name in NAMES:
        folder = local.folder(name)
        storage = open_storage(f"{bucket}/{folder.name}")
        manifest = read_manifest(folder)
        assert storage.read(MANIFEST) == (folder / MANIFEST).read_bytes()
        for record in manifest.files_of(*SPLITS):
            assert storage.read(record.name) == (folder / record.name).read_bytes()
        kept = {path.name for path in shared.folder(name).iterdir()}
        assert kept == {MANIFEST, ELSEWHERE}
        TokenStore.open(shared.folder(name)).verify()
    for study in (local, shared):
        for name in NAMES:
            path = funnel_path(study.workspace, study.folder(name).name)
            here = funnel_path(local.workspace, local.folder(name).name)
            assert path.read_bytes() == here.read_bytes()


def test_rows_and_documents_are_the_same_through_a_cache_of_one_block(
    local: Study, shared: Study
) -> None:
    rows = {}
    for study in (local, shared):
        opened = open_prepared(study.plan, study.lock, study.workspace)
        rows[study.workspace] = [
            opened.reader.read(opened.mixture.at(step)).tobytes()
            for step in range(0, study.plan.num_steps, 16)
        ]
        store = opened.stores["code"]
        middle = store.document_at(store.num_tokens // 2)
        rows[study.workspace] += [repr(middle).encode()]
        rows[study.workspace] += [repr(store.documents[7]).encode()]
        rows[study.workspace] += [store.read(0, store.num_tokens).tobytes()]
    assert rows[local.workspace] == rows[shared.workspace]


def test_another_machine_reads_in_place_without_documents(
    local: Study, elsewhere: Study
) -> None:
    ready = ready_spec(elsewhere.spec)
    assert ready.lock == local.lock
    assert not (elsewhere.workspace / "data").exists()
    here = open_prepared(local.plan, local.lock, local.workspace)
    every = np.arange(local.plan.stages[0].sequences_per_step)
    order = here.mixture.at(5)
    assert ready.batch(5, every).tobytes() == here.reader.read(order).tobytes()


def test_documents_that_are_here_are_checked_all_the_same(elsewhere: Study) -> None:
    write_data(elsewhere.workspace)
    with (elsewhere.workspace / "data" / "web.jsonl").open("a") as file:
        file.write('{"text": "more"}\n')
    with pytest.raises(InputError, match="web"):
        ready_spec(elsewhere.spec)


def test_what_is_not_in_the_bucket_is_made_from_documents(
    elsewhere: Study, bucket: str
) -> None:
    stores = Stores(location=f"{bucket}-empty")
    moved = elsewhere.experiment.model_copy(update={"stores": stores})
    assert not are_shared(moved, elsewhere.plan, elsewhere.lock, elsewhere.workspace)


def test_a_store_of_the_workspace_moves_to_the_bucket(
    local: Study, bucket: str, tmp_path: Path
) -> None:
    stores = Stores(location=f"{bucket}-moved")
    copy = tmp_path / "moved"
    shutil.copytree(local.workspace / ".codemix", copy / ".codemix")
    folder = store_folder(copy, local.folder("web").name)
    before = TokenStore.open(folder, "train")
    tokens = before.read(0, before.num_tokens).tobytes()
    publish_store(stores, folder, read_manifest(folder))
    after = TokenStore.open(folder, "train")
    assert after.read(0, after.num_tokens).tobytes() == tokens
    assert {path.name for path in folder.iterdir()} == {MANIFEST, ELSEWHERE}


def test_damage_in_the_bucket_is_named(
    local: Study, bucket: str, tmp_path: Path
) -> None:
    stores = Stores(location=f"{bucket}-damaged")
    copy = tmp_path / "damaged"
    shutil.copytree(local.workspace / ".codemix", copy / ".codemix")
    folder = store_folder(copy, local.folder("web").name)
    publish_store(stores, folder, read_manifest(folder))
    storage = open_bucket(stores.location, folder.name)
    tokens = bytearray(storage.read("train-00000.tokens"))
    tokens[10] ^= 1
    storage.write("train-00000.tokens", [bytes(tokens)])
    store = TokenStore.open(folder)
    with pytest.raises(InputError, match="block 0 is not what was written"):
        store.read(0, 3)
    storage.delete("train-00000.tokens" + BLOCKS)
    with pytest.raises(InputError, match="missing in the bucket"):
        TokenStore.open(folder).read(0, 3)
    storage.write(MANIFEST, [b"{}"])
    (folder / MANIFEST).unlink()
    experiment = local.experiment.model_copy(update={"stores": stores})
    with pytest.raises(InputError, match="not the manifest that the lock names"):
        are_shared(experiment, local.plan, local.lock, copy)


def test_shards_in_the_bucket_are_not_made_again(
    shared: Study, bucket: str, tmp_path: Path
) -> None:
    storage = open_bucket(bucket, shared.folder("web").name)
    names = storage.names()
    workspace = make_workspace(tmp_path / "again")
    write_data(workspace)
    spec = write_spec(workspace, bucket)
    model = tokenizer_path(workspace, shared.lock.tokenizer_sha256 or "")
    model.parent.mkdir(parents=True)
    shutil.copy(tokenizer_path(shared.workspace, model.stem), model)
    manifest = storage.read(MANIFEST)
    storage.delete(MANIFEST)  # as if the machine had died just before it
    save_lock(shared.lock, lock_path(spec))
    pinned = pin(spec, shared.experiment, workspace)
    told: list[str] = []
    lock = prepare(
        shared.experiment,
        shared.plan,
        pinned.model_copy(
            update={
                "tokenizer_sha256": shared.lock.tokenizer_sha256,
                "tokenizer_identity": shared.lock.tokenizer_identity,
            }
        ),
        workspace,
        1,
        lambda progress: told.append(progress.task),
    )
    assert lock.stores == shared.lock.stores
    assert storage.read(MANIFEST) == manifest
    assert storage.names() == names
    assert not any(task.startswith("tokenise") for task in told)


def test_where_stores_lie_changes_no_digest(local: Study, shared: Study) -> None:
    assert experiment_digest(local.experiment) == experiment_digest(shared.experiment)
    assert "stores" not in local.experiment.to_json()
    assert local.plan == shared.plan


def test_a_bucket_that_is_gone_is_said(
    elsewhere: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["AWS_ENDPOINT_URL"] + "/nowhere")
    with pytest.raises(InputError, match=r"can.t be (opened|reached)"):
        ready_spec(elsewhere.spec)
