"""Runs that go on from another run: what of it must be the same, and how that shows.

An amendment begins with stages that an entry has. They are the same stages only if
their identities are: the same data, model and arithmetic. If they are trained again,
they must end in the weights that the entry has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ledger.documents import Stored, run_of
from ledger.entry import Entry, Parent, StageFacts
from ledger.recorder import Diverged, RunFacts
from ledger.store import Ledger
from specs.errors import InputError, Problem
from specs.experiment import Amends, Experiment
from specs.lock import Lock, LockedInput
from specs.plan import Plan


class Prefix(NamedTuple):
    """The stages that an amendment keeps."""

    digest: str
    """Of the entry that has them."""
    entry: Entry
    stages: tuple[StageFacts, ...]
    lock: Lock
    """Of that entry."""


def prefix_of(ledger: Ledger, amends: Amends) -> Prefix:
    """Read the stages that an amendment keeps.

    Raises:
        CheckFailed: The entry was changed.
        InputError: It is not here, or not a run that ended the stage.
    """
    entry = run_of(Stored(amends.entry, ledger.read(amends.entry)))
    names = [stage.name for stage in entry.stages if stage.identity is not None]
    if amends.after not in names:
        raise InputError(
            f"entry {amends.entry[:12]} has not ended a stage {amends.after!r}",
            fix="name one that it has: " + ", ".join(names),
        )
    stages = entry.stages[: names.index(amends.after) + 1]
    lock = Lock.model_validate(ledger.objects.get_json(entry.lock))
    return Prefix(amends.entry, entry, stages, lock)


def parent_of(facts: RunFacts) -> Parent | None:
    """Return the run that a run goes on from, and where; null for most runs."""
    amends = facts.experiment.amends
    if amends is None:
        return None
    stages = {stage.name: stage for stage in facts.plan.stages}
    step = stages[amends.after].stop_step
    return Parent(entry=amends.entry, stage=amends.after, step=step)


class PrefixEnds:
    """The weights that the stages of an amendment's prefix must end in."""

    def __init__(self, ledger: Ledger, experiment: Experiment) -> None:
        """Read them from the entry; there are none where nothing is amended."""
        amends = experiment.amends
        prefix = prefix_of(ledger, amends) if amends is not None else None
        self._digest = prefix.digest if prefix is not None else ""
        self._weights = {
            stage.name: stage.weights_digest
            for stage in (prefix.stages if prefix is not None else ())
        }

    def check(self, name: str, step: int, weights_digest: str) -> None:
        """Compare the end of a stage that was trained again.

        Raises:
            Diverged: It is not the one that was trained.
        """
        was = self._weights.get(name)
        if was is not None and was != weights_digest:
            raise Diverged(
                f"stage {name} ends in weights {weights_digest[:12]}, in entry "
                f"{self._digest[:12]} it ended in {was[:12]}: the prefix is not the "
                "one that was trained",
                step=step,
                channel="stage",
                fix=f"codemix reproduce {self._digest[:12]} finds the first step that "
                "differs",
            )


def data_problems(prefix: Prefix, plan: Plan, lock: Lock) -> tuple[Problem, ...]:
    """Name every input of a prefix that is not what it was trained on.

    Args:
        prefix: The stages.
        plan: Of the amendment.
        lock: Of the amendment; sources may be pinned and not yet prepared.
    """
    names = _sources(prefix, plan)
    sources = {plan.input_of(name) for name in names}
    keys = {
        key
        for one in sources
        for key in (*prefix.lock.keys_of(one), *lock.keys_of(one))
    }
    return tuple(
        Problem(
            path=key,
            what=f"{what}: the prefix would not be the one that was trained",
            fix="bring back the bytes that entry "
            f"{prefix.digest[:12]} has, and pin again; or write a spec of its own",
        )
        for key in ["tokenizer", *sorted(keys)]
        for what in _changes(prefix.lock.inputs.get(key), lock.inputs.get(key))
    )


def identity_problems(
    prefix: Prefix, plan: Plan, lock: Lock, facts: Mapping[str, tuple[Any, Any]]
) -> tuple[Problem, ...]:
    """Say why stages of a prefix would not have the identities that they have.

    Args:
        prefix: The stages.
        plan: Of the amendment.
        lock: Of the amendment, prepared.
        facts: Name -> how it was and is, of code and machine.
    """
    names = _sources(prefix, plan)
    was, now = prefix.lock, lock
    pairs = {
        "the vocabulary": (was.tokenizer_sha256, now.tokenizer_sha256),
        **{
            f"the tokens of {name}": (_manifest(was, name), _manifest(now, name))
            for name in names
        },
        **facts,
    }
    found = [
        f"{what}: was {str(old)[:40]}, is {str(new)[:40]}"
        for what, (old, new) in pairs.items()
        if old != new
    ]
    return tuple(
        Problem(
            what=f"the prefix would not be the one that was trained; {what}",
            fix=f"go on from entry {prefix.digest[:12]} with the data, the code and "
            "the kind of machine that it was trained on; or write a spec of its own",
        )
        for what in found or ["its stages have other identities"]
    )


def _sources(prefix: Prefix, plan: Plan) -> list[str]:
    stages = plan.stages[: len(prefix.stages)]
    return sorted({name for stage in stages for name in stage.sequences})


def _manifest(lock: Lock, name: str) -> str | None:
    store = lock.stores.get(name)
    return store.manifest_sha256 if store is not None else None


def _changes(was: LockedInput | None, now: LockedInput | None) -> Iterator[str]:
    """Say in what two inputs differ, file by file."""
    old = {file.path: file for file in was.files} if was is not None else {}
    new = {file.path: file for file in now.files} if now is not None else {}
    for path in sorted({*old, *new}):
        if path not in new:
            yield f"{path} is missing"
        elif path not in old:
            yield f"{path} is new"
        elif old[path].sha256 != new[path].sha256:
            yield f"{path} has changed"
