"""A twist that fits most families: only a part of the first argument counts."""

from __future__ import annotations

from dataclasses import replace

from runtime.synth.draws import Draws
from runtime.synth.family import Draft

PORTION = "portion"
"""Name of the choice, in the space of a family that allows it."""


def take_portion(draft: Draft, draws: Draws) -> Draft:
    """Return a problem that looks at a part of its first argument.

    Args:
        draft: Its first parameter is a list or a string, and no rule counts positions.
        draws: Decides which part.
    """
    first = draft.params[0]
    ones = "characters" if first.type == "str" else "entries"
    one = "character" if first.type == "str" else "entry"
    size = draws.integer(4, 6)
    rule, cut, keeps = draws.choice(
        (
            (
                f"Use only the first {size} {ones} of `{first.name}` (all, if there "
                "are fewer).",
                f"[:{size}]",
                f"n < {size}",
            ),
            (
                f"Ignore the first {one} of `{first.name}`.",
                "[1:]",
                "n != 0",
            ),
            (
                f"Ignore the last {one} of `{first.name}`.",
                "[:-1]",
                "n + 1 < len(first)",
            ),
            (
                f"Use only every second {one} of `{first.name}`, beginning with the "
                "first.",
                "[::2]",
                "n in range(0, len(first), 2)",
            ),
        )
    )
    line = f"$sig\n    {first.name} = {first.name}{cut}\n"
    chosen = f"[v for n, v in enumerate(first) if {keeps}]"
    if first.type == "str":
        chosen = f"''.join({chosen})"
    return replace(
        draft,
        rules=(rule, *draft.rules),
        solutions={
            style: code.replace("$sig\n", line)
            for style, code in draft.solutions.items()
        },
        reference=draft.reference.replace("def reference(", "def of_all(")
        + f"\n\n\ndef reference(first):\n    return of_all({chosen})",
    )
