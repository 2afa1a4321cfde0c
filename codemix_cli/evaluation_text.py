"""Evaluations that were made after a run, and numbers with their standard errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codemix_cli.output import table

Json = dict[str, Any]

STANDARD_ERROR = "_standard_error"
"""Ends the name of the standard error of the number whose name comes before it."""


def told_later(found: Json) -> str:
    """Tell the evaluations of an entry: the latest score of each task and step.

    Args:
        found: See `ledger.shown_evaluations.shown_evaluations`.
    """
    rows = []
    for one in found["scores"]:
        for name in shown_names(one["values"]):
            rows.append(
                [
                    _task(one),
                    name,
                    f"{one['step']:,}",
                    with_error(one["values"], name),
                    (one["fingerprint"] or "-")[:12],
                    one["source"][:12],
                    f"and {one['others']} before it" if one["others"] else "",
                ]
            )
    header = ["evaluated", "", "after", "", "task's digest", "in", ""]
    parts = [table([header, *rows], right=[2, 3])] if rows else []
    kept = [
        [extra["name"], extra["mode"] or "", document["digest"][:12]]
        for document in found["documents"]
        for extra in document["extras"]
    ]
    parts += [table([["kept with it", "", "in"], *kept])] if kept else []
    parts += [f"DISAGREEMENT: {one['text']}" for one in found["disagreements"]]
    parts += [f"evaluations: {found['problem']}"] if found["problem"] else []
    return "\n\n".join(parts)


def told_evaluation(digest: str, entry: Json) -> str:
    """Tell one evaluation."""
    parts = [_facts(digest, entry), _scores(entry)]
    if entry["extras"]:
        kept = [
            [one["name"], one["mode"] or "", one["content"]["sha256"][:12]]
            for one in entry["extras"]
        ]
        parts.append(table([["kept with it", "", "digest"], *kept]))
    return "\n\n".join(part for part in parts if part)


def _facts(digest: str, entry: Json) -> str:
    subject = entry["subject"]
    stage = f" (stage {entry['stage']})" if entry["stage"] else ""
    facts = [
        ["evaluation", f"{entry['name']}  {digest[:12]}"],
        ["of entry", subject[:12] if subject else "none: no entry had these weights"],
        ["weights", f"{entry['weights_digest'][:12]} after {entry['step']:,}{stage}"],
        [
            "suites",
            " ".join(f"{one['name']} v{one['version']}" for one in entry["suites"]),
        ],
        ["results", entry["results"][:12]],
    ]
    return table([row for row in facts if row[1]])


def _scores(entry: Json) -> str:
    asked = {task["name"]: task for task in entry["tasks"]}
    rows = []
    for score in entry["scores"]:
        task = asked.get(score["suite"])
        label = {"task": score["suite"], "version": task and task["version"]}
        for name in shown_names(score["values"]):
            value = with_error(score["values"], name)
            fingerprint = task["fingerprint"][:12] if task else "-"
            rows.append([_task(label), name, value, fingerprint])
    header = ["score", "", "", "task's digest"]
    return table([header, *rows], right=[2]) if rows else ""


def told_recorded(
    digest: str, entry: Json, is_new: bool, disagreements: Sequence[str]
) -> str:
    """Tell an evaluation that was just made, but for the scores of its tasks."""
    named = [one["name"] for one in (*entry["tasks"], *entry["suites"])]
    others = [one for one in entry["scores"] if one["suite"] not in named]
    # Those of tasks have a table of their own, with intervals.
    parts = [_facts(digest, entry)]
    if others:
        parts.append(_scores({**entry, "scores": others}))
    if not is_new:
        parts.append("the ledger has this evaluation already, to the bit")
    parts += [f"DISAGREEMENT: {one}" for one in disagreements]
    return "\n\n".join(parts)


def shown_names(values: Mapping[str, str]) -> list[str]:
    """Return the names that have a row, sorted; standard errors are told beside.

    >>> shown_names({"b": "1", "a": "2", "a_standard_error": "3"})
    ['a', 'b']
    """
    return sorted(
        name
        for name in values
        if not name.endswith(STANDARD_ERROR)
        or name.removesuffix(STANDARD_ERROR) not in values
    )


def has_errors(values: Mapping[str, str]) -> bool:
    """Whether a number has its standard error beside it.

    >>> has_errors({"a": "2", "a_standard_error": "3"}), has_errors({"a": "2"})
    (True, False)
    """
    return any(f"{name}{STANDARD_ERROR}" in values for name in values)


def with_error(values: Mapping[str, str], name: str) -> str:
    """Write a number with its standard error, where it has one.

    >>> with_error({"a": "0.5", "a_standard_error": "0.01"}, "a")
    '0.5000 +- 0.0100'
    """
    if name not in values:
        return "-"
    # For people; the entry has every digit.
    error = values.get(f"{name}{STANDARD_ERROR}")
    told = f"{float(values[name]):.4f}"
    return told if error is None else f"{told} +- {float(error):.4f}"


def _task(one: Mapping[str, Any]) -> str:
    return one["task"] if one["version"] is None else f"{one['task']} v{one['version']}"
