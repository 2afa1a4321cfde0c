"""What a signature says: an in-toto statement about one entry of the ledger.

Its subjects are the entry, the line of the log that names it (and so, by the chain,
everything before it), and the weights and files that came out. What is stated of them
has a form that other tools know: SLSA provenance for a run, an in-toto test result for
the verdict of a replay. See https://in-toto.io/Statement/v1.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ledger.documents import AnyEntry
from ledger.entry import Entry
from ledger.evaluation import Evaluation
from ledger.head import Head
from ledger.objects import ObjectStore
from ledger.verdict import Verdict
from specs.canonical import canonical_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
DOCUMENT = "urn:codemix:document:1"
"""Type of what is stated of other documents: that they are there."""

ENTRY_SUBJECT = "entry"
LOG_SUBJECT = "log"

Json = dict[str, Any]


def statement_of(
    digest: str, entry: AnyEntry, head: Head, objects: ObjectStore
) -> bytes:
    """Write the statement about an entry.

    Args:
        digest: Of the entry.
        entry: The entry.
        head: Of the log up to the entry's own line.
        objects: Hold the lock, whose inputs are named.
    """
    kind, predicate = _predicate(entry, objects)
    subjects = [
        _described(ENTRY_SUBJECT, digest),
        {**_described(LOG_SUBJECT, head.sha256), "annotations": {"lines": head.lines}},
        *(_described(name, sha256) for name, sha256 in outputs_of(entry)),
    ]
    return canonical_json(
        {
            "_type": STATEMENT,
            "subject": subjects,
            "predicateType": kind,
            "predicate": predicate,
        }
    )


def outputs_of(entry: AnyEntry) -> Iterator[tuple[str, str]]:
    """Name what came of a run or an evaluation, with digests."""
    if isinstance(entry, Evaluation):
        yield f"weights/{entry.stage or 'unknown'}", entry.weights_digest
        for score in entry.scores:
            if score.detail is not None:
                yield f"results/{score.suite}", score.detail.sha256
        for extra in entry.extras:
            yield f"extra/{extra.name}", extra.content.sha256
    if not isinstance(entry, Entry):
        return
    for stage in entry.stages:
        if stage.weights_digest is not None:
            yield f"weights/{stage.name}", stage.weights_digest
        yield f"trace/{stage.name}", stage.trace.sha256
    for checkpoint in entry.checkpoints:
        yield f"checkpoint/{checkpoint.step}", checkpoint.tensors.sha256
    for artifact in entry.artifacts:
        yield f"artifact/{artifact.name}", artifact.content.sha256


def _predicate(entry: AnyEntry, objects: ObjectStore) -> tuple[str, Json]:
    if isinstance(entry, Entry):
        return PROVENANCE, _provenance(entry, objects)
    if isinstance(entry, Verdict):
        return TEST_RESULT, _test_result(entry)
    return DOCUMENT, {"kind": entry.kind, "of": entry.subject}


def _provenance(entry: Entry, objects: ObjectStore) -> Json:
    """SLSA provenance: what was asked for, what it was made of, how it went."""
    return {
        "buildDefinition": {
            "buildType": "urn:codemix:run:1",
            "externalParameters": {
                "experiment": entry.name,
                "spec": {"sha256": entry.spec_digest},
                "raw_spec": {"sha256": entry.raw_spec.sha256},
                "determinism": entry.determinism,
            },
            "internalParameters": {
                "identity": entry.identity,
                "plan": {"sha256": entry.plan.sha256},
                "numerics": entry.numerics,
            },
            "resolvedDependencies": [
                _described("lock", entry.lock.sha256),
                *_inputs(objects.get_json(entry.lock)),
                *_code(entry),
            ],
        },
        "runDetails": {
            "builder": {
                "id": "urn:codemix:builder:1",
                "version": {"codemix": entry.code.codemix},
            },
            "metadata": {
                "invocationId": entry.recording,
                "startedOn": _moment(entry.times.started_unix_ms),
                "finishedOn": _moment(entry.times.ended_unix_ms),
            },
            "byproducts": [{"name": "outcome", "content": _status(entry)}],
        },
    }


def _inputs(lock: Json) -> Iterator[Json]:
    for place, locked in sorted(lock["inputs"].items()):
        for file in locked["files"]:
            yield {
                "name": f"{place}:{file['path']}",
                "uri": locked["uri"],
                "digest": {"sha256": file["sha256"]},
            }


def _code(entry: Entry) -> Iterator[Json]:
    for name, sha256 in sorted(entry.code.packages.items()):
        yield _described(f"code/{name}", sha256)
    for name in ("repository", "workspace"):
        repository = getattr(entry.code, name)
        if repository is not None and repository.commit is not None:
            # How in-toto calls it, whatever git hashes with.
            yield {"name": name, "digest": {"gitCommit": repository.commit}}
        if repository is not None and repository.diff is not None:
            yield _described(f"{name}.patch", repository.diff.sha256)


def _test_result(verdict: Verdict) -> Json:
    results = {"EXACT": "PASSED", "DIVERGED": "FAILED"}
    said = {"grade": verdict.grade, "what": verdict.what}
    original = {**_described("original", verdict.original), "annotations": said}
    return {
        "result": results.get(verdict.grade, "WARNED"),
        "configuration": [original],
    }


def _described(name: str, sha256: str) -> Json:
    return {"name": name, "digest": {"sha256": sha256}}


def _status(entry: Entry) -> str:
    # A resource descriptor holds bytes, which JSON writes as base64.
    return base64.b64encode(entry.outcome.status.encode()).decode()


def _moment(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_statement(payload: bytes) -> dict[str, str]:
    """Return the subjects of a statement: name -> SHA-256.

    Raises:
        ValueError: It is no in-toto statement.
    """
    try:
        value = json.loads(payload)
        if value["_type"] != STATEMENT:
            raise ValueError("it is no in-toto statement")
        return {one["name"]: one["digest"]["sha256"] for one in value["subject"]}
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("it is no in-toto statement") from error
