"""Writing what was chosen for a machine as a small spec that extends the first."""

from __future__ import annotations

import os
from pathlib import Path

from specs.atomic import write_atomically
from specs.errors import InputError, SpecError
from specs.experiment import Experiment
from specs.left_open import Choice
from specs.loading import load_experiment

_TEXT = """\
# What `codemix plan` chose for {machine}. Lane and remat decide bits, so this is an
# experiment of its own; whoever runs it gets these bits on any machine.
codemix: 1
extends: {parent}
name: {name}
batch: {{lane: {lane}, remat: {remat}}}
parallel: {{gather: {gather}}}
"""

MAX_NAME = 128


def check_can_save(path: Path, parent: Path, experiment: Experiment) -> None:
    """Find out whether a choice could be saved, before it takes minutes to make.

    Raises:
        InputError: There is such a file.
        SpecError: From there, or from within stages, `parent` can't be extended so.
    """
    batch = experiment.batch
    choice = Choice(lane=batch.lane, remat="none", gather="step")
    save_choice(path, parent, experiment, choice, "trial")
    path.unlink()


def save_choice(
    path: Path, parent: Path, experiment: Experiment, choice: Choice, machine: str
) -> None:
    """Write a spec that extends `parent` with a choice written out.

    Args:
        path: The new file.
        parent: The spec that the choice is for.
        experiment: What `parent` holds.
        choice: Values for what `parent` leaves open.
        machine: What they were chosen for, such as `v5e-64`.

    Raises:
        InputError: There is such a file.
        SpecError: From there, or from within stages, `parent` can't be extended so.
    """
    if path.exists():
        fix = "delete it, or choose another name"
        raise InputError("is there already", file=str(path), fix=fix)
    _refuse_own_batches(parent, experiment)
    text = _TEXT.format(
        machine=machine,
        parent=Path(os.path.relpath(parent.resolve(), path.resolve().parent)),
        name=f"{experiment.name[: MAX_NAME - len(machine) - 1]}-{machine}",
        lane=choice.lane,
        remat=choice.remat,
        gather=choice.gather,
    )
    write_atomically(path, text.encode())
    try:
        load_experiment(path)
    except SpecError:
        path.unlink()
        raise


def _refuse_own_batches(parent: Path, experiment: Experiment) -> None:
    """Refuse stages with a batch of their own: an heir can't change part of a list."""
    for index, stage in enumerate(experiment.stages):
        if stage.batch is not None:
            raise SpecError(
                "has a batch of its own, which another file can't change",
                file=str(parent),
                path=f"stages.{index}.batch",
                fix="write lane and remat there, and leave out --save",
            )
