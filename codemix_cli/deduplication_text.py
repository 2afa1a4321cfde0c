"""Deduplication as people read it: what was dropped, for what, and why."""

from __future__ import annotations

from typing import Any

from codemix_cli.output import table
from codemix_cli.wording import in_bytes

PREFIX = "deduplicate."
MAX_CLUSTERS = 5
"""Clusters that are shown; `--json` has all."""


def told_deduplication(report: dict[str, Any]) -> str:
    """Tell what was dropped.

    Args:
        report: `runtime.deduplication.report.Deduplicated` as JSON.
    """
    parts = [_told_sources(report["sources"])]
    if report["clusters"]:
        parts.append(_told_clusters(report["clusters"][:MAX_CLUSTERS]))
    if report["benchmarks"]:
        parts.append(_told_benchmarks(report["benchmarks"]))
    return "\n\n".join(parts)


def _told_sources(sources: list[dict[str, Any]]) -> str:
    reasons = list(sources[0]["removed"])
    header = ["deduplicated", "documents"]
    header += [reason.removeprefix(PREFIX) for reason in reasons]
    header += ["for held-out", "bytes", "dropped", "share"]
    rows = []
    for one in sources:
        removed = one["removed"].values()
        dropped = sum(found["bytes"] for found in removed)
        share = dropped / one["bytes"] if one["bytes"] else 0.0
        rows.append(
            [
                one["source"],
                f"{one['documents']:,}",
                *(f"{one['removed'][reason]['documents']:,}" for reason in reasons),
                f"{sum(found['like_heldout'] for found in removed):,}",
                in_bytes(one["bytes"]),
                in_bytes(dropped),
                f"{share:.1%}",
            ]
        )
    return table([header, *rows], right=range(1, len(header)))


def _told_clusters(clusters: list[dict[str, Any]]) -> str:
    header = ["most copies", "dropped", "bytes", "one of them", "similarity"]
    rows = []
    for one in clusters:
        pair = one["samples"][0]
        is_same = pair["shared"] is None
        rows.append(
            [
                _place(one["kept"]),
                f"{one['documents']:,}",
                in_bytes(one["bytes"]),
                _place(pair["dropped"]),
                "same text" if is_same else f"{pair['shared'] / pair['either']:.1%}",
            ]
        )
    return table([header, *rows], right=(1, 2, 4))


def _told_benchmarks(tasks: list[dict[str, Any]]) -> str:
    header = ["kept out", "dropped", "questions", "one of them", "words"]
    rows = []
    for one in tasks:
        sample = next(iter(one["samples"]), None)
        rows.append(
            [
                one["task"],
                f"{one['documents']:,}",
                f"{one['questions']:,}",
                "-" if sample is None else _place(sample["dropped"]),
                "-" if sample is None else str(sample["words"]),
            ]
        )
    return table([header, *rows], right=(1, 2, 4))


def _place(place: dict[str, Any]) -> str:
    return f"{place['file']}:{place['number']}"
