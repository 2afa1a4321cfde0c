"""The whole path, as a user walks it: run, look, reproduce, on any devices."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_workspace
from run_workspace import codemix, copy_workspace, entry_of, evidence

from runtime.ready import ready_spec
from runtime.store_identity import store_folder
from runtime.token_store import TokenStore


@pytest.fixture
def entry(finished_run: tuple[Path, str]) -> dict[str, Any]:
    """The finished run's entry."""
    return entry_of(*finished_run)


def test_a_run_accounts_for_every_stage_step_tensor_and_score(
    entry: dict[str, Any],
) -> None:
    stages = [
        (one["name"], one["start_step"], one["stop_step"]) for one in entry["stages"]
    ]
    assert stages == [("balanced", 0, 5), ("text", 5, 13), ("cooldown", 13, 16)]
    assert all(one["weights_digest"] and one["identity"] for one in entry["stages"])
    assert [one["step"] for one in entry["checkpoints"]] == [3, 5, 6, 9, 12, 13, 15, 16]
    scored = [(one["step"], one["suite"]) for one in entry["scores"]]
    assert scored == [(0, "baselines"), *((n, "heldout") for n in (5, 6, 12, 13, 16))]


def test_checkpoints_are_kept_by_the_policy_of_the_spec(
    finished_run: tuple[Path, str], entry: dict[str, Any]
) -> None:
    folder, _ = finished_run
    run = folder / ".codemix" / "runs" / entry["identity"][:16]
    kept = sorted(int(path.name) for path in (run / "checkpoints").iterdir())
    assert kept == [5, 12, 13, 15, 16]


def test_a_finished_run_is_not_run_again(finished_run: tuple[Path, str]) -> None:
    folder, digest = finished_run
    code, again, stderr = codemix(folder, "run", "specs/small.yaml")
    assert (code, again["entry"]) == (0, digest)
    assert "the ledger has this run already" in stderr


def test_realised_sequences_are_the_plans_and_no_held_out_document_is_seen(
    finished_run: tuple[Path, str],
) -> None:
    folder, _ = finished_run
    ready = ready_spec(folder / "specs" / "small.yaml")
    seen: Counter[str] = Counter()
    for stage in ready.plan.stages:
        realised: Counter[str] = Counter()
        for step in range(stage.start_step, stage.stop_step):
            realised.update(ready.sources_of(step))
        assert realised == stage.sequences
        seen.update(realised)
    assert seen.keys() == ready.plan.sources.keys()
    heldout = {
        name: TokenStore.open(store_folder(folder, store.identity), "heldout")
        for name, store in ready.lock.stores.items()
    }
    trained_on = {
        document
        for store in ready.prepared.stores.values()
        for document in _documents(store)
    }
    for store in heldout.values():
        assert store.num_documents > 0
        assert trained_on.isdisjoint(_documents(store))


@pytest.mark.e2e
@pytest.mark.parametrize("num_devices", [1, 4, pytest.param(8, marks=pytest.mark.slow)])
def test_any_number_of_devices_gives_the_same_entry(
    finished_run: tuple[Path, str],
    entry: dict[str, Any],
    tmp_path: Path,
    num_devices: int,
) -> None:
    # The second stage has lanes for 4 devices, so 8 train it on 4.
    folder = tmp_path / "copy"
    copy_workspace(finished_run[0], folder)
    shutil.rmtree(folder / ".codemix" / "runs")
    shutil.rmtree(folder / ".codemix" / "ledger")
    code, told, stderr = codemix(
        folder, "run", "specs/small.yaml", num_devices=num_devices
    )
    assert code == 0, stderr
    rebuilt = entry_of(folder, told["entry"])
    assert rebuilt["devices"]["num_devices"] == num_devices
    assert evidence(rebuilt) == evidence(entry)


