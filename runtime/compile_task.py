"""Compiles training steps for TPU slices that are not there, in a process of its own.

The compiler comes with the `tpu` extra and needs no TPU. jax itself runs on the CPU
here; only the topology, the mesh over it, and what is lowered for that mesh are of the
TPU. No array is ever made.
"""

from __future__ import annotations

import re
import time
from typing import Any

from runtime.accelerators import Slice, parse_slice
from runtime.collectives import bytes_by_kind, find_collectives
from runtime.compiled import CompiledStep, CompileJob, Moved, parse_refusal
from runtime.hlo import Program, parse_program
from runtime.hlo_loops import Runs, count_runs
from runtime.interconnect import Interconnect
from runtime.memory_traffic import memory_traffic
from runtime.worker_process import Handler, Report
from specs.errors import InputError

_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')


def load() -> Handler:
    """Return the handler of jobs."""

    def handle(job: Any, _: Report) -> Any:
        return compile_step(CompileJob.from_json(job))

    return handle


def compile_step(job: CompileJob) -> dict[str, Any]:
    """Compile a step.

    Returns:
        `step`, of a `CompiledStep`, or `refusal`, of a `Refusal`.

    Raises:
        InputError: The compiler is not installed.
    """
    from runtime.devices import configure

    configure(job.plan.determinism, 1)
    from runtime.mesh import mesh_of
    from runtime.state import build_layout
    from runtime.train_step import build_train_step

    where = parse_slice(job.slice_name)
    mesh = mesh_of(topology_devices(where), job.plan, job.slices)
    stage = job.plan.stages[job.stage]
    layout = build_layout(job.plan, stage, mesh, gather=job.gather)
    start = time.monotonic()
    try:
        # Which token ends a document decides nothing about the program but a number.
        step = build_train_step(job.plan, stage, layout, eos_id=0)
        compiled = step.lower_abstract().compile()
    except Exception as error:
        refusal = parse_refusal(str(error))
        if refusal is None:
            raise
        return {"refusal": refusal.to_json()}
    program = parse_program(compiled.as_text())
    arguments = {"turns.one": 1, "turns.two": 2, "turns.rows": layout.rows_here}
    runs = count_runs(program, arguments)
    places = [
        (getattr(device, "slice_index", 0) or 0, *device.coords[: len(where.grid)])
        for device in mesh.devices.flat
    ]
    memory = compiled.memory_analysis()
    found = CompiledStep(
        argument_bytes=memory.argument_size_in_bytes,
        temporary_bytes=memory.peak_memory_in_bytes - memory.argument_size_in_bytes,
        peak_bytes=memory.peak_memory_in_bytes,
        traffic_bytes=memory_traffic(program, runs),
        cycles=_cycles(program, runs),
        kernels=_kernels(program, runs),
        collectives=_moved(program, runs, Interconnect(where, places)),
        unknown_loops=len(runs.unknown),
        seconds=time.monotonic() - start,
    )
    return {"step": found.to_json()}


def topology_devices(where: Slice) -> list[Any]:
    """Return the devices of a slice, as the compiler describes them.

    Raises:
        InputError: The compiler is not installed.
    """
    from jax.experimental import topologies

    try:
        described = topologies.get_topology_desc(
            where.topology,
            platform="tpu",
            # A single chip is a machine of its own; others have four or more.
            **({"chips_per_host_bounds": (1, 1, 1)} if where.num_chips == 1 else {}),
            **({"num_slices": where.count} if where.count > 1 else {}),
        )
    except (ImportError, OSError, RuntimeError) as error:
        raise InputError(
            f"the TPU compiler cannot be loaded: {error}",
            fix="pip install 'codemix[tpu]'",
        ) from None
    return list(described.devices)


def _cycles(program: Program, runs: Runs) -> int:
    return sum(
        runs.of.get(computation.name, 0) * int(found[1])
        for computation in program.computations.values()
        for one in computation.instructions.values()
        if (found := _CYCLES.search(one.attributes))
    )


def _kernels(program: Program, runs: Runs) -> int:
    return sum(
        runs.of.get(computation.name, 0)
        for computation in program.computations.values()
        for one in computation.instructions.values()
        if one.attribute("custom_call_target") == '"tpu_custom_call"'
    )


def _moved(program: Program, runs: Runs, links: Interconnect) -> dict[str, Moved]:
    found = find_collectives(program, runs)
    return {
        kind: Moved(
            bytes=total,
            seconds=links.seconds(one for one in found if one.kind == kind),
        )
        for kind, total in bytes_by_kind(found).items()
    }
