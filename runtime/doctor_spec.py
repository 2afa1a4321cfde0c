"""Whether this machine can run a spec, and what is missing.

Memory is by formula, a lower bound: `codemix plan SPEC --on SLICE` asks the compiler.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.doctor_machine import GIB, memory_bytes
from runtime.finding import Finding
from specs.costs import checkpoint_bytes, source_uses
from specs.errors import CodemixError, InputError
from specs.experiment import Experiment
from specs.loading import load_experiment, load_lock, lock_path
from specs.lock import Lock
from specs.plan import Plan
from specs.resolve import plan_experiment

if TYPE_CHECKING:
    from jax.sharding import Mesh

_READERS = {".parquet": "pyarrow", ".arrow": "pyarrow", ".zst": "zstandard"}
"""End of a file name -> the module that reads it."""


def spec_findings(path: Path, workspace: Path | None) -> list[Finding]:
    """Look at what a spec needs.

    Args:
        path: The spec.
        workspace: The folder that holds `.dvc/`; None where there is none.

    Raises:
        SpecError: The spec is wrong.
        InputError: There is no such spec.
    """
    experiment = load_experiment(path)
    plan = plan_experiment(experiment)
    lock, found = _lock(path)
    return [
        found,
        *_readers(experiment),
        _prepared(plan, lock, path),
        _disk(experiment, plan, lock, workspace or path.parent),
        *_devices(experiment, plan),
    ]


def device_finding() -> Finding:
    """Start jax and name its devices."""
    import jax

    try:
        devices = jax.devices()
    except RuntimeError as error:
        fix = "check the driver, or set JAX_PLATFORMS=cpu"
        return Finding(name="devices", found=str(error), ok=False, fix=fix)
    kinds = sorted({device.device_kind for device in devices})
    found = f"{len(devices)} x {', '.join(kinds)} ({jax.default_backend()})"
    limits = [_limit(device) for device in devices]
    if all(limits):
        found += f", {min(limits) / GIB:.1f} GiB each"
    return Finding(name="devices", found=found)


def _lock(path: Path) -> tuple[Lock | None, Finding]:
    where = lock_path(path)
    if not where.exists():
        # Not a fault: a run pins by itself.
        fix = f"codemix pin {path}"
        return None, Finding(name="lock", found="none yet", fix=fix)
    try:
        lock = load_lock(where)
    except CodemixError as error:
        wrong = error.problems[0]
        return None, Finding(name="lock", found=wrong.what, ok=False, fix=wrong.fix)
    return lock, Finding(name="lock", found=f"{len(lock.inputs)} inputs are pinned")


def _readers(experiment: Experiment) -> Iterator[Finding]:
    """Name the packages that read the sources; all are codemix's own requirements."""
    needed = {"seqio", "tensorflow", "sentencepiece"}
    for source in experiment.sources.values():
        needed |= {
            module
            for end, module in _READERS.items()
            for uri in source.inputs("").values()
            if uri.endswith(end)
        }
        if source.format in ("parquet", "arrow"):
            needed.add("pyarrow")
    if "://" in (experiment.checkpoints.location or ""):
        needed.add("tensorstore")
    absent = sorted(name for name in needed if importlib.util.find_spec(name) is None)
    yield Finding(
        name="readers",
        found=f"not installed: {', '.join(absent)}"
        if absent
        else ", ".join(sorted(needed)),
        ok=not absent,
        fix=f"make setup, or pip install {' '.join(absent)}" if absent else None,
    )


def _prepared(plan: Plan, lock: Lock | None, path: Path) -> Finding:
    stores = lock.stores if lock is not None else {}
    waiting = sorted(set(plan.sources) - set(stores))
    if waiting:
        told = f"not yet: {', '.join(waiting)}"
        return Finding(name="prepared", found=told, fix=f"codemix prepare {path}")
    tokens = sum(store.train_tokens for store in stores.values())
    return Finding(name="prepared", found=f"{tokens:,} tokens of {len(stores)} sources")


