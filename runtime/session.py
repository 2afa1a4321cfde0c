"""One training of one experiment on the devices of this machine.

`Session` puts together what the other files of this package do: devices, identities,
state, loop. It reports to the recorder that it is handed and keeps no history.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from jax.sharding import Mesh

from ledger.facts import CodeFacts, ObjectRef
from ledger.provenance import collect_code, collect_environment
from ledger.recorder import Recorder, RunFacts
from ledger.store import Ledger
from runtime import devices
from runtime.canary import canary_digest
from runtime.checkpoint import CheckpointFolder, Restored
from runtime.compile_cache import use_compile_cache
from runtime.identities import identities_here
from runtime.loop import train
from runtime.mesh import build_mesh, choose_gather
from runtime.numerics import NUMERICS_VERSION
from runtime.processes import ALONE, Processes
from runtime.progress import TrainingListener
from runtime.ready import Ready
from runtime.scored_model import AskedModel, ModelPrograms
from runtime.scoring import Evaluator, Score
from runtime.state import Gather, Layout, TrainState, build_layout, initial_state
from runtime.tensors import tensor_shapes
from runtime.training import Training
from specs.cadence import items_due
from specs.plan import PlannedStage


@dataclass(frozen=True, kw_only=True)
class Session:
    """An experiment on devices, with the identities that both give it."""

    ready: Ready
    mesh: Mesh
    gather: Gather
    processes: Processes
    identities: list[str]
    """Of the stages, in order."""
    identity: str
    """Of the run."""
    evaluator: Evaluator
    baselines: Score | None
    _programs: dict[tuple[int, int, int], ModelPrograms] = field(default_factory=dict)

    def facts(self, ledger: Ledger, resumed_from: int | None) -> RunFacts:
        """Collect what the ledger wants to know when training starts."""
        ready = self.ready
        described = devices.describe()
        # The environment's own facts tell the processor and the packages.
        for told_elsewhere in ("cpu", "jax", "jaxlib", "cores_visible"):
            del described[told_elsewhere]
        described["num_used"] = self.mesh.size
        # In the order in which it will be read from an entry.
        described["mesh"] = dict(sorted(self.mesh.shape.items()))
        described["gather"] = self.gather
        return RunFacts(
            identity=self.identity,
            experiment=ready.experiment,
            raw_spec=ready.raw_spec,
            plan=ready.plan,
            lock=ready.lock,
            code=_code(ready.workspace, ledger),
            environment=collect_environment(),
            devices=described,
            numerics=NUMERICS_VERSION,
            canary=canary_digest(ready.plan),
            resumed_from=resumed_from,
            tensor_names=tuple(sorted(tensor_shapes(ready.plan.model))),
        )

    def train(
        self,
        recorder: Recorder,
        checkpoints: CheckpointFolder,
        restored: Restored | None,
        *,
        num_reused: int = 0,
        stop_after: int | None,
        is_stopping: threading.Event,
        progress: TrainingListener,
    ) -> int:
        """Train to the end, or to where it is stopped; see `runtime.loop.train`.

        Stages that were taken over are neither trained nor ended.
        """
        ready = self.ready
        if self.baselines is not None:
            _report(recorder, 0, self.baselines)
        if restored is not None:
            # The process that saved it may have died before it told the recorder.
            manifest = restored.manifest
            recorder.checkpoint(manifest.step, manifest.tensors)
        training = Training(
            plan=ready.plan,
            identities=self.identities,
            num_reused=num_reused,
            read_batch=ready.batch,
            sources_of=ready.sources_of,
            recorder=recorder,
            checkpoints=checkpoints,
            cadence=ready.experiment.checkpoints,
            logging=ready.experiment.logging,
            score=_Scoring(self, recorder),
            eos_id=ready.prepared.tokenizer.eos_id,
            stop_after=stop_after,
            is_stopping=is_stopping,
            progress=progress,
        )
        return train(training, *self._start(restored))

    def scores(self, state: TrainState, layout: Layout, step: int) -> list[Score]:
        """Score the weights after `step` steps, with all that is due then."""
        return self._scored(state, layout, step, self.due(step))

    def all_scores(self, state: TrainState, layout: Layout, step: int) -> list[Score]:
        """Score the weights after `step` steps with everything."""
        every = range(len(self.ready.experiment.evals))
        return self._scored(state, layout, step, every)

    def _scored(
        self, state: TrainState, layout: Layout, step: int, items: Collection[int]
    ) -> list[Score]:
        # The state after a stage's last step is scored as that stage trained it.
        stage = self.ready.plan.stage_at(step - 1)
        model = AskedModel(self._programs_of(stage, layout), state.weights)
        return list(self.evaluator.score(model, items))

    def due(self, step: int) -> tuple[int, ...]:
        """Return the items of the spec's evals that are due after `step` steps."""
        return items_due(self.ready.experiment, self.ready.plan, step)

    def _programs_of(self, stage: PlannedStage, layout: Layout) -> ModelPrograms:
        """Return what asks the model of a stage; stages of one shape share it."""
        shape = (
            stage.sequences_per_step,
            stage.sequence_length,
            stage.lane_sequences,
        )
        if shape not in self._programs:
            self._programs[shape] = ModelPrograms(
                self.ready.plan, stage, layout, self.ready.prepared.tokenizer.eos_id
            )
        return self._programs[shape]

    def _start(self, restored: Restored | None) -> tuple[TrainState, Layout, int]:
        if restored is not None:
            return restored.state, restored.layout, restored.manifest.step
        plan = self.ready.plan
        layout = build_layout(plan, plan.stages[0], self.mesh, self.gather)
        return initial_state(plan, layout), layout, 0


def open_session(
    ready: Ready,
    evaluator: Evaluator,
    processes: Processes = ALONE,
    *,
    num_devices: int | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Session:
    """Find the devices and read what is scored; `devices.configure` came before.

    Raises:
        InputError: The devices don't fit the plan, or a benchmark is wrong.
    """
    baselines = evaluator.prepare(ready)
    # The devices of all processes find each other, and do not wait long.
    processes.meet("devices")
    use_compile_cache(warn)
    parallel = ready.experiment.parallel
    mesh = build_mesh(ready.plan, parallel, wanted=num_devices)
    # Devices may differ in memory, and all must run one program.
    chosen = processes.from_first(
        "gather", lambda: choose_gather(ready.plan, parallel, mesh)
    )
    gather: Gather = "layer" if chosen == "layer" else "step"
    found = identities_here(ready.experiment, ready.plan, ready.lock, mesh, gather)
    return Session(
        ready=ready,
        mesh=mesh,
        gather=gather,
        processes=processes,
        identities=found.stages,
        identity=found.run,
        evaluator=evaluator,
        baselines=baselines,
    )


class _Scoring:
    """Scores during training, straight to the recorder."""

    def __init__(self, session: Session, recorder: Recorder) -> None:
        self._session = session
        self._recorder = recorder

    def is_due(self, step: int) -> bool:
        return bool(self._session.due(step))

    def __call__(self, state: TrainState, layout: Layout, *, step: int) -> None:
        for score in self._session.scores(state, layout, step):
            _report(self._recorder, step, score)


def _report(recorder: Recorder, step: int, score: Score) -> None:
    recorder.scores(step, score.suite, score.values, score.detail)


def _code(workspace: Path, ledger: Ledger) -> CodeFacts:
    def put(data: bytes) -> ObjectRef:
        return ledger.objects.put(data)

    return collect_code(workspace, put)
