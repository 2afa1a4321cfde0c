"""Task and suite files: read like specs, every problem in one pass."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from specs.base import SpecValue
from specs.errors import SpecError
from specs.problems import problems_of
from specs.task import Suite, Task
from specs.yaml_reader import read_document

Declared = TypeVar("Declared", bound=SpecValue)


def load_task(path: Path, *, shown_as: str | None = None) -> Task:
    """Load a task from its file.

    Args:
        path: The file.
        shown_as: How messages name it; default: as `path` has it.

    Raises:
        InputError: The file is missing.
        SpecError: With every problem of the file.
    """
    return load_declared(path, Task, shown_as=shown_as)


def load_suite(path: Path, *, shown_as: str | None = None) -> Suite:
    """Load a suite from its file; as `load_task`."""
    return load_declared(path, Suite, shown_as=shown_as)


def load_declared(
    path: Path, model: type[Declared], *, shown_as: str | None = None
) -> Declared:
    """Load a YAML file that holds one value of the spec language's kind.

    Args:
        path: The file.
        model: Its type.
        shown_as: How messages name the file.

    Raises:
        InputError: The file is missing.
        SpecError: With every problem of the file.
    """
    document = read_document(path, shown_as=shown_as)
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise SpecError(problems_of(error, document, model)) from None
