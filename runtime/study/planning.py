"""What a study comes to: its graph, what the ledger has of it, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.accelerators import CHIPS
from runtime.study.places import prepared_locks, study_folder
from specs.errors import InputError
from specs.names import did_you_mean
from specs.study import Cost
from specs.study_graph import StudyGraph, study_graph
from specs.study_loaded import Study
from specs.study_report import OTHER, Assumed, study_report
from specs.workspace import find_workspace


def plan_study(
    study: Study, assumed: Assumed | None = None
) -> tuple[StudyGraph, dict[str, Any]]:
    """Make the graph of a study, and tell what it comes to.

    Args:
        study: With its experiments.
        assumed: For chip-hours and money; None: what the study says, if it does.

    Returns:
        The graph, and what `specs.study_report.study_report` says of it.

    Raises:
        InputError: An accelerator has no such name, or the ledger can't be read.
        CheckFailed: An entry was changed.
    """
    if assumed is None and study.cost is not None:
        assumed = _assumed(study.cost)
    graph, in_ledger = study_graph(study.experiments), None
    workspace = _workspace_of(study.path)
    locks = workspace and prepared_locks(
        graph.members.values(), study_folder(workspace, study.name)
    )
    if workspace and locks:
        # Looking for entries takes jax, in a process of its own.
        from runtime.study.standing import identify_here, standing

        graph = study_graph(study.experiments, locks)
        known = identify_here(list(graph.members.values()), locks)
        # Of what other machines train, only they can say.
        if len(known) == len(graph.members):
            in_ledger = standing(graph, known, workspace).stages
    report = study_report(graph, name=study.name, in_ledger=in_ledger, assumed=assumed)
    return graph, report


def assumed_of(
    chip: str, mfu: Mapping[str, float], price: float | None, place: str = "--chip"
) -> Assumed:
    """Return what chip-hours are reckoned with.

    Args:
        chip: Name of an accelerator, such as v5e.
        mfu: Preset of a model, or `OTHER` -> share of the peak that is reached.
        price: Of a chip-hour.
        place: Where the chip is named.

    Raises:
        InputError: There is no such accelerator.
    """
    if chip not in CHIPS:
        fix = did_you_mean(chip, list(CHIPS))
        raise InputError(f"unknown accelerator {chip!r}", path=place, fix=fix)
    return Assumed(chip, CHIPS[chip].flops, mfu, price)


def everywhere(mfu: float) -> dict[str, float]:
    """Assume one share, in percent, of all models."""
    return {OTHER: mfu / 100}


def _assumed(cost: Cost) -> Assumed:
    return assumed_of(cost.chip, cost.mfu, cost.price, "cost.chip")


def _workspace_of(path: Path) -> Path | None:
    try:
        return find_workspace(path / "any.yaml")
    except InputError:
        return None
