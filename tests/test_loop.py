"""The loop with everything handed in: what is told, when it stops, how it resumes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import plans
import pytest

from ledger.recorder import NullRecorder, StepRecord, TensorFacts
from runtime import loop
from runtime.checkpoint import CheckpointFolder, Restored
from runtime.loop import Training, train
from runtime.mesh import build_mesh
from runtime.state import Layout, TrainState, build_layout, initial_state
from runtime.train_step import TrainStep, build_train_step
from specs.errors import RunError
from specs.experiment import Checkpoints, Logging
from specs.plan import Plan, PlannedStage

SMALL: dict[str, Any] = {
    "layers": 1,
    "width": 8,
    "heads": 2,
    "kv_heads": 2,
    "ffn_width": 6,
    "vocab_size": 13,
}
STAGES = (
    plans.stage("first", 0, 3),
    plans.stage("longer", 3, 5, sequences_per_step=4, sequence_length=8),
    plans.stage("fresh", 5, 8, optimizer="reset"),
)
PLAN = plans.plan(*STAGES, **SMALL)


class Told(NullRecorder):
    """A recorder that writes down everything it is told."""

    def __init__(self) -> None:
        self.steps: list[StepRecord] = []
        self.events: list[tuple[Any, ...]] = []
        self.tensors: dict[int, dict[str, str]] = {}

    def step(self, record: StepRecord) -> None:
        self.steps.append(record.model_copy(update={"timings": None}))
        self.events.append(("step", record.step))

    def checkpoint(self, step: int, tensors: Mapping[str, TensorFacts]) -> None:
        self.events.append(("checkpoint", step))
        self.tensors[step] = {name: facts.sha256 for name, facts in tensors.items()}

    def stage_begin(self, name: str, step: int) -> None:
        self.events.append(("begin", name, step))

    def stage_end(
        self, name: str, step: int, *, identity: str, weights_digest: str
    ) -> None:
        self.events.append(("end", name, step, identity))


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch) -> dict[Any, TrainStep]:
    """Compiled steps, shared by all tests here: compiling is most of the time."""
    monkeypatch.setattr(loop, "build_train_step", _build_once)
    return _BUILT


_BUILT: dict[Any, TrainStep] = {}


def _build_once(
    plan: Plan, stage: PlannedStage, layout: Layout, eos_id: int
) -> TrainStep:
    key = (plan.optimizer, plan.model, stage.sequences_per_step, stage.sequence_length)
    if key not in _BUILT:
        _BUILT[key] = build_train_step(plan, stage, layout, eos_id)
    return _BUILT[key]


def read_batch(step: int, rows: Any) -> Any:
    stage = PLAN.stage_at(step)
    assert rows.tolist() == list(range(stage.sequences_per_step))
    random = np.random.default_rng(step)
    shape = (stage.sequences_per_step, stage.sequence_length + 1)
    return random.integers(0, 13, shape, np.int32)


class Scores:
    """Notes when it is asked to score."""

    def __init__(self, every_steps: int = 100) -> None:
        self.every_steps = every_steps
        self.steps: list[int] = []

    def is_due(self, step: int) -> bool:
        return step % self.every_steps == 0

    def __call__(self, state: Any, layout: Any, *, step: int) -> None:
        self.steps.append(step)


def run(
    folder: Path,
    restored: Restored | None = None,
    *,
    plan: Plan = PLAN,
    every_steps: int = 100,
    score: Scores | None = None,
    log_every: int = 1,
    **fields: Any,
) -> tuple[int, Told]:
    told = Told()
    training = Training(
        plan=plan,
        identities=[f"identity of {stage.name}" for stage in plan.stages],
        read_batch=read_batch,
        sources_of=lambda _: {"code": 3, "text": 5},
        recorder=told,
        checkpoints=CheckpointFolder(folder, plan.model),
        cadence=Checkpoints(every_steps=every_steps, keep_last=9),
        logging=Logging(every_steps=log_every),
        score=score or Scores(),
        **fields,
    )
    return train(training, *start(plan, restored)), told


def start(plan: Plan, restored: Restored | None) -> tuple[TrainState, Layout, int]:
    if restored is not None:
        return restored.state, restored.layout, restored.manifest.step
    layout = build_layout(plan, plan.stages[0], build_mesh(plan, wanted=1))
    return initial_state(plan, layout), layout, 0


def restore(folder: Path, step: int) -> Restored:
    mesh = build_mesh(PLAN, wanted=1)
    return CheckpointFolder(folder, PLAN.model).restore(step, mesh, "step")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Told]:
    """A whole run with a checkpoint after every step."""
    folder = tmp_path_factory.mktemp("straight")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "build_train_step", _build_once)
        step, told = run(folder, every_steps=1)
    assert step == 8
    return folder, told


def test_everything_is_reported_in_the_order_in_which_it_happens(
    tmp_path: Path,
) -> None:
    step, told = run(tmp_path, every_steps=2)
    assert step == 8
    events = [event for event in told.events if event[0] != "checkpoint"]
    assert events == [
        ("begin", "first", 0),
        ("step", 0),
        ("step", 1),
        ("step", 2),
        ("end", "first", 3, "identity of first"),
        ("begin", "longer", 3),
        ("step", 3),
        ("step", 4),
        ("end", "longer", 5, "identity of longer"),
        ("begin", "fresh", 5),
        ("step", 5),
        ("step", 6),
        ("step", 7),
        ("end", "fresh", 8, "identity of fresh"),
    ]
    # A checkpoint is told once it is safe, while training goes on.
    saved = [event for event in told.events if event[0] == "checkpoint"]
    assert [step for _, step in saved] == [2, 3, 4, 5, 6, 8]
    for event in saved:
        at = told.events.index(event)
        assert at > told.events.index(("step", event[1] - 1))
        if event[1] in (3, 5, 8):
            assert told.events[at + 1][0] == "end"


@pytest.mark.parametrize("step", range(1, 8))
def test_a_run_resumed_at_any_step_goes_on_as_if_nothing_had_happened(
    step: int, straight: tuple[Path, Told], tmp_path: Path
) -> None:
    folder, expected = straight
    done, told = run(tmp_path, restore(folder, step), every_steps=1)
    assert done == 8
    assert told.steps == expected.steps[step:]
    assert told.tensors[8] == expected.tensors[8]


def test_saving_changes_nothing(straight: tuple[Path, Told], tmp_path: Path) -> None:
    _, told = run(tmp_path, every_steps=100)
    assert told.steps == straight[1].steps
    assert told.tensors[8] == straight[1].tensors[8]


def test_the_optimizer_is_kept_or_reset_as_planned(
    straight: tuple[Path, Told],
) -> None:
    folder, _ = straight
    found = [int(restore(folder, step).state.num_updates) for step in range(1, 9)]
    assert found == [1, 2, 3, 4, 5, 1, 2, 3]


def test_stages_of_one_shape_share_a_compiled_step(
    straight: tuple[Path, Told], built: dict[Any, TrainStep]
) -> None:
    ours = [step for (_, model, *_), step in built.items() if model == PLAN.model]
    assert len(ours) == 2
    assert [step.num_traces for step in ours] == [1, 1]


def test_metrics_are_logged_at_the_cadence_and_fingerprints_at_every_step(
    straight: tuple[Path, Told], tmp_path: Path
) -> None:
    _, told = run(tmp_path, log_every=3)
    logged = [record.step for record in told.steps if record.metrics is not None]
    assert logged == [2, 5]
    assert [record.weights for record in told.steps] == [
        record.weights for record in straight[1].steps
    ]
    metrics = told.steps[2].metrics
    assert metrics is not None
    assert metrics == straight[1].steps[2].metrics
    assert set(metrics) == {"loss", "grad_norm", "learning_rate"}


def test_weights_are_scored_at_the_cadence_and_at_every_stage_end(
    tmp_path: Path,
) -> None:
    score = Scores(every_steps=2)
    run(tmp_path, score=score)
    assert score.steps == [2, 3, 4, 5, 6, 8]


@pytest.mark.parametrize("stop_after", [2, 3, 4])
def test_a_run_stops_on_purpose_with_its_state_saved(
    stop_after: int, straight: tuple[Path, Told], tmp_path: Path
) -> None:
    done, told = run(tmp_path, stop_after=stop_after)
    assert done == stop_after
    assert told.steps == straight[1].steps[:stop_after]
    assert told.tensors[stop_after] == straight[1].tensors[stop_after]
    again, told = run(tmp_path, restore(tmp_path, stop_after), stop_after=stop_after)
    assert (again, told.steps) == (stop_after, []), "no step more is done"
    done, told = run(tmp_path, restore(tmp_path, stop_after))
    assert (done, told.tensors[8]) == (8, straight[1].tensors[8])


def test_a_signal_stops_after_the_step_under_way(
    straight: tuple[Path, Told], tmp_path: Path
) -> None:
    is_stopping = threading.Event()

    def listen(progress: Any) -> None:
        if progress.step == 1:
            is_stopping.set()

    done, told = run(tmp_path, progress=listen, is_stopping=is_stopping)
    assert 1 < done < 8
    assert [record.step for record in told.steps] == list(range(done))
    _, told = run(tmp_path, restore(tmp_path, done))
    assert told.tensors[8] == straight[1].tensors[8]


def test_a_step_that_is_not_finite_stops_the_run_with_the_state_before_it(
    tmp_path: Path,
) -> None:
    stage = plans.stage(stop_step=8, learning_rate=plans.rate("1e38"))
    with pytest.raises(RunError) as raised:
        run(tmp_path, plan=plans.plan(stage, **SMALL))
    text = str(raised.value)
    (step,) = CheckpointFolder(tmp_path, PLAN.model).steps()
    for part in (
        f"step {step} is not finite: loss ",
        "gradient norm ",
        "learning rate 1e+38",
        "3 of code, 5 of text",
        f"checkpoint {step}",
        "fix: lower the learning rate",
    ):
        assert part in text
    assert 1 <= step < 8
    restored = restore(tmp_path, step)
    assert int(restored.state.num_updates) == step
    assert all(
        np.isfinite(np.asarray(rows)).all() for rows in restored.state.weights.values()
    )
