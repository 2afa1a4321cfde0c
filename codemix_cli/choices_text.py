"""What filters chose by counting, as people read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from codemix_cli.output import table

if TYPE_CHECKING:
    from runtime.prepare import SourceSummary
    from runtime.value_counts import Choice


def choices_text(sources: Iterable[SourceSummary]) -> str:
    """Write a table of each choice; sources that chose the same share one."""
    shown: dict[str, tuple[Choice, list[str]]] = {}
    for source in sources:
        for reason, choice in source.choices.items():
            place = f"{source.name}.{reason}"
            shown.setdefault(choice.digest, (choice, []))[1].append(place)
    return "".join(f"\n\n{_one(*one)}" for one in shown.values())


def _one(choice: Choice, places: Sequence[str]) -> str:
    which = (
        f"all {len(choice.values):,} values"
        if len(choice.values) == choice.num_values
        else f"{len(choice.values):,} of {choice.num_values:,} values"
    )
    share = choice.kept / choice.documents
    title = (
        f"{', '.join(places)}: {which} of {choice.field}, {share:.2%} of "
        f"{choice.documents:,} documents"
    )
    rows = [[choice.field, "documents", "share of kept"]]
    rows += [
        [str(one.value), f"{one.documents:,}", f"{one.documents / choice.kept:.2%}"]
        for one in choice.values
    ]
    return f"{title}\n{table(rows, right=range(1, 3))}"
