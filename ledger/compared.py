"""Counts what a replay has compared, so that silence is never taken for a match."""

from __future__ import annotations

from collections import Counter

from ledger.expected import Expected
from ledger.verdict import Compared, Coverage


class Tally:
    """What was the same, by kind, each thing once."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._steps = {
            "steps": bytearray(expected.num_steps),
            "batches": bytearray(expected.num_steps),
        }
        self._same: Counter[str] = Counter()
        self._seen: set[object] = set()

    def step(self, kind: str, step: int) -> None:
        """Count a step; kinds are `steps` and `batches`."""
        self._steps[kind][step] = 1

    def once(self, kind: str, *key: object) -> None:
        """Count something else, unless it was counted before."""
        if (kind, *key) not in self._seen:
            self._seen.add((kind, *key))
            self._same[kind] += 1

    def count(self, kind: str) -> int:
        """Return how many of a kind were counted."""
        return self._same[kind]

    def coverage(self) -> Coverage:
        """Set what was the same against what the original has."""
        expected = self._expected
        stages = expected.stages
        totals = {
            "metrics": expected.num_metrics,
            "stages": sum(stage.weights_digest is not None for stage in stages),
            "tensors": len(expected.final_tensors or ()),
            "scores": len(expected.scores),
            "initial": len(expected.tensor_names) if expected.initial_words else 0,
        }
        found = {
            name: Compared(same=self._same[name], total=total)
            for name, total in totals.items()
        }
        for name, flags in self._steps.items():
            found[name] = Compared(same=sum(flags), total=expected.num_steps)
        return Coverage(**found)
