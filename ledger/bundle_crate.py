"""What a bundle says of itself: `ro-crate-metadata.json`, a Workflow Run RO-Crate.

The spec is the workflow, the run a `CreateAction` with it as its instrument, and every
file is described with its size and SHA-256. Profiles: RO-Crate 1.1, Workflow RO-Crate
1.0, Process Run Crate 0.5 and Workflow Run Crate 0.5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from ledger.bundle_layout import (
    CHECKPOINT,
    CODE,
    ENTRY,
    FORMAT,
    METADATA,
    ORDER,
    README,
    REMOTES,
    REQUIREMENTS,
    RESOLVED,
    VERIFY,
    object_name,
)
from ledger.entry import Entry
from ledger.facts import ObjectRef
from specs.errors import Problem

CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]
_CRATE = "https://w3id.org/ro/crate/1.1"
_WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    _WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
_LICENSE = (
    "Not stated. The texts that the data comes from have licences of their own; none "
    "of them are in here."
)
_STATUS = {
    "completed": "http://schema.org/CompletedActionStatus",
    "failed": "http://schema.org/FailedActionStatus",
    "interrupted": "http://schema.org/FailedActionStatus",
}
_NAMES = {
    README: "What is in here, for people",
    VERIFY: "Checks every digest, with Python alone",
    ORDER: "Lines of the ledger's log, from the first of these documents to the last",
    RESOLVED: "The spec with its defaults written out",
    REQUIREMENTS: "Installed Python distributions",
    REMOTES: "Where DVC shares the data",
    CODE["repository"]: "Git repository of codemix",
    CODE["workspace"]: "Git repository of the workspace",
}
_TYPES = {
    "jsonl": "application/jsonl",
    "json": "application/json",
    "txt": "text/plain",
    "yaml": "application/yaml",
    "lock": "application/json",
    "dvc": "application/yaml",
    "py": "text/x-python",
}
_BYTES = "application/octet-stream"


_COMPARED = ("@type", "instrument", "startTime", "endTime", "actionStatus", "error")
"""What the description of a run may not say otherwise than the entry."""


class Facts(NamedTuple):
    """What a file is known by."""

    sha256: str
    num_bytes: int


def crate_of(digest: str, entry: Entry, files: Mapping[str, Facts]) -> bytes:
    """Describe a bundle.

    Args:
        digest: Of the entry.
        entry: The run that it is about.
        files: All of its files but this one.
    """
    called = {**_NAMES, **_object_names(entry)}
    ids = {name: quote(name) for name in sorted(files)}
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"codemix run {entry.name}",
        "description": f"A training run of codemix, entry {digest} of its ledger.",
        "identifier": f"sha256:{digest}",
        "schemaVersion": FORMAT,
        "datePublished": _time(entry.times.ended_unix_ms),
        "license": _LICENSE,
        "conformsTo": [{"@id": uri} for uri in _PROFILES],
        "hasPart": [{"@id": one} for one in ids.values()],
        "mainEntity": {"@id": ids[_spec(entry)]},
        "mentions": {"@id": "#run"},
    }
    graph = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [{"@id": _CRATE}, {"@id": _WORKFLOW_CRATE}],
        },
        root,
        *_software(entry),
        _action(digest, entry, files),
        *(
            _file(ids[name], facts, called.get(name) or _called(name), entry)
            for name, facts in sorted(files.items())
        ),
    ]
    document = {"@context": CONTEXT, "@graph": graph}
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def crate_problems(
    document: Any, digest: str, entry: Entry, files: Mapping[str, Facts]
) -> list[Problem]:
    """Compare what a bundle says of its run with the entry.

    Args:
        document: The metadata, read.
        digest: Of the entry that it names.
        entry: That entry.
        files: What really is in the bundle.
    """
    said = entities(document)
    action = said.get("#run", {})
    expected = _action(digest, entry, files)
    differing = [key for key in _COMPARED if action.get(key) != expected.get(key)]
    root, spec = said.get("./", {}), {"@id": quote(_spec(entry))}
    if root.get("mainEntity") != spec:
        differing.append("mainEntity")
    return [
        Problem(what=f"says another {key} than the entry", file=METADATA)
        for key in differing
    ]


def described_files(document: Any) -> dict[str, Facts]:
    """Return what the metadata says of each file."""
    return {
        one["@id"]: Facts(str(one.get("sha256")), _int(one.get("contentSize")))
        for one in entities(document).values()
        if "File" in _list(one.get("@type"))
    }


def entities(document: Any) -> dict[str, dict[str, Any]]:
    """Return the entities of the metadata by their `@id`."""
    graph = document.get("@graph") if isinstance(document, dict) else None
    return {
        one["@id"]: one
        for one in _list(graph)
        if isinstance(one, dict) and isinstance(one.get("@id"), str)
    }


def _spec(entry: Entry) -> str:
    return f"spec/{entry.name}.yaml"


def _action(digest: str, entry: Entry, files: Mapping[str, Facts]) -> dict[str, Any]:
    given = [f"spec/{entry.name}.lock", RESOLVED, REQUIREMENTS, REMOTES, *CODE.values()]
    used = [name for name in given if name in files]
    used += [object_name(ref.sha256) for ref in _patches(entry)]
    made = [f"ledger/entries/{digest}.json"]
    made += [name for name in _object_names(entry) if name not in used]
    made += [name for name in files if CHECKPOINT.fullmatch(name)]
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Training of {entry.name}",
        "description": (
            f"{entry.num_steps} steps in {len(entry.stages)} stages, "
            f"weights {entry.weights_digest or 'not finished'}"
        ),
        "instrument": {"@id": quote(_spec(entry))},
        "object": [{"@id": quote(name)} for name in sorted(set(used))],
        "result": [{"@id": quote(name)} for name in sorted(set(made))],
        "startTime": _time(entry.times.started_unix_ms),
        "endTime": _time(entry.times.ended_unix_ms),
        "actionStatus": _STATUS[entry.outcome.status],
    }
    if entry.outcome.reason:
        action["error"] = entry.outcome.reason
    return action


def _software(entry: Entry) -> list[dict[str, Any]]:
    profiles = [
        {"@id": uri, "@type": "CreativeWork", "name": name, "version": version}
        for uri, (name, version) in _PROFILES.items()
    ]
    codemix = {
        "@id": "#codemix",
        "@type": "SoftwareApplication",
        "name": "codemix",
        "softwareVersion": entry.code.codemix,
        "description": "Trains language models in stages, bit for bit.",
    }
    name, version = "codemix experiment spec", str(entry.spec.get("codemix"))
    language = {"@id": "#codemix-spec", "@type": "ComputerLanguage", "name": name}
    return [*profiles, codemix, {**language, "version": version}]


def _file(name: str, facts: Facts, called: str, entry: Entry) -> dict[str, Any]:
    described: dict[str, Any] = {
        "@id": name,
        "@type": "File",
        "name": called,
        "contentSize": str(facts.num_bytes),
        "sha256": facts.sha256,
        "encodingFormat": _TYPES.get(name.rpartition(".")[2], _BYTES),
    }
    if name == quote(_spec(entry)):
        described |= {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "description": "What was to be trained.",
            "programmingLanguage": {"@id": "#codemix-spec"},
            "softwareRequirements": {"@id": "#codemix"},
        }
    return described


def _called(name: str) -> str:
    if name.startswith("spec/"):
        return "Lock of the spec" if name.endswith(".lock") else "Experiment spec"
    if name.startswith("pins/"):
        return f"DVC's pin of {name.removeprefix('pins/').removesuffix('.dvc')}"
    if ENTRY.fullmatch(name):
        return "Document of the ledger"
    if CHECKPOINT.fullmatch(name):
        return "Part of a checkpoint"
    return "Object of the ledger"


def _object_names(entry: Entry) -> dict[str, str]:
    """Say what the objects of an entry are."""
    found: list[tuple[ObjectRef, str]] = [
        (entry.raw_spec, "Spec as its author wrote it"),
        (entry.plan, "Plan of the training"),
        (entry.lock, "Lock of the data"),
    ]
    for stage in entry.stages:
        found.append((stage.trace, f"Fingerprints of every step, stage {stage.name}"))
        found.append((stage.metrics, f"Metrics of stage {stage.name}"))
        found.append((stage.timings, f"Timings of stage {stage.name}"))
        if stage.tensor_words is not None:
            called = f"Words of the tensors at every step, stage {stage.name}"
            found.append((stage.tensor_words, called))
    for point in entry.checkpoints:
        found.append((point.tensors, f"Digests of the tensors after step {point.step}"))
    for score in entry.scores:
        if score.detail is not None:
            called = f"Details of suite {score.suite} after step {score.step}"
            found.append((score.detail, called))
    found += [(one.content, f"Artifact {one.name}") for one in entry.artifacts]
    found += [(ref, "Patch from the commit to the code") for ref in _patches(entry)]
    names: dict[str, str] = {}
    for ref, called in found:
        # Equal contents are one object, which is called what it was first.
        names.setdefault(object_name(ref.sha256), called)
    return names


def _patches(entry: Entry) -> list[ObjectRef]:
    repositories = (entry.code.repository, entry.code.workspace)
    return [one.diff for one in repositories if one is not None and one.diff]


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(
        timespec="milliseconds"
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _int(value: Any) -> int:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 20 else -1
