"""Evidence of made-up studies, for tests of what is concluded from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from evals.study.evidence import Evidence
from evals.study.measured import Answers, Measured, Missing, RunScore
from specs.study import Claim, StudyScore

Rows = Sequence[Sequence[float]]
"""Per seed, the value of each question."""


@dataclass
class MadeStudy:
    """Points and their scores, as a test wants them."""

    scores: dict[str, StudyScore]
    found: dict[tuple[str, str], Measured | Missing] = field(default_factory=dict)

    def answers(
        self, point: str, score: str, tasks: Mapping[str, Rows], asked: str = "alike"
    ) -> None:
        """Give a point results question by question; tasks have equal weights."""
        num_seeds = len(next(iter(tasks.values())))
        values = [
            math.fsum(
                math.fsum(rows[seed]) / len(rows[seed]) for rows in tasks.values()
            )
            / len(tasks)
            for seed in range(num_seeds)
        ]
        self.numbers(point, score, values)
        measured = self.found[point, score]
        assert isinstance(measured, Measured)
        self.found[point, score] = Measured(
            point,
            score,
            measured.runs,
            {
                name: Answers(
                    f"{name} {asked}",
                    tuple(tuple(row) for row in rows),
                    (None,) * len(rows[0]),
                    tuple(map(str, range(len(rows[0])))),
                )
                for name, rows in tasks.items()
            },
        )

    def numbers(
        self,
        point: str,
        score: str,
        values: Sequence[float],
        *,
        runs_of: str = "",
        weights_of: str = "",
        trunk: str = "",
    ) -> None:
        """Give a point one number per seed, and nothing beside it.

        Args:
            point: The point.
            score: The score.
            values: One per seed.
            runs_of: The point whose runs these are, at another stage.
            weights_of: The point whose weights these are, in entries of others.
            trunk: What all runs of this seed went on from.
        """
        runs = tuple(
            RunScore(
                entry=f"{runs_of or point}-{seed}",
                weights=f"weights of {weights_of or point}-{seed}",
                trunk=(f"weights of {trunk}-{seed}",) if trunk else (),
                sources=(f"{point}-{seed}",),
                step=10,
                seed=seed,
                value=value,
            )
            for seed, value in enumerate(values)
        )
        self.found[point, score] = Measured(point, score, runs, {})

    @property
    def evidence(self) -> Evidence:
        """What a ledger with these numbers would give."""
        study: Any = SimpleNamespace(scores=self.scores)
        return Evidence(study=cast(Any, study), entries={}, found=self.found)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def claim(says: str) -> Claim:
    """Make a claim."""
    return Claim(name="claim", says=says)
