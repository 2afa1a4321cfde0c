"""Loading specs and locks from their files.

    file --yaml_reader--> Document --inherit--> Document --matrix--> Documents
      --subsets--> Documents --pydantic--> Experiment

Every problem of a file is collected before any is raised.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from specs.amend import prefix_problems
from specs.atomic import write_atomically
from specs.document import Document
from specs.errors import InputError, Problem, SpecError
from specs.experiment import Experiment
from specs.inherit import read_with_parents
from specs.lock import Lock
from specs.matrix import variations
from specs.names import unused_names
from specs.problems import in_order, problems_of
from specs.rules import Place
from specs.subsets import with_subsets


def load_experiment(path: Path) -> Experiment:
    """Load the one experiment of a spec file.

    Raises:
        InputError: The file is missing.
        SpecError: With every problem of the file; or the file holds a `matrix:`.
    """
    document, inherited = read_with_parents(path)
    if "matrix" in document.value:
        num = len(variations(document))
        raise SpecError(
            document.problem(
                ("matrix",),
                f"one experiment is needed here, this file stands for {num}",
                "keep one of them in a file of its own: "
                "`codemix validate` lists what varies",
            )
        )
    return _validated(path, [document], inherited)[0]


def load_experiments(path: Path) -> tuple[Experiment, ...]:
    """Load all experiments of a spec file: one, or one for each cell of its matrix.

    Raises:
        InputError: The file is missing.
        SpecError: With every problem of any of them, each told once.
    """
    document, inherited = read_with_parents(path)
    return _validated(path, variations(document), inherited)


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


def _validated(
    path: Path, documents: list[Document], inherited: set[Place]
) -> tuple[Experiment, ...]:
    experiments: list[Experiment] = []
    problems: list[Problem] = []
    whole = [with_subsets(document) for document in documents]
    for _, wrong in whole:
        problems.extend(wrong)
    for document in _pruned([document for document, _ in whole], inherited):
        try:
            experiment = Experiment.model_validate(document.value)
        except ValidationError as error:
            problems.extend(problems_of(error, document))
            continue
        experiments.append(experiment)
        if experiment.amends is not None:
            problems.extend(prefix_problems(path, experiment, document))
    if problems:
        raise SpecError(in_order(problems))
    return tuple(experiments)


def _pruned(documents: list[Document], inherited: set[Place]) -> list[Document]:
    """Leave out of each experiment the sources and mixtures that it does not use.

    That is right for what a parent file offers or another cell of the matrix uses. One
    that the file itself writes and nothing uses stays, and is reported.
    """
    unused = [set(unused_names(document.value)) for document in documents]
    mistaken = {
        place
        for place in set.intersection(*unused)
        if documents[0].written(place)[:2] not in inherited
    }
    return [
        replace(document, value=_without(document.value, places - mistaken))
        for document, places in zip(documents, unused, strict=True)
    ]


def _without(value: dict[str, Any], places: set[Place]) -> dict[str, Any]:
    for group in ("sources", "mixtures"):
        if any(place[0] == group for place in places):
            named = value[group]
            kept = {name: named[name] for name in named if (group, name) not in places}
            value = {**value, group: kept}
    return _without_listed(
        value, {name for group, name in places if group == "sources"}
    )


def _without_listed(value: dict[str, Any], gone: set[str | int]) -> dict[str, Any]:
    """Take sources out of the list of those that are deduplicated."""
    declared = value.get("deduplicate")
    if not gone or not isinstance(declared, dict):
        return value
    listed = declared.get("sources")
    if not isinstance(listed, list):
        return value
    kept = [name for name in listed if name not in gone]
    if not kept:
        return {key: value[key] for key in value if key != "deduplicate"}
    return {**value, "deduplicate": {**declared, "sources": kept}}
