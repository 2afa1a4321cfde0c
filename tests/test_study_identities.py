"""What a study plans to share is what its experiments share once data is prepared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from data_workspace import experiment_of
from run_workspace import STAGES, make_run_workspace
from spec_examples import document
from test_study_graph import experiment as small

from ledger.store import Ledger
from runtime.pin import pin
from runtime.prepare import prepare
from runtime.study.slots import Slot
from runtime.study.standing import identify, identify_here, standing
from specs.declared import declared_lock
from specs.errors import InputError
from specs.experiment import Experiment
from specs.lock import Lock, LockedStore
from specs.resolve import plan_experiment
from specs.study_graph import StudyGraph, study_graph

PROSE = {"uri": "data/prose.jsonl", "holdout": "10%"}
CODE = {"uri": "data/code.jsonl", "holdout": "5%"}
LONG = {**PROSE, "filters": [{"filter": "length", "min_chars": 100}]}
TRAINED = {"mixture": {"prose": 1}, "sample_bytes": 50_000}
FIRST, SECOND, THIRD = STAGES

VARIATIONS: dict[str, dict[str, Any]] = {
    "base": {},
    "renamed": {"stages": [{**FIRST, "name": "other"}, SECOND]},
    "parted": {"stages": [FIRST, THIRD]},
    "scored": {"evals": [], "logging": {"every_steps": 5}},
    "seeded": {"seed": 3},
    "often": {"sources": {"prose": {**PROSE, "max_epochs": 2}, "code": CODE}},
    "filtered": {"sources": {"prose": LONG, "code": CODE}},
    "held": {"sources": {"prose": {**PROSE, "holdout": "20%"}, "code": CODE}},
    "once": {"deduplicate": {"sources": ["prose"]}},
    "tokenizer": {"tokenizer": {"vocab_size": 320, "train": TRAINED}},
}


def partition(
    graph: StudyGraph, found: dict[str, tuple[str, ...]]
) -> set[frozenset[str]]:
    """Return which stages of which experiments have one identity."""
    classes: dict[str, set[str]] = {}
    for name, identities in found.items():
        for index, identity in enumerate(identities):
            classes.setdefault(identity, set()).add(f"{name} {index}")
    return {frozenset(one) for one in classes.values()}


def test_identities_are_those_of_a_job_that_has_its_share_of_the_devices() -> None:
    changes: dict[str, Any] = {"determinism": "same-topology", "name": "plain"}
    specs = [document(name="exact"), document(**changes)]
    graph = study_graph(
        [(Path(f"{one['name']}.yaml"), Experiment.model_validate(one)) for one in specs]
    )
    store = LockedStore(
        identity="a" * 64, manifest_sha256="b" * 64, train_tokens=1, heldout_tokens=1
    )
    stores = {"text": store, "web": store}
    lock = Lock(
        lock=1, codemix="0", inputs={}, stores=stores, tokenizer_sha256="c" * 64
    )
    found = []
    for count in (1, 2, 2):
        # Stands in for CUDA_VISIBLE_DEVICES, where there is no GPU.
        flags = f"--xla_force_host_platform_device_count={count}"
        slot = Slot(cores=None, environ={"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags})
        locks = dict.fromkeys(graph.members, lock)
        found.append(identify(list(graph.members.values()), locks, slot))
    one, two, again = found
    assert two == again
    assert one["exact"] == two["exact"]
    assert one["plain"].run != two["plain"].run


def test_what_an_experiment_for_more_devices_is_called_is_not_known_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    graph = study_graph(
        [small("fits"), small("wide", parallel={"tensor": 2}), small("seeded", seed=2)]
    )
    members = list(graph.members.values())
    locks = {
        one.name: declared_lock(one.experiment, plan_experiment(one.experiment))
        for one in members
    }
    with pytest.raises(InputError, match=r"parallel\.tensor has 2 share"):
        identify(members, locks)
    known = identify_here(members, locks)
    assert set(known) == {"fits", "seeded"}
    assert standing(graph, known, tmp_path) == ({}, {})


@pytest.mark.slow
def test_planned_sharing_is_real_sharing(tmp_path: Path) -> None:
    base = json.loads(make_run_workspace(tmp_path).read_text())
    experiments: list[tuple[Path, Experiment]] = []
    locks: dict[str, Lock] = {}
    for name, changes in VARIATIONS.items():
        own = tmp_path / "specs" / f"{name}.yaml"
        own.write_text(json.dumps({**base, "name": name, **changes}))
        experiment = experiment_of(own)
        experiments.append((own, experiment))
        lock = pin(own, experiment, tmp_path)
        plan = plan_experiment(experiment)
        locks[name] = prepare(experiment, plan, lock, tmp_path)
    planned, real = study_graph(experiments), study_graph(experiments, locks)
    known = identify(list(real.members.values()), locks)
    here = partition(real, {name: one.stages for name, one in known.items()})
    for graph in (planned, real):
        stages = {name: one.stages for name, one in graph.members.items()}
        assert partition(graph, stages) == here
    sizes = sorted((len(one) for one in here), reverse=True)
    assert sizes[:3] == [5, 4, 3], "some are shared"
    assert len({one.run for one in known.values()}) == len(VARIATIONS)
    assert standing(real, known, tmp_path) == ({}, {})
    assert not Ledger(tmp_path / ".codemix" / "ledger").folder.exists()
