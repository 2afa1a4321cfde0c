"""What `codemix prepare` tells of the values that a filter keeps."""

from __future__ import annotations

from codemix_cli.choices_text import choices_text
from runtime.prepare import SourceSummary, SplitSummary
from runtime.value_counts import Choice, most_frequent

NOTHING = SplitSummary(documents=0, tokens=0, text_bytes=0)
COUNTS = {'"c"': 120, '"java"': 90, '"tex"': 60, "3": 5}


def summary(name: str, num_values: int = 0) -> SourceSummary:
    choice = Choice(
        field="lang",
        num_values=len(COUNTS),
        documents=280,
        without=5,
        values=most_frequent(COUNTS, num_values),
    )
    return SourceSummary(
        name=name,
        read=300,
        dropped={},
        reserved=0,
        corrupt=0,
        train=NOTHING,
        heldout=NOTHING,
        choices={"filters.4.top_values": choice} if num_values else {},
    )


def test_a_choice_is_a_table_with_shares() -> None:
    told = choices_text([summary("text"), summary("web", 2)])
    assert told == (
        "\n\nweb.filters.4.top_values: 2 of 4 values of lang, 75.00% of 280 documents\n"
        "lang  documents  share of kept\n"
        "c           120         57.14%\n"
        "java         90         42.86%"
    )


def test_sources_that_chose_the_same_share_a_table() -> None:
    told = choices_text([summary("a", 9), summary("b", 9), summary("c", 1)])
    titles = [part.splitlines()[0] for part in told.strip().split("\n\n")]
    assert titles == [
        "a.filters.4.top_values, b.filters.4.top_values: all 4 values of lang, "
        "98.21% of 280 documents",
        "c.filters.4.top_values: 1 of 4 values of lang, 42.86% of 280 documents",
    ]


def test_without_a_choice_nothing_is_told() -> None:
    assert choices_text([summary("text")]) == ""