def test_a_replay_without_checkpoints_and_stores_is_exact(
    finished_run: tuple[Path, str], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    copy_workspace(finished_run[0], folder)
    shutil.rmtree(folder / ".codemix" / "runs")
    shutil.rmtree(folder / ".codemix" / "stores")
    shutil.rmtree(folder / ".codemix" / "tokenizers")
    code, verdict, stderr = codemix(folder, "reproduce", finished_run[1][:12])
    assert (code, verdict["grade"]) == (0, "EXACT"), stderr
    same = {
        kind: (one["same"], one["total"]) for kind, one in verdict["compared"].items()
    }
    assert same["steps"] == (16, 16)
    assert all(found == total > 0 for found, total in same.values()), same


def test_a_replay_on_changed_tokens_names_the_first_step_and_the_batch(
    finished_run: tuple[Path, str], entry: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    spec = copy_workspace(finished_run[0], folder)
    ready = ready_spec(spec)
    step = 7
    order = ready.prepared.mixture.at(step)
    source = order.sources[int(order.source_index[2])]
    _flip_token(
        store_folder(folder, ready.lock.stores[source].identity),
        int(order.start_token[2]) + 1,
    )
    first = _first_changed(finished_run[0] / "specs" / "small.yaml", spec)
    code, verdict, _ = codemix(folder, "reproduce", finished_run[1])
    assert (code, verdict["grade"]) == (1, "DIVERGED")
    assert (verdict["first_step"], verdict["channel"]) == (first, "batch")
    assert first <= step


def test_a_loss_that_is_not_finite_stops_the_run_with_a_usable_checkpoint(
    finished_run: tuple[Path, str], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    spec = copy_workspace(finished_run[0], folder)
    rate = {"schedule": "constant", "peak": 1e30}
    stages = [
        run_workspace.STAGES[0],
        {**run_workspace.STAGES[2], "learning_rate": rate},
    ]
    run_workspace.write_run_spec(folder, name="wild", stages=stages)
    code, told, _ = codemix(folder, "run", str(spec))
    assert code == 5
    (problem,) = told["problems"]
    assert "is not finite: loss" in problem["what"]
    assert problem["path"] == "stages.cooldown"
    checkpoint = int(problem["what"].rsplit(" ", 1)[1])
    (path,) = folder.glob(f".codemix/runs/*/checkpoints/{checkpoint:08d}/manifest.json")
    assert path.exists()
    code, listed, _ = codemix(folder, "ledger", "list")
    assert "failed" in [row["result"] for row in listed["entries"]]


def test_eval_and_export_check_the_weights_against_the_entry(
    finished_run: tuple[Path, str], tmp_path: Path
) -> None:
    folder, digest = finished_run
    code, scores, stderr = codemix(folder, "eval", digest)
    assert (code, scores["is_same"]) == (0, True), stderr
    assert len(scores["scores"]) == 3
    target = tmp_path / "exported"
    code, written, stderr = codemix(folder, "export", digest, "--to", str(target))
    assert code == 0, stderr
    assert "model.safetensors" in written["files"]
    assert (target / "config.json").exists()


def test_a_spec_stands_for_its_latest_completed_run(
    finished_run: tuple[Path, str], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    spec = copy_workspace(finished_run[0], folder)
    code, scores, stderr = codemix(folder, "eval", str(spec))
    assert (code, scores["entry"]) == (0, finished_run[1]), stderr
    spec.write_text(spec.read_text().replace('"seed": 17', '"seed": 18'))
    code, told, _ = codemix(folder, "eval", str(spec))
    assert code == 4
    assert told["problems"][0]["fix"] == f"codemix run {spec}"


def _documents(store: TokenStore) -> Iterator[bytes]:
    for document in store.documents:
        count = document.stop_token - document.start_token
        yield store.read(document.start_token, count).tobytes()


def _flip_token(store: Path, token: int) -> None:
    """Change one token on disk; its file keeps its size."""
    (path,) = store.glob("train-*.tokens")
    data = np.memmap(path, dtype="<u2", mode="r+")
    data[token] ^= 1
    data.flush()


def _first_changed(original: Path, changed: Path) -> int:
    was, now = ready_spec(original), ready_spec(changed)

    def is_changed(step: int) -> bool:
        rows = np.arange(was.plan.stage_at(step).sequences_per_step)
        batches = (one.batch(step, rows)[rows] for one in (was, now))
        return not np.array_equal(*batches)

    return next(step for step in range(was.plan.num_steps) if is_changed(step))
