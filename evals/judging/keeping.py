"""A win-rate in the ledger, with all that the judge was asked and said.

Both are objects, so that a bundle carries them and whoever imports it can make the same
numbers of the same answers, without a judge.
"""

from __future__ import annotations

from evals.judging.judgement import Judgement, JudgementStore, set_of
from evals.judging.win_rate import WinRate
from ledger.facts import JsonObject, ObjectRef
from ledger.objects import ObjectStore
from specs.errors import CheckFailed


def keep_win_rate(
    result: WinRate, *, store: JudgementStore, objects: ObjectStore
) -> JsonObject:
    """Put a win-rate into the ledger's objects.

    Returns:
        What an entry holds of it: the references, `result` and `judgements`; the latter
        is null for a local judge.

    Raises:
        CheckFailed: The judgements are no longer those that it was made of.
    """
    kept = objects.put_json(result.to_json())
    judgements = None
    if result.judgements is not None:
        found = [store.find(key) for key in judgement_keys(result)]
        ref = objects.put(set_of([one for one in found if one is not None]))
        if ref.sha256 != result.judgements:
            raise CheckFailed(
                "the recorded judgements are not those that the win-rate was made of",
                file=str(store.folder),
                fix="evaluate again",
            )
        judgements = ref.to_json()
    return {"result": kept.to_json(), "judgements": judgements}


def restore_judgements(
    ref: ObjectRef, *, store: JudgementStore, objects: ObjectStore
) -> int:
    """Put judgements from the ledger where an evaluation looks for them.

    Returns:
        How many were not there before.

    Raises:
        CheckFailed: A request is there with another answer.
    """
    num_new = 0
    for value in objects.get_json(ref)["judgements"]:
        judgement = Judgement.model_validate(value)
        there = store.find(judgement.key)
        if there is None:
            store.put(judgement)
            num_new += 1
        elif there != judgement:
            raise CheckFailed(
                "this request was judged again since, with another answer",
                file=str(store.path(judgement.key)),
                fix="move the folder of judgements away, then restore",
            )
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
