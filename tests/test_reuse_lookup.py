"""Looking stages up in the ledger, and what of them becomes part of another run."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from ledger_runs import SPEC, facts, hex_of, lock, play

from ledger.entry import Entry
from ledger.recorder import COMPLETED
from ledger.reuse import (
    finished_stages,
    missing_suites,
    runs_with,
    stage_to_take,
    take_over,
)
from ledger.run_recorder import RunRecorder
from ledger.series import decode_series
from ledger.store import Ledger
from ledger.wanted import wanted_by
from specs.experiment import Experiment
from specs.lock import LockedStore
from specs.resolve import plan_experiment

BALANCED = hex_of("identity", "balanced")
TEXT = hex_of("identity", "text")


def store(manifest: str) -> LockedStore:
    return LockedStore(
        identity="a" * 64,
        manifest_sha256=hex_of(manifest),
        train_tokens=1,
        heldout_tokens=1,
    )


EVALS = {
    "heldout": {"suite": "heldout"},
    "choices": {"suite": "choices", "file": "quiz.jsonl"},
}


def facts_of(
    name: str, *, manifest: str = "bytes", evals: Any = ("heldout",), **fields: Any
) -> Any:
    """Facts of a run of its own identity, with held-out text."""
    changes = {
        "name": name,
        "sources": {"text": {"uri": "data/*.txt", "max_epochs": 100, "holdout": 0.1}},
        "evals": [EVALS[suite] for suite in evals],
        **fields.pop("spec", {}),
    }
    experiment = Experiment.model_validate({**SPEC, **changes})
    locked = lock().model_copy(update={"stores": {"text": store(manifest)}})
    fields = {
        "identity": hex_of("run", name),
        "lock": locked,
        "experiment": experiment,
        "plan": plan_experiment(experiment),
        **fields,
    }
    return facts().model_copy(update=fields)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path)


def record_run(ledger: Ledger, name: str, **changes: Any) -> str:
    recorder = RunRecorder(ledger, ledger.folder.parent / "runs" / name)
    play(recorder, run_facts=facts_of(name, **changes))
    assert recorder.digest is not None
    return recorder.digest


def test_stages_are_found_by_identity_the_latest_first(ledger: Ledger) -> None:
    first, second = record_run(ledger, "first"), record_run(ledger, "second")
    found = finished_stages(ledger, [BALANCED, hex_of("other")], "exact")
    assert [one.digest for one in found[BALANCED]] == [second, first]
    assert found[hex_of("other")] == []


@pytest.mark.parametrize("determinism", ["fast", "same-topology"])
def test_a_stage_counts_only_under_the_promise_that_it_was_trained_with(
    ledger: Ledger, determinism: str
) -> None:
    record_run(ledger, "run", spec={"determinism": determinism})
    assert finished_stages(ledger, [BALANCED], "exact") == {BALANCED: []}
    num_found = 1 if determinism == "same-topology" else 0
    assert len(finished_stages(ledger, [BALANCED], determinism)[BALANCED]) == num_found


def test_an_entry_that_took_a_stage_over_counts_where_the_trainer_is_gone(
    ledger: Ledger, tmp_path: Path
) -> None:
    trainer = record_run(ledger, "trainer")
    recorder = RunRecorder(ledger, tmp_path / "reuser")
    recorder.begin(facts_of("reuser"))
    recorder.stage_reused("renamed", trainer, identity=BALANCED)
    entry = recorder.finish(COMPLETED)
    found = finished_stages(ledger, [BALANCED], "exact")[BALANCED]
    assert [one.digest for one in found] == [trainer]
    elsewhere = Ledger.open(tmp_path / "elsewhere")
    elsewhere.append(entry)
    (one,) = finished_stages(elsewhere, [BALANCED], "exact")[BALANCED]
    assert (one.digest, one.trainer) == (recorder.digest, trainer)
    assert one.stage.name == "renamed"


def taken(ledger: Ledger, digest: str, asked: Any) -> Any:
    found = stage_to_take(ledger, digest, "balanced", BALANCED)
    return take_over(found, "balanced", asked, ledger.objects)


def test_metrics_are_taken_over_at_the_steps_that_are_asked_for(ledger: Ledger) -> None:
    digest = record_run(ledger, "run")
    stage = stage_to_take(ledger, digest, "balanced", BALANCED).stage
    same = taken(ledger, digest, facts_of("same")).stage
    assert (same.metrics, same.trace) == (stage.metrics, stage.trace)
    # Made-up runs log even steps, which are those before an odd number of steps done.
    fewer = facts_of("fewer", spec={"logging": {"every_steps": 3}})
    series = decode_series(
        ledger.objects.get(taken(ledger, digest, fewer).stage.metrics)
    )
    assert [point.step for point in series] == [2]


@pytest.mark.parametrize(
    ("change", "is_taken"),
    [
        ({}, True),
        ({"manifest": "other bytes"}, False),
        ({"evals": ()}, False),
        ({"evals": ("heldout", "choices")}, True),
        ({"evals": ("choices", "heldout")}, False),
    ],
    ids=str,
)
def test_scores_are_taken_over_where_all_that_decides_them_is_the_same(
    ledger: Ledger, change: dict[str, Any], is_taken: bool
) -> None:
    digest = record_run(ledger, "run")
    asked = facts_of("asked", **change)
    assert [one.step for one in taken(ledger, digest, asked).scores] == [8] * is_taken
    found = stage_to_take(ledger, digest, "balanced", BALANCED)
    wanted = wanted_by(asked.experiment, asked.lock, asked.code.packages)
    missing = missing_suites(found, wanted, ledger.objects)
    expected = change.get("evals", ("heldout",))
    assert list(missing) == [
        one for one in expected if one == "choices" or not is_taken
    ]


def test_scores_of_other_evaluation_code_are_not_taken_over(ledger: Ledger) -> None:
    digest = record_run(ledger, "run")
    code = facts().code.model_copy(update={"packages": {"evals": hex_of("newer")}})
    assert taken(ledger, digest, facts_of("newer", code=code)).scores == ()


def test_a_look_at_a_thousand_entries_takes_less_than_a_second(ledger: Ledger) -> None:
    digest = record_run(ledger, "run")
    entry = ledger.read(digest)
    assert isinstance(entry, Entry)
    # Environments are what makes real entries large.
    padding = {f"package{number}": hex_of(number) for number in range(400)}
    with ledger.log_path.open("ab") as log:
        for number in range(1000):
            identity = hex_of("run", number)
            changes = {"identity": identity, "stages": (), "devices": padding}
            data = entry.model_copy(update=changes).to_bytes()
            name = hashlib.sha256(data).hexdigest()
            ledger.entry_path(name).write_bytes(data)
            line = {"entry": name, "kind": "run", "name": "run", "unix_ms": 0}
            log.write(json.dumps(line).encode() + b"\n")
    assert len(ledger.log()) == 1001
    begin = time.process_time()
    found = finished_stages(ledger, [BALANCED, TEXT], "exact")
    assert time.process_time() - begin < 1
    assert found[TEXT][0].digest == digest
    assert [one.digest for one in runs_with(ledger, [hex_of("run", 999)])]
