"""What determines the bytes of tokenizers and token stores, as digests."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from runtime.filters import fields_needed
from runtime.nested import NESTED_VERSION
from runtime.store_format import STORE_VERSION
from runtime.tokenizer_training import TRAINING_VERSION
from specs.apportion import source_shares
from specs.canonical import digest_of
from specs.experiment import Experiment
from specs.lock import Lock, LockedInput
from specs.plan import Plan, PlannedSource

DEDUPLICATION_VERSION = 1
"""Part of the identity of every store without duplicates. It is raised when another
document could be kept: also when the signatures of the library change."""

QUESTIONS_VERSION = 1
"""The same of how questions of benchmarks are looked for in documents."""


def tokenizer_shares(experiment: Experiment) -> Mapping[str, Fraction]:
    """Return the share of each source in the sample that a tokenizer learns from."""
    training = experiment.tokenizer.train
    assert training is not None
    return source_shares(training.mixture, experiment.mixtures)


def tokenizer_identity(experiment: Experiment, plan: Plan, lock: Lock) -> str:
    """Digest what determines the bytes of the tokenizer."""
    training = experiment.tokenizer.train
    if training is None:
        return digest_of({"file": lock.inputs["tokenizer"].files[0].sha256})
    shares = tokenizer_shares(experiment)
    return digest_of(
        {
            "version": TRAINING_VERSION,
            "seed": str(plan.seed),
            "vocab_size": experiment.tokenizer.vocab_size,
            "sample_bytes": training.sample_bytes,
            "shares": {name: str(share) for name, share in shares.items()},
            "sources": {
                name: _documents_of(
                    plan.sources[name], lock.pinned(plan.input_of(name))
                )
                for name in shares
            },
        }
    )


def store_identity(name: str, plan: Plan, lock: Lock, tokenizer_sha256: str) -> str:
    """Digest what determines the bytes of a source's token store."""
    return digest_of(
        {
            "version": STORE_VERSION,
            "source": name,
            "seed": str(plan.seed),
            "documents": _documents_of(
                plan.sources[name], lock.pinned(plan.input_of(name))
            ),
            "tokenizer": tokenizer_sha256,
            **_kept_once(name, plan, lock),
        }
    )


def deduplication_identity(name: str, plan: Plan, lock: Lock) -> str:
    """Digest what determines which documents of a source are dropped as duplicates.

    Args:
        name: A source that `deduplicate` lists.
        plan: The plan.
        lock: Its lock.
    """
    assert plan.deduplicate is not None
    return digest_of(
        {
            "version": DEDUPLICATION_VERSION,
            "rule": plan.deduplicate.rule(),
            **_kept_out(plan, lock),
            "sources": [
                _documents_of(plan.sources[one], lock.pinned(plan.input_of(one)))
                for one in plan.deduplicated_until(name)
            ],
        }
    )


def _kept_out(plan: Plan, lock: Lock) -> dict[str, Any]:
    """Return what decides which documents hold questions of benchmarks."""
    assert plan.deduplicate is not None
    if plan.deduplicate.benchmarks is None:
        return {}
    tasks = [
        [name, task.data.sha256, task.contamination and task.contamination.to_json()]
        for name, task in sorted(lock.benchmarks.kept_out.items())
    ]
    # What is a letter, and how case is folded, is Unicode's to say.
    unicode = unicodedata.unidata_version
    return {"search": QUESTIONS_VERSION, "unicode": unicode, "tasks": tasks}


def sketch_identity(name: str, plan: Plan, lock: Lock) -> str:
    """Digest what determines the sketches of a source, see `runtime.deduplication`."""
    assert plan.deduplicate is not None
    rule = plan.deduplicate.rule()
    if rule["near"] is not None:
        # It decides which documents are dropped, and nothing of their signatures.
        del rule["near"]["threshold"]
    del rule["exact"]
    rule.pop("benchmarks", None)
    return digest_of(
        {
            "version": DEDUPLICATION_VERSION,
            "rule": rule,
            "documents": _documents_of(
                plan.sources[name], lock.pinned(plan.input_of(name))
            ),
        }
    )


def store_folder(workspace: Path, identity: str) -> Path:
    """Return where a token store lies in the workspace."""
    return workspace / ".codemix" / "stores" / identity


def _kept_once(name: str, plan: Plan, lock: Lock) -> dict[str, str]:
    if not plan.deduplicated_until(name):
        return {}
    return {"deduplicate": deduplication_identity(name, plan, lock)}


def rules_of(planned: PlannedSource) -> dict[str, Any]:
    """Return what a plan says of which documents of a source count, and how."""
    rules = planned.to_json()
    # How often the documents may be gone through does not change them.
    del rules["max_epochs"]
    # Nor does the name of the input that holds the files, whose paths count.
    rules.pop("pinned_as", None)
    if any("." in name for name in fields_needed(planned.where, planned.filters)):
        rules["nested"] = NESTED_VERSION
    return rules


def _documents_of(planned: PlannedSource, pinned: LockedInput) -> object:
    """Return what determines the documents of a source and their order."""
    # Paths decide the format and are written into the store; counts decide the shards.
    files = [[file.path, file.sha256, file.documents] for file in pinned.files]
    return {"rules": rules_of(planned), "files": files}
