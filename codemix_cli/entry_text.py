"""An entry of the ledger, or a verdict, as text on a screen or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from codemix_cli.evaluation_text import (
    has_errors,
    shown_names,
    told_evaluation,
    told_later,
    with_error,
)
from codemix_cli.output import table
from codemix_cli.spark import told_curves
from codemix_cli.verdict_text import told_verdict
from codemix_cli.wording import duration, in_bytes

Json = dict[str, Any]


def told_entry(shown: Json) -> str:
    """Tell what `ledger.overview.show_entry` found.

    Args:
        shown: `digest`, `entry` and `verdicts`, as plain JSON.
    """
    entry = shown["entry"]
    said = _said(shown)
    if entry["kind"] == "replay":
        told = told_verdict(shown["digest"], entry)
        return f"{told}\n\n{said}" if said else told
    if entry["kind"] == "evaluation":
        told = told_evaluation(shown["digest"], entry)
        return f"{told}\n\n{said}" if said else told
    if entry["kind"] != "run":
        return _told_others(shown["digest"], entry)
    parts = [
        table(_facts(shown["digest"], entry)),
        said,
        told_stages(entry["stages"]),
        told_curves(shown["curves"]),
        told_scores(entry["scores"]),
        told_later(shown["evaluations"]),
        _kept(entry),
        _seams(entry),
        _verdicts(shown["verdicts"]),
    ]
    return "\n\n".join(part for part in parts if part)


def told_labels(digest: str, tags: Sequence[str]) -> str:
    """Tell the tags of an entry."""
    return f"{digest[:12]}  {' '.join(tags) or 'no tags'}"


def told_run(digest: str, entry: Json) -> str:
    """Tell what a run came to: its stages, its scores, its entry."""
    parts = [told_stages(entry["stages"]), told_scores(entry["scores"])]
    parts.append(f"entry  {digest[:12]}  {entry['outcome']['status']}")
    return "\n\n".join(part for part in parts if part)


def _told_others(digest: str, entry: Json) -> str:
    """Tell a document about an entry: what it is about, and its short fields."""
    rows = [[entry["kind"], f"{entry['name']}  {digest[:12]}"]]
    rows.append(["of entry", entry["subject"][:12]])
    for name in ("add_tags", "remove_tags"):
        if entry.get(name):
            rows.append([name.replace("_", " "), " ".join(entry[name])])
    if entry.get("note"):
        rows.append(["note", entry["note"]])
    return table(rows)


def _said(shown: Json) -> str:
    """Tell what was said of an entry: tags, notes, signatures; empty if nothing."""
    rows = [["tags", " ".join(shown["tags"])]] if shown["tags"] else []
    for note in shown["notes"]:
        said = datetime.fromtimestamp(note["unix_ms"] / 1000, UTC)
        rows.append(["note", f"{said:%Y-%m-%d}  {note['text']}"])
    for one in shown["signatures"]:
        told = f"good, by {one['who']}" if one["problem"] is None else one["problem"]
        rows.append(["signature", f"{told}  {one['attestation'][:12]}"])
    return table(rows) if rows else ""


def _facts(digest: str, entry: Json) -> list[list[str]]:
    outcome = entry["outcome"]
    devices = entry["devices"]
    cpu = entry["environment"]["cpu"]
    reason = f": {outcome['reason']}" if outcome["reason"] else ""
    return [
        ["run", f"{entry['name']}  {digest[:12]}"],
        ["outcome", outcome["status"] + reason],
        ["spec digest", entry["spec_digest"][:12]],
        ["run identity", entry["identity"][:12]],
        ["determinism", f"{entry['determinism']}, numerics {entry['numerics']}"],
        ["code", _code(entry["code"])],
        ["python", entry["environment"]["python"]],
        ["machine", f"{cpu['model'] or cpu['architecture']}, {cpu['num_cores']} cores"],
        [
            "devices",
            f"{devices.get('num_devices', '?')} x {devices.get('kind', 'unknown')}",
        ],
        ["recorded", duration(float(entry["times"]["recorded_seconds"]))],
    ]


def _code(code: Json) -> str:
    told = f"codemix {code['codemix']}"
    repository = code["repository"]
    if repository is None or repository["commit"] is None:
        return told
    patch = repository["diff"]
    changed = f" with a patch of {in_bytes(patch['bytes'])}" if patch else ""
    return f"{told}, commit {repository['commit'][:12]}{changed}"


def told_stages(stages: list[Json]) -> str:
    """Tell the stages: steps, identity, weights, and which were reused."""
    rows = [["stage", "steps", "identity", "weights", ""]]
    for stage in stages:
        reused = stage["reused_from"]
        rows.append(
            [
                stage["name"],
                f"{stage['start_step']:,}-{stage['stop_step'] - 1:,}",
                _short(stage["identity"]),
                _short(stage["weights_digest"]),
                f"reused from {reused[:12]}" if reused else "",
            ]
        )
    return table(rows, right=[1]) if stages else ""


def told_scores(scores: list[Json]) -> str:
    """Tell scores: a row per score, a column per step, standard errors beside them.

    Tasks and averages that were scored after the same steps share a table; what has no
    standard errors has one of its own, by its name.
    """
    by_suite: dict[str, list[Json]] = {}
    for one in scores:
        by_suite.setdefault(one["suite"], []).append(one)
    tables: dict[tuple[object, ...], dict[str, list[Json]]] = {}
    for suite, columns in by_suite.items():
        steps = tuple(one["step"] for one in columns)
        is_task = any(has_errors(one["values"]) for one in columns)
        tables.setdefault((steps, None if is_task else suite), {})[suite] = columns
    return "\n\n".join(map(_scores_table, tables.values()))


def _scores_table(suites: Mapping[str, list[Json]]) -> str:
    rows = []
    for suite, columns in suites.items():
        names = sorted({name for one in columns for name in shown_names(one["values"])})
        for name in names:
            label = name if len(suites) == 1 else f"{suite} {name}"
            cells = [with_error(one["values"], name) for one in columns]
            rows.append([label, *cells])
    [first, *others] = suites
    header = "scores" if others else first
    after = [f"after {one['step']:,}" for one in suites[first]]
    return table([[header, *after], *rows], right=range(1, len(after) + 1))


def _kept(entry: Json) -> str:
    rows = [
        [f"checkpoint after {one['step']:,} steps", one["tensors"]["sha256"][:12]]
        for one in entry["checkpoints"]
    ]
    rows += [[one["name"], one["content"]["sha256"][:12]] for one in entry["artifacts"]]
    return table([["kept", "digest"], *rows]) if rows else ""


def _seams(entry: Json) -> str:
    lines = []
    for seam in entry["seams"]:
        differs = "; ".join(seam["differences"]) or "on the same machine and code"
        lines.append(f"went on at step {seam['step']:,}: {differs}")
    return "\n".join(lines)


def _verdicts(verdicts: list[Json]) -> str:
    lines = [f"replayed: {one['grade']}  {one['digest'][:12]}" for one in verdicts]
    return "\n".join(lines)


def _short(digest: str | None) -> str:
    return "-" if digest is None else digest[:12]
