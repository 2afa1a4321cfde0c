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
    """Tokenizer, training splits and their order."""

    tokenizer: Tokenizer
    stores: dict[str, TokenStore]
    """Source name -> its training split, for every source of the plan."""
    mixture: Mixture

    @cached_property
    def reader(self) -> RowReader:
        """Reads the rows of a step."""
        return RowReader(self.mixture.sources, self.stores)


def open_prepared(plan: Plan, lock: Lock, workspace: Path) -> Prepared:
    """Open everything that a run of the plan reads.

    Raises:
        InputError: With every source that is not prepared, or not whole.
    """
    if lock.tokenizer_sha256 is None:
        raise InputError("is not prepared: the lock has no tokenizer", fix=_FIX)
    stores = open_stores(plan, lock, workspace, "train")
    return Prepared(
        tokenizer=load_tokenizer(tokenizer_path(workspace, lock.tokenizer_sha256)),
        stores=stores,
        mixture=Mixture(plan, {name: one.num_tokens for name, one in stores.items()}),
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
