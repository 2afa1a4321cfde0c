"""Stages that another run has trained: found, restored, checked, scored where asked.

Process 0 looks them up; all restore together. A checkpoint counts only if every row is
what its manifest says, every tensor what the ledger has recorded, and the weights have
the fingerprint of the stage's last step.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.entry import Entry, StageFacts
from ledger.facts import Fingerprint, ObjectRef, Sha256
from ledger.provenance import package_digests
from ledger.recorder import Recorder, TensorFacts
from ledger.reuse import FinishedStage, finished_stages, missing_suites
from ledger.store import Ledger
from ledger.wanted import wanted_by
from runtime.places import checkpoint_location
from runtime.progress import Warn
from runtime.scoring import Score
from specs.base import Value
from specs.errors import CodemixError
from specs.experiment import Experiment

if TYPE_CHECKING:
    from runtime.checkpoint import Restored
    from runtime.session import Session


class Candidate(Value):
    """An entry that has a stage, with a checkpoint of its end that is here."""

    entry: Sha256
    location: str
    """Of the checkpoints."""
    weights: Fingerprint
    tensors: ObjectRef
    is_scored: bool
    """Whether the entry has all scores that this run asks for."""


@dataclass(frozen=True, kw_only=True)
class Reused:
    """Stages that are not trained again, and the state after them."""

    entries: tuple[str, ...]
    """Digest of the entry of each stage, from the first one on."""
    scores: tuple[tuple[int, Score], ...]
    """Steps done, and what the entries do not have of the scores there."""
    restored: Restored

    @property
    def step(self) -> int:
        """Steps done."""
        return self.restored.manifest.step

    def tell(self, session: Session, recorder: Recorder, warn: Warn) -> None:
        """Record that the stages were taken over, and how they score."""
        pairs = zip(session.ready.plan.stages, session.identities, strict=True)
        for (stage, identity), entry in zip(pairs, self.entries, strict=False):
            recorder.stage_reused(stage.name, entry, identity=identity)
            warn(
                f"stage {stage.name} ({stage.num_steps:,} steps) is taken over from "
                f"entry {entry[:12]}, not trained again"
            )
        for step, score in self.scores:
            recorder.scores(step, score.suite, score.values, score.detail)


def find_reusable(
    session: Session, ledger: Ledger, warn: Warn, *, at_most: int | None = None
) -> Reused | None:
    """Restore the state after the longest prefix of stages that the ledger has.

    All processes must call it together.

    Args:
        session: The run.
        ledger: Where other runs are.
        warn: Told of each stage that would be there if its checkpoint was.
        at_most: Stages; None: all.

    Returns:
        None where not even the first stage can be taken over.

    Raises:
        InputError: A checkpoint can't be read now.
    """
    search = _Search(session, ledger, warn)
    told = session.processes.from_first("reuse", lambda: search.candidates(at_most))
    prefix = [
        [Candidate.model_validate(one) for one in stage] for stage in json.loads(told)
    ]
    return search.longest(prefix)


class _Search:
    """One look for stages, in one process."""

    def __init__(self, session: Session, ledger: Ledger, warn: Warn) -> None:
        self._session, self._ledger, self._warn = session, ledger, warn
        self._held: tuple[Candidate, Restored] | None = None
        """The state that was restored last: there is room for one."""

    def candidates(self, at_most: int | None) -> str:
        """Return, stage by stage, what may be taken over, as JSON; in process 0."""
        session, ready = self._session, self._session.ready
        identities = session.identities[:at_most]
        found = finished_stages(self._ledger, identities, ready.plan.determinism)
        wanted = wanted_by(ready.experiment, ready.lock, package_digests())

        def place(one: FinishedStage) -> str:
            workspace = ready.workspace
            return str(stage_location(one.entry, one.stage, self._ledger, workspace))

        prefix = []
        for stage, identity in zip(ready.plan.stages, identities, strict=False):
            here = [
                Candidate(
                    entry=one.digest,
                    location=place(one),
                    weights=str(one.stage.weights),
                    tensors=one.checkpoint.tensors,
                    is_scored=not missing_suites(one, wanted, self._ledger.objects),
                ).to_json()
                for one in found[identity]
            ]
            if not here:
                break
            prefix.append(here)
            assert found[identity][0].stage.stop_step == stage.stop_step
        return json.dumps(prefix)

    def longest(self, prefix: list[list[Candidate]]) -> Reused | None:
        """Take over as many stages as there are whole checkpoints for."""
        scores: list[list[tuple[int, Score]]] = []
        entries: list[str] = []
        # What is not scored has to be restored to be scored.
        for index, candidates in enumerate(prefix):
            scored = next((one for one in candidates if one.is_scored), None)
            if scored is None:
                scored = self._restore_any(index, candidates)
                if scored is None:
                    break
            entries.append(scored.entry)
            scores.append([] if scored.is_scored else self._scores(index))
        while entries:
            index = len(entries) - 1
            if self._restore_any(index, prefix[index]) is not None:
                assert self._held is not None
                return Reused(
                    entries=tuple(entries),
                    scores=tuple(one for stage in scores for one in stage),
                    restored=self._held[1],
                )
            entries.pop()
            scores.pop()
        return None

    def _scores(self, index: int) -> list[tuple[int, Score]]:
        assert self._held is not None
        restored, step = self._held[1], self._session.ready.plan.stages[index].stop_step
        found = self._session.scores(restored.state, restored.layout, step)
        return [(step, score) for score in found]

    def _restore_any(self, index: int, candidates: list[Candidate]) -> Candidate | None:
        """Restore the end of a stage from the first checkpoint that is whole."""
        if self._held is not None and self._held[0] in candidates:
            return self._held[0]
        self._held = None
        for candidate in candidates:
            problem = self._restore(index, candidate)
            if self._held is not None:
                return candidate
            stage = self._session.ready.plan.stages[index]
            self._warn(
                f"entry {candidate.entry[:12]} has stage {stage.name}, but it can't be "
                f"taken over: {problem}"
            )
        return None

    def _restore(self, index: int, candidate: Candidate) -> str:
        """Restore and check one checkpoint; say what is wrong with it."""
        from runtime.checkpoint import CheckpointFolder, Damaged
        from runtime.weights_fingerprint import weights_fingerprint

        session, plan = self._session, self._session.ready.plan
        step = plan.stages[index].stop_step
        folder = CheckpointFolder(candidate.location, plan.model, session.processes)

        def is_there() -> str:
            return "yes" if step in folder.steps() else ""

        if not session.processes.from_first("there", is_there):
            return f"the checkpoint after step {step:,} is not here any more"
        try:
            restored = folder.restore(step, session.mesh, session.gather)
        except Damaged as error:
            return error.problems[0].what
        problem = self._tensors_problem(candidate, restored.manifest.tensors)
        found = weights_fingerprint(plan, restored.state.weights, restored.layout)
        if found != candidate.weights:
            problem = problem or "its weights have another fingerprint"
        told = [one for one in session.processes.gather("whole", problem) if one]
        if not told:
            self._held = candidate, restored
        return told[0] if told else ""

    def _tensors_problem(
        self, candidate: Candidate, tensors: dict[str, TensorFacts]
    ) -> str:
        try:
            recorded = self._ledger.objects.get_json(candidate.tensors)
        except CodemixError as error:
            return error.problems[0].what
        if recorded != {name: facts.to_json() for name, facts in tensors.items()}:
            return "the checkpoint is not the one that was recorded"
        return ""


def stage_location(
    entry: Entry, stage: StageFacts, ledger: Ledger, workspace: Path
) -> Path | str:
    """Return where the checkpoint of a stage's end lies: with the run that trained it.

    Args:
        entry: That has the stage.
        stage: The stage.
        ledger: That has the entry.
        workspace: The folder that holds `.dvc/`.
    """
    trainer = stage.reused_from
    if trainer is not None and ledger.entry_path(trainer).exists():
        trained = ledger.read(trainer)
        assert isinstance(trained, Entry)
        entry = trained
    policy = Experiment.model_validate(entry.spec).checkpoints
    return checkpoint_location(workspace, entry.identity, policy)
