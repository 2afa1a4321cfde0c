"""The study's models on TPU slices, by the TPU compiler; needs the extra `tpu`.

Batch 512 x 8192, 256,000 words, bit-exact. Minutes per compilation on two cores.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.accelerators import parse_slice
from runtime.choose import choose
from runtime.compile_ahead import Answer, open_compiler
from runtime.compiled import CompiledStep, CompileJob, Refusal
from specs.experiment import Experiment
from specs.left_open import LeftOpen
from specs.loading import load_experiment
from specs.resolve import plan_experiment

pytestmark = [pytest.mark.tpu, pytest.mark.timeout(1800)]

SPEC = """\
codemix: 1
name: study
seed: 1
model: {{preset: {preset}}}
precision: {{compute: bfloat16}}
tokenizer: {{vocab_size: 256000, file: bpe.model}}
sources:
  text: {{uri: data/text.jsonl, field: text}}
batch: {{sequences: 512, length: 8192{batch}}}
stages:
  - name: only
    tokens: 200B
    mixture: {{text: 1}}
    learning_rate: {{schedule: constant, peak: 1.0e-3}}
determinism: {determinism}
"""

ALL_OPEN = LeftOpen(lane=True, remat=True, gather=True)
MOST_EXCESS = 1.1
"""Bytes that exactness may send, by those of the plain step."""


@pytest.fixture(scope="module")
def compile_step() -> Iterator[Callable[[CompileJob], Answer]]:
    with open_compiler() as compile_one:
        yield compile_one


def experiment(
    folder: Path, preset: str, batch: str = "", determinism: str = "exact"
) -> Experiment:
    path = folder / f"{determinism}.yaml"
    text = SPEC.format(preset=preset, batch=batch, determinism=determinism)
    path.write_text(text)
    return load_experiment(path)


@pytest.mark.parametrize(("preset", "name"), [("470m", "v5e-16"), ("2.8b", "v5e-64")])
def test_the_models_of_the_study_fit(
    tmp_path: Path,
    compile_step: Callable[[CompileJob], Answer],
    preset: str,
    name: str,
) -> None:
    where = parse_slice(name)
    fit = choose(experiment(tmp_path, preset), ALL_OPEN, where, compile_step)
    step = fit.steps["only"]
    assert step is not None
    told = (
        f"{preset} on {name}: {fit.choice}, {step.peak_bytes / 2**30:.2f} GiB of "
        f"{where.chip.memory_bytes / 2**30:.2f} at the peak, tried {len(fit.tried)}\n"
    )
    sys.stdout.write(told)
    assert fit.plan.determinism == "exact"
    assert step.peak_bytes <= where.chip.memory_bytes
    assert not step.unknown_loops


@pytest.mark.parametrize(
    ("preset", "name", "gather"),
    [("470m", "v5e-16", "step"), ("2.8b", "v5e-64", "layer")],
)
def test_exactness_sends_hardly_more_than_the_plain_step(
    tmp_path: Path,
    compile_step: Callable[[CompileJob], Answer],
    preset: str,
    name: str,
    gather: Any,
) -> None:
    lanes = 512 // parse_slice(name).num_devices
    batch = f", lane: 1, accumulation: {lanes}, remat: attention"

    def sent(determinism: str) -> int:
        plan = plan_experiment(experiment(tmp_path, preset, batch, determinism))
        answer = compile_step(
            CompileJob(plan=plan, stage=0, slice_name=name, slices=1, gather=gather)
        )
        assert isinstance(answer, CompiledStep)
        total = sum(moved.bytes for moved in answer.collectives.values())
        by_kind = {kind: moved.bytes for kind, moved in answer.collectives.items()}
        sys.stdout.write(f"{preset} {name} {determinism}: {total:,} {by_kind}\n")
        return total

    assert sent("exact") <= MOST_EXCESS * sent("fast")


def test_what_does_not_fit_is_refused_with_the_bytes_it_needs(
    tmp_path: Path, compile_step: Callable[[CompileJob], Answer]
) -> None:
    batch = ", lane: 2, remat: none"
    plan = plan_experiment(experiment(tmp_path, "2.8b", batch))
    answer = compile_step(
        CompileJob(plan=plan, stage=0, slice_name="v5e-4", slices=1, gather="step")
    )
    assert isinstance(answer, Refusal)
    assert answer.limit_bytes == parse_slice("v5e-4").chip.memory_bytes
    assert answer.needed_bytes > answer.limit_bytes
