"""Checkpoints that are whole, that are damaged, and that never came to be."""

from __future__ import annotations

import errno
import hashlib
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import plans
import pytest

from runtime import checkpoint
from runtime.checkpoint import CheckpointFolder, weights_digest
from runtime.mesh import build_mesh
from runtime.state import (
    Layout,
    TrainState,
    build_layout,
    initial_state,
    place_number,
    state_from_tensors,
    whole_tensors,
)
from specs.errors import InputError

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


def test_the_manifest_digests_whole_tensors(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    told = folder.save(states[0], layout, step=1, is_stage_end=False)
    for name, tensor in whole_tensors(states[0], layout):
        assert told[name].shape == tensor.shape
        assert told[name].dtype == "float32"
        assert told[name].sha256 == hashlib.sha256(tensor.tobytes()).hexdigest()
    assert told == folder.tensors(1)
    other = build_layout(PLAN, plans.stage(sequences_per_step=2), layout.mesh)
    moved = state_from_tensors(dict(whole_tensors(states[0], layout)), 5, other)
    again = CheckpointFolder(folder.path / "other", PLAN.model)
    assert again.save(moved, other, step=1, is_stage_end=False) == told


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


def files_of(folder: CheckpointFolder, step: int) -> list[Path]:
    (found,) = folder.path.glob(f"*{step}")
    return sorted(path for path in found.rglob("*") if path.is_file())


# Where one of Orbax's reads fails, it forgets the others that are under way.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_any_damaged_file_falls_back_to_the_checkpoint_before(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout, tmp_path: Path
) -> None:
    save_all(folder, states, layout)
    original = tmp_path / "original"
    shutil.copytree(folder.path, original)
    kept = [path.relative_to(folder.path) for path in files_of(folder, 3)]
    harmless = []
    for path in kept:
        for damage in ("cut", "flip"):
            shutil.rmtree(folder.path)
            shutil.copytree(original, folder.path)
            raw = bytearray((folder.path / path).read_bytes())
            if damage == "cut":
                del raw[len(raw) // 2 :]
            else:
                raw[len(raw) // 2] ^= 0x10
            (folder.path / path).write_bytes(raw)
            restored, told = latest(folder, layout)
            step = restored.manifest.step
            # Either it does not matter, or it is noticed; never wrong numbers.
            assert_same(restored.state, states[step - 1], layout)
            assert (step == 3) == (told == [])
            if step == 3:
                harmless.append(path.name)
    assert "manifest.json" not in harmless
    tensors = [path for path in kept if path.parent.name == "d"]
    assert {path.name for path in tensors} - set(harmless), "no tensor was damaged"


def test_a_damaged_checkpoint_is_set_aside_and_named(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    save_all(folder, states, layout)
    for path in files_of(folder, 3):
        if path.name != "manifest.json":
            path.unlink()
    restored, told = latest(folder, layout)
    assert restored.manifest.step == 2
    assert len(told) == 1
    assert "damaged" in told[0]
    assert folder.steps() == [1, 2]


def test_another_state_under_the_manifest_is_noticed(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    # Readable, of the right shapes, and of another step: only the digests can tell.
    save_all(folder, states, layout)
    shutil.rmtree(folder.path / "00000003" / "state")
    shutil.copytree(
        folder.path / "00000001" / "state", folder.path / "00000003" / "state"
    )
    with pytest.raises(InputError, match="is not what its manifest says"):
        folder.restore(3, layout.mesh, "step")


def test_only_damaged_checkpoints_are_an_error_not_a_fresh_start(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    save_all(folder, states, layout)
    for manifest in folder.path.glob("*/manifest.json"):
        manifest.write_bytes(b"{")
    with pytest.raises(InputError, match="every checkpoint of the run is damaged"):
        latest(folder, layout)


def test_no_checkpoint_is_a_fresh_start(
    folder: CheckpointFolder, layout: Layout
) -> None:
    assert latest(folder, layout) == (None, [])


def test_a_crash_within_a_save_leaves_no_checkpoint(
    folder: CheckpointFolder,
    states: list[TrainState],
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder.save(states[0], layout, step=1, is_stage_end=False)

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomically", crash)
        with pytest.raises(KeyboardInterrupt):
            folder.save(states[1], layout, step=2, is_stage_end=False)
    restored, told = latest(folder, layout)
    assert (restored.manifest.step, told) == (1, [])
    folder.save(states[2], layout, step=2, is_stage_end=False)
    restored, _ = latest(folder, layout)
    assert_same(restored.state, states[2], layout)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("RESOURCE_EXHAUSTED: write failed: No space left on device"),
    ],
)
def test_a_full_disk_is_said_plainly_and_harms_no_earlier_checkpoint(
    error: Exception,
    folder: CheckpointFolder,
    states: list[TrainState],
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder.save(states[0], layout, step=1, is_stage_end=False)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("orbax.checkpoint.Checkpointer.save", fail)
        with pytest.raises(InputError, match="the disk is full") as raised:
            folder.save(states[1], layout, step=2, is_stage_end=False)
    assert "make room" in str(raised.value)
    restored, _ = latest(folder, layout)
    assert restored.manifest.step == 1
    assert_same(restored.state, states[0], layout)


def test_the_last_few_and_all_stage_ends_are_kept(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    for step in range(1, 8):
        folder.save(states[0], layout, step=step, is_stage_end=step in (2, 5))
        folder.prune(keep_last=2)
    assert folder.steps() == [2, 5, 6, 7]


def test_a_restored_state_has_not_failed(
    folder: CheckpointFolder, states: list[TrainState], layout: Layout
) -> None:
    failed = states[0]._replace(is_failed=place_number(1, layout))
    folder.save(failed, layout, step=1, is_stage_end=False)
    assert int(folder.restore(1, layout.mesh, "step").state.is_failed) == 0
    assert jax.process_count() == 1
