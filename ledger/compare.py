"""`codemix diff`: two or more specs and entries, each compared with the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ledger.operands import Opened, Operand, open_operand
from ledger.result_diff import ResultDiff, diff_results
from specs.base import Value
from specs.consequences import SpecDiff, diff_specs


class Compared(Value):
    """How one operand differs from the first."""

    operand: Operand
    spec: SpecDiff
    results: ResultDiff | None
    """Null where one of the two is no entry."""

    @property
    def is_same(self) -> bool:
        """Whether nothing differs that counts: words for people do not."""
        counts = any(change.kind != "words" for change in self.spec.changes)
        return not counts and (self.results is None or self.results.is_same)


class Comparison(Value):
    """What `codemix diff` found."""

    first: Operand
    others: tuple[Compared, ...]
    final: dict[str, dict[str, str]]
    """Operand's label -> metric or score -> its last number, what was claimed, and the
    weights at each stage's end; of entries."""

    @property
    def is_same(self) -> bool:
        """Whether no operand differs from the first in anything that counts."""
        return all(one.is_same for one in self.others)


def compare(texts: Sequence[str]) -> Comparison:
    """Compare operands with the first of them.

    Args:
        texts: Two or more; see `ledger.operands` for how they are named.

    Raises:
        SpecError: A spec is wrong.
        InputError: There is no such file, revision or entry.
        CheckFailed: An entry was changed.
    """
    with open_operands(texts) as opened:
        return compare_opened(opened)


@contextmanager
def open_operands(texts: Sequence[str]) -> Iterator[list[Opened]]:
    """Open operands; see `compare`."""
    with ExitStack() as stack:
        yield [stack.enter_context(open_operand(text)) for text in texts]


def compare_opened(opened: Sequence[Opened]) -> Comparison:
    """Compare operands that are open with the first of them."""
    first = opened[0]
    return Comparison(
        first=first.operand,
        others=tuple(_compared(first, other) for other in opened[1:]),
        final={one.operand.label: _final(one) for one in opened if one.entry},
    )


def _compared(first: Opened, other: Opened) -> Compared:
    results = None
    if first.entry and first.objects and other.entry and other.objects:
        of = {"was": first.objects, "now": other.objects}
        results = diff_results(first.entry, other.entry, of)
    return Compared(
        operand=other.operand, spec=diff_specs(first.side, other.side), results=results
    )


def _final(opened: Opened) -> dict[str, str]:
    """Return the last number of each metric, and the scores at the end."""
    from ledger.series import decode_series

    entry, objects = opened.entry, opened.objects
    assert entry is not None
    assert objects is not None
    found = {"determinism": entry.determinism, "steps": str(entry.num_steps)}
    for stage in entry.stages:
        if stage.weights_digest is not None:
            found[f"weights of {stage.name}"] = stage.weights_digest
        for point in decode_series(objects.get(stage.metrics)):
            found.update(point.values)
    for score in entry.scores:
        if score.step == entry.num_steps:
            found |= {
                f"{score.suite}/{key}": text for key, text in score.values.items()
            }
    return found
