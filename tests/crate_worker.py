"""Validate RO-Crates, in a process of its own: `crate_worker.py [--context FILE] ZIP`.

The validator looks for RO-Crate's context on the web; here it gets the terms that we
use from this file, or all of them from a copy of the context that somebody has.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.utils.http import HttpRequester

PROFILE = "workflow-run-crate"
"""It stands on Process Run Crate, Workflow RO-Crate and RO-Crate 1.1, and has their
checks."""

SCHEMA_ORG = (
    "about actionStatus contentSize datePublished description encodingFormat endTime "
    "error hasPart identifier instrument license mainEntity mentions name object "
    "programmingLanguage result schemaVersion softwareRequirements softwareVersion "
    "startTime version CreateAction CreativeWork Dataset SoftwareApplication "
    "SoftwareSourceCode ComputerLanguage"
)
CONTEXT = {
    **{term: f"http://schema.org/{term}" for term in SCHEMA_ORG.split()},
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
    "File": "http://schema.org/MediaObject",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
}


class Response:
    """An answer of the web."""

    status_code = 200
    headers = {"Content-Type": "application/ld+json"}

    def __init__(self, context: dict[str, Any]) -> None:
        self._context = context

    def json(self) -> dict[str, Any]:
        return {"@context": self._context}


def main(arguments: list[str]) -> None:
    context: dict[str, Any] = CONTEXT
    if arguments[0] == "--context":
        context = json.loads(Path(arguments[1]).read_text())["@context"]
        arguments = arguments[2:]

    def get(self: HttpRequester, url: str, **options: Any) -> Response:
        assert url == "https://w3id.org/ro/crate/1.1/context", url
        return Response(context)

    HttpRequester.get = get
    told = {}
    for path in arguments:
        settings = ValidationSettings(
            rocrate_uri=path,
            profile_identifier=PROFILE,
            requirement_severity=Severity.RECOMMENDED,
        )
        result = services.validate(settings)
        issues = result.get_issues(Severity.OPTIONAL)
        told[path] = {
            name: [str(one.message) for one in issues if one.severity == severity]
            for name, severity in (
                ("required", Severity.REQUIRED),
                ("recommended", Severity.RECOMMENDED),
            )
        }
        told[path]["checks"] = [str(len(result.executed_checks))]
    sys.stdout.write(json.dumps(told, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
