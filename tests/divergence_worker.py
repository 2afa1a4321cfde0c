"""Trains a tiny run for real, disturbs replays of it one way each, prints verdicts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import run_workspace

TOLERANCE = 0.01

SPEC = {
    "logging": {"every_steps": 1, "heldout_every_steps": 6},
    "checkpoints": {"every_steps": 3, "keep_last": 9},
}


def main() -> None:
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    spec = run_workspace.make_run_workspace(folder, **SPEC)
    with one_compilation():
        told = {
            "plain": plain(folder, spec, np.random.default_rng(seed)),
            "seam": resumed(folder, np.random.default_rng(seed + 1)),
        }
    print(json.dumps(told))  # noqa: T201


def plain(folder: Path, spec: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Disturb replays and audits of a run that was not disturbed."""
    digest = run(spec)
    step = int(rng.integers(1, 15))
    found: dict[str, Any] = {}

    def case(
        name: str, disturbed: Any, at: int, how: Callable[..., Any], **fields: Any
    ):
        with disturbed:
            found[name] = {"at": at, **how(folder, digest, **fields)}

    case("nothing", ExitStack(), 0, replay)
    case("weight", flipped_weight(step, 22), step, replay)
    case("slightly", flipped_weight(step, 0), step, replay, tolerance=TOLERANCE)
    case("initial", other_initial(), 0, replay)
    case("learning rate", other_rate(6), 6, replay)
    case("order", swapped_steps(step), step, replay)
    case("token", flipped_token(spec, step), step, replay)
    with other_jaxlib():
        case("library", flipped_weight(step, 22), step, replay)
    case("audit", ExitStack(), 0, audit)
    inside = int(rng.integers(10, 13))
    # Of a window that starts from the checkpoint after 9 steps.
    case("audited weight", flipped_weight(inside - 9, 22), inside, audit_at, start=9)
    case("bit of a checkpoint", flipped_file(folder, digest, 9), 9, audit)
    case("forged checkpoint", forged(folder, digest, 9), 9, audit)
    return found


