"""What pydantic found wrong, told the way codemix tells it."""

from __future__ import annotations

from pydantic import ValidationError

from specs.errors import Problem
from specs.yaml_reader import Document


def problems_of(error: ValidationError, document: Document) -> list[Problem]:
    """Turn validation errors into problems with file, line, rule, value and fix."""
    return [
        document.problem(tuple(one["loc"]), one["msg"])
        for one in error.errors(include_url=False)
    ]
