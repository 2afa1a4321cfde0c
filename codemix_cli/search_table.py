"""What `codemix study --search` prints: each trial as it begins, then all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from codemix_cli.output import note, table
from codemix_cli.study_table import study_listeners, told_ended
from codemix_cli.wording import counted

if TYPE_CHECKING:
    from evals.search.searching import SearchEnded
    from runtime.study.running import StudyListeners


@contextmanager
def listen_to_trial(line: str) -> Iterator[StudyListeners]:
    """Yield who shows a trial, after a line about it."""
    note(line)
    with study_listeners() as listeners:
        yield listeners


def told_search(ended: SearchEnded) -> str:
    """Tell all trials, the best of them, and what failed."""
    score, best = ended.search.objective.score, ended.best
    places = [share.place for share in ended.search.shares]
    rows = [["trial", *(f"{place} %" for place in places), score, "entry", ""]]
    rows += [
        [
            trial.name,
            *(f"{trial.weights[place]:.1f}" for place in places),
            f"{trial.objective:.6g}",
            trial.entry[:12],
            "best" if trial == best else "",
        ]
        for trial in ended.trials
    ]
    rows += [
        [
            trial.name,
            *(f"{trial.weights[place]:.1f}" for place in places),
            "failed",
            trial.entry[:12],
            trial.reason.partition("\n")[0],
        ]
        for trial in ended.failures
    ]
    parts = [table(rows, right=range(1, len(places) + 2))]
    parts.append(f"{counted(len(ended.trials), 'trial')} in the ledger")
    if ended.failures:
        parts[-1] += f", {len(ended.failures)} failed and not tried again"
    if ended.is_exhausted:
        parts[-1] += "; nothing was found that is still to try"
    if ended.failed is not None:
        parts.append(told_ended(ended.failed))
    return "\n\n".join(parts)
