"""A bundle made in one checkout is rebuilt in another, which has nothing else of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from data_workspace import dvc, isolate
from run_workspace import codemix, copy_workspace, entry_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_bundle_and_remote_are_enough_for_an_exact_replay(
    finished_run: tuple[Path, str], tmp_path: Path
) -> None:
    source, digest = finished_run
    first = tmp_path / "first"
    copy_workspace(source, first)
    dvc(first, "remote", "add", "--default", "depot", str(tmp_path / "depot"))
    dvc(first, "push")
    for bundle, which in (("run", "none"), ("states", "last")):
        file = str(tmp_path / f"{bundle}.crate.zip")
        options = ["-o", file, "--checkpoints", which]
        code, told, stderr = codemix(first, "ledger", "export", digest, *options)
        assert code == 0, stderr
        assert told["entry"] == digest
    entry = entry_of(first, digest)
    shutil.rmtree(first)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = str(tmp_path / "run.crate.zip")
    code, told, stderr = codemix(elsewhere, "ledger", "import", run, "--into", "study")
    assert code == 0, stderr
    assert told["remote"] == str(tmp_path / "depot")
    study = elsewhere / "study"
    assert entry_of(study, digest) == entry
    assert not list((study / "data").glob("*.jsonl"))
    isolate(study)

    code, told, stderr = codemix(study, "reproduce", "small")
    assert code == 0, stderr
    assert told["grade"] == "EXACT"
    assert list((study / "data").glob("*.jsonl"))
    code, told, stderr = codemix(study, "ledger", "verify")
    assert code == 0, json.dumps(told)

    # A checkpoint that came along is as good as one that was made here.
    states = str(tmp_path / "states.crate.zip")
    code, told, stderr = codemix(study, "ledger", "import", states)
    assert code == 0, stderr
    assert told["checkpoints"] == [16]
    code, told, stderr = codemix(study, "export", digest, "--to", "model")
    assert code == 0, stderr
    assert (study / "model" / "model.safetensors").exists()
