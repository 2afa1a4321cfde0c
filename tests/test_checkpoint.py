"""Checkpoints that are whole, that are damaged, and that never came to be."""

from __future__ import annotations

import errno
import hashlib
import shutil
import threading
from pathlib import Path
from typing import Any

import jax
import numpy as np
import plans
import pytest

from ledger.weights import weights_digest
from runtime.checkpoint import CheckpointFolder
from runtime.mesh import build_mesh
from runtime.row_files import bare_name
from runtime.state import (
    Layout,
    TrainState,
    build_layout,
    initial_state,
    place_number,
    state_from_tensors,
    whole_tensors,
)
from runtime.storage import Folder
from runtime.tensors import host_rows
from specs.errors import InputError
from specs.experiment import Checkpoints

PLAN = plans.plan(layers=1, width=8, heads=2, kv_heads=2, ffn_width=6, vocab_size=13)


@pytest.fixture(scope="module")
def layout() -> Layout:
    return build_layout(PLAN, PLAN.stages[0], build_mesh(PLAN, wanted=1))


@pytest.fixture(scope="module")
def states(layout: Layout) -> list[TrainState]:
    """Three states with nothing in common but their shapes."""
    names = [name for name, _ in whole_tensors(initial_state(PLAN, layout), layout)]
    made = []
    for step in range(3):
        random = np.random.default_rng(step)
        tensors = {
            name: random.standard_normal(
                layout.shapes[name.removeprefix("mu.").removeprefix("nu.")], np.float32
            )
            for name in names
        }
        made.append(state_from_tensors(tensors, step + 5, layout))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints", PLAN.model)


