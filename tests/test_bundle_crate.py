"""A bundle is an RO-Crate, says the validator that others use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bundles
import pytest

WORKER = Path(__file__).with_name("crate_worker.py")


def validated(*paths: Path) -> dict[str, dict[str, list[str]]]:
    pytest.importorskip("rocrate_validator", reason="roc-validator is not installed")
    command = [sys.executable, str(WORKER), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return told


def test_bundle_is_a_valid_workflow_run_crate_and_a_broken_one_is_not(
    tmp_path: Path,
) -> None:
    digest = bundles.make_recorded(tmp_path / "workspace", is_replayed=True)
    bundle = tmp_path / "run.crate.zip"
    bundles.export(tmp_path / "workspace", digest, bundle)
    files = bundles.read(bundle)
    document = json.loads(files[bundles.METADATA])
    for one in document["@graph"]:
        if one["@id"] == "#run":
            one["instrument"] = {"@id": "#codemix"}
        if one["@id"] == "./":
            del one["license"]
    broken = {**files, bundles.METADATA: json.dumps(document).encode()}
    bundles.write(broken, tmp_path / "broken.zip")

    told = validated(bundle, tmp_path / "broken.zip")
    assert told[str(bundle)]["required"] == []
    assert int(told[str(bundle)]["checks"][0]) > 100
    required = told[f"{tmp_path}/broken.zip"]["required"]
    assert any("instrument" in one for one in required), required
