"""Contamination as people read it: what was found, where, and what is left without."""

from __future__ import annotations

from typing import Any

from codemix_cli.output import table
from codemix_cli.wording import counted, scaled

MAX_SAMPLES = 3
"""Questions of each task that are shown; `--json` has all."""
MAX_WORDS = 12

_LEGEND = """\
found: N words in a row, or all of a shorter text, are in training text; common: found
by words alone that more than {common} documents hold; too short: can't be looked for"""


def told_contamination(data: dict[str, Any]) -> str:
    """Tell what was found.

    Args:
        data: `evals.contamination_of.FoundContamination` as JSON.
    """
    report = data["report"]
    parts = [_told_sources(report["sources"]), _told_tasks(report)]
    if report["not_looked_for"]:
        names = ", ".join(report["not_looked_for"])
        parts.append(f"not looked for, as the task does not say how: {names}")
    samples = [line for task in report["tasks"] for line in _samples(task)]
    if samples:
        parts.append(table([["task", "question", "words", "where", "what"], *samples]))
    if data["scores"]:
        parts.append(_told_scores(data["scores"]))
    return "\n\n".join(parts)


def _told_sources(sources: dict[str, Any]) -> str:
    rows = [
        [
            name,
            one["read_from"],
            f"{one['documents']:,}",
            scaled(one["text_bytes"]),
            "-" if one["trained_share"] is None else f"{one['trained_share']:.1%}",
        ]
        for name, one in sorted(sources.items())
    ]
    header = ["source", "read from", "documents", "bytes", "trained on"]
    return table([header, *rows], right=range(2, 5))


def _told_tasks(report: dict[str, Any]) -> str:
    header = ["task", "source", "questions", "N", "too short", "found", "share"]
    header += ["common", "answer near"]
    rows = []
    for task in report["tasks"]:
        head = [f"{task['questions']:,}", str(task["ngram"])]
        head.append(f"{len(task['too_short']):,}")
        together = ("all", task["together"])
        parts = sorted(task["sources"].items()) if task["together"]["found"] else []
        for place, (name, one) in enumerate([together, *parts]):
            front = (
                [task["task"], name, *head] if place == 0 else ["", name, "", "", ""]
            )
            rows.append([*front, *_counts(one)])
    legend = _LEGEND.format(common=report["common_documents"])
    return f"{table([header, *rows], right=range(2, len(header)))}\n{legend}"


def _counts(one: dict[str, Any]) -> list[str]:
    found = f"{one['found']:,}"
    return [
        found,
        f"{one['share']:.2%}",
        f"{one['common']:,}",
        f"{one['answer_near']:,}",
    ]


def _samples(task: dict[str, Any]) -> list[list[str]]:
    """Return the longest matches of a task, those that are not common first."""
    found = [one for one in task["overlaps"] if one["is_found"]]
    found.sort(
        key=lambda one: (one["is_common"], -one["longest"], int(one["question"]))
    )
    rows = []
    for one in found[:MAX_SAMPLES]:
        evidence = one["evidence"]
        words = evidence["words"].split(" ")
        more = " ..." if one["longest"] > MAX_WORDS else ""
        where = f"{evidence['source']} {evidence['file']}:{evidence['number']}"
        shown = " ".join(words[:MAX_WORDS]) + more
        common = " (common)" if one["is_common"] else ""
        longest = f"{one['longest']}{common}"
        rows.append([task["task"], one["question"], longest, where, shown])
    left = len(found) - len(rows)
    if left:
        rows.append([task["task"], "", "", "", f"and {counted(left, 'question')} more"])
    return rows


def _told_scores(scores: list[dict[str, Any]]) -> str:
    header = ["score", "all", "not found", "not found or common", "found", "too short"]
    kinds = ("all", "clean", "clean_but_common", "overlapping", "too_short")
    rows = [
        [f"{one['task']} {one['metric']}", *(_estimate(one[kind]) for kind in kinds)]
        for one in scores
    ]
    return table([header, *rows])


def _estimate(one: dict[str, Any] | None) -> str:
    if one is None:
        return "-"
    error = one["standard_error"]
    spread = "" if error is None else f" +- {100 * error:.2f}"
    return f"{100 * one['mean']:.2f}{spread} ({one['count']:,})"
