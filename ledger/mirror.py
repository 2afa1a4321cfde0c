"""What MLflow is told of a run: parameters, metrics, tags and files, as plain values.

One wording for both ways there: live from the journal, and later from an entry when
the MLflow store is rebuilt. MLflow shortens or alters some values; the exact ones are
in the files, and what is shortened here says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ledger.entry import Entry, StageFacts
from ledger.facts import CodeFacts, ObjectRef
from ledger.history import Event
from ledger.objects import ObjectStore
from ledger.series import decode_series
from specs.canonical import canonical_json

RECORDING_TAG = "codemix.recording"
"""Names the recording that an MLflow run mirrors."""

ENTRY_TAG = "codemix.entry"
"""Digest of the entry; set last, so a run that has it has everything else."""

STATUSES = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""How a run ended -> MLflow's word for it."""

_MAX_KEY_CHARS = 250
_MAX_VALUE_CHARS = 5900
_MAX_TAG_CHARS = 4900
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_\-. :/]")


class MetricPoint(NamedTuple):
    """One number as MLflow takes it; `unix_ms` never changes between tries."""

    key: str
    value: float
    unix_ms: int
    step: int


def metric_key(name: str) -> str:
    """Make a name that MLflow accepts, still telling different names apart.

    >>> metric_key("heldout/text.bits_per_byte")
    'heldout/text.bits_per_byte'
    >>> metric_key("a+b")
    'a_b.300273da'
    """
    clean = _FORBIDDEN.sub("_", name)
    if clean == name and len(name) <= _MAX_KEY_CHARS:
        return name
    return f"{clean[: _MAX_KEY_CHARS - 9]}.{_short_digest(name)}"


def run_name(experiment: str, recording: str) -> str:
    """What MLflow shows of a run: readable, and not the same for two recordings."""
    return f"{experiment}-{recording[:6]}"


def flat_params(spec: Mapping[str, Any]) -> dict[str, str]:
    """Flatten a resolved spec to dotted names and texts.

    >>> flat_params({"seed": 1, "stages": [{"name": "a"}], "tags": []})
    {'seed': '1', 'stages.0.name': 'a', 'tags': '[]'}
    """
    return {
        metric_key(path): shortened(text, _MAX_VALUE_CHARS)
        for path, text in _leaves("", spec)
    }


def shortened(text: str, max_chars: int = _MAX_TAG_CHARS) -> str:
    """Cut a long text and say what was cut."""
    if len(text) <= max_chars:
        return text
    note = f" ... (cut: {len(text)} characters, sha256 {_digest(text)})"
    return text[: max_chars - len(note)] + note


def begin_tags(begin: Event) -> dict[str, str]:
    """Tags that are known when a run starts, from the event of its beginning."""
    tags = {
        RECORDING_TAG: begin["recording"],
        "codemix.host": begin["host"],
        **_input_tags(begin),
        **_code_tags(CodeFacts.model_validate(begin["code"])),
    }
    return {key: shortened(value) for key, value in tags.items()}


def entry_tags(entry: Entry) -> dict[str, str]:
    """Tags that are known when a run has ended; `ENTRY_TAG` is not among them."""
    tags = {
        RECORDING_TAG: entry.recording,
        "codemix.outcome": entry.outcome.status,
        **_input_tags(entry.to_json()),
        **_code_tags(entry.code),
    }
    if entry.outcome.reason:
        tags["codemix.outcome.reason"] = entry.outcome.reason
    for stage in entry.stages:
        if stage.weights_digest is not None:
            tags[f"codemix.weights.{stage.name}"] = stage.weights_digest
    return {key: shortened(value) for key, value in tags.items()}


def step_points(event: Event) -> list[MetricPoint]:
    """Metrics of one step, from its event."""
    values = {**event.get("metrics", {}), **event.get("timings", {})}
    return _points("", values, event["unix_ms"], event["step"])


def score_points(event: Event) -> list[MetricPoint]:
    """Scores, from their event."""
    prefix = f"{event['suite']}/"
    return _points(prefix, event["values"], event["unix_ms"], event["step"])


