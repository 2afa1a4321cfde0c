"""Loading specs and locks from their files.

    file --yaml_reader--> Document --inherit--> Document --matrix--> Documents
      --pydantic--> Experiment

Every problem of a file is collected before any is raised.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from specs.atomic import write_atomically
from specs.errors import InputError, Problem, SpecError
from specs.experiment import Experiment
from specs.lock import Lock
from specs.problems import problems_of
from specs.yaml_reader import Document, read_document


def load_experiment(path: Path) -> Experiment:
    """Load the one experiment of a spec file.

    Raises:
        InputError: The file is missing.
        SpecError: With every problem of the file; or the file holds a `matrix:`, then
            use `load_experiments`.
    """
    return _validated(read_document(path))


def load_experiments(path: Path) -> tuple[Experiment, ...]:
    """Load all experiments of a spec file: one, or one per variation of its matrix."""
    return (load_experiment(path),)


def lock_path(spec_path: Path) -> Path:
    """Return where the lock of a spec lies: `x.yaml` has `x.lock`."""
    return spec_path.with_suffix(".lock")


def load_lock(path: Path) -> Lock:
    """Read a lock.

    Raises:
        InputError: It is missing, or is not what `save_lock` wrote.
    """
    fix = f"codemix pin {path.with_suffix('.yaml')}"
    try:
        return Lock.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError("no such lock", file=str(path), fix=fix) from None
    except OSError as error:
        what = f"can't be read: {error.strerror}"
        raise InputError(what, file=str(path)) from None
    except ValidationError as error:
        raise InputError(
            [
                Problem(
                    file=str(path),
                    path=".".join(str(part) for part in one["loc"]),
                    what=f"not a lock of this version: {one['msg']}",
                    fix=fix,
                )
                for one in error.errors(include_url=False)
            ]
        ) from None


def save_lock(lock: Lock, path: Path) -> None:
    """Write a lock, one key a line so that version control shows what changed."""
    text = json.dumps(lock.to_json(), indent=2, sort_keys=True, ensure_ascii=False)
    write_atomically(path, f"{text}\n".encode())


def find_workspace(spec_path: Path) -> Path:
    """Return the nearest folder above a spec that holds `.dvc/`.

    Raises:
        InputError: There is none.
    """
    for folder in spec_path.resolve().parents:
        if (folder / ".dvc").is_dir():
            return folder
    raise InputError(
        "is not inside a workspace: no folder above it holds `.dvc`",
        file=str(spec_path),
        fix="codemix init .",
    )


def _validated(document: Document) -> Experiment:
    try:
        return Experiment.model_validate(document.value)
    except ValidationError as error:
        raise SpecError(problems_of(error, document)) from None
