"""What docs/clusters.md shows of Kubernetes is what codemix writes, and fits it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kubernetes_schema import broken_rule
from ruamel.yaml import YAML

from codemix_cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/clusters.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """The manifest on the page."""
    (text,) = (block for block in BLOCKS if "kind: JobSet" in block)
    return dict(YAML(typ="safe", pure=True).load(text))


@pytest.fixture(scope="module")
def queue() -> dict[str, Any]:
    """What is set up once, by its kind."""
    (text,) = (block for block in BLOCKS if "kind: LocalQueue" in block)
    parts = list(YAML(typ="safe", pure=True).load_all(text))
    assert {one["apiVersion"] for one in parts} == {"kueue.x-k8s.io/v1beta2"}
    return {one["kind"]: one for one in parts}


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    (run,) = manifest["spec"]["replicatedJobs"]
    return dict(run["template"]["spec"]["template"]["spec"])


def test_the_command_on_the_page_writes_the_manifest_on_the_page(
    shown: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (said,) = re.findall(
        r"^    \$ (codemix study specs/paper .*--dry-run(?:.*\\\n)*.*)$",
        PAGE,
        re.MULTILINE,
    )
    (tmp_path / ".dvc").mkdir()
    shutil.copytree(ROOT / "specs/paper", tmp_path / "specs/paper")
    monkeypatch.chdir(tmp_path)
    words = shlex.split(said.replace("\\\n", " "))[1:]
    done = CliRunner().invoke(cli, words, prog_name="codemix")
    assert done.exit_code == 0, done.output
    folder = tmp_path / ".codemix/studies/code-in-pretraining/kubernetes"
    (file,) = folder.glob(f"*-{shown['metadata']['name']}.yaml")
    assert YAML(typ="safe", pure=True).load(file) == shown
    assert broken_rule(shown) is None


def test_the_queue_on_the_page_lets_the_manifest_run(
    shown: dict[str, Any], queue: dict[str, Any]
) -> None:
    pod = pod_of(shown)
    (container,) = pod["containers"]
    labels = queue["ResourceFlavor"]["spec"]["nodeLabels"]
    assert labels.items() <= pod["nodeSelector"].items()
    (group,) = queue["ClusterQueue"]["spec"]["resourceGroups"]
    assert group["coveredResources"] == [*container["resources"]["requests"]]
    (flavor,) = group["flavors"]
    assert flavor["name"] == queue["ResourceFlavor"]["metadata"]["name"]
    (quota,) = flavor["resources"]
    assert [quota["name"]] == group["coveredResources"]
    (run,) = shown["spec"]["replicatedJobs"]
    chips = (
        run["replicas"]
        * run["template"]["spec"]["parallelism"]
        * int(container["resources"]["requests"][quota["name"]])
    )
    # "two jobs at once"
    assert quota["nominalQuota"] == 2 * chips == 256
    mine = queue["LocalQueue"]
    wanted = shown["metadata"]["labels"]["kueue.x-k8s.io/queue-name"]
    assert mine["metadata"]["name"] == wanted
    assert mine["spec"]["clusterQueue"] == queue["ClusterQueue"]["metadata"]["name"]
