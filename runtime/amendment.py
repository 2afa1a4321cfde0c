"""Checks of a run that goes on from another one; see `ledger.amendment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ledger.amendment import Prefix, data_problems, identity_problems, prefix_of
from ledger.store import Ledger
from specs.errors import InputError
from specs.experiment import Experiment
from specs.lock import Lock
from specs.resolve import plan_experiment

if TYPE_CHECKING:
    from runtime.session import Session


def check_prefix_data(experiment: Experiment, lock: Lock, workspace: Path) -> None:
    """Check that the inputs of the stages that are kept are those they were trained on.

    Raises:
        InputError: With every file that differs.
    """
    if experiment.amends is None:
        return
    ledger = Ledger(workspace / ".codemix" / "ledger")
    prefix = prefix_of(ledger, experiment.amends)
    problems = data_problems(prefix, plan_experiment(experiment), lock)
    if problems:
        raise InputError(problems)


def kept_stages(session: Session, ledger: Ledger) -> int:
    """Return how many stages a run keeps of the one that it goes on from.

    Raises:
        InputError: They would be other stages here; with every reason that is known.
    """
    ready = session.ready
    amends = ready.experiment.amends
    if amends is None:
        return 0
    prefix = prefix_of(ledger, amends)
    kept = [stage.identity for stage in prefix.stages]
    if kept != session.identities[: len(kept)]:
        facts = _machine(prefix, session)
        raise InputError(identity_problems(prefix, ready.plan, ready.lock, facts))
    return len(kept)


def _machine(prefix: Prefix, session: Session) -> dict[str, tuple[object, object]]:
    """Return what of code and machine decides bits, as it was and as it is."""
    from runtime.devices import describe
    from runtime.numerics import NUMERICS_VERSION

    was, now = prefix.entry.devices, describe()
    keys = ["platform", "kind", "cpu_isa", "cpu_threads", "xla_flags"]
    facts: dict[str, tuple[object, object]] = {
        "the numerics": (prefix.entry.numerics, NUMERICS_VERSION),
        **{f"the devices' {key}": (was.get(key), now.get(key)) for key in keys},
    }
    if prefix.entry.determinism == "same-topology":
        facts["the mesh"] = was.get("mesh"), dict(session.mesh.shape)
        facts["the gathering"] = was.get("gather"), session.gather
    return facts
