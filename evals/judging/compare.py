"""Comparing two sets of replies by a judge."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from evals.judging.judge import LoadedJudge
from evals.judging.judgement import Judgement, JudgementStore, set_of
from evals.judging.local import JudgingCheckpoint, compare_locally
from evals.judging.panel import (
    Asked,
    Asks,
    JudgingListener,
    Mode,
    Panel,
    ignore_judging,
)
from evals.judging.replies import Comparison
from evals.judging.win_rate import Judged, Served, Winner, WinRate, win_rate_of


def compare_replies(
    comparison: Comparison,
    *,
    judge: LoadedJudge,
    store: JudgementStore,
    mode: Mode = "record",
    progress: JudgingListener = ignore_judging,
    checkpoint: JudgingCheckpoint | None = None,
    client: Asks | None = None,
) -> WinRate:
    """Let a judge compare two sets of replies.

    Args:
        comparison: What is compared.
        judge: Who judges.
        store: Where what it says is kept; unused by a local judge.
        mode: Whether it is asked.
        progress: Told how far it is.
        checkpoint: The weights of a local judge.
        client: Asks in place of the judge's endpoint.

    Raises:
        InputError: The judge can't be asked, or in replay was never asked this.
        RunError: It states too few verdicts, or its weights give no finite numbers.
            What it said is kept either way.
    """
    if judge.spec.local is not None:
        assert checkpoint is not None, "a local judge needs its checkpoint"
        return compare_locally(comparison, judge=judge, checkpoint=checkpoint)
    panel = Panel(judge=judge, store=store, mode=mode, progress=progress, client=client)
    asked = panel.judge_all(comparison.pairs)
    by_key = {
        one.key: one for both in asked for each in both for one in each.judgements
    }
    judgements = [by_key[key] for key in sorted(by_key)]
    return win_rate_of(
        comparison,
        [_judged(a_first, b_first) for a_first, b_first in asked],
        judge=judge,
        fingerprint=judge.fingerprint,
        served=_served(judgements),
        judgements=hashlib.sha256(set_of(judgements)).hexdigest(),
    )


def _judged(a_first: Asked, b_first: Asked) -> Judged:
    return Judged(
        a_first=_winner(a_first, first="a", second="b"),
        b_first=_winner(b_first, first="b", second="a"),
        output={
            "judgements": [
                [one.key for one in each.judgements] for each in (a_first, b_first)
            ]
        },
    )


def _winner(asked: Asked, *, first: Winner, second: Winner) -> Winner | None:
    if asked.preferred is None:
        return None
    return first if asked.preferred == "first" else second


def _served(judgements: Sequence[Judgement]) -> tuple[Served, ...]:
    """Count who answered, by name; those without one come first."""
    count = Counter((one.served_model, one.system_fingerprint) for one in judgements)
    ordered = sorted(
        count, key=lambda who: tuple((n is not None, n or "") for n in who)
    )
    return tuple(
        Served(model=who[0], system_fingerprint=who[1], judgements=count[who])
        for who in ordered
    )
