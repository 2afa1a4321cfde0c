"""What the ledger has of a study: stages with their checkpoints, and whole runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ledger.entry import Entry
from ledger.reuse import FinishedStage, finished_stages, runs_with
from ledger.store import Ledger
from runtime.manifest import MANIFEST
from runtime.reuse import stage_location
from runtime.storage import open_storage
from runtime.study.slots import Slot
from runtime.workers import Done, Failed, WorkerPool
from specs.errors import InputError, Problem
from specs.lock import Lock
from specs.study_graph import Member, StudyGraph

ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""Of the process that asks for devices: it shall take no memory of theirs."""


class Known(NamedTuple):
    """What an experiment is called in the ledger of this machine."""

    stages: tuple[str, ...]
    """Identities, in order."""
    run: str
    """Identity."""


class Standing(NamedTuple):
    """How far a study is."""

    stages: dict[str, str]
    """Identity in the graph -> an entry that has the stage, with its checkpoint."""
    runs: dict[str, str]
    """Name of an experiment -> its entry, of a completed run."""


def identify(
    members: Sequence[Member],
    locks: Mapping[str, Lock],
    slot: Slot | None = None,
) -> dict[str, Known]:
    """Return what the experiments of a study are called in the ledger, by name.

    Args:
        members: The experiments.
        locks: Of each, with a token store for each source.
        slot: What a job will be given of the machine; None: all of it.

    Raises:
        InputError: The devices don't fit some of the plans.
    """
    found, problems = _ask(members, locks, slot)
    if problems:
        raise InputError(problems)
    return found


def identify_here(
    members: Sequence[Member], locks: Mapping[str, Lock]
) -> dict[str, Known]:
    """Return what `identify` does, without the experiments that don't fit this machine.

    What they are called only machines with enough devices can say; where their jobs are
    run elsewhere, this one need not have them.

    Args:
        members: The experiments.
        locks: Of each, with a token store for each source.
    """
    return _ask(members, locks)[0]


def _ask(
    members: Sequence[Member],
    locks: Mapping[str, Lock],
    slot: Slot | None = None,
) -> tuple[dict[str, Known], list[Problem]]:
    """Ask a process with the devices; also return why it can't say what is missing."""
    slot = slot or Slot(cores=None)
    environ = {**ENVIRONMENT, **slot.environ}
    found: dict[str, Known] = {}
    problems: dict[Problem, None] = {}
    # What is promised decides flags that jax reads once.
    for promise in dict.fromkeys(one.plan.determinism for one in members):
        same = [one for one in members if one.plan.determinism == promise]
        jobs = [
            {
                "experiment": one.experiment.to_json(),
                "lock": locks[one.name].to_json(),
                "cores": None if slot.cores is None else list(slot.cores),
            }
            for one in same
        ]
        module = "runtime.study.identify_task"
        with WorkerPool(module, num_workers=1, environ=environ) as pool:
            for event in pool.run(jobs):
                if isinstance(event, Failed):
                    raise InputError(event.problems)
                if isinstance(event, Done):
                    answer = event.answer
                    if "misfit" in answer:
                        # Experiments of one kind have one and the same.
                        told = (Problem(**fields) for fields in answer["misfit"])
                        problems.update(dict.fromkeys(told))
                        continue
                    known = Known(tuple(answer["stages"]), answer["run"])
                    found[same[event.job].name] = known
    return found, list(problems)


def standing(
    graph: StudyGraph, known: Mapping[str, Known], workspace: Path
) -> Standing:
    """Look up what the ledger has of a study.

    Args:
        graph: The study.
        known: What its experiments are called there; of others nothing is found.
        workspace: Holds the ledger.

    Raises:
        CheckFailed: An entry was changed.
        InputError: An entry is missing.
    """
    ledger = Ledger(workspace / ".codemix" / "ledger")
    places: dict[str, str] = {}
    promises: dict[str, set[str]] = {}
    for name, member in graph.members.items():
        if name not in known:
            continue
        for mine, theirs in zip(member.stages, known[name].stages, strict=True):
            places[theirs] = mine
            promises.setdefault(member.plan.determinism, set()).add(theirs)
    stages: dict[str, str] = {}
    for promise, identities in promises.items():
        for identity, found in finished_stages(ledger, identities, promise).items():
            for one in found:
                if _is_here(one, ledger, workspace):
                    stages.setdefault(places[identity], one.digest)
    return Standing(stages, completed_runs(ledger, known))


def completed_runs(ledger: Ledger, known: Mapping[str, Known]) -> dict[str, str]:
    """Return the entries of the experiments that are completed, by name."""
    # Names do not count: one run may be all that two experiments are.
    identities = {one.run for one in known.values()}
    found: dict[str, str] = {}
    for digest, entry in runs_with(ledger, identities):
        assert isinstance(entry, Entry)
        # The first one stands for all of its identity, as with `codemix run`.
        if entry.identity in identities and entry.outcome.status == "completed":
            found[entry.identity] = digest
    return {name: found[one.run] for name, one in known.items() if one.run in found}


def _is_here(found: FinishedStage, ledger: Ledger, workspace: Path) -> bool:
    """Whether the checkpoint of a stage's end is where its run has left it."""
    location = stage_location(found.entry, found.stage, ledger, workspace)
    try:
        name = f"{found.stage.stop_step:08d}/{MANIFEST}"
        open_storage(location).read(name, 0, 1)
    except OSError:
        return False
    return True
