"""Where a run comes from and what came of it: stages taken over, amendments, replays.

The graph is read from the documents alone. Of the entries that one recording left on
its way, interrupted and at last completed, the last one stands for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ledger.documents import run_of
from ledger.store import Ledger


class StageSpan(NamedTuple):
    """A stage of a run."""

    name: str
    start_step: int
    stop_step: int
    reused_from: str | None
    """Digest of the entry whose run trained it; null if this one did."""


class Fork(NamedTuple):
    """The run that another one goes on from by its spec."""

    entry: str
    stage: str
    """The last one that is kept."""
    step: int


class Replay(NamedTuple):
    """A verdict on a run."""

    digest: str
    grade: str


class Scoring(NamedTuple):
    """An evaluation of weights of a run, made later."""

    digest: str
    step: int
    names: tuple[str, ...]
    """Of its scores, and of what else it holds."""


class Run(NamedTuple):
    """A run of the graph."""

    digest: str
    name: str
    outcome: str
    recording: str
    stages: tuple[StageSpan, ...]
    fork: Fork | None
    replays: tuple[Replay, ...]
    evaluations: tuple[Scoring, ...] = ()

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return self.stages[-1].stop_step if self.stages else 0

    @property
    def reused(self) -> tuple[StageSpan, ...]:
        """Stages that were taken over."""
        return tuple(stage for stage in self.stages if stage.reused_from is not None)

    @property
    def num_reused_steps(self) -> int:
        """Steps that were not trained again."""
        return sum(stage.stop_step - stage.start_step for stage in self.reused)

    @property
    def sources(self) -> tuple[str, ...]:
        """Digests of the runs that it comes from; the one that it parted from first."""
        found = [str(stage.reused_from) for stage in reversed(self.reused)]
        if self.fork is not None:
            found.insert(0, self.fork.entry)
        return tuple(dict.fromkeys(found))


class Lineage(NamedTuple):
    """A run with all that it comes from and all that came of it."""

    shown: str
    """Digest of the run that was asked for."""
    runs: dict[str, Run]
    """By digest, in order of arrival."""
    missing: tuple[str, ...]
    """Digests of runs that others come from, and that are not in this ledger."""

    def to_json(self) -> dict[str, Any]:
        """Return the graph as plain JSON: nodes and edges."""
        edges: list[dict[str, Any]] = []
        for run in self.runs.values():
            for stage in run.reused:
                edge = {"from": stage.reused_from, "to": run.digest}
                edges.append({"kind": "reuse", **edge, "stage": stage.name})
            if run.fork is not None:
                edge = {"from": run.fork.entry, "to": run.digest}
                edges.append({"kind": "amendment", **edge, "stage": run.fork.stage})
            for replay in run.replays:
                edge = {"from": run.digest, "to": replay.digest}
                edges.append({"kind": "replay", **edge, "grade": replay.grade})
            for one in run.evaluations:
                edge = {"from": run.digest, "to": one.digest}
                edges.append({"kind": "evaluation", **edge, "step": one.step})
        nodes = [
            {
                "digest": run.digest,
                "name": run.name,
                "outcome": run.outcome,
                "steps": run.num_steps,
                "reused_steps": run.num_reused_steps,
            }
            for run in self.runs.values()
        ]
        return {
            "shown": self.shown,
            "nodes": nodes,
            "edges": edges,
            "missing": list(self.missing),
        }

    def tree(self) -> Iterator[tuple[str, tuple[bool, ...]]]:
        """Yield each run, and each missing one, below the one that it parted from.

        Yields:
            Digest, and for each level above it whether it is the last one there; the
            last of them is its own. Those that come from nowhere have no level.
        """
        below: dict[str, list[str]] = {digest: [] for digest in self.missing}
        roots = list(self.missing)
        for digest, run in self.runs.items():
            above = next(iter(run.sources), None)
            (roots if above is None else below.setdefault(above, [])).append(digest)

        def walk(
            digest: str, levels: tuple[bool, ...]
        ) -> Iterator[tuple[str, tuple[bool, ...]]]:
            yield digest, levels
            heirs = below.get(digest, [])
            for heir in heirs:
                yield from walk(heir, (*levels, heir == heirs[-1]))

        for root in roots:
            yield from walk(root, ())


def lineage_of(ledger: Ledger, text: str) -> Lineage:
    """Find everything that a run comes from and that came of it.

    Args:
        ledger: Holds the run.
        text: Beginning of its digest, or its unique name.

    Raises:
        CheckFailed: An entry was changed.
        InputError: There is no such run, or an entry is missing.
    """
    shown = ledger.find(text)
    run_of(shown)
    runs = _runs(ledger, shown.digest)
    heirs: dict[str, list[str]] = {}
    for run in runs.values():
        for source in run.sources:
            heirs.setdefault(source, []).append(run.digest)
    kept = {shown.digest}
    for step in (
        lambda digest: runs[digest].sources if digest in runs else (),
        lambda digest: heirs.get(digest, ()),
    ):
        waiting = [shown.digest]
        while waiting:
            for other in step(waiting.pop()):
                if other not in kept:
                    kept.add(other)
                    waiting.append(other)
    # An heir may have other sources too: each says so, though they are not shown.
    named = {source for digest in kept & set(runs) for source in runs[digest].sources}
    return Lineage(
        shown=shown.digest,
        runs={digest: run for digest, run in runs.items() if digest in kept | named},
        missing=tuple(sorted((kept | named) - set(runs))),
    )


def _runs(ledger: Ledger, shown: str) -> dict[str, Run]:
    """Read all runs, by digest, in order of arrival."""
    documents: dict[str, Any] = {}
    replays: dict[str, list[Replay]] = {}
    evaluations: dict[str, list[Scoring]] = {}
    for line in ledger.log():
        if line.kind not in ("run", "replay", "evaluation"):
            continue
        document = json.loads(ledger.read_bytes(line.digest))
        if line.kind == "run":
            documents[line.digest] = document
        elif line.kind == "evaluation":
            scoring = _scoring(line.digest, document)
            evaluations.setdefault(document["subject"], []).append(scoring)
        else:
            one = Replay(line.digest, document["grade"])
            replays.setdefault(document["original"], []).append(one)
    runs = {
        digest: _run(digest, document)._replace(
            replays=tuple(replays.get(digest, ())),
            evaluations=tuple(evaluations.get(digest, ())),
        )
        for digest, document in documents.items()
    }
    last = {run.recording: digest for digest, run in runs.items()}
    named = {source for run in runs.values() for source in run.sources}
    kept = {shown, *last.values(), *named}
    return {digest: run for digest, run in runs.items() if digest in kept}


def _scoring(digest: str, document: dict[str, Any]) -> Scoring:
    names = [one["suite"] for one in document["scores"]]
    names += [one["name"] for one in document["extras"]]
    return Scoring(digest, document["step"], tuple(names))


def _run(digest: str, document: dict[str, Any]) -> Run:
    names = StageSpan._fields
    fork = document.get("parent")
    return Run(
        digest=digest,
        name=document["name"],
        outcome=document["outcome"]["status"],
        recording=document["recording"],
        stages=tuple(
            StageSpan(**{name: stage[name] for name in names})
            for stage in document["stages"]
        ),
        fork=Fork(**fork) if fork else None,
        replays=(),
    )
