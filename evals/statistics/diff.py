"""`codemix diff` with benchmarks: what the ledger compares, and scores beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evals.statistics.compare import compare_sides
from evals.statistics.compared import ScoreComparison, corrected
from evals.statistics.sides import Scored, scored_after, sides_of
from ledger.compare import Comparison, compare_opened, open_operands
from ledger.operands import Opened
from ledger.result_diff import stage_counterparts
from specs.atomic import write_named
from specs.base import Value


class BenchmarkDiff(ScoreComparison):
    """The benchmarks of one operand against those of the first, after one stage."""

    operand: str
    """Its label."""
    stage: str
    """As the first run names it."""
    is_last: bool
    """Whether no stage comes after it."""


class Diff(Value):
    """What `codemix diff` found."""

    comparison: Comparison
    benchmarks: tuple[BenchmarkDiff, ...]
    """By stage, then by operand; only where both have results per question."""


def diff(texts: Sequence[str], html: Path | None = None) -> Diff:
    """Compare operands with the first of them, benchmarks question by question.

    Args:
        texts: Two or more; see `ledger.operands` for how they are named.
        html: Where to write a page with curves; None: nowhere.

    Raises:
        SpecError: A spec is wrong.
        InputError: There is no such file, revision or entry, or the page can't be
            written.
        CheckFailed: An entry was changed.
    """
    with open_operands(texts) as opened:
        found = Diff(
            comparison=compare_opened(opened), benchmarks=compare_benchmarks(opened)
        )
        if html is not None:
            from evals.statistics.forest import benchmark_section
            from ledger.diff_page import diff_page

            sections = [benchmark_section(one) for one in found.benchmarks]
            page = diff_page(found.comparison, opened, sections)
            write_named(html, page.encode())
    return found


def compare_benchmarks(opened: Sequence[Opened]) -> tuple[BenchmarkDiff, ...]:
    """Compare the benchmarks of entries with those of the first, at stage ends.

    The p-values of one stage are one table, see `corrected`.
    """
    first, *others = opened
    by_stage: dict[str, list[BenchmarkDiff]] = {}
    known: dict[int, Scored] = {}
    for other in others:
        if first.entry is None or other.entry is None:
            continue
        pairs = stage_counterparts(first.entry, other.entry)
        for old, new in pairs:
            if old.weights_digest is None or new.weights_digest is None:
                continue
            if old.stop_step not in known:
                known[old.stop_step] = scored_after(first, old.stop_step)
            if not known[old.stop_step].results:
                continue
            was, now = sides_of(
                known[old.stop_step], scored_after(other, new.stop_step)
            )
            if was.runs[0]:
                found = BenchmarkDiff(
                    operand=other.operand.label,
                    stage=old.name,
                    is_last=old is pairs[-1][0],
                    **dict(compare_sides(was, now)),
                )
                by_stage.setdefault(old.name, []).append(found)
    return tuple(one for table in by_stage.values() for one in corrected(table))
