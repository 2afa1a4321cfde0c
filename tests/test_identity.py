"""Identities of stages and runs: what decides a result, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from order_plans import make_plan

from specs.identity import stage_identities
from specs.lock import Lock, LockedStore
from specs.plan import Plan

NUMERICS = {"version": "1", "platform": "cpu", "settings": {"threads": "8"}}


def lock(**manifests: str) -> Lock:
    digests = {"code": "c" * 64, "text": "d" * 64, **manifests}
    stores = {
        name: LockedStore(
            identity="a" * 64, manifest_sha256=sha, train_tokens=1, heldout_tokens=1
        )
        for name, sha in digests.items()
    }
    return Lock(
        lock=1, codemix="0", inputs={}, stores=stores, tokenizer_sha256="e" * 64
    )


def two_stages(**changes: Any) -> Plan:
    plan = make_plan([{"code": 8, "text": 8}, {"text": 8}])
    return plan.model_copy(update=changes)


def identities(found: Plan, **manifests: str) -> list[str]:
    return stage_identities(found, lock(**manifests), NUMERICS)


def with_stage(index: int, **changes: Any) -> Plan:
    stages = list(two_stages().stages)
    stages[index] = stages[index].model_copy(update=changes)
    return two_stages(stages=tuple(stages))


def test_names_and_accumulation_change_no_identity() -> None:
    assert identities(with_stage(0, name="other")) == identities(two_stages())
    assert identities(with_stage(0, accumulation=2)) == identities(two_stages())


def test_a_later_stage_changes_no_identity_before_it() -> None:
    was, now = identities(two_stages()), identities(with_stage(1, sequence_length=2))
    assert was[0] == now[0]
    assert was[1] != now[1]


@pytest.mark.parametrize("change", [{"seed": 99}, {"shuffle_unit": 4096}], ids=str)
def test_what_decides_the_first_stage_changes_every_identity(
    change: dict[str, Any],
) -> None:
    was, now = identities(two_stages()), identities(two_stages(**change))
    assert not set(was) & set(now)


def test_only_stages_from_a_changed_source_on_change() -> None:
    was = identities(two_stages())
    assert identities(two_stages(), elsewhere="f" * 64) == was
    changed = identities(two_stages(), code="f" * 64)
    assert not set(was) & set(changed)


def test_a_setting_that_decides_bits_changes_every_identity() -> None:
    was = identities(two_stages())
    numerics = {**NUMERICS, "settings": {"threads": "4"}}
    assert not set(was) & set(stage_identities(two_stages(), lock(), numerics))
