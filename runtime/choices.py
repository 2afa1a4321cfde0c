"""Which values the filters `top_values` of a plan keep, looked up.

They are what comes of counting the pinned files, so they are no part of a plan and of
no identity: the same files and rules give the same values. Each choice is kept by the
digest of what determines it, in `.codemix/choices/`; `runtime.choosing` makes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.store_identity import rules_of
from runtime.value_counts import Choice
from specs.atomic import write_atomically
from specs.canonical import canonical_json, digest_of
from specs.errors import InputError
from specs.lock import Lock, LockedInput
from specs.plan import Plan, PlannedSource

COUNTING_VERSION = 1
"""Part of every choice's identity: raised when the same files are counted otherwise."""


def choice_path(workspace: Path, identity: str) -> Path:
    """Return where a choice is kept."""
    return workspace / ".codemix" / "choices" / f"{identity}.json"


def top_values_of(planned: PlannedSource) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the filters of a source that choose by counting, with their places."""
    for index, rule in enumerate(json.loads(planned.filters)):
        if rule["filter"] == "top_values":
            yield index, rule


def reason_of(index: int) -> str:
    """Return the reason that a filter drops documents for.

    >>> reason_of(3)
    'filters.3.top_values'
    """
    return f"filters.{index}.top_values"


def choice_identity(planned: PlannedSource, pinned: LockedInput, index: int) -> str:
    """Digest what determines the choice of one filter.

    The order of the files, what is held out and the filters behind it do not.
    """
    upto = json.loads(planned.filters)[: index + 1]
    update = {"filters": canonical_json(upto).decode(), "holdout": "0", "reserve": "0"}
    rules = rules_of(planned.model_copy(update=update))
    files = sorted([file.path, file.sha256] for file in pinned.files)
    return digest_of({"version": COUNTING_VERSION, "rules": rules, "files": files})


def load_choice(workspace: Path, identity: str) -> Choice | None:
    """Return a choice that was made before, if it is there and whole."""
    try:
        data = choice_path(workspace, identity).read_bytes()
        return Choice.model_validate_json(data)
    except (FileNotFoundError, ValueError):
        return None


def choices_of(name: str, plan: Plan, lock: Lock, workspace: Path) -> dict[str, Choice]:
    """Return what the filters of a source chose, by the reason that they drop for.

    Raises:
        InputError: It is not counted yet.
    """
    planned = plan.sources[name]
    found = {}
    for index, _ in top_values_of(planned):
        identity = choice_identity(planned, lock.pinned(plan.input_of(name)), index)
        choice = load_choice(workspace, identity)
        if choice is None:
            raise InputError(
                "what it keeps is not counted yet",
                path=f"sources.{name}.filters.{index}",
                fix="codemix prepare SPEC",
            )
        found[reason_of(index)] = choice
    return found


def chosen_source(name: str, plan: Plan, lock: Lock, workspace: Path) -> PlannedSource:
    """Return a source's part of the plan with what its filters chose filled in.

    This is what a reader needs; identities go by the plan.

    Raises:
        InputError: It is not counted yet.
    """
    choices = choices_of(name, plan, lock, workspace)
    return with_choices(plan.sources[name], choices)


def restore_choices(
    name: str, plan: Plan, lock: Lock, workspace: Path, choices: dict[str, Choice]
) -> None:
    """Put back what the filters of a source chose, from its token store's manifest."""
    planned, pinned = plan.sources[name], lock.pinned(plan.input_of(name))
    for index, _ in top_values_of(planned):
        path = choice_path(workspace, choice_identity(planned, pinned, index))
        if not path.exists():
            write_atomically(path, choices[reason_of(index)].to_bytes())


def with_choices(planned: PlannedSource, choices: dict[str, Choice]) -> PlannedSource:
    """Fill in what filters chose, by the reason that they drop for."""
    if not choices:
        return planned
    values = {
        reason: [one.value for one in choice.values]
        for reason, choice in choices.items()
    }
    return planned.model_copy(update={"chosen": canonical_json(values).decode()})
