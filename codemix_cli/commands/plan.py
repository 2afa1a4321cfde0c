"""`codemix plan`: what a spec comes to, before anything is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codemix_cli.benchmarks_text import told_benchmarks
from codemix_cli.output import Command, Result, note, table
from codemix_cli.reading import read_specs, spec_argument
from codemix_cli.slice_text import slice_told
from codemix_cli.wording import counted, duration, in_bytes, scaled
from specs.errors import SpecError

if TYPE_CHECKING:
    from runtime.compile_ahead import Answer
    from runtime.compiled import CompileJob
    from specs.experiment import Experiment
    from specs.lock import Lock
    from specs.study_graph import StudyGraph
    from specs.study_loaded import Study

Report = dict[str, Any]


@click.command(cls=Command, example="codemix plan specs/quickstart.yaml --on v5e-16")
@spec_argument
@click.option(
    "--on",
    "machine",
    metavar="SLICE",
    help="Accelerators to compile for, such as v5e-256 or, by datasheet, 8xh100.",
)
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    metavar="MONEY",
    help="Of a chip-hour; with --on.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what is chosen as a spec that extends this one; with --on.",
)
def command(
    spec: Path, machine: str | None, price: float | None, save: Path | None
) -> Result:
    """Say what a spec comes to: steps, tokens, parameters, costs.

    Pure arithmetic on any machine, a second or two for a spec. Once that is prepared it
    also tells how often each source is gone through, and refuses more than the spec
    allows. Of benchmarks it tells how sure their scores will be, and which differences
    they can't show. With --on the real compiler compiles the training step for a TPU
    slice, in minutes and without any TPU: whether it fits, what it sends, how long it
    takes. What the spec leaves to `auto` is chosen so that it fits. A folder is a
    study: a line per experiment, each stage counted once, and with --on each program
    compiled once. Once all of a study is prepared, jax is started to ask the ledger
    what is trained already, which takes some seconds more.
    """
    from specs.loading import load_lock, lock_path
    from specs.study_file import is_study

    if machine is None and (price is not None or save is not None):
        raise click.UsageError("--price and --save need --on")
    if is_study(spec):
        if save is not None:
            raise click.UsageError("--save needs a single spec")
        return _study(spec, machine, price)
    experiments = [experiment for _, experiment in read_specs([spec])]
    lock = load_lock(lock_path(spec)) if lock_path(spec).exists() else None
    if machine is None:
        reports = [
            _report(spec, experiment, lock, seeds)
            for experiment, seeds in _with_seeds(experiments)
        ]
        return Result(
            data={"file": str(spec), "experiments": reports},
            text="\n\n".join(_told(report) for report in reports),
            next_command=_next_command(spec, lock),
        )
    reports = _reports_on(spec, experiments, lock, machine, price, save)
    return Result(
        data={"file": str(spec), "experiments": reports},
        text="\n\n".join(
            f"{_told(report)}\n\n{slice_told(report['on'])}" for report in reports
        ),
        next_command=_next_command(save or spec, lock),
    )


def _study(path: Path, machine: str | None, price: float | None) -> Result:
    from codemix_cli.study_plan_text import told_experiments, told_on, told_stated
    from runtime.study.planning import plan_study
    from specs.study_file import load_study
    from specs.study_stated import stated_costs

    study = load_study(path)
    graph, report = plan_study(study)
    parts = [told_experiments(graph, report)]
    hours = {one["identity"]: one["chip_hours"] for one in report["stages"]}
    if machine is not None:
        report["on"] = _study_on(study, graph, machine, price)
        parts.append(told_on(report["on"]))
        hours = {one["identity"]: one["chip_hours"] for one in report["on"]["stages"]}
    stated = study.cost.stated if study.cost is not None else ()
    report["stated"] = stated_costs(stated, graph, hours)
    if report["stated"] is not None:
        parts.append(told_stated(report["stated"]))
    return Result(
        data={"file": str(path), **report},
        text="\n\n".join(parts),
        next_command=f"codemix study {path} --plan",
    )


def _study_on(
    study: Study, graph: StudyGraph, machine: str, price: float | None
) -> Report:
    from runtime.accelerators import parse_slice
    from runtime.compile_ahead import open_compiler
    from runtime.study.compiled import study_on

    with open_compiler(_watch) as compile_step:
        return study_on(study, graph, parse_slice(machine), compile_step, price)


def _next_command(spec: Path, lock: Lock | None) -> str:
    return f"codemix pin {spec}" if lock is None else f"codemix run {spec}"


def _reports_on(
    spec: Path,
    experiments: list[Experiment],
    lock: Lock | None,
    machine: str,
    price: float | None,
    save: Path | None,
) -> list[Report]:
    """Choose for each experiment, and save the choice of the only one."""
    from runtime.accelerators import parse_slice
    from runtime.choose import choose
    from runtime.compile_ahead import open_compiler
    from runtime.slice_report import slice_report
    from specs.left_open import left_open
    from specs.loading import load_experiment
    from specs.save_choice import check_can_save, save_choice

    where = parse_slice(machine)
    if save is not None:
        # Refuses a file of many experiments, too.
        check_can_save(save, spec, load_experiment(spec))
    reports = []
    with open_compiler(_watch) as compile_step:
        found = zip(_with_seeds(experiments), left_open(spec), strict=True)
        for (experiment, seeds), is_open in found:
            fit = choose(experiment, is_open, where, compile_step)
            chosen = fit.choice.apply(experiment)
            report = _report(spec, chosen, lock, seeds)
            report["on"] = slice_report(fit, is_open, price)
            reports.append(report)
            if save is not None:
                save_choice(save, spec, experiment, fit.choice, where.name)
                note(f"wrote {save}")
    return reports


def _watch(job: CompileJob, answer: Answer | None) -> None:
    """Tell what is compiled, and what came of it."""
    from runtime.compiled import CompiledStep

    if answer is None:
        stage = job.plan.stages[job.stage]
        choice = f"lane {stage.lane_sequences}, remat {stage.remat}"
        note(f"compiling for {job.slice_name}: {choice}, gather {job.gather}")
    elif isinstance(answer, CompiledStep):
        peak = in_bytes(answer.peak_bytes)
        note(f"  fits, {peak} at the peak; {duration(answer.seconds)}")
    else:
        limit = in_bytes(answer.limit_bytes)
        note(f"  does not fit: {in_bytes(answer.needed_bytes)} or more of {limit}")


def _with_seeds(experiments: list[Experiment]) -> list[tuple[Experiment, int]]:
    from evals.statistics.expected import count_seeds

    return list(zip(experiments, count_seeds(experiments), strict=True))


def _report(
    path: Path, experiment: Experiment, lock: Lock | None, num_seeds: int
) -> Report:
    from evals.statistics.expected import expected_of
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
    return {
        "name": experiment.name,
        **plan_report(plan, lock),
        "benchmarks": expected_of(path, experiment, lock).to_json(),
        "num_seeds": num_seeds,
    }


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
    parts = [table(facts), _stages(report), _sources(report)]
    parts.append(told_benchmarks(report["benchmarks"], report["num_seeds"]))
    return "\n\n".join(part for part in parts if part)


def _stages(report: Report) -> str:
    rows = [
        [
            stage["name"],
            f"{stage['start_step']:,}-{stage['stop_step'] - 1:,}",
            scaled(stage["num_tokens"]),
            f"{stage['sequences_per_step']} x {stage['sequence_length']}",
            str(stage["lane_sequences"]),
            stage["remat"],
            _rate(stage["learning_rate"]),
            stage["optimizer"],
        ]
        for stage in report["stages"]
    ]
    header = ["stage", "steps", "tokens", "batch", "lane", "remat"]
    header += ["learning rate", "optimizer"]
    return table([header, *rows], right=[1, 2, 3, 4])


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
