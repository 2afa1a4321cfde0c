"""Folders and buckets hold checkpoints alike; the bucket is moto's, on loopback."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import plans
import pytest

from runtime.checkpoint import CheckpointFolder
from runtime.mesh import build_mesh
from runtime.state import build_layout, initial_state, whole_tensors
from runtime.storage import Bucket, Folder, Storage, is_bucket, open_storage
from specs.errors import InputError
from specs.experiment import Checkpoints

PLAN = plans.plan(layers=1, width=8, heads=2, kv_heads=2, ffn_width=6, vocab_size=13)


@pytest.fixture(params=["folder", "bucket"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    if request.param == "folder":
        return tmp_path / "place"
    place: str = request.getfixturevalue("cloud")
    return place


@pytest.fixture
def storage(location: str | Path) -> Storage:
    return open_storage(location)


def test_a_location_is_a_folder_unless_it_says_otherwise(
    storage: Storage, location: str | Path
) -> None:
    assert isinstance(storage, Bucket if is_bucket(str(location)) else Folder)
    assert not is_bucket("runs/s3")


def test_files_are_written_whole_and_read_in_ranges(storage: Storage) -> None:
    assert storage.names() == []
    storage.write("00000003/a.rows", [b"hello", memoryview(b" world")])
    storage.write("00000003/m.json", [b"{}"])
    assert storage.names() == ["00000003/a.rows", "00000003/m.json"]
    assert storage.read("00000003/a.rows") == b"hello world"
    assert storage.read("00000003/a.rows", 3, 7) == b"lo w"
    storage.write("00000003/m.json", [b"[]"])
    assert storage.read("00000003/m.json") == b"[]"


def test_what_is_missing_or_short_is_an_error(storage: Storage) -> None:
    storage.write("a", [b"1234"])
    for name, stop in (("a", 5), ("b", 2), ("b", None)):
        with pytest.raises(OSError, match=r"."):
            storage.read(name, 0, stop)


def test_a_file_or_all_of_a_folder_is_deleted(storage: Storage) -> None:
    for name in ("3/a", "3/b", "33/a", "4"):
        storage.write(name, [b"x"])
    storage.delete("3")
    assert storage.names() == ["33/a", "4"]
    storage.delete("4")
    storage.delete("never was")
    assert storage.names() == ["33/a"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("a", [b"before"])
    with pytest.raises(TypeError):
        folder.write("a", [b"half", None])  # type: ignore[list-item]
    assert folder.read("a") == b"before"
    assert os.listdir(tmp_path) == ["a"]


def test_checkpoints_in_a_bucket_come_back_bit_for_bit(cloud: str) -> None:
    layout = build_layout(PLAN, PLAN.stages[0], build_mesh(PLAN, wanted=1))
    state = initial_state(PLAN, layout)
    policy = Checkpoints(every_steps=1, keep_last=1)
    checkpoints = CheckpointFolder(cloud, PLAN.model, policy=policy)
    for step in (1, 2, 3):
        checkpoints.save(state, layout, step=step, is_stage_end=step == 1)
    assert checkpoints.steps() == [1, 3]
    found = checkpoints.restore(3, layout.mesh, "step")
    tensors = dict(whole_tensors(state, layout))
    for name, tensor in whole_tensors(found.state, found.layout):
        assert tensor.tobytes() == tensors[name].tobytes(), name
    # One flipped bit: named, set aside, and the one before is used.
    storage = open_storage(cloud)
    (rows,) = (name for name in storage.names() if name.startswith("00000003/00"))
    raw = bytearray(storage.read(rows))
    raw[len(raw) // 2] ^= 4
    storage.write(rows, [bytes(raw)])
    told: list[str] = []
    restored = checkpoints.restore_latest(
        layout.mesh, "step", at_most=9, warn=told.append
    )
    assert restored is not None
    assert restored.manifest.step == 1
    assert "row " in told[0]
    assert checkpoints.steps() == [1]
    assert jax.process_count() == 1


def test_a_bucket_that_is_not_there_is_said_before_training(cloud: str) -> None:
    with pytest.raises(InputError, match="the bucket can't be opened"):
        CheckpointFolder(cloud.replace("bucket", "other"), PLAN.model)
