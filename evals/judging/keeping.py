"""A win-rate in the ledger, with all that the judge was asked and said.

An evaluation's document refers to both, so that a bundle carries them and whoever
imports it can make the same numbers of the same answers, without a judge.
"""

from __future__ import annotations

import hashlib
import json

from evals.judging.judgement import Judgement, JudgementStore, set_of
from evals.judging.panel import Mode
from evals.judging.win_rate import WinRate
from evals.scores import Score
from ledger.facts import JsonObject
from ledger.record_evaluation import GivenExtra
from specs.errors import CheckFailed


def score_of(result: WinRate) -> Score:
    """Return a win-rate as scores are recorded: numbers by name, and all of it."""
    values: dict[str, float] = dict(result.shares)
    for name, rate in (
        ("win_rate", result.win_rate),
        ("length_controlled", result.length_controlled),
    ):
        if rate is not None:
            values[name] = rate.value
            values[f"{name}_low"], values[f"{name}_high"] = rate.low, rate.high
    return Score(
        suite=_name(result),
        values=values,
        detail=result.to_json(),
    )


def judgements_of(
    result: WinRate, *, store: JudgementStore, mode: Mode
) -> tuple[GivenExtra, ...]:
    """Return what the judge was asked and said, to be recorded with a win-rate.

    Args:
        result: What was made of it.
        store: Where it was recorded.
        mode: In which it was had.

    Returns:
        Nothing of a local judge, which says the same whenever it is asked.

    Raises:
        CheckFailed: It is no longer what the win-rate was made of.
    """
    if result.judgements is None:
        return ()
    found = [store.find(key) for key in judgement_keys(result)]
    data = set_of([one for one in found if one is not None])
    if hashlib.sha256(data).hexdigest() != result.judgements:
        raise CheckFailed(
            "the recorded judgements are not those that the win-rate was made of",
            file=str(store.folder),
            fix="evaluate again",
        )
    name = f"judgements/{_name(result)}"
    return (GivenExtra(name=name, content=json.loads(data), mode=mode),)


def restore_judgements(content: JsonObject, *, store: JudgementStore) -> int:
    """Put judgements from the ledger where an evaluation looks for them.

    Args:
        content: Of the extra of an evaluation.
        store: Where they belong.

    What is there stays, also where it answers the same request otherwise.

    Returns:
        How many were not there before.
    """
    num_new = 0
    judgements = content["judgements"]
    assert isinstance(judgements, list)
    for value in judgements:
        judgement = Judgement.model_validate(value)
        if store.find(judgement.key) is None:
            store.put(judgement)
            num_new += 1
    return num_new


def judgement_keys(result: WinRate) -> tuple[str, ...]:
    """Return the keys of all judgements that a result was made of."""
    keys = {
        key
        for question in result.questions
        for each in question.output["judgements"]
        for key in each
    }
    return tuple(sorted(keys))


def _name(result: WinRate) -> str:
    """Name a win-rate, so that no other judge's takes its place."""
    return f"{result.task}.against.{result.b}.by.{result.judge}"