def _disk(
    experiment: Experiment, plan: Plan, lock: Lock | None, folder: Path
) -> Finding:
    """Compare what a run writes with what is free; stores are counted until made."""
    policy = experiment.checkpoints
    location = policy.location or ""
    # One more is written before the oldest goes.
    kept = policy.keep_last + 1 + len(plan.stages)
    if policy.keep_every is not None:
        kept += plan.num_steps // policy.keep_every
    kept = min(kept, plan.num_steps // policy.every_steps + len(plan.stages))
    checkpoints = 0 if "://" in location else kept * checkpoint_bytes(plan)
    token_bytes = 2 if plan.model.vocab_size <= 2**16 else 4
    made = lock.stores if lock is not None else {}
    stores = sum(
        # At least: as much as is gone through, as often as it may be.
        token_bytes * use.tokens_needed // max(1, ceil(use.max_epochs))
        for name, use in source_uses(plan, lock).items()
        if name not in made
    )
    free = shutil.disk_usage(folder).free
    needed = checkpoints + stores
    enough = needed <= free
    return Finding(
        name="disk of the run",
        found=f"{kept} checkpoints of {checkpoint_bytes(plan) / GIB:.3g} GiB"
        + (f" in {location}" if "://" in location else "")
        + f", at least {stores / GIB:.3g} GiB of token stores; "
        f"{free / GIB:.1f} GiB free",
        ok=enough,
        fix=None
        if enough
        else "free space, keep fewer checkpoints, or set checkpoints.location",
    )


def _devices(experiment: Experiment, plan: Plan) -> Iterator[Finding]:
    """Compare lanes and memory with the devices; starts jax as a run would."""
    from runtime.devices import configure

    try:
        configure(plan.determinism)
        yield (found := device_finding())
        if not found.ok:
            return
        import jax

        from runtime.mesh import build_mesh, choose_gather, most_devices

        available = jax.device_count()
        mesh = build_mesh(plan, experiment.parallel)
    except InputError as error:
        wrong = error.problems[0]
        yield Finding(name="lanes", found=wrong.what, ok=False, fix=wrong.fix)
        return
    idle = available - mesh.size
    yield Finding(
        name="lanes",
        found=f"for {most_devices(plan)} devices; {mesh.size} of {available} train",
        fix="make batch.lane smaller, or the batch larger" if idle else None,
    )
    yield _memory(plan, mesh, choose_gather(plan, experiment.parallel, mesh))


def _memory(plan: Plan, mesh: Mesh, gather: str) -> Finding:
    """Compare the height of a step with the memory of a device."""
    from runtime.mesh import whole_bytes
    from runtime.numerics import BATCH
    from specs.activations import kept_bytes

    shares = int(mesh.shape[BATCH])
    state = checkpoint_bytes(plan) // plan.tensor // shares
    whole = whole_bytes(plan, mesh) if gather == "step" else 0
    kept = max(
        kept_bytes(
            plan.model,
            stage.remat,
            stage.lane_sequences * stage.sequence_length,
            plan.tensor,
        )
        for stage in plan.stages
    )
    needed = state + whole + kept
    limit = _limit(mesh.local_devices[0])
    if not limit:
        # Host devices have the main memory together.
        limit = memory_bytes()[1] // len(mesh.local_devices)
    enough = needed <= limit
    return Finding(
        name="memory of a device",
        found=f"at least {needed / GIB:.3g} GiB ({state / GIB:.3g} state, "
        f"{whole / GIB:.3g} whole weights and sums, {kept / GIB:.3g} activations) "
        f"of {limit / GIB:.3g} GiB",
        ok=enough,
        fix=None
        if enough
        else "use more devices, set parallel.gather: layer, batch.remat: block, or a "
        "smaller batch.lane; `codemix plan SPEC --on SLICE` finds a slice that fits",
    )


def _limit(device: Any) -> int:
    """Return the bytes that a device may hold; 0 where it does not say."""
    return int((device.memory_stats() or {}).get("bytes_limit", 0))
