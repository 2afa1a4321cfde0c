"""What a study takes on a slice, by the compiler: each program is compiled once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runtime.accelerators import Slice
from runtime.choose import Compile, choose
from runtime.slice_report import slice_report
from specs.experiment import Experiment
from specs.left_open import LeftOpen, left_open
from specs.study_graph import StudyGraph
from specs.study_loaded import Study

_OF_A_STAGE = ("num_steps", "step_seconds", "wall_seconds", "chip_hours", "cost")


def study_on(
    study: Study,
    graph: StudyGraph,
    where: Slice,
    compile_step: Compile,
    price: float | None,
) -> dict[str, Any]:
    """Choose for each experiment what fits a slice, and add up the stages, each once.

    Args:
        study: The study.
        graph: Of it.
        where: The slice.
        compile_step: Compiles equal programs once, see `runtime.compile_ahead`.
        price: Of a chip-hour, in any currency.

    Returns:
        Plain JSON: `experiments`, each with what `slice_report` says of it; `stages`,
        each once; and sums over these.

    Raises:
        InputError: An experiment does not fit, or the compiler is not installed.
    """
    found: dict[str, dict[str, Any]] = {}
    for experiment, is_open in _with_left_open(study):
        fit = choose(experiment, is_open, where, compile_step)
        found[experiment.name] = slice_report(fit, is_open, price)
    stages = [_stage(graph, identity, found) for identity in graph.nodes]
    return {
        "slice": where.name,
        "experiments": [{"name": name, "on": one} for name, one in found.items()],
        "stages": stages,
        "wall_seconds": sum(one["wall_seconds"] for one in stages),
        "chip_hours": sum(one["chip_hours"] for one in stages),
        "cost": None if price is None else sum(one["cost"] for one in stages),
    }


def _with_left_open(study: Study) -> Iterator[tuple[Experiment, LeftOpen]]:
    """Yield each experiment with what its file leaves to be chosen."""
    files = dict.fromkeys(path for path, _ in study.experiments)
    for path in files:
        own = [one for file, one in study.experiments if file == path]
        yield from zip(own, left_open(path), strict=True)


def _stage(
    graph: StudyGraph, identity: str, found: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    node = graph.nodes[identity]
    member = graph.members[node.experiments[0]]
    report = found[member.name]
    stage = report["stages"][member.stages.index(identity)]
    return {
        "identity": identity,
        "name": node.name,
        "preset": node.preset,
        "choice": report["choice"],
        **{name: stage[name] for name in _OF_A_STAGE},
    }
