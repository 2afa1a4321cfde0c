"""The lineage of a run as a tree in text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from codemix_cli.output import table

if TYPE_CHECKING:
    from ledger.lineage import Lineage, Run

BOXES = ("\u2502  ", "   ", "\u251c\u2500 ", "\u2514\u2500 ")
"""A level that goes on, one that has ended, a branch, the last branch."""
ASCII = ("|  ", "   ", "|- ", "`- ")


def told_lineage(
    lineage: Lineage, lines: tuple[str, str, str, str] | None = None
) -> str:
    """Tell a lineage as a tree, each run below the one that it parted from.

    Args:
        lineage: What to tell.
        lines: `BOXES` or `ASCII`; None: what standard output can show.
    """
    going_on, ended, branch, last = lines or tree_lines()
    rows: list[list[str]] = []
    tree = list(lineage.tree())
    for index, (digest, levels) in enumerate(tree):
        above = "".join(ended if is_last else going_on for is_last in levels[:-1])
        own = "" if not levels else last if levels[-1] else branch
        run = lineage.runs.get(digest)
        if run is None:
            rows.append([f"{above}{own}?", digest[:12], "not in this ledger"])
            continue
        mark = " <-" if digest == lineage.shown else ""
        rows.append([above + own + run.name, digest[:12] + mark, *_facts(run)])
        below = above + ("" if not levels else ended if levels[-1] else going_on)
        has_heirs = any(
            len(one) > len(levels) for _, one in tree[index + 1 : index + 2]
        )
        leaves = [["replay", one.digest[:12], one.grade] for one in run.replays]
        leaves += [
            ["evaluation", one.digest[:12], f"after {one.step:,}", " ".join(one.names)]
            for one in run.evaluations
        ]
        for number, (kind, *facts) in enumerate(leaves, start=1):
            is_last = number == len(leaves) and not has_heirs
            rows.append([f"{below}{last if is_last else branch}{kind}", *facts])
    return table([[*row, *[""] * (4 - len(row))] for row in rows])


def _facts(run: Run) -> list[str]:
    steps = f"{run.num_steps:,} steps"
    if run.reused:
        trained = run.num_steps - run.num_reused_steps
        steps = f"{trained:,} of {steps} trained"
    state = steps if run.outcome == "completed" else f"{steps}, {run.outcome}"
    comes: list[str] = []
    if run.fork is not None:
        comes.append(f"goes on after {run.fork.stage} of {run.fork.entry[:12]}")
    taken = []
    for source in dict.fromkeys(stage.reused_from for stage in run.reused):
        names = [stage.name for stage in run.reused if stage.reused_from == source]
        taken.append(f"{', '.join(names)} of {str(source)[:12]}")
    if taken:
        comes.append(f"takes over {' and '.join(taken)}")
    return [state, "; ".join(comes)]


def tree_lines() -> tuple[str, str, str, str]:
    """Return what draws a tree: `BOXES` where standard output can show it."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        "".join(BOXES).encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return BOXES
