from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from plans import plan, stage

from specs.cadence import is_due, tokens_after

PLAN = plan(stage(), stage("second", 4, 9))


def test_tokens_add_up_over_stages():
    assert tokens_after(PLAN, 0) == 0
    assert tokens_after(PLAN, PLAN.num_steps) == PLAN.num_tokens


@given(every=st.integers(1, 100_000))
def test_what_is_due_is_due_once_per_interval(every: int):
    due = [step for step in range(1, PLAN.num_steps + 1) if is_due(PLAN, step, every)]
    passed = {
        tokens_after(PLAN, step) // every for step in range(1, PLAN.num_steps + 1)
    }
    assert len(due) == len(passed - {0})
