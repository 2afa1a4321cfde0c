"""The data card as files: for programs, and for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.synth.card import Card
from specs.atomic import write_atomically

CARD_JSON = "card.json"
CARD_TEXT = "README.md"


def write_card(folder: Path, card: Card, *, digest: str, maker: str) -> None:
    """Write the card for programs and for people."""
    data = json.dumps({"digest": digest, **card}, sort_keys=True, indent=1) + "\n"
    write_atomically(folder / CARD_JSON, data.encode())
    write_atomically(folder / CARD_TEXT, _markdown(card, digest, maker).encode("utf-8"))


def _markdown(card: Card, digest: str, maker: str) -> str:
    num_problems = card["num_problems"] or 1
    lines = [
        "# Synthetic Python problems",
        "",
        f"{card['num_problems']:,} problems of {_made_of(card)}, made by {maker}. "
        f"Digest `{digest}`.",
        "",
        "Each problem has a statement, a solution and tests. Before it was written, "
        "its solution agreed with an independent one on every input tried, and its "
        "tests told the solution from its mutants. No solution or statement is the "
        "same as another's, names aside.",
        "",
        *_rows(("Measure", "Value"), _measures(card)),
        *_counted("Difficulty", card["difficulties"], num_problems),
        *_counted("Layout", card["layouts"], num_problems),
        *_counted("Topic", card["topics"], num_problems),
        *_counted("Rejected candidates", card["rejected"], None),
        *_model_rows(card.get("model")),
        *_family_rows(card["families"]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _family_rows(families: Sequence[Mapping[str, Any]]) -> list[str]:
    if not families:
        return []
    return [
        "## Families",
        "",
        *_rows(
            ("Family", "Topic", "Problems", "Cores", "Rejected"),
            [
                (
                    one["name"],
                    one["topic"],
                    f"{one['problems']:,}",
                    f"{one['cores']:,}",
                    f"{sum(one['rejected'].values()):,}",
                )
                for one in families
            ],
        ),
    ]


def _model_rows(model: Mapping[str, Any] | None) -> list[str]:
    """Tell what was asked of a model, if the problems are one's."""
    if model is None:
        return []
    cost = "unknown" if model["cost"] is None else f"{model['cost']:.4f}"
    return [
        "## What was asked",
        "",
        *_rows(
            ("Measure", "Value"),
            [
                ("writer", model["writer"]),
                ("served by", ", ".join(model["served_models"]) or "it did not say"),
                ("answers", f"{model['answers']:,}"),
                ("of them without a count of tokens", f"{model['uncounted']:,}"),
                ("tokens of requests", f"{model['prompt_tokens']:,}"),
                ("tokens of answers", f"{model['completion_tokens']:,}"),
                ("cost, by the writer's prices", cost),
            ],
        ),
    ]


def _made_of(card: Card) -> str:
    return "a model" if "model" in card else f"{card['num_families']} families"


def _measures(card: Card) -> list[tuple[str, str]]:
    told = max(1, card["num_mutants"] - card["num_alike"])
    near, lengths = card["near_duplicates"], card["text_bytes_percentiles"]
    return [
        ("text", f"{card['num_text_bytes']:,} bytes"),
        (
            "bytes of a document, " + " / ".join(f"{one}%" for one in lengths),
            " / ".join(f"{one:,}" for one in lengths.values()),
        ),
        ("tests", f"{card['num_tests']:,}"),
        ("inputs with the reference's answer", f"{card['num_inputs_agreed']:,}"),
        ("mutants made", f"{card['num_mutants']:,}"),
        ("mutants right on every input", f"{card['num_alike']:,}"),
        ("of the others, killed", f"{100 * card['num_killed'] / told:.2f}%"),
        ("different statements, names aside", f"{card['num_distinct_statements']:,}"),
        ("different solutions, names aside", f"{card['num_distinct_solutions']:,}"),
        ("solution shapes, constants aside", f"{card['num_shapes']:,}"),
        (
            "near-duplicates: Jaccard of 5-word shingles at least 0.8, estimated",
            f"{100 * near['share']:.1f}% of the first {near['among']:,}",
        ),
        ("duplicates taken out", f"{card['num_duplicates']:,}"),
        ("indices given up", f"{card['num_given_up']:,}"),
        ("interpreter", ", ".join(card["python"])),
        ("sandbox level", ", ".join(card["sandbox"])),
    ]


def _counted(head: str, counts: Mapping[str, int], whole: int | None) -> list[str]:
    if not counts:
        return []
    rows = [
        (name, f"{times:,}", *([f"{100 * times / whole:.1f}%"] if whole else []))
        for name, times in counts.items()
    ]
    columns = (head, "Number", "Share") if whole else (head, "Number")
    return [f"## {head}", "", *_rows(columns, rows)]


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]
