"""Checkpoints: states that can be trusted, and resumed bit for bit.

    <location>/00000120/00-000000-000008.rows  rows of a share, see `row_files`
    <location>/00000120/manifest.json          digests of all rows; written last

A checkpoint without a manifest does not exist: a crash within a save leaves none. One
whose rows are not what the manifest says is set aside, by the name of its manifest;
it is never used and never deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jax.sharding import Mesh

from ledger.recorder import TensorFacts
from runtime.loading import load_state
from runtime.manifest import MANIFEST, Manifest
from runtime.processes import ALONE, Processes
from runtime.row_files import copy_to_host
from runtime.saving import Saving
from runtime.state import Gather, Layout, TrainState
from runtime.storage import Incomplete, open_storage
from runtime.tensors import tensor_shapes
from specs.errors import InputError
from specs.experiment import Checkpoints
from specs.plan import PlannedModel

DAMAGED = "damaged.json"
"""Name of the manifest of a checkpoint that was set aside."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A checkpoint, back on devices."""

    manifest: Manifest
    state: TrainState
    layout: Layout


_MISSING = (FileNotFoundError, Incomplete)


class Damaged(InputError):
    """A checkpoint is not what was saved."""


class CheckpointFolder:
    """The checkpoints of one run, in a folder or in a bucket."""

    def __init__(
        self,
        location: Path | str,
        model: PlannedModel,
        processes: Processes = ALONE,
        policy: Checkpoints | None = None,
    ) -> None:
        """Take the place, where there need not be anything yet.

        Args:
            location: A folder that all processes share, or the URI of a bucket.
            model: That the states are of.
            processes: All of them come to the same calls in the same order.
            policy: Which checkpoints are kept; default: all.
        """
        self.location = str(location)
        self._storage = open_storage(location)
        self._shapes = tensor_shapes(model)
        self._processes = processes
        self._policy = policy
        self._saving: Saving | None = None
        self._restored: Manifest | None = None
        self._ends: dict[int, bool] = {}
        """Step -> whether a stage ends there, as far as looked up."""

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints that are there, the earliest first."""
        found = (name.split("/") for name in self._storage.names())
        return sorted(
            int(parts[0])
            for parts in found
            if parts[1:] == [MANIFEST] and parts[0].isdigit()
        )

    def tensors(self, step: int) -> dict[str, TensorFacts] | None:
        """Return the digests of a checkpoint that was restored; None for others."""
        restored = self._restored
        return restored.tensors if restored and restored.step == step else None

    def start_saving(
        self, state: TrainState, layout: Layout, *, step: int, is_stage_end: bool
    ) -> None:
        """Copy a state and begin to save it; all processes must call it together.

        An earlier save that still goes on is waited for. `saved` tells the end.

        Raises:
            InputError: The disk is full. Earlier checkpoints are as they were.
        """
        if self._saving is not None:
            self._saving.wait()
        folder = _name(step)
        self._processes.from_first("checkpoint", partial(self._cleared, folder))
        self._saving = Saving(
            self._storage,
            folder,
            copy_to_host(state, layout),
            layout,
            self._processes,
            step=step,
            is_stage_end=is_stage_end,
            num_updates=int(state.num_updates),
            place=f"{self.location}/{folder}",
            then=partial(self._prune, step),
        )

    def saved(
        self, *, is_waiting: bool = False
    ) -> tuple[int, dict[str, TensorFacts]] | None:
        """Return step and digests of a save that has ended since the last call.

        Args:
            is_waiting: Whether to wait for a save that goes on.

        Returns:
            None if there is none. Digests are known to process 0 alone.

        Raises:
            InputError: It failed: the disk is full. Earlier checkpoints are as they
                were, and nothing is left of this one.
        """
        saving = self._saving
        if saving is None or not (is_waiting or saving.is_done()):
            return None
        self._saving = None
        saving.wait()
        return saving.step, saving.tensors

    def save(
        self, state: TrainState, layout: Layout, *, step: int, is_stage_end: bool
    ) -> dict[str, TensorFacts]:
        """Save a state and wait until it is safe; see `start_saving`."""
        self.start_saving(state, layout, step=step, is_stage_end=is_stage_end)
        saved = self.saved(is_waiting=True)
        assert saved is not None
        return saved[1]

    def restore(self, step: int, mesh: Mesh, gather: Gather) -> Restored:
        """Load one checkpoint onto a mesh and check every row of it.

        Raises:
            Damaged: It is not there, or not what its manifest says; in all processes,
                if in one.
            InputError: It can't be read now: a network or a disk fails.
        """
        restored, problem, is_readable = None, "", True
        try:
            manifest = self._manifest(step)
            layout = Layout(self._shapes, manifest.num_rows, mesh, gather)
            state = load_state(self._storage, _name(step), manifest, layout)
            restored = Restored(manifest=manifest, state=state, layout=layout)
        except (*_MISSING, ValueError, KeyError, TypeError) as error:
            problem = _first_line(error)
        except OSError as error:
            problem, is_readable = _first_line(error), False
        self._check_restored(step, problem, is_readable)
        assert restored is not None, "a process that failed has said so"
        self._restored = restored.manifest
        return restored

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
            gather: When steps gather the rows.
            at_most: Steps done at most: later ones are not on record after a power cut.
            warn: Told of each checkpoint that was set aside as damaged.

        Raises:
            InputError: There are checkpoints, and all of them are damaged; or one can't
                be read now.
        """
        told = self._processes.from_first("steps", partial(self._swept, at_most))
        steps = [int(step) for step in told.split()]
        for step in reversed(steps):
            try:
                return self.restore(step, mesh, gather)
            except Damaged as error:
                self._processes.from_first("aside", partial(self._aside, step))
                warn(f"{error.problems[0].what}; it is set aside, see {DAMAGED} there")
        if steps:
            raise InputError(
                "every checkpoint of the run is damaged",
                file=self.location,
                fix="delete them to train the run anew",
            )
        return None

    def _check_restored(self, step: int, problem: str, is_readable: bool) -> None:
        """Raise in all processes what is wrong in one; damage comes first."""
        told = self._processes.gather("restored", f"{int(is_readable)}{problem}")
        problems = [one for one in told if one != "1"]
        if not problems:
            return
        place = f"{self.location}/{_name(step)}"
        damage = [one[1:] for one in problems if one[0] == "1"]
        if damage:
            raise Damaged(
                f"the checkpoint after step {step} is damaged: {damage[0]}",
                file=place,
                fix="use an earlier checkpoint",
            )
        raise InputError(
            f"the checkpoint after step {step} can't be read: {problems[0][1:]}",
            file=place,
            fix="run the same command again once the disk or the network is well; "
            "delete the checkpoint if it never will be",
        )

    def _prune(self, saved: int) -> None:
        """Delete what the policy does not keep; a checkpoint loses its manifest first.

        Kept are the ends of stages, multiples of `keep_every`, and the last few up to
        the one just saved: later ones are from before a power cut.
        """
        if self._policy is None:
            return
        every = self._policy.keep_every
        within = [
            step
            for step in self.steps()
            if step <= saved
            and not self._is_stage_end(step)
            and (every is None or step % every)
        ]
        for step in within[: -self._policy.keep_last]:
            self._storage.delete(f"{_name(step)}/{MANIFEST}")
            self._storage.delete(_name(step))

    def _is_stage_end(self, step: int) -> bool:
        if step not in self._ends:
            self._ends[step] = self._manifest(step).is_stage_end
        return self._ends[step]

    def _manifest(self, step: int) -> Manifest:
        return Manifest.opened(self._storage.read(f"{_name(step)}/{MANIFEST}"))

    def _cleared(self, folder: str) -> str:
        """Make room for a checkpoint; what is there was never finished, or is old."""
        self._storage.delete(f"{folder}/{MANIFEST}")
        self._storage.delete(folder)
        return ""

    def _swept(self, at_most: int) -> str:
        """Delete what killed saves left; return the steps that can be restored."""
        steps = self.steps()
        ours = {_name(step) for step in steps}
        names = [name.split("/") for name in self._storage.names()]
        aside = {parts[0] for parts in names if parts[1:] == [DAMAGED]}
        for folder in {parts[0] for parts in names} - ours - aside:
            if folder.isdigit():
                self._storage.delete(folder)
        return " ".join(str(step) for step in steps if step <= at_most)

    def _aside(self, step: int) -> str:
        """Take a damaged checkpoint out of use, and keep it to be looked at."""
        folder = _name(step)
        raw = self._storage.read(f"{folder}/{MANIFEST}")
        self._storage.write(f"{folder}/{DAMAGED}", [raw])
        self._storage.delete(f"{folder}/{MANIFEST}")
        return ""


def _name(step: int) -> str:
    return f"{step:08d}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
