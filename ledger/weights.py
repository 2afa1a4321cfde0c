"""Which weights a run had after some step, by their digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ledger.entry import Entry
from ledger.objects import ObjectStore
from ledger.recorder import TensorFacts
from specs.canonical import digest_of

MOMENTS = ("mu.", "nu.")
"""Begin the names of the optimizer's moments, which are no weights."""


class Weights(NamedTuple):
    """The weights after some step of a run, or some that no entry has."""

    digest: str
    """See `weights_digest`."""
    step: int
    """Steps done, as the checkpoint says."""
    entry: str | None
    """Digest of the entry whose weights they are; null: no entry is known to have
    them."""
    stage: str | None
    """The stage that the step is in, or the end of; null where there is no entry."""


def weights_digest(tensors: Mapping[str, TensorFacts]) -> str:
    """SHA-256 over the digests of the weights, the optimizer's moments left out."""
    return digest_of(
        {
            name: facts.sha256
            for name, facts in tensors.items()
            if not name.startswith(MOMENTS)
        }
    )


def weights_after(
    digest: str, entry: Entry, step: int, objects: ObjectStore
) -> Weights | None:
    """Return the weights of a run after a step; null if the entry doesn't know them.

    Args:
        digest: Of the entry.
        entry: The entry.
        step: Steps done: the end of a stage, or of a checkpoint.
        objects: Hold the digests of a checkpoint's tensors.

    Raises:
        CodemixError: An object is missing or was changed.
    """
    for stage in entry.stages:
        if not stage.start_step < step <= stage.stop_step:
            continue
        if step == stage.stop_step and stage.weights_digest is not None:
            return Weights(stage.weights_digest, step, digest, stage.name)
        for checkpoint in entry.checkpoints:
            if checkpoint.step == step:
                tensors = {
                    name: TensorFacts.model_validate(facts)
                    for name, facts in objects.get_json(checkpoint.tensors).items()
                }
                return Weights(weights_digest(tensors), step, digest, stage.name)
    return None


def known_steps(entry: Entry) -> tuple[int, ...]:
    """Return the steps after which an entry knows its weights, in order."""
    ends = {stage.stop_step for stage in entry.stages if stage.weights_digest}
    return tuple(sorted(ends | {one.step for one in entry.checkpoints}))


def every_weights(digest: str, entry: Entry, objects: ObjectStore) -> Iterator[Weights]:
    """Yield all weights that an entry knows."""
    for step in known_steps(entry):
        found = weights_after(digest, entry, step, objects)
        if found is not None:
            yield found
