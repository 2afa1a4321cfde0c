"""What became of the documents of a spec's sources, and what the plan makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

from runtime.funnel import CORRUPT, RESERVED, Funnel, Step
from runtime.splits import SPLITS
from specs.lock import Lock
from specs.plan import Plan
from specs.report import plan_report


def stats_report(
    plan: Plan, lock: Lock, funnels: Mapping[str, Funnel]
) -> dict[str, Any]:
    """Return the funnels of sources, and how far the plan goes through each.

    Args:
        plan: The plan.
        lock: Its lock, with the stores of all sources.
        funnels: Of the sources to tell about, by name.

    Returns:
        Plain JSON. Shares are of documents and rounded to a millionth; null where they
        would be of nothing.
    """
    planned = plan_report(plan, lock)["sources"]
    train_tokens = {name: store.train_tokens for name, store in lock.stores.items()}
    return {
        "run_tokens": plan.num_tokens,
        "sources": {
            name: {
                "identity": funnel.identity,
                "read": _total(funnel.read),
                "steps": step_shares(funnel),
                "drops_most": _drops_most(funnel),
                "use": {
                    **planned[name],
                    "train_tokens": train_tokens[name],
                    "share_of_train_tokens": _share(
                        train_tokens[name], sum(train_tokens.values())
                    ),
                    "heldout_tokens": lock.stores[name].heldout_tokens,
                    "run_tokens": _run_tokens(plan, name),
                    "share_of_run": _share(_run_tokens(plan, name), plan.num_tokens),
                },
            }
            for name, funnel in sorted(funnels.items())
        },
    }


def step_shares(funnel: Funnel) -> list[dict[str, Any]]:
    """Return each step with its share of what was read, and of what came to it.

    What the rules let through comes to the splits together: of them the second share is
    that of each split.
    """
    num_read = sum(step.documents for step in funnel.read)
    before = num_read
    rows = []
    for step in funnel.steps:
        is_read = step.name != CORRUPT
        rows.append(
            {
                **step.model_dump(mode="json", exclude={"samples"}),
                "of_read": _share(step.documents, num_read) if is_read else None,
                "of_before": _share(step.documents, before) if is_read else None,
            }
        )
        if is_dropping(step.name):
            before -= step.documents
    return rows


def is_dropping(name: str) -> bool:
    """Tell whether documents of a step were read and dropped by a rule."""
    return name not in (CORRUPT, RESERVED, *SPLITS)


def _drops_most(funnel: Funnel) -> str | None:
    """Name the step that drops most documents, the first of several; None if none."""
    dropping = [step for step in funnel.steps if is_dropping(step.name)]
    most = max(dropping, key=lambda step: step.documents, default=None)
    return most.name if most is not None and most.documents else None


def _total(steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "documents": sum(step.documents for step in steps),
        "text_bytes": sum(step.text_bytes or 0 for step in steps),
        "tokens": sum(step.tokens or 0 for step in steps),
        "tokens_error": isqrt(sum(step.tokens_error**2 for step in steps)),
        "is_exact": all(step.is_exact for step in steps),
    }


def _run_tokens(plan: Plan, source: str) -> int:
    return sum(
        stage.sequences.get(source, 0) * stage.sequence_length for stage in plan.stages
    )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
