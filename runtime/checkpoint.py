"""Checkpoints: states on disk that can be trusted, and resumed bit for bit.

    <folder>/00000120/state/         the state's rows, by Orbax: each process its shards
    <folder>/00000120/manifest.json  digests of the whole tensors; written last

A checkpoint without a manifest does not exist: a crash within a save leaves none. One
whose tensors are not what the manifest says is set aside, never used and never deleted.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from ledger.recorder import TensorFacts
from runtime.state import (
    Gather,
    Layout,
    TrainState,
    place_number,
    whole_tensors,
)
from runtime.tensors import tensor_shapes
from specs.atomic import write_atomically
from specs.base import Value
from specs.canonical import digest_of
from specs.errors import InputError
from specs.plan import PlannedModel

MANIFEST = "manifest.json"

_PREFIXES = ("", "mu.", "nu.")
"""Of the names of the weights and of both moments."""


class Manifest(Value):
    """What a checkpoint holds."""

    step: int
    """Steps done, over the whole run."""
    is_stage_end: bool
    num_rows: int
    """Rows that every tensor is cut into on disk; see `runtime.state`."""
    num_updates: int
    """Steps that the optimizer's moments have seen."""
    tensors: dict[str, TensorFacts]
    """Name -> facts of the whole tensor."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A checkpoint, back on devices."""

    manifest: Manifest
    state: TrainState
    layout: Layout