def save_all(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    for step, state in enumerate(states, 1):
        folder.save(state, layout, step=step, is_stage_end=False)


def latest(folder: CheckpointFolder, layout: Layout) -> tuple[Any, list[str]]:
    told: list[str] = []
    restored = folder.restore_latest(
        layout.mesh, "step", at_most=PLAN.num_steps, warn=told.append
    )
    return restored, told


def assert_same(found: TrainState, expected: TrainState, layout: Layout) -> None:
    assert int(found.num_updates) == int(expected.num_updates)
    expected_tensors = dict(whole_tensors(expected, layout))
    found_tensors = dict(whole_tensors(found, layout))
    assert list(found_tensors) == list(expected_tensors)
    for name, tensor in found_tensors.items():
        assert tensor.tobytes() == expected_tensors[name].tobytes(), name


def test_a_checkpoint_comes_back_bit_for_bit(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    folder.save(states[0], layout, step=3, is_stage_end=True)
    restored, told = latest(folder, layout)
    assert told == []
    assert (restored.manifest.step, restored.manifest.is_stage_end) == (3, True)
    assert_same(restored.state, states[0], layout)
    replicated = folder.restore(3, layout.mesh, "layer")
    assert_same(replicated.state, states[0], replicated.layout)


def test_a_tensors_digest_is_over_the_digests_of_its_rows(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    told = folder.save(states[0], layout, step=1, is_stage_end=False)
    for name, tensor in whole_tensors(states[0], layout):
        parts = host_rows(
            bare_name(name), tensor, num_parts=1, num_rows=layout.num_rows
        )
        # (P, [layers,] R, K) -> R rows, each with its piece of every layer.
        rows = np.moveaxis(parts[0], -2, 0)
        digests = (hashlib.sha256(np.ascontiguousarray(row)).digest() for row in rows)
        assert told[name].shape == tensor.shape
        assert told[name].dtype == "float32"
        assert told[name].sha256 == hashlib.sha256(b"".join(digests)).hexdigest()


def test_the_digest_of_the_weights_leaves_the_moments_out(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    first, second = states[:2]
    swapped = first._replace(mu=second.mu, nu=second.nu)
    digests = [
        weights_digest(folder.save(state, layout, step=step, is_stage_end=False))
        for step, state in enumerate((first, swapped, second))
    ]
    assert digests[0] == digests[1] != digests[2]


def folder_path(folder: CheckpointFolder) -> Path:
    return Path(folder.location)


def files_of(folder: CheckpointFolder, step: int) -> list[Path]:
    (found,) = folder_path(folder).glob(f"*{step}")
    return sorted(path for path in found.rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", ["cut", "flip", "delete"])
def test_any_damaged_file_is_named_and_falls_back_to_the_checkpoint_before(
    folder: CheckpointFolder,
    states: list[TrainState],
    layout: Layout,
    damage: str,
    rng: np.random.Generator,
) -> None:
    save_all(folder, states, layout)
    originals = {path: path.read_bytes() for path in files_of(folder, 3)}
    assert {path.suffix for path in originals} == {".rows", ".json"}
    for path, original in originals.items():
        raw = bytearray(original)
        at = int(rng.integers(len(raw)))
        if damage == "cut":
            del raw[at:]
        else:
            raw[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(raw)
        if damage == "delete":
            path.unlink()
        restored, told = latest(folder, layout)
        assert restored.manifest.step == 2
        assert_same(restored.state, states[1], layout)
        if path.name == "manifest.json" and damage == "delete":
            assert told == []
        else:
            assert len(told) == 1
            assert "the checkpoint after step 3 is damaged" in told[0]
        if path.suffix == ".rows" and damage == "flip":
            assert "row " in told[0]
            assert path.name in told[0]
        for name, whole in originals.items():
            name.parent.mkdir(exist_ok=True)
            name.write_bytes(whole)
    assert latest(folder, layout)[1] == []


def test_a_damaged_checkpoint_is_set_aside_and_kept(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    save_all(folder, states, layout)
    (rows,) = (path for path in files_of(folder, 3) if path.suffix == ".rows")
    rows.write_bytes(b"")
    restored, told = latest(folder, layout)
    assert restored.manifest.step == 2
    assert len(told) == 1
    assert folder.steps() == [1, 2]
    assert latest(folder, layout)[1] == []
    assert {path.name for path in files_of(folder, 3)} == {rows.name, "damaged.json"}


def test_another_state_under_the_manifest_is_noticed(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    # Readable, of the right shapes, and of another step: only the digests can tell.
    save_all(folder, states, layout)
    (other,) = (path for path in files_of(folder, 1) if path.suffix == ".rows")
    (rows,) = (path for path in files_of(folder, 3) if path.suffix == ".rows")
    shutil.copy(other, rows)
    with pytest.raises(InputError, match="is not what the manifest says"):
        folder.restore(3, layout.mesh, "step")


def test_only_damaged_checkpoints_are_an_error_not_a_fresh_start(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    save_all(folder, states, layout)
    for manifest in folder_path(folder).glob("*/manifest.json"):
        manifest.write_bytes(b"{")
    with pytest.raises(InputError, match="every checkpoint of the run is damaged"):
        latest(folder, layout)


def test_no_checkpoint_is_a_fresh_start(
    folder: CheckpointFolder, layout: Layout
) -> None:
    assert latest(folder, layout) == (None, [])


def fail_at(patch: pytest.MonkeyPatch, ending: str, error: BaseException) -> None:
    """Let writing fail at the file with this ending, half of it written."""
    write = Folder.write

    def fail(self: Folder, name: str, pieces: Any) -> None:
        if name.endswith(ending):
            write(self, f"{name[:-5]}.half", [bytes(pieces[0])[:7]])
            raise error
        write(self, name, pieces)

    patch.setattr(Folder, "write", fail)


class Killed(BaseException):
    """As if the process had been killed at this point."""


@pytest.mark.parametrize("ending", [".rows", "manifest.json"])
def test_a_save_that_is_killed_leaves_no_checkpoint(
    folder: CheckpointFolder,
    states: list[TrainState],
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
) -> None:
    folder.save(states[0], layout, step=1, is_stage_end=False)
    with monkeypatch.context() as patch:
        fail_at(patch, ending, Killed())
        patch.setattr(Folder, "delete", lambda *_: None)  # the dead clean up nothing
        with pytest.raises(Killed):
            folder.save(states[1], layout, step=2, is_stage_end=False)
    assert files_of(folder, 2)
    restored, told = latest(folder, layout)
    assert (restored.manifest.step, told) == (1, [])
    assert not list(folder_path(folder).glob("*2")), "what it left is swept away"
    folder.save(states[2], layout, step=2, is_stage_end=False)
    restored, _ = latest(folder, layout)
    assert_same(restored.state, states[2], layout)


@pytest.mark.parametrize("ending", [".rows", "manifest.json"])
def test_a_full_disk_is_said_plainly_and_harms_no_earlier_checkpoint(
    folder: CheckpointFolder,
    states: list[TrainState],
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
) -> None:
    folder.save(states[0], layout, step=1, is_stage_end=False)
    with monkeypatch.context() as patch:
        fail_at(patch, ending, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(InputError, match="the disk is full") as raised:
            folder.save(states[1], layout, step=2, is_stage_end=False)
    assert "make room" in str(raised.value)
    assert f"{folder.location}/00000002: " in str(raised.value)
    assert not list(folder_path(folder).glob("*2")), "nothing is left of the half one"
    restored, _ = latest(folder, layout)
    assert restored.manifest.step == 1
    assert_same(restored.state, states[0], layout)


def test_an_old_checkpoint_that_cannot_be_deleted_harms_no_new_one(
    tmp_path: Path,
    states: list[TrainState],
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = Checkpoints(every_steps=1, keep_last=1)
    folder = CheckpointFolder(tmp_path, PLAN.model, policy=policy)
    folder.save(states[0], layout, step=1, is_stage_end=False)
    delete = Folder.delete

    def refuse(self: Folder, name: str) -> None:
        if name.startswith("00000001"):
            raise PermissionError(errno.EACCES, "Permission denied", name)
        delete(self, name)

    monkeypatch.setattr(Folder, "delete", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        folder.save(states[1], layout, step=2, is_stage_end=False)
    assert_same(latest(folder, layout)[0].state, states[1], layout)


def test_training_goes_on_while_a_checkpoint_is_written(
    folder: CheckpointFolder,
    states: list[TrainState],
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_write = threading.Event()
    write = Folder.write

    def wait(self: Folder, name: str, pieces: Any) -> None:
        assert may_write.wait(60)
        write(self, name, pieces)

    monkeypatch.setattr(Folder, "write", wait)
    state = jax.tree.map(jax.numpy.copy, states[0])
    folder.start_saving(state, layout, step=1, is_stage_end=False)
    assert folder.saved() is None
    jax.tree.map(lambda array: array.delete(), state)  # as a step does that uses it up
    may_write.set()
    saved = folder.saved(is_waiting=True)
    assert saved is not None
    assert saved[0] == 1
    assert_same(latest(folder, layout)[0].state, states[0], layout)


def test_the_last_few_and_all_stage_ends_are_kept(
    tmp_path: Path, states: list[TrainState], layout: Layout
) -> None:
    policy = Checkpoints(every_steps=1, keep_last=2)
    folder = CheckpointFolder(tmp_path, PLAN.model, policy=policy)
    for step in range(1, 8):
        folder.save(states[0], layout, step=step, is_stage_end=step in (2, 5))
    assert folder.steps() == [2, 5, 6, 7]


def test_every_so_many_steps_one_is_kept_besides(
    tmp_path: Path, states: list[TrainState], layout: Layout
) -> None:
    policy = Checkpoints(every_steps=1, keep_last=1, keep_every=3)
    folder = CheckpointFolder(tmp_path, PLAN.model, policy=policy)
    for step in range(1, 8):
        folder.save(states[0], layout, step=step, is_stage_end=step == 2)
    assert folder.steps() == [2, 3, 6, 7]


def test_a_restored_state_has_not_failed(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    failed = states[0]._replace(is_failed=place_number(1, layout))
    folder.save(failed, layout, step=1, is_stage_end=False)
    assert int(folder.restore(1, layout.mesh, "step").state.is_failed) == 0
    assert jax.process_count() == 1


def test_checkpoints_from_before_a_power_cut_do_not_crowd_out_new_ones(
    tmp_path: Path, states: list[TrainState], layout: Layout
) -> None:
    policy = Checkpoints(every_steps=1, keep_last=1)
    folder = CheckpointFolder(tmp_path, PLAN.model, policy=policy)
    for step in (1, 3):
        CheckpointFolder(tmp_path, PLAN.model).save(
            states[0], layout, step=step, is_stage_end=False
        )
    # Step 3 is not on record any more: training goes on after step 1, and saves 2.
    restored = folder.restore_latest(layout.mesh, "step", at_most=2, warn=pytest.fail)
    assert restored is not None
    assert restored.manifest.step == 1
    folder.save(states[1], layout, step=2, is_stage_end=False)
    assert folder.steps() == [2, 3]


def test_a_disk_that_fails_for_a_moment_condemns_no_checkpoint(
    folder: CheckpointFolder,
    states: list[TrainState],
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_all(folder, states, layout)
    read = Folder.read

    def fail(self: Folder, name: str, start: int = 0, stop: int | None = None) -> bytes:
        if name.endswith(".rows"):
            raise OSError(errno.EMFILE, "Too many open files")
        return read(self, name, start, stop)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "read", fail)
        with pytest.raises(InputError, match=r"step 3 can't be read: .*Too many open"):
            latest(folder, layout)
    restored, told = latest(folder, layout)
    assert (restored.manifest.step, told) == (3, [])
