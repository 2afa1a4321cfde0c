"""`codemix plan`: what a spec comes to, before anything is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codemix_cli.output import Command, Result, table
from codemix_cli.reading import read_specs, spec_argument
from codemix_cli.wording import counted, in_bytes, scaled
from specs.errors import SpecError

if TYPE_CHECKING:
    from specs.experiment import Experiment
    from specs.lock import Lock

Report = dict[str, Any]


@click.command(cls=Command, example="codemix plan specs/quickstart.yaml")
@spec_argument
def command(spec: Path) -> Result:
    """Say what a spec comes to: steps, tokens, parameters, costs.

    Pure arithmetic, in under a second and on any machine. Once the spec is prepared it
    also tells how often each source is gone through, and refuses more than the spec
    allows.
    """
    from specs.loading import load_lock, lock_path

    experiments = [experiment for _, experiment in read_specs([spec])]
    lock = load_lock(lock_path(spec)) if lock_path(spec).exists() else None
    reports = [_report(spec, experiment, lock) for experiment in experiments]
    return Result(
        data={"file": str(spec), "experiments": reports},
        text="\n\n".join(_told(report) for report in reports),
        next_command=f"codemix pin {spec}" if lock is None else f"codemix run {spec}",
    )


def _report(path: Path, experiment: Experiment, lock: Lock | None) -> Report:
    from specs.costs import check_epochs
    from specs.report import plan_report
    from specs.resolve import plan_experiment

    plan = plan_experiment(experiment)
    if lock is not None:
        try:
            check_epochs(plan, lock)
        except SpecError as error:
            raise SpecError(
                [replace(problem, file=str(path)) for problem in error.problems]
            ) from None
    return {"name": experiment.name, **plan_report(plan, lock)}


def _told(report: Report) -> str:
    embedding = scaled(report["num_embedding_parameters"])
    facts = [
        ["experiment", report["name"]],
        ["spec digest", report["spec_digest"][:8]],
        ["plan digest", report["plan_digest"][:8]],
        [
            "parameters",
            f"{scaled(report['num_parameters'])}, {embedding} of them embeddings",
        ],
        [
            "training",
            f"{counted(report['num_steps'], 'step')}, "
            f"{scaled(report['num_tokens'])} tokens, "
            f"{report['training_flops']:.3g} FLOPs",
        ],
        ["checkpoint", in_bytes(report["checkpoint_bytes"])],
    ]
    return "\n\n".join([table(facts), _stages(report), _sources(report)])


def _stages(report: Report) -> str:
    rows = [
        [
            stage["name"],
            f"{stage['start_step']:,}-{stage['stop_step'] - 1:,}",
            scaled(stage["num_tokens"]),
            f"{stage['sequences_per_step']} x {stage['sequence_length']}",
            _rate(stage["learning_rate"]),
            stage["optimizer"],
        ]
        for stage in report["stages"]
    ]
    header = ["stage", "steps", "tokens", "batch", "learning rate", "optimizer"]
    return table([header, *rows], right=[1, 2, 3])


def _rate(rate: dict[str, Any]) -> str:
    text = f"{rate['schedule']} {rate['peak']} -> {rate['final']}"
    if rate["warmup_steps"]:
        text += f", {counted(rate['warmup_steps'], 'step')} of warm-up"
    return text


def _sources(report: Report) -> str:
    stages = report["stages"]
    rows = [
        [
            name,
            *(f"{stage['sequences'].get(name, 0):,}" for stage in stages),
            scaled(source["tokens_needed"]),
            "-" if source["epochs"] is None else f"{source['epochs']:.3f}",
            f"{source['max_epochs']:g}",
        ]
        for name, source in sorted(report["sources"].items())
    ]
    names = [f"{stage['name']} seq." for stage in stages]
    header = ["source", *names, "tokens", "epochs", "at most"]
    return table([header, *rows], right=range(1, len(header)))
