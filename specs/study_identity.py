"""Which stages of a study are the same, before a byte of its data was read.

A planned identity is a stage's identity (`specs.identity`) with the definitions of its
sources and its tokenizer where the digests of their bytes would be. Equal definitions
give equal bytes, so what is planned to be shared is shared; two definitions of the same
bytes are told apart until the data is prepared.
"""

from __future__ import annotations

from typing import Any

from specs.apportion import source_shares
from specs.canonical import digest_of
from specs.experiment import Experiment
from specs.identity import stage_identities
from specs.lock import Lock, LockedStore
from specs.plan import Plan
from specs.version import VERSION


def planned_identities(
    experiment: Experiment, plan: Plan, lock: Lock | None = None
) -> list[str]:
    """Digest of what is known to determine the result of each stage, in order.

    They are compared with each other within one study: the machine is not in them.

    Args:
        experiment: The spec.
        plan: Its plan.
        lock: With a token store for each source, if there is one; its digests then
            take the place of the definitions.
    """
    promise: dict[str, Any] = {"determinism": plan.determinism}
    if plan.determinism == "same-topology":
        promise["parallel"] = experiment.parallel.to_json()
    if plan.determinism == "fast":
        # Nothing is promised of its bits, so no other experiment takes them over.
        promise["experiment"] = experiment.name
    return stage_identities(plan, lock or _defined(experiment, plan), promise)


def is_prepared(plan: Plan, lock: Lock) -> bool:
    """Whether a lock has what decides the bits of every stage of a plan."""
    drawn = {name for stage in plan.stages for name in stage.sequences}
    return lock.tokenizer_sha256 is not None and drawn <= set(lock.stores)


def _defined(experiment: Experiment, plan: Plan) -> Lock:
    """Make a lock of definitions."""
    sources = {name: _source(experiment, plan, name) for name in plan.sources}
    training = experiment.tokenizer.train
    shares = source_shares(training.mixture, experiment.mixtures) if training else {}
    tokenizer = {
        "file": experiment.tokenizer.file,
        "vocab_size": experiment.tokenizer.vocab_size,
        "sample_bytes": training.sample_bytes if training else None,
        "shares": {name: str(share) for name, share in shares.items()},
        "sources": {name: sources[name] for name in shares},
    }
    stores = {
        name: digest_of({"source": name, "rules": rules, "tokenizer": tokenizer})
        for name, rules in sources.items()
    }
    return Lock(
        lock=1,
        codemix=VERSION,
        inputs={},
        stores={
            name: LockedStore(
                identity=one, manifest_sha256=one, train_tokens=0, heldout_tokens=0
            )
            for name, one in stores.items()
        },
        tokenizer_sha256=digest_of(tokenizer),
    )


def _source(experiment: Experiment, plan: Plan, name: str) -> dict[str, Any]:
    rules = plan.sources[name].to_json()
    # How often documents may be gone through changes none of them.
    del rules["max_epochs"]
    return {"uri": experiment.sources[name].uri, **rules}
