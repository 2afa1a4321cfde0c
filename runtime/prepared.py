"""What `prepare` made of a spec, opened for reading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runtime.mixture import Mixture
from runtime.show import ShownRow, show_rows
from runtime.store_identity import store_folder
from runtime.token_rows import RowReader
from runtime.token_store import KeptSplit, TokenStore
from runtime.tokenizer import Tokenizer, load_tokenizer, tokenizer_path
from specs.errors import InputError, Problem
from specs.lock import Lock
from specs.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Tokenizer, training splits and their order; stores are opened when needed."""

    plan: Plan
    lock: Lock
    workspace: Path
    tokenizer: Tokenizer

    @cached_property
    def stores(self) -> dict[str, TokenStore]:
        """Source name -> its training split, for every source of the plan.

        Raises:
            InputError: With every source that is not prepared, or not whole.
        """
        return open_stores(self.plan, self.lock, self.workspace, "train")

    @cached_property
    def mixture(self) -> Mixture:
        """Which sequences each step is made of."""
        sizes = {name: store.num_tokens for name, store in self.stores.items()}
        return Mixture(self.plan, sizes)

    @cached_property
    def reader(self) -> RowReader:
        """Reads the rows of a step."""
        return RowReader(self.mixture.sources, self.stores)


def open_prepared(plan: Plan, lock: Lock, workspace: Path) -> Prepared:
    """Open everything that a run of the plan reads.

    Raises:
        InputError: With every source that is not prepared, or not whole.
    """
    prepared = open_tokenizer(plan, lock, workspace)
    assert prepared.stores.keys() == plan.sources.keys()  # opened here, to be refused
    return prepared


def open_tokenizer(plan: Plan, lock: Lock, workspace: Path) -> Prepared:
    """Open what asking a model needs, and leave the token stores alone.

    Raises:
        InputError: The tokenizer is not here.
    """
    if lock.tokenizer_sha256 is None:
        raise InputError("is not prepared: the lock has no tokenizer", fix=_FIX)
    path = tokenizer_path(workspace, lock.tokenizer_sha256)
    return Prepared(
        plan=plan, lock=lock, workspace=workspace, tokenizer=load_tokenizer(path)
    )


def open_stores(
    plan: Plan, lock: Lock, workspace: Path, split: KeptSplit
) -> dict[str, TokenStore]:
    """Open one split of every source of a plan.

    Raises:
        InputError: With every source that is not prepared, or not whole.
    """
    stores: dict[str, TokenStore] = {}
    problems: list[Problem] = []
    for name in sorted(plan.sources):
        if name not in lock.stores:
            what = "is not prepared: the lock has no store of it"
            problems.append(Problem(path=f"sources.{name}", what=what, fix=_FIX))
            continue
        folder = store_folder(workspace, lock.stores[name].identity)
        try:
            stores[name] = TokenStore.open(folder, split)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return stores


def show_step(
    plan: Plan, lock: Lock, workspace: Path, step: int, rows: tuple[int, ...] = ()
) -> list[ShownRow]:
    """Return rows of one step as people want to see them.

    Args:
        plan: The plan.
        lock: The lock, with stores.
        workspace: The folder that holds `.dvc/`.
        step: Step of the whole run.
        rows: Which rows; all if empty.

    Raises:
        InputError: Nothing is prepared, or there is no such step or row.
    """
    if step >= plan.num_steps:
        raise InputError(
            f"there is no step {step}", fix=f"name one from 0 to {plan.num_steps - 1}"
        )
    stage = plan.stage_at(step)
    for row in rows:
        if row >= stage.sequences_per_step:
            last = stage.sequences_per_step - 1
            raise InputError(f"there is no row {row}", fix=f"name one from 0 to {last}")
    prepared = open_prepared(plan, lock, workspace)
    return show_rows(
        prepared.mixture.at(step),
        prepared.stores,
        prepared.tokenizer,
        lane_sequences=stage.lane_sequences,
        rows=rows or None,
    )


_FIX = "codemix prepare SPEC"
