"""Identities from what a spec says alone, where nothing is pinned yet.

A stage's real identity needs the bytes of its data (`specs.identity`). Two specs can be
compared without them: what names the same data in the same words is taken for the same
data. These digests are for such comparisons, and are never recorded.
"""

from __future__ import annotations

from specs.apportion import source_shares
from specs.canonical import digest_of
from specs.experiment import Experiment
from specs.identity import stage_identities
from specs.lock import Lock, LockedStore
from specs.plan import Plan


def declared_identities(
    experiment: Experiment, plan: Plan, lock: Lock | None = None
) -> list[str]:
    """Return an identity for each stage that two specs can be compared by.

    Args:
        experiment: The spec.
        plan: Of that spec.
        lock: With its stores and tokenizer, once prepared: then their bytes count
            instead of how the spec names them.
    """
    known = (
        lock if lock is not None and lock.stores else declared_lock(experiment, plan)
    )
    # What of the machine decides bits is the same for both; what is promised is not.
    return stage_identities(plan, known, {"determinism": plan.determinism})


def kept_once(experiment: Experiment, plan: Plan, name: str) -> list[object]:
    """Return what decides which documents of a source are dropped as duplicates."""
    until = plan.deduplicated_until(name)
    if plan.deduplicate is None or not until:
        return []
    documents = [_documents_of(experiment, plan, one) for one in until]
    return [plan.deduplicate.rule(), documents]


def declared_lock(experiment: Experiment, plan: Plan) -> Lock:
    """Stand in for a lock: every digest is one of words."""
    documents = {
        name: _documents_of(experiment, plan, name) for name in experiment.sources
    }
    tokenizer = _tokenizer_of(experiment, documents)
    stores = {
        name: LockedStore(
            identity=digest,
            manifest_sha256=digest_of(
                [name, plan.seed, digest, tokenizer, *kept_once(experiment, plan, name)]
            ),
            train_tokens=0,
            heldout_tokens=0,
        )
        for name, digest in documents.items()
    }
    return Lock(
        lock=1, codemix="", inputs={}, stores=stores, tokenizer_sha256=tokenizer
    )


def _documents_of(experiment: Experiment, plan: Plan, name: str) -> str:
    rules = plan.sources[name].to_json()
    # How often the documents may be gone through does not change them.
    del rules["max_epochs"]
    rules.pop("pinned_as", None)
    return digest_of({"uri": experiment.sources[name].uri, "rules": rules})


def _tokenizer_of(experiment: Experiment, documents: dict[str, str]) -> str:
    tokenizer = experiment.tokenizer
    if tokenizer.train is None:
        return digest_of({"file": tokenizer.file})
    shares = source_shares(tokenizer.train.mixture, experiment.mixtures)
    return digest_of(
        {
            "seed": experiment.seed,
            "vocab_size": tokenizer.vocab_size,
            "sample_bytes": tokenizer.train.sample_bytes,
            "shares": {name: str(share) for name, share in shares.items()},
            "sources": {name: documents[name] for name in shares},
        }
    )