def resumed(folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Replay a run that went on from a state with another bit."""
    step = int(rng.integers(2, 14))
    # Another seed: no stage of the first run is taken over.
    spec = run_workspace.write_run_spec(folder, **SPEC, seed=18)
    run(spec, stop_after=step)
    with flipped_weight(0, 22):
        digest = run(spec)
    return {"at": step, **replay(folder, digest)}


def run(spec: Path, stop_after: int | None = None) -> str:
    from evals.evaluator import Evaluator
    from runtime.experiment import run as run_spec

    ended = run_spec(spec, evaluator=Evaluator(), num_devices=1, stop_after=stop_after)
    return ended.stored.digest if ended.stored is not None else ""


def replay(folder: Path, digest: str, **fields: Any) -> dict[str, Any]:
    from evals.evaluator import Evaluator
    from runtime.reproduction import reproduce

    ended = reproduce(
        digest, workspace=folder, evaluator=Evaluator(), num_devices=1, **fields
    )
    assert ended.stored is not None
    return ended.stored.entry.to_json()


def audit(folder: Path, digest: str, seed: str = "s", **fields: Any) -> dict[str, Any]:
    from evals.evaluator import Evaluator
    from runtime.reproduction import audit as audit_entry

    how = {"num_windows": 99, "most_steps": 100, "seed": seed, **fields}
    ended = audit_entry(
        digest, workspace=folder, evaluator=Evaluator(), num_devices=1, **how
    )
    assert ended.stored is not None
    return ended.stored.entry.to_json()


def audit_at(folder: Path, digest: str, *, start: int) -> dict[str, Any]:
    """Audit the one window that starts there."""
    from ledger.audit import plan_audit
    from runtime import reproduction

    def only(entry: str, **fields: Any) -> Any:
        for number in range(1000):
            facts = plan_audit(entry, **{**fields, "seed": str(number)})
            if facts.windows[0].start_step == start:
                return facts
        raise AssertionError

    with mock.patch.object(reproduction, "plan_audit", only):
        return audit(folder, digest, num_windows=1)


@contextmanager
def one_compilation() -> Iterator[None]:
    """Compile each shape of step once for all runs: it takes most of the time."""
    from runtime import loop
    from runtime.train_step import build_train_step

    built: dict[Any, Any] = {}

    def once(plan: Any, stage: Any, layout: Any, eos_id: int) -> Any:
        key = (stage.sequences_per_step, stage.sequence_length, stage.accumulation)
        if key not in built:
            built[key] = build_train_step(plan, stage, layout, eos_id)
        return built[key]

    with mock.patch.object(loop, "build_train_step", once):
        yield


@contextmanager
def flipped_weight(call: int, bit: int, name: str = "block.attn.q") -> Iterator[None]:
    """Flip one bit of one weight before the step that is taken as number `call`."""
    from runtime.train_step import TrainStep

    take, count = TrainStep.__call__, [0]

    def disturbed(self: Any, state: Any, *arguments: Any) -> Any:
        if count[0] == call:
            state = with_flipped(state, name, bit)
        count[0] += 1
        return take(self, state, *arguments)

    with mock.patch.object(TrainStep, "__call__", disturbed):
        yield


def with_flipped(state: Any, name: str, bit: int) -> Any:
    import jax

    rows = state.weights[name]
    array = np.array(rows)
    array.reshape(-1).view(np.uint32)[5] ^= np.uint32(1 << bit)
    changed = jax.device_put(array, rows.sharding)
    return state._replace(weights={**state.weights, name: changed})


def other_initial() -> Any:
    from runtime import state

    make = state.initial_tensors
    return mock.patch.object(
        state, "initial_tensors", lambda model, seed: make(model, seed + 1)
    )


def other_rate(since: int) -> Any:
    """Change the learning rate from a step on."""
    from runtime import loop

    rate, count = loop.learning_rate_at, [0]

    def changed(*arguments: Any) -> float:
        count[0] += 1
        return rate(*arguments) * (2 if count[0] > since else 1)

    return mock.patch.object(loop, "learning_rate_at", changed)


def swapped_steps(step: int) -> Any:
    """Train at a step on the batch of another one of its stage, and the reverse."""
    from runtime.ready import Ready

    batch = Ready.batch
    other = {4: 3, 12: 11, 15: 14}.get(step, step + 1)

    def swapped(self: Any, at: int, rows: Any) -> Any:
        return batch(self, {step: other, other: step}.get(at, at), rows)

    return mock.patch.object(Ready, "batch", swapped)


@contextmanager
def flipped_token(spec: Path, step: int) -> Iterator[None]:
    """Change one token of a step in its store on disk."""
    from runtime.ready import ready_spec
    from runtime.store_identity import store_folder

    ready = ready_spec(spec)
    order = ready.prepared.mixture.at(step)
    source = order.sources[int(order.source_index[2])]
    identity = ready.lock.stores[source].identity
    (path,) = store_folder(spec.parent.parent, identity).glob("train-*.tokens")
    data = np.memmap(path, dtype="<u2", mode="r+")
    at = int(order.start_token[2]) + 5
    data[at] ^= 1
    data.flush()
    yield
    data[at] ^= 1
    data.flush()


def other_jaxlib() -> Any:
    from ledger.facts import Distribution
    from runtime import session

    collect = session.collect_environment

    def other() -> Any:
        found = collect()
        changed = Distribution(version="0.0.1", files_sha256=None)
        distributions = {**found.distributions, "jaxlib": changed}
        return found.model_copy(update={"distributions": distributions})

    return mock.patch.object(session, "collect_environment", other)


def checkpoint_folder(folder: Path, digest: str) -> Path:
    identity = run_workspace.entry_of(folder, digest)["identity"]
    return folder / ".codemix" / "runs" / identity[:16] / "checkpoints"


@contextmanager
def flipped_file(folder: Path, digest: str, step: int) -> Iterator[None]:
    """Flip one bit of a checkpoint on disk."""
    (path,) = (checkpoint_folder(folder, digest) / f"{step:08d}").glob("*.rows")
    raw = path.read_bytes()
    path.write_bytes(raw[:100] + bytes([raw[100] ^ 1]) + raw[101:])
    yield
    path.write_bytes(raw)


@contextmanager
def forged(folder: Path, digest: str, step: int) -> Iterator[None]:
    """Put another state in a checkpoint's place, with a manifest that fits it."""
    from ledger.store import Ledger
    from runtime.checkpoint import CheckpointFolder
    from runtime.mesh import build_mesh
    from specs.plan import Plan

    ledger = Ledger(folder / ".codemix" / "ledger")
    plan = Plan.model_validate(ledger.objects.get_json(ledger.read(digest).plan))
    checkpoints = CheckpointFolder(checkpoint_folder(folder, digest), plan.model)
    restored = checkpoints.restore(step, build_mesh(plan, wanted=1), "step")
    state = with_flipped(restored.state, "embed", 1)
    checkpoints.save(state, restored.layout, step=step, is_stage_end=False)
    yield


if __name__ == "__main__":
    main()
