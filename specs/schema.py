"""The JSON Schemas of specs and studies, made from their types, frozen per version.

A file that stands on its own needs every required key. One that `extends` another, or
holds a `matrix`, needs only what it changes, so there the mappings that are merged key
by key are checked with nothing required. The schema says what JSON Schema can say; the
rules between fields are `codemix validate`'s.

    python -m specs.schema --write
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specs.atomic import write_atomically
from specs.errors import Problem, SpecError
from specs.experiment import SPEC_VERSION, Experiment
from specs.rules import dotted
from specs.study import StudyFile
from specs.study_checks import STUDY_VERSION

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

FOLDER = Path(__file__).parent / "schema"

_LONGEST_MESSAGE = 200
_FIX = "see `codemix schema`, or name the schema in your editor"

_FILE_KEYS: dict[str, Any] = {
    "extends": {
        "anyOf": [
            {"examples": ["base.yaml"], "minLength": 1, "type": "string"},
            {
                "additionalProperties": False,
                "properties": {
                    "entry": {"pattern": "^[0-9a-f]{4,64}$", "type": "string"},
                    "after": {"minLength": 1, "type": "string"},
                },
                "required": ["entry", "after"],
                "type": "object",
            },
        ],
        "description": "A spec that this one builds on, by its way from this file; or "
        "a run of the ledger, and its last stage that is kept.",
        "examples": ["base.yaml", {"entry": "540ce97bc160", "after": "text"}],
        "title": "Extends",
    },
    "matrix": {
        "anyOf": [
            {
                "additionalProperties": {
                    "minItems": 1,
                    "type": "array",
                    "uniqueItems": True,
                },
                "minProperties": 1,
                "type": "object",
            },
            {"type": "null"},
        ],
        "description": "Dotted place -> the values that it takes in turn; every "
        "combination is an experiment. Null takes away an inherited one.",
        "examples": [{"seed": [1, 2]}],
        "title": "Matrix",
    },
}


def schema_path(version: int = SPEC_VERSION) -> Path:
    """Return the file of the frozen schema of a version."""
    return FOLDER / f"experiment.v{version}.json"


def study_schema_path(version: int = STUDY_VERSION) -> Path:
    """Return the file of the frozen schema of studies of a version."""
    return FOLDER / f"study.v{version}.json"


def schema_text() -> str:
    """Return the schema of this version as its file has it."""
    return json.dumps(experiment_schema(), indent=2) + "\n"


def study_schema_text() -> str:
    """Return the schema of studies of this version as its file has it."""
    return json.dumps(study_schema(), indent=2) + "\n"


def experiment_schema() -> dict[str, Any]:
    """Build the schema of this version from the types."""
    full = Experiment.model_json_schema(by_alias=True)
    defs: dict[str, Any] = full.pop("$defs")
    defs["Experiment"] = full
    _tidy(defs)
    defs["PartialExperiment"] = _partial_experiment(full, defs)
    built_on_others = [{"required": [key]} for key in _FILE_KEYS]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:codemix:experiment:v{SPEC_VERSION}",
        "title": f"codemix experiment spec, version {SPEC_VERSION}",
        "description": full["description"],
        "type": "object",
        "if": {"anyOf": built_on_others},
        "then": {"$ref": "#/$defs/PartialExperiment"},
        "else": {"$ref": "#/$defs/Experiment"},
        "$defs": dict(sorted(defs.items())),
    }


def study_schema() -> dict[str, Any]:
    """Build the schema of studies of this version from the types."""
    full = StudyFile.model_json_schema(by_alias=True)
    _tidy(full)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:codemix:study:v{STUDY_VERSION}",
        **full,
        "title": f"codemix study, version {STUDY_VERSION}",
    }


def validate_document(value: Any) -> None:
    """Check a document that another program wrote against the frozen schema.

    Args:
        value: Plain JSON.

    Raises:
        SpecError: With every problem, each by its dotted path.
    """
    from jsonschema import Draft202012Validator

    schema = json.loads(schema_path().read_text("utf-8"))
    problems = [
        _problem(inner)
        for error in Draft202012Validator(schema).iter_errors(value)
        for inner in _innermost(error)
    ]
    if problems:
        raise SpecError(sorted(dict.fromkeys(problems), key=lambda one: one.path or ""))


def main(arguments: list[str]) -> int:
    """Write the frozen schemas, or say whether they are fresh."""
    texts = {schema_path(): schema_text(), study_schema_path(): study_schema_text()}
    stale = 0
    for path, text in texts.items():
        if arguments == ["--write"]:
            write_atomically(path, text.encode())
        elif not path.exists() or path.read_text("utf-8") != text:
            sys.stderr.write(f"{path.name} is stale: python -m specs.schema --write\n")
            stale = 1
    return stale


def _innermost(error: ValidationError) -> list[ValidationError]:
    """Open a union: the errors of the member that was probably meant."""
    if not error.context:
        return [error]
    members: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        members.setdefault(inner.schema_path[0], []).append(inner)
    meant = min(members.values(), key=lambda errors: (_is_other(errors), len(errors)))
    return [innermost for inner in meant for innermost in _innermost(inner)]


def _is_other(errors: list[ValidationError]) -> bool:
    """Tell a member of a union that has another type or tag than the value."""
    return any(
        error.validator in ("type", "const") and len(error.path) <= 1
        for error in errors
    )


def _problem(error: ValidationError) -> Problem:
    what = error.message
    if len(what) > _LONGEST_MESSAGE:
        what = f"breaks the rule {error.validator!r}"
    return Problem(path=dotted(tuple(error.absolute_path)), what=what, fix=_FIX)


def _tidy(schema: dict[str, Any]) -> None:
    for part in list(_subschemas(schema)):
        # A name that matches no pattern is a wrong name.
        if "patternProperties" in part:
            part["additionalProperties"] = False
        part.pop("discriminator", None)


def _subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _subschemas(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _subschemas(value)


def _partial_experiment(full: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    partial = _partial(full, defs)
    partial["title"] = "PartialExperiment"
    partial["description"] = "A spec that builds on another, or varies."
    partial["required"] = ["codemix", "name"]
    partial["properties"] = {**_FILE_KEYS, **partial["properties"]}
    for group in ("sources", "mixtures"):
        named = partial["properties"][group]["patternProperties"]
        for pattern, value in named.items():
            # Null takes away what is inherited.
            named[pattern] = {"anyOf": [_partial(value, defs), {"type": "null"}]}
    return partial


def _partial(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Copy a schema with nothing required in mappings that are merged key by key."""
    if "$ref" in schema:
        name = f"Partial{schema['$ref'].rpartition('/')[2]}"
        if name not in defs:
            whole = defs[name.removeprefix("Partial")]
            defs[name] = {**_partial(whole, defs), "title": name}
        return {**copy.deepcopy(schema), "$ref": f"#/$defs/{name}"}
    if "properties" in schema:
        # A union beside properties lists what may be required instead.
        left_out = {"required", "anyOf", "oneOf"}
        kept = {key: schema[key] for key in schema if key not in left_out}
        partial = copy.deepcopy(kept)
        for key, value in schema["properties"].items():
            partial["properties"][key] = _partial(value, defs)
        return partial
    if "anyOf" in schema:
        members = [_partial(member, defs) for member in schema["anyOf"]]
        return {**copy.deepcopy(schema), "anyOf": members}
    return copy.deepcopy(schema)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
