"""How often claims are decided wrongly, in simulated studies whose truth is known.

    python bench/claims.py [--studies 1000]

The tables of docs/claims.md. A deviation of 1 between seeds; numbers as they are, or 56
questions that are answered right or wrong, all points being asked the same.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from evals.study.evidence import Evidence  # noqa: E402
from evals.study.measured import Answers, Measured, RunScore  # noqa: E402
from evals.study.sums import Summing  # noqa: E402
from evals.study.verdicts import judge  # noqa: E402
from specs.study import Claim, StudyScore  # noqa: E402

Found = dict[tuple[str, str], Measured]

NUM_QUESTIONS = 56
SEED_OF_DRAWS = 5
DIFFERS = "a.score > b.score"
BEST = "best of {a, b, c, d, e} in score is a"
OTHERS = dict.fromkeys("cdef", 3)


class Truth(NamedTuple):
    """How studies are drawn, and what is claimed of them."""

    name: str
    says: str
    seeds: Mapping[str, int]
    """Of each point."""
    means: Mapping[str, float] = {}
    """Of points that are not like the others, in deviations; more is better."""
    deviations: Mapping[str, float] = {}
    """Likewise, of seeds."""
    is_asked: bool = False
    """Whether questions are answered."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1000, help="of each truth")
    options = parser.parse_args(arguments)
    print("| truth | supported | contradicted |\n|---|--:|--:|")
    for truth in truths():
        counts = outcomes(truth, options.studies)
        shares = (
            counts[one] / options.studies for one in ("supported", "contradicted")
        )
        print(f"| {truth.name} |", " | ".join(f"{one:.1%}" for one in shares), "|")


def truths() -> list[Truth]:
    """Return what is simulated."""
    alike = [
        Truth(f"alike, {number} seeds each", DIFFERS, dict.fromkeys("ab", number))
        for number in (2, 3, 4, 5, 6)
    ]
    asked = [
        Truth(name, DIFFERS, dict.fromkeys("ab", number), {}, deviations, is_asked=True)
        for number in (2, 3, 5)
        for name, deviations in (
            (f"alike by answers, {number} seeds each", {}),
            (f"the same, and seeds don't matter, {number}", dict.fromkeys("ab", 0.0)),
        )
    ]
    two = dict.fromkeys("cd", 1) | dict.fromkeys("ef", 2)
    five = dict.fromkeys("abcde", 3)
    twice = dict.fromkeys("ab", 2.0)
    return [
        *alike,
        Truth("one seed beside three", DIFFERS, {"a": 1, "b": 3}),
        Truth("one seed each, two of 2 others", DIFFERS, {"a": 1, "b": 1} | two),
        Truth("two seeds each, two of 2 others", DIFFERS, {"a": 2, "b": 2} | two),
        *asked,
        Truth("all of five alike", BEST, five),
        Truth("two of five are the best", BEST, five, {"a": 5, "b": 5}),
        Truth("the best by 3 deviations", BEST, five, {"a": 3}),
        *(
            Truth(
                f"a varies twice as much, {number} seeds each, 3 of 4 others",
                DIFFERS,
                {"a": number, "b": number} | OTHERS,
                deviations={"a": 2.0},
            )
            for number in (1, 3)
        ),
        *(
            Truth(
                f"a and b vary twice as much, {number} seeds each, 3 of 4 others",
                DIFFERS,
                {"a": number, "b": number} | OTHERS,
                deviations=twice,
            )
            for number in (3, 5)
        ),
    ]


def outcomes(truth: Truth, count: int) -> Counter[str]:
    """Return how many of so many simulated studies came to what."""
    draw = np.random.default_rng(SEED_OF_DRAWS)
    claim = Claim(name="claim", says=truth.says)
    study: Any = SimpleNamespace(
        scores={"score": StudyScore(suite="heldout", metric="x")}
    )
    counts: Counter[str] = Counter()
    for _ in range(count):
        evidence = Evidence(study=study, entries={}, found=draw_study(truth, draw))
        counts[judge(claim, evidence, Summing(evidence)).outcome] += 1
    return counts


def draw_study(truth: Truth, draw: np.random.Generator) -> Found:
    """Return the scores of one study."""
    hardness = draw.normal(0, 1, NUM_QUESTIONS)
    found: Found = {}
    for point, number in truth.seeds.items():
        shift = truth.means.get(point, 0.0)
        seeds = shift + truth.deviations.get(point, 1.0) * draw.normal(0, 1, number)
        if truth.is_asked:
            luck = draw.normal(0, 0.5, (number, NUM_QUESTIONS))
            rows = 100.0 * (0.3 * seeds[:, None] + hardness + luck > 0)
            found[point, "score"] = _answered(point, rows.tolist())
        else:
            found[point, "score"] = _measured(point, seeds.tolist(), {})
    return found


def _answered(point: str, rows: list[list[float]]) -> Measured:
    answers = Answers(
        "asked alike",
        tuple(map(tuple, rows)),
        (None,) * NUM_QUESTIONS,
        tuple(map(str, range(NUM_QUESTIONS))),
    )
    values = [sum(row) / NUM_QUESTIONS for row in rows]
    return _measured(point, values, {"task": answers})


def _measured(
    point: str, values: Sequence[float], tasks: Mapping[str, Answers]
) -> Measured:
    runs = tuple(
        RunScore(
            entry=f"{point}-{seed}",
            weights=f"weights of {point}-{seed}",
            trunk=(),
            sources=(),
            step=1,
            seed=seed,
            value=value,
        )
        for seed, value in enumerate(values)
    )
    return Measured(point, "score", runs, tasks)


if __name__ == "__main__":
    main()
