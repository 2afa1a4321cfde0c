"""The TPU compiler as a function: steps in, what they take or why not out.

It runs in processes of its own, which are started when there is something to compile.
Steps that are the same program are compiled once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from runtime.compiled import CompiledStep, CompileJob, Refusal
from runtime.workers import Done, Failed, WorkerPool
from specs.canonical import digest_of
from specs.errors import InputError

ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    # Nothing is asked of a network, and nothing is said about what is not there.
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    # The library guards chips with a lock file; none are used here.
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
"""Of the processes that compile."""

Answer = CompiledStep | Refusal

Watch = Callable[[CompileJob, Answer | None], None]
"""Told each job as it begins, and again with its answer."""


def ignore(job: CompileJob, answer: Answer | None) -> None:
    """Watch nothing."""


@contextmanager
def open_compiler(watch: Watch = ignore) -> Iterator[Callable[[CompileJob], Answer]]:
    """Open the compiler.

    Yields:
        The function that compiles a step.

    Raises:
        InputError: The compiler is not installed, or its process was killed.
    """
    answers: dict[str, Answer] = {}
    with ExitStack() as stack:
        # What a plan promises decides flags that jax reads once.
        pools: dict[str, WorkerPool] = {}

        def compile_step(job: CompileJob) -> Answer:
            key = _key(job)
            if key in answers:
                return answers[key]
            promise = job.plan.determinism
            if promise not in pools:
                pools[promise] = stack.enter_context(_pool())
            watch(job, None)
            answers[key] = _ask(pools[promise], job)
            watch(job, answers[key])
            return answers[key]

        yield compile_step


def _pool() -> WorkerPool:
    return WorkerPool("runtime.compile_task", num_workers=1, environ=ENVIRONMENT)


def _ask(pool: WorkerPool, job: CompileJob) -> Answer:
    (event,) = pool.run([job.to_json()])
    if isinstance(event, Failed):
        raise InputError(event.problems)
    assert isinstance(event, Done)
    if "refusal" in event.answer:
        return Refusal.from_json(event.answer["refusal"])
    return CompiledStep.from_json(event.answer["step"])


def _key(job: CompileJob) -> str:
    """Return a digest of what decides the program."""
    plan, stage = job.plan, job.plan.stages[job.stage]
    decides: dict[str, Any] = {
        "model": plan.model.to_json(),
        "optimizer": plan.optimizer.to_json(),
        "determinism": plan.determinism,
        "tensor": plan.tensor,
        "batch": [
            *(stage.sequences_per_step, stage.sequence_length, stage.lane_sequences),
            *(stage.accumulation, stage.remat),
        ],
        "slice": job.slice_name,
        "slices": job.slices,
        "gather": job.gather,
    }
    return digest_of(decides)