class CheckpointFolder:
    """The checkpoints of one run."""

    def __init__(self, path: Path, model: PlannedModel) -> None:
        """Take the folder, which need not be there yet."""
        self.path = path
        self._shapes = tensor_shapes(model)

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints that are there, the earliest first."""
        found = self.path.glob(f"[0-9]*/{MANIFEST}")
        names = [path.parent.name for path in found]
        return sorted(int(name) for name in names if name.isdigit())

    def tensors(self, step: int) -> dict[str, TensorFacts] | None:
        """Return the digests of a checkpoint; None where there is none."""
        path = self._folder(step) / MANIFEST
        if not path.exists():
            return None
        return Manifest.model_validate_json(path.read_bytes()).tensors

    def save(
        self, state: TrainState, layout: Layout, *, step: int, is_stage_end: bool
    ) -> dict[str, TensorFacts]:
        """Save a state; all processes must call it together.

        Returns:
            The digests that the manifest holds.

        Raises:
            InputError: The disk is full. Earlier checkpoints are as they were.
        """
        folder = self._folder(step)
        tensors = {
            name: tensor_facts(tensor) for name, tensor in whole_tensors(state, layout)
        }
        manifest = Manifest(
            step=step,
            is_stage_end=is_stage_end,
            num_rows=layout.num_rows,
            num_updates=int(state.num_updates),
            tensors=tensors,
        )
        try:
            if jax.process_index() == 0:
                (folder / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            _everybody("checkpoint folder")
            with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
                checkpointer.save(folder.absolute() / "state", _rows_of(state))
            if jax.process_index() == 0:
                write_atomically(folder / MANIFEST, manifest.to_bytes())
        except Exception as error:
            raise _explained(error, folder) from error
        _everybody("checkpoint manifest")
        return tensors

    def restore(self, step: int, mesh: Mesh, gather: Gather) -> Restored:
        """Load one checkpoint onto a mesh and check every tensor of it.

        Raises:
            InputError: It is not there, or not what its manifest says.
        """
        folder = self._folder(step)
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
            layout = Layout(self._shapes, manifest.num_rows, mesh, gather)
            state = self._load(folder, manifest, layout)
        # On damaged files Orbax raises whatever its own parsers stumble over.
        except Exception as error:
            raise _damaged(folder, f"can't be read: {_first_line(error)}") from error
        wrong = [
            name
            for name, tensor in whole_tensors(state, layout)
            if tensor_facts(tensor) != manifest.tensors.get(name)
        ]
        if wrong or set(manifest.tensors) != _names(self._shapes):
            named = ", ".join(wrong[:3]) or "a tensor is missing"
            raise _damaged(folder, f"is not what its manifest says: {named}")
        return Restored(manifest=manifest, state=state, layout=layout)

    def restore_latest(
        self,
        mesh: Mesh,
        gather: Gather,
        *,
        at_most: int,
        warn: Callable[[str], None],
    ) -> Restored | None:
        """Load the latest good checkpoint; None where there has been none.

        Args:
            mesh: To load onto.
            gather: Of the layout on it.
            at_most: Steps done at most: later ones are not on record after a power cut.
            warn: Told of each checkpoint that was set aside as damaged.

        Raises:
            InputError: There are checkpoints, and all of them are damaged.
        """
        steps = [step for step in self.steps() if step <= at_most]
        for step in reversed(steps):
            try:
                return self.restore(step, mesh, gather)
            except InputError as error:
                aside = self._set_aside(step)
                warn(f"{error.problems[0].what}; set aside as {aside.name}")
        if steps:
            raise InputError(
                "every checkpoint of the run is damaged",
                file=str(self.path),
                fix="delete the folder to train the run anew",
            )
        return None

    def prune(self, keep_last: int) -> None:
        """Delete what the policy does not keep: all but stage ends and the last few.

        A checkpoint that is being deleted loses its manifest first.
        """
        if jax.process_index() != 0:
            return
        within = [step for step in self.steps() if not self._is_stage_end(step)]
        for step in within[:-keep_last]:
            folder = self._folder(step)
            (folder / MANIFEST).unlink()
            shutil.rmtree(folder, ignore_errors=True)

    def _is_stage_end(self, step: int) -> bool:
        raw = (self._folder(step) / MANIFEST).read_bytes()
        return Manifest.model_validate_json(raw).is_stage_end

    def _folder(self, step: int) -> Path:
        return self.path / f"{step:08d}"

    def _set_aside(self, step: int) -> Path:
        folder = self._folder(step)
        aside = folder.with_name(f"{folder.name}.damaged")
        if jax.process_index() == 0:
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
        _everybody("checkpoint set aside")
        return aside

    def _load(self, folder: Path, manifest: Manifest, layout: Layout) -> TrainState:
        group = layout.abstract_state().weights
        wanted = {"weights": group, "mu": group, "nu": group}
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
            groups = checkpointer.restore(folder.absolute() / "state", wanted)
        return _state_of(groups, manifest.num_updates, layout)


def tensor_facts(tensor: np.ndarray[Any, Any]) -> TensorFacts:
    """Digest one whole tensor, over its little-endian bytes in C order."""
    little = np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<"))
    return TensorFacts(
        sha256=hashlib.sha256(little.data).hexdigest(),
        shape=tensor.shape,
        dtype=tensor.dtype.name,
    )


def weights_digest(tensors: Mapping[str, TensorFacts]) -> str:
    """SHA-256 over the digests of the weights, the optimizer's moments left out."""
    return digest_of(
        {
            name: facts.sha256
            for name, facts in tensors.items()
            if not name.startswith(_PREFIXES[1:])
        }
    )


def _rows_of(state: TrainState) -> dict[str, dict[str, Array]]:
    return {"weights": state.weights, "mu": state.mu, "nu": state.nu}


def _state_of(
    groups: dict[str, dict[str, Array]], num_updates: int, layout: Layout
) -> TrainState:
    return TrainState(
        groups["weights"],
        groups["mu"],
        groups["nu"],
        place_number(num_updates, layout),
        place_number(0, layout),
    )


def _names(shapes: Mapping[str, object]) -> set[str]:
    return {prefix + name for prefix in _PREFIXES for name in shapes}


def _everybody(where: str) -> None:
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def _damaged(folder: Path, what: str) -> InputError:
    return InputError(
        f"the checkpoint {what}", file=str(folder), fix="use an earlier checkpoint"
    )


def _explained(error: Exception, folder: Path) -> Exception:
    # TensorStore reports a full disk as text of its own kind of error.
    is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    if is_full or "No space left" in str(error) or "Disk quota" in str(error):
        return InputError(
            "the disk is full, the checkpoint could not be saved",
            file=str(folder),
            fix="make room and run the same command again: it goes on from the last "
            "checkpoint",
        )
    return error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
