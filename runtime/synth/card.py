"""The data card: what is in a set, counted from its documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.synth.family import Family
from runtime.synth.near import share_of_near_duplicates
from runtime.synth.shard import ShardRecord, read_shard, rejections

NEAR_SAMPLE = 20_000
"""Problems from the first on among which near-duplicates are looked for."""
PERCENTILES = (5, 50, 95)

Card = dict[str, Any]


class _Tally:
    """Counts over the documents of a set."""

    def __init__(self) -> None:
        self.families: Counter[str] = Counter()
        self.topics: Counter[str] = Counter()
        self.difficulties: Counter[str] = Counter()
        self.layouts: Counter[str] = Counter()
        self.styles: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.num_alike = self.num_tests = self.inputs = 0
        self.lengths: list[int] = []
        self.codes: set[str] = set()
        self.statements: set[str] = set()
        self.shapes: set[str] = set()
        self.pythons: set[str] = set()
        self.sandboxes: set[str] = set()


def describe(
    folder: Path, records: Sequence[ShardRecord], families: Sequence[Family]
) -> Card:
    """Count a set."""
    tally = _Tally()
    near: list[str] = []
    for record in records:
        for problem in read_shard(folder / record.name):
            _count(tally, problem)
            if len(near) < NEAR_SAMPLE:
                near.append(problem["text"])
    refused = rejections(records)
    num_problems = sum(tally.families.values())
    made, killed = tally.made.total(), tally.killed.total()
    return {
        "num_problems": num_problems,
        "num_families": len(tally.families),
        "num_text_bytes": sum(tally.lengths),
        "text_bytes_percentiles": _percentiles(tally.lengths),
        "families": _family_rows(tally, refused, families),
        "topics": _sorted(tally.topics),
        "difficulties": _sorted(tally.difficulties),
        "layouts": _sorted(tally.layouts),
        "styles": _sorted(tally.styles),
        "num_tests": tally.num_tests,
        "num_inputs_agreed": tally.inputs,
        "mutants": {
            name: [tally.made[name], tally.killed[name]] for name in sorted(tally.made)
        },
        "num_mutants": made,
        "num_killed": killed,
        "num_alike": tally.num_alike,
        "rejected": _sorted(
            Counter(
                {
                    reason: sum(n for (_, why), n in refused.items() if why == reason)
                    for reason in {why for _, why in refused}
                }
            )
        ),
        "num_given_up": sum(len(record.given_up) for record in records),
        "num_duplicates": sum(len(record.duplicates) for record in records),
        "num_distinct_solutions": len(tally.codes),
        "num_distinct_statements": len(tally.statements),
        "num_shapes": len(tally.shapes),
        "near_duplicates": {
            "among": len(near),
            "share": round(share_of_near_duplicates(near), 4),
        },
        "python": sorted(tally.pythons),
        "sandbox": sorted(tally.sandboxes),
    }


def _count(tally: _Tally, problem: dict[str, Any]) -> None:
    certificate = problem["certificate"]
    tally.families[problem["family"]] += 1
    tally.topics[problem["topic"]] += 1
    tally.difficulties[problem["difficulty"]] += 1
    tally.layouts[problem["layout"]] += 1
    tally.styles[problem["style"]] += 1
    for name, (made, killed) in certificate["mutants"].items():
        tally.made[name] += made
        tally.killed[name] += killed
    tally.num_alike += certificate["mutants_alike"]
    tally.num_tests += len(problem["tests"])
    tally.inputs += certificate["inputs_agreed"]
    tally.lengths.append(len(problem["text"].encode()))
    tally.codes.add(certificate["same_code"])
    tally.statements.add(certificate["same_statement"])
    tally.shapes.add(certificate["shape"])
    tally.pythons.add(certificate["python"])
    tally.sandboxes.add(certificate["sandbox"])


def _family_rows(
    tally: _Tally, refused: Counter[tuple[str, str]], families: Sequence[Family]
) -> list[dict[str, Any]]:
    return [
        {
            "name": family.name,
            "topic": family.topic,
            "cores": family.size,
            "problems": tally.families[family.name],
            "rejected": {
                reason: times
                for (name, reason), times in sorted(refused.items())
                if name == family.name
            },
        }
        for family in families
    ]


def _percentiles(values: Sequence[int]) -> dict[str, int]:
    ordered = sorted(values)
    return {
        str(percent): ordered[(len(ordered) - 1) * percent // 100] if ordered else 0
        for percent in PERCENTILES
    }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
