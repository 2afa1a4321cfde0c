"""Stages that the ledger has already: looked up by identity, taken over as recorded.

A stage is taken over with everything that was recorded of it and that the new spec asks
for: the trace always, metrics and scores at the steps at which the spec wants them, so
that a replay of the new run finds what it expects. Scores are taken over suite by suite
where all that decides them is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import ValidationError

from ledger.documents import Stored, UnknownDocument
from ledger.entry import CheckpointFacts, Entry, ScoreFacts, StageFacts
from ledger.facts import ObjectRef
from ledger.objects import ObjectStore
from ledger.recorder import RunFacts
from ledger.series import decode_series, encode_series
from ledger.store import Ledger
from ledger.wanted import Wanted, wanted_by
from specs.errors import InputError
from specs.experiment import Experiment, Logging
from specs.lock import Lock


class FinishedStage(NamedTuple):
    """A stage that some run has ended, with the checkpoint of its end."""

    digest: str
    """Of the entry that has it."""
    entry: Entry
    stage: StageFacts
    checkpoint: CheckpointFacts

    @property
    def trainer(self) -> str:
        """The entry whose run trained it."""
        return self.stage.reused_from or self.digest


class TakenOver(NamedTuple):
    """What of a finished stage becomes part of another run."""

    stage: StageFacts
    checkpoint: CheckpointFacts
    scores: tuple[ScoreFacts, ...]


def runs_with(ledger: Ledger, texts: Iterable[str]) -> Iterator[Stored]:
    """Read the runs whose entries hold any of some texts, the latest first.

    Looking for a text in the bytes is a hundred times faster than reading an entry.
    What another codemix wrote is passed over, and is in the ledger's `unknown`.

    Raises:
        CheckFailed: Such an entry was changed.
        InputError: An entry is missing.
    """
    needles = [text.encode() for text in texts]
    for line in reversed(ledger.log()):
        if line.kind != "run":
            continue
        try:
            data = ledger.entry_path(line.digest).read_bytes()
        except FileNotFoundError:
            data = ledger.read_bytes(line.digest)
        if any(needle in data for needle in needles):
            try:
                entry = ledger.read(line.digest)
            except UnknownDocument as error:
                ledger.unknown[line.digest] = error.problems[0]
            else:
                yield Stored(line.digest, entry)


def finished_stages(
    ledger: Ledger, identities: Iterable[str], determinism: str
) -> dict[str, list[FinishedStage]]:
    """Look stages up by identity; those who trained them come first, the latest first.

    Args:
        ledger: Where to look.
        identities: Of the stages.
        determinism: What the run promises; a stage was trained under the same promise.

    Returns:
        Identity -> the entries that have it; one that took it over counts only where
        the entry that trained it is not here.
    """
    found: dict[str, list[FinishedStage]] = {one: [] for one in identities}
    if determinism == "fast":
        return found  # Nothing is promised of its bits.
    for digest, entry in runs_with(ledger, found):
        assert isinstance(entry, Entry)
        if entry.determinism != determinism or not _is_understood(entry):
            continue
        checkpoints = {one.step: one for one in entry.checkpoints}
        for stage in entry.stages:
            checkpoint = checkpoints.get(stage.stop_step)
            if stage.identity in found and checkpoint and stage.weights:
                one = FinishedStage(digest, entry, stage, checkpoint)
                found[stage.identity].append(one)
    return {identity: _trainers_first(stages) for identity, stages in found.items()}


def missing_suites(
    found: FinishedStage, wanted: Wanted, objects: ObjectStore
) -> tuple[str, ...]:
    """Return the suites that the end of a stage is still to be scored with."""
    stop = found.stage.stop_step
    taken = {
        _kind(one.suite)
        for one in _same_scores(found, wanted, objects)
        if one.step == stop
    }
    return tuple(suite for suite in wanted.suites if suite not in taken)


def stage_to_take(
    ledger: Ledger, digest: str, name: str, identity: str
) -> FinishedStage:
    """Return the stage of an entry by identity; `name` is what errors call it.

    Raises:
        InputError: The entry has no such stage, or no checkpoint of its end.
    """
    entry = ledger.read(digest)
    if isinstance(entry, Entry):
        checkpoints = {one.step: one for one in entry.checkpoints}
        for stage in entry.stages:
            if stage.identity == identity and stage.stop_step in checkpoints:
                checkpoint = checkpoints[stage.stop_step]
                return FinishedStage(digest, entry, stage, checkpoint)
    raise InputError(
        f"entry {digest[:12]} holds no finished stage like {name!r}",
        fix="train the stage instead of reusing it",
    )


def take_over(
    found: FinishedStage, name: str, facts: RunFacts, objects: ObjectStore
) -> TakenOver:
    """Make a finished stage a part of another run.

    Args:
        found: The stage.
        name: Of the stage in the other run.
        facts: Of the other run.
        objects: Where metrics are, and those that are picked out of them go.
    """
    wanted = wanted_by(facts.experiment, facts.lock, facts.code.packages)
    logging, stage = wanted.logging, found.stage
    if logging.every_steps != _logging_of(found.entry).every_steps:
        every = logging.every_steps
        stage = stage.model_copy(
            update={
                "metrics": _thinned(stage.metrics, every, objects),
                "timings": _thinned(stage.timings, every, objects),
            }
        )
    return TakenOver(
        stage=stage.model_copy(update={"name": name, "reused_from": found.trainer}),
        checkpoint=found.checkpoint,
        scores=_same_scores(found, wanted, objects),
    )


def _is_understood(entry: Entry) -> bool:
    """Whether the entry's spec is of the language that this codemix speaks."""
    try:
        Experiment.model_validate(entry.spec)
    except ValidationError:
        return False
    return True


def _trainers_first(stages: list[FinishedStage]) -> list[FinishedStage]:
    trained = [one for one in stages if one.stage.reused_from is None]
    known = {one.digest for one in trained}
    return trained + [one for one in stages if one.trainer not in known]


def _same_scores(
    found: FinishedStage, wanted: Wanted, objects: ObjectStore
) -> tuple[ScoreFacts, ...]:
    """Return the scores within a stage that the other run would come to as well."""
    entry, stage = found.entry, found.stage
    lock = Lock.model_validate(objects.get_json(entry.lock))
    experiment = Experiment.model_validate(entry.spec)
    had = wanted_by(experiment, lock, entry.code.packages).suites
    return tuple(
        score
        for score in entry.scores
        if stage.start_step < score.step <= stage.stop_step
        and had.get(_kind(score.suite)) == wanted.suites.get(_kind(score.suite))
        and (
            score.step == stage.stop_step
            or wanted.is_scored_within(_kind(score.suite), score.step)
        )
    )


def _kind(suite: str) -> str:
    """Return the suite of the spec that scores are of.

    >>> _kind("choices.copa")
    'choices'
    """
    return suite.partition(".")[0]


def _logging_of(entry: Entry) -> Logging:
    return Experiment.model_validate(entry.spec).logging


def _thinned(ref: ObjectRef, every: int, objects: ObjectStore) -> ObjectRef:
    """Pick out of a series the steps that are logged every so often."""
    points = [
        (step, {name: float(value) for name, value in values.items()})
        for step, values in decode_series(objects.get(ref))
        if (step + 1) % every == 0
    ]
    return objects.put(encode_series(points))
