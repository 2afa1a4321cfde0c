"""`codemix plan --on`, with a compiler that is made up: what is chosen and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from codemix_cli.main import cli
from runtime import compile_ahead
from runtime.compiled import (
    CompiledStep,
    CompileJob,
    Moved,
    Refusal,
    parse_refusal,
)
from specs.loading import load_experiment
from specs.resolve import plan_experiment

GIB = 1024**3

SPEC = """\
codemix: 1
name: size
seed: 1
model: {preset: 470m}
precision: {compute: bfloat16}
tokenizer: {vocab_size: 256000, file: bpe.model}
sources:
  text: {uri: data/text.jsonl, field: text}
batch: {sequences: 512, length: 8192}
stages:
  - name: first
    tokens: 10B
    mixture: {text: 1}
    learning_rate: {schedule: constant, peak: 1.0e-3}
  - name: second
    tokens: 5B
    mixture: {text: 1}
    optimizer: keep
    learning_rate: {schedule: constant, peak: 1.0e-3}
"""

Rule = Callable[[CompileJob], int]
"""Bytes that a step takes."""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    path = tmp_path / "size.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Callable[[Rule], list[CompileJob]]:
    """Put a compiler in place that refuses what takes more than a v5e has."""

    def put(takes: Rule) -> list[CompileJob]:
        jobs: list[CompileJob] = []

        @contextmanager
        def open_compiler(watch: Any) -> Iterator[Any]:
            def compile_step(job: CompileJob) -> CompiledStep | Refusal:
                jobs.append(job)
                watch(job, None)
                answer = answered(takes(job))
                watch(job, answer)
                return answer

            yield compile_step

        monkeypatch.setattr("runtime.compile_ahead.open_compiler", open_compiler)
        return jobs

    return put


def answered(size: int) -> CompiledStep | Refusal:
    limit = 15 * GIB
    if size > limit:
        return Refusal(needed_bytes=size, limit_bytes=limit)
    return CompiledStep(
        argument_bytes=GIB,
        temporary_bytes=size - GIB,
        peak_bytes=size,
        traffic_bytes=GIB,
        # A step of fifteen seconds where the compiler had to squeeze, else of one.
        cycles=(15 if size == limit else 1) * 1_500_000_000,
        kernels=0,
        collectives={"all-gather": Moved(bytes=GIB, seconds=0.5)},
        unknown_loops=0,
        seconds=30.0,
    )


def plan(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["plan", *map(str, arguments)], prog_name="codemix")


def told(*arguments: object) -> Any:
    result = plan(*arguments, "--json")
    assert result.exit_code == 0, result.output
    (only,) = json.loads(result.stdout)["experiments"]
    return only["on"]


def test_the_first_choice_that_fits_is_taken_and_the_others_are_told(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    # Only what is gathered layer by layer fits.
    jobs = compiler(lambda job: (8 if job.gather == "layer" else 20) * GIB)
    report = told(spec, "--on", "v5e-64")
    assert report["choice"]["gather"] == "layer"
    assert report["left_open"] == ["lane", "remat", "gather"]
    *others, last = report["tried"]
    assert last["fits"]
    assert last["needed_bytes"] == 8 * GIB
    assert others
    assert not any(one["fits"] for one in others)
    # A refusal tells enough about choices that need more by formula.
    assert "estimate" in {one["by"] for one in others}
    assert len(jobs) == 2
    assert {one["by"] for one in others} <= {"compiler", "formula", "estimate"}
    # Both stages are one program.
    assert len(jobs) == 1 + sum(one["by"] == "compiler" for one in others)
    assert report["is_compiled"]


def test_a_step_that_is_squeezed_in_is_compared_with_the_next_that_fits(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    # What keeps everything just fits, and is slow: see `answered`.
    jobs = compiler(lambda job: (15 if job.plan.stages[0].remat == "none" else 6) * GIB)
    report = told(spec, "--on", "v5e-256")
    fits = [one for one in report["tried"] if one["fits"]]
    squeezed, chosen = fits[0], fits[-1]
    assert (squeezed["remat"], chosen["remat"]) == ("none", "attention")
    assert squeezed["step_seconds"] > chosen["step_seconds"]
    assert report["choice"]["remat"] == "attention"
    assert len(jobs) <= 3


def test_what_the_spec_says_is_not_chosen(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    text = SPEC.replace("length: 8192}", "length: 8192, lane: 4, remat: block}")
    spec.write_text(text + "parallel: {gather: step}\n")
    jobs = compiler(lambda job: 3 * GIB)
    report = told(spec, "--on", "v5e-32")
    assert report["left_open"] == []
    assert report["choice"] == {"lane": 4, "remat": "block", "gather": "step"}
    (job,) = jobs
    stage = job.plan.stages[0]
    assert (stage.lane_sequences, stage.remat, job.gather) == (4, "block", "step")


def test_hours_and_money_follow_from_the_time_of_a_step(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    compiler(lambda job: 3 * GIB)
    report = told(spec, "--on", "v5e-64", "--price", "1.5")
    first, second = report["stages"]
    assert first["step_seconds"] == max(
        first[f"{part}_seconds"] for part in ("compute", "memory", "interconnect")
    )
    assert first["num_steps"] == 10_000_000_000 // (512 * 8192)
    assert first["wall_seconds"] == first["num_steps"] * first["step_seconds"]
    hours = 64 * (first["wall_seconds"] + second["wall_seconds"]) / 3600
    assert report["chip_hours"] == pytest.approx(hours)
    assert report["cost"] == pytest.approx(1.5 * hours)
    assert first["tokens_per_second"] == 512 * 8192 / first["step_seconds"]


def test_people_read_the_same(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    compiler(lambda job: (8 if job.gather == "layer" else 20) * GIB)
    result = plan(spec, "--on", "v5e-64", "--price", "2")
    assert result.exit_code == 0
    for words in (
        "v5e-64, 64 x TPU v5e",
        "lane, remat, gather chosen, the quickest that fits",
        "8.0 GiB of 15.8 GiB at the peak: arguments 1.0 GiB, temporaries 7.0 GiB",
        "all-gather 1.0 GiB",
        "not measured",
        "chip-hours",
        "no, by the compiler",
    ):
        assert words in result.stdout
    assert "compiling for v5e-64: lane 1, remat none, gather step" in result.stderr
    assert "  does not fit: 20.0 GiB or more of 15.0 GiB" in result.stderr
    assert "  fits, 8.0 GiB at the peak; 30s" in result.stderr


def test_gpus_are_told_by_datasheet_and_nothing_is_compiled(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    jobs = compiler(lambda job: 1)
    result = plan(spec, "--on", "16xh100")
    assert result.exit_code == 0
    assert not jobs
    assert "by formula: there is no compiler for it here" in result.stdout


def test_nothing_fits_and_the_smallest_slice_that_would_is_named(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    compiler(lambda job: (10 if job.slice_name in ("v5e-64", "v5e-128") else 99) * GIB)
    result = plan(spec, "--on", "v5e-16", "--json")
    assert result.exit_code == 4
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["path"] == "--on"
    assert problem["what"].startswith(
        "size does not fit v5e-16: a device has 15.75 GiB"
    )
    assert problem["fix"] == "use v5e-64, the smallest v5e that it fits"


def test_nothing_fits_at_all_and_the_spec_could_leave_more_open(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    compiler(lambda job: 99 * GIB)
    found = plan(spec, "--on", "v5e-128")
    assert "raise parallel.tensor, or use chips with more memory" in found.stderr
    spec.write_text(SPEC + "parallel: {gather: step}\n")
    found = plan(spec, "--on", "v5e-128")
    assert "leave batch.lane, batch.remat and parallel.gather to `auto`" in found.stderr


@pytest.mark.parametrize(
    ("line", "name", "what", "fix"),
    [
        ("", "v5e265", "unknown accelerator 'v5e265'", "did you mean 'v5e-256'?"),
        ("", "v5e-48", "v5e has no slice of 48", "use one of v5e-1, v5e-4"),
        ("", "2xv5e-16", "would be gathered over their network", "set parallel"),
        ("", "v5p-2048", "1024 devices, but the batch has lanes for 512", "v5p-1024"),
        (
            ", lane: 8",
            "v5e-128",
            "128 devices, but the batch has lanes for 64",
            "v5e-64",
        ),
    ],
)
def test_a_wrong_machine_is_an_error_of_its_own(
    spec: Path,
    compiler: Callable[[Rule], list[CompileJob]],
    line: str,
    name: str,
    what: str,
    fix: str,
) -> None:
    jobs = compiler(lambda job: 1)
    spec.write_text(SPEC.replace("length: 8192}", f"length: 8192{line}}}"))
    result = plan(spec, "--on", name)
    assert result.exit_code == 4
    assert what in result.stderr
    assert f"fix: {fix}" in result.stderr or f"fix: use {fix}" in result.stderr
    assert not jobs


def test_price_and_save_need_a_machine(spec: Path) -> None:
    assert plan(spec, "--price", "1").exit_code == 2
    assert plan(spec, "--save", spec.with_name("child.yaml")).exit_code == 2


def test_the_choice_is_saved_as_a_spec_that_extends_the_first(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    compiler(lambda job: (8 if job.gather == "layer" else 20) * GIB)
    child = spec.parent / "on" / "child.yaml"
    result = plan(spec, "--on", "v5e-64", "--save", child)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"next: codemix pin {child}\n")
    report = told(child, "--on", "v5e-64")
    assert report["left_open"] == []
    assert report["choice"]["gather"] == "layer"
    saved = load_experiment(child)
    assert saved.name == "size-v5e-64"
    assert saved.stages == load_experiment(spec).stages
    # Nothing is ever overwritten.
    again = plan(spec, "--on", "v5e-64", "--save", child)
    assert again.exit_code == 4
    assert "is there already" in again.stderr


def test_a_batch_within_stages_cannot_be_saved_elsewhere(
    spec: Path, compiler: Callable[[Rule], list[CompileJob]]
) -> None:
    own = "    batch: {sequences: 256, length: 8192}\n"
    spec.write_text(SPEC.replace("    tokens: 5B\n", "    tokens: 5B\n" + own))
    jobs = compiler(lambda job: 3 * GIB)
    child = spec.with_name("child.yaml")
    result = plan(spec, "--on", "v5e-16", "--save", child)
    assert result.exit_code == 3
    assert "stages.1.batch: has a batch of its own" in result.stderr
    assert not child.exists()
    assert not jobs
    # Two shapes of batch are two programs.
    assert plan(spec, "--on", "v5e-16").exit_code == 0
    assert [job.plan.stages[job.stage].sequences_per_step for job in jobs] == [512, 256]


def test_refusals_of_the_compiler_are_read() -> None:
    short = parse_refusal(
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for "
        "HLO temporaries (992.06G) exceeds available HBM (15.75G)."
    )
    assert short is not None
    assert short.needed_bytes == round(992.06 * GIB)
    assert short.limit_bytes == round(15.75 * GIB)
    long = parse_refusal(
        "XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used "
        "20.50G of 15.75G hbm. Exceeded hbm capacity by 4.75G.\n\n"
        '  1. Size: 2.50G\n     Operator: op_name="jit(step)/dot"\n'
        "     Shape: f32[20,8192]{1,0:T(8,128)}\n"
        "  2. Size: 512.00M\n     Shape: bf16[16]{0}\n"
    )
    assert long is not None
    assert long.needed_bytes == round(20.5 * GIB)
    assert long.largest == (
        "2.50G f32[20,8192]{1,0:T(8,128)} jit(step)/dot",
        "512.00M bf16[16]{0}",
    )
    assert parse_refusal("INTERNAL: something else") is None


def test_a_missing_compiler_is_told_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from jax.experimental import topologies

    from runtime.accelerators import parse_slice
    from runtime.compile_task import topology_devices
    from specs.errors import InputError

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("JAX TPU support not installed")

    monkeypatch.setattr(topologies, "get_topology_desc", fail)
    with pytest.raises(InputError, match="TPU support not installed") as caught:
        topology_devices(parse_slice("v5e-16"))
    assert "pip install 'codemix[tpu]'" in str(caught.value)


def test_steps_that_are_one_program_are_compiled_once_by_a_process_per_promise(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[Any] = []
    asked: list[tuple[Any, str]] = []

    @contextmanager
    def pool() -> Iterator[Any]:
        pools.append(object())
        yield pools[-1]

    def ask(where: Any, job: CompileJob) -> CompiledStep | Refusal:
        asked.append((where, job.gather))
        return answered(GIB)

    monkeypatch.setattr(compile_ahead, "_pool", pool)
    monkeypatch.setattr(compile_ahead, "_ask", ask)
    plans = [
        plan_experiment(load_experiment(spec)).model_copy(
            update={"determinism": promise}
        )
        for promise in ("exact", "fast")
    ]

    def job(number: int, stage: int, gather: Any) -> CompileJob:
        return CompileJob(
            plan=plans[number],
            stage=stage,
            slice_name="v5e-16",
            slices=1,
            gather=gather,
        )

    with compile_ahead.open_compiler() as compile_step:
        assert not pools, "nothing starts before there is something to compile"
        for one in (
            *(job(0, 0, "step"), job(0, 1, "step"), job(0, 0, "layer")),
            *(job(1, 0, "step"), job(1, 1, "step")),
        ):
            assert compile_step(one) == answered(GIB)
    assert asked == [(pools[0], "step"), (pools[0], "layer"), (pools[1], "step")]