def stage_points(stage: StageFacts, objects: ObjectStore) -> Iterator[MetricPoint]:
    """Metrics of a whole stage, from the objects of its entry."""
    timings = decode_series(objects.get(stage.timings))
    metrics = decode_series(objects.get(stage.metrics))
    for clock, point in zip(timings, metrics, strict=True):
        values = {**point.values, **clock.values}
        unix_ms = int(float(values.pop("unix_ms")))
        yield from _points("", values, unix_ms, point.step)


def entry_points(entry: Entry, objects: ObjectStore) -> Iterator[MetricPoint]:
    """Every metric and score of an entry."""
    for stage in entry.stages:
        yield from stage_points(stage, objects)
    for score in entry.scores:
        unix_ms = entry.times.ended_unix_ms
        yield from _points(f"{score.suite}/", score.values, unix_ms, score.step)


def entry_files(digest: str, entry: Entry, data: bytes, objects: ObjectStore) -> Files:
    """Name every file of an entry as MLflow keeps it; weights are never among them.

    Args:
        digest: Of the entry.
        entry: The entry.
        data: Its stored bytes.
        objects: Where the rest is.
    """
    files = {name: objects.get(ref) for name, ref in entry_refs(entry).items()}
    return {"entry.json": data, "files.json": _manifest(digest, entry), **files}


def file_digests(digest: str, entry: Entry) -> dict[str, str]:
    """Return the SHA-256 of each of the files that `entry_files` names."""
    manifest = hashlib.sha256(_manifest(digest, entry)).hexdigest()
    refs = {name: ref.sha256 for name, ref in entry_refs(entry).items()}
    return {"entry.json": digest, "files.json": manifest, **refs}


def entry_refs(entry: Entry) -> dict[str, ObjectRef]:
    """Name the objects of an entry as MLflow keeps them."""
    refs = {
        "spec.yaml": entry.raw_spec,
        "plan.json": entry.plan,
        "lock.json": entry.lock,
    }
    for stage in entry.stages:
        refs[f"stages/{stage.name}.trace.txt"] = stage.trace
        refs[f"stages/{stage.name}.metrics.jsonl"] = stage.metrics
        refs[f"stages/{stage.name}.timings.jsonl"] = stage.timings
        if stage.tensor_words is not None:
            refs[f"stages/{stage.name}.words.txt"] = stage.tensor_words
    for checkpoint in entry.checkpoints:
        refs[f"checkpoints/{checkpoint.step}.json"] = checkpoint.tensors
    for score in entry.scores:
        if score.detail is not None:
            refs[f"scores/{score.suite}.{score.step}.json"] = score.detail
    for artifact in entry.artifacts:
        refs[f"artifacts/{artifact.name}"] = artifact.content
    for name in ("repository", "workspace"):
        repository = getattr(entry.code, name)
        if repository is not None and repository.diff is not None:
            refs[f"code/{name}.patch"] = repository.diff
    return refs


def _manifest(digest: str, entry: Entry) -> bytes:
    names = {name: ref.sha256 for name, ref in entry_refs(entry).items()}
    return canonical_json({"entry": digest, "files": names})


Files = dict[str, bytes]
"""Relative name -> bytes."""


def _input_tags(facts: Mapping[str, Any]) -> dict[str, str]:
    return {
        "codemix.identity": facts["identity"],
        "codemix.spec": facts["spec_digest"],
        "codemix.plan": facts["plan"]["sha256"],
        "codemix.lock": facts["lock"]["sha256"],
        "codemix.determinism": facts["determinism"],
        "codemix.checkpoints": f".codemix/runs/{facts['identity'][:16]}/checkpoints",
    }


def _code_tags(code: CodeFacts) -> dict[str, str]:
    tags = {"codemix.version": code.codemix}
    if code.repository is not None and code.repository.commit is not None:
        tags["mlflow.source.git.commit"] = code.repository.commit
        tags["codemix.dirty"] = str(code.repository.dirty).lower()
    return tags


def _points(
    prefix: str, values: Mapping[str, float | str], unix_ms: int, step: int
) -> list[MetricPoint]:
    return [
        MetricPoint(metric_key(prefix + name), float(value), unix_ms, step)
        for name, value in values.items()
    ]


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    if value and isinstance(value, dict | list):
        for key, item in items:
            yield from _leaves(f"{path}.{key}" if path else str(key), item)
    else:
        is_text = isinstance(value, str)
        yield path, value if is_text else canonical_json(value).decode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _short_digest(text: str) -> str:
    return _digest(text)[:8]
