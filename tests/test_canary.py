from __future__ import annotations

import itertools
from typing import Any

import plans
import pytest

from runtime import canary
from runtime.canary import canary_digest
from specs.errors import InputError

SMALL = {"layers": 1, "width": 8, "heads": 2, "kv_heads": 2, "ffn_width": 6}


def test_the_canary_repeats_and_sees_the_arithmetic() -> None:
    found = [
        canary_digest(plans.plan(**SMALL, **changes))
        for changes in ({}, {}, {"norm_epsilon": "1.1e-05"})
    ]
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == 32


def test_depth_beyond_a_few_layers_does_not_count() -> None:
    deep = [
        canary_digest(plans.plan(**{**SMALL, "layers": layers})) for layers in (2, 5)
    ]
    assert deep[0] == deep[1]


def test_a_machine_that_does_not_repeat_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = itertools.count()

    def unstable(_: Any) -> str:
        return f"{next(numbers):032x}"

    monkeypatch.setattr(canary, "fingerprint_arrays", unstable)
    with pytest.raises(InputError, match="gave 3 different results in 3 repeats"):
        canary_digest(plans.plan(**SMALL))
