"""A study on Kubernetes: through the real `kubectl`, and written out."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kubernetes_schema import broken_rule
from kubernetes_server import FakeCluster, fake_cluster
from ruamel.yaml import YAML
from run_workspace import command, environment
from spec_examples import document
from studies import (
    EXPERIMENTS,
    entries_of,
    make_study,
    trained_steps,
)
from test_architecture import HEAVY, loaded_by
from test_kubernetes_options import NEEDED, options
from test_study_graph import END, FIRST, MORE
from test_study_schedule import GRAPH, experiment

from codemix_cli.main import cli
from runtime.study.kubectl import Cluster
from runtime.study.kubernetes import Row, submit_study
from runtime.study.kubernetes_options import ClusterOptions
from runtime.study.ready import ReadyStudy
from specs.errors import InputError
from specs.study_graph import study_graph

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl isn't installed"
)
TPU = options(slice="v5e-4")
OWN = Path(".codemix/studies/s")


def of(graph: Any) -> ReadyStudy:
    return ReadyStudy(name="s", folder=OWN, workspace=Path(), graph=graph, locks={})


STUDY = of(GRAPH)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    with fake_cluster(tmp_path) as (found, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield found


def call(
    study: ReadyStudy = STUDY, said: ClusterOptions = TPU, *extra: str
) -> dict[str, Row]:
    rows, entries = submit_study(study, said, Cluster(None), extra)
    assert entries == {}
    return {row.job: row for row in rows}


def states(rows: Mapping[str, Row]) -> dict[str, str]:
    return {name: row.state for name, row in rows.items()}


def name_of(row: Row) -> str:
    assert row.jobset is not None
    return row.jobset


@needs_kubectl
def test_jobs_are_created_once_their_parents_are_done(cluster: FakeCluster) -> None:
    first = call()
    assert states(first) == {
        "a/one": "submitted", "a/two": "waiting", "a": "waiting", "b": "waiting",
        "c": "waiting", "d": "submitted",
    }  # fmt: skip
    assert first["b"].after == ("a/two",)
    assert len(cluster.created) == 2
    # The cluster itself is asked to refuse what it does not know.
    assert all("fieldValidation=Strict" in one for one in cluster.queries)
    one = name_of(first["a/one"])
    assert states(call())["a/one"] == "queued"
    cluster.admit(one)
    assert states(call())["a/one"] == "running"
    assert len(cluster.created) == 2, "what is there is not created again"

    cluster.end(one, "Completed")
    cluster.end(name_of(first["d"]), "Failed", "job ran out of restarts")
    second = call()
    assert states(second) == {
        "a/one": "done", "a/two": "submitted", "a": "waiting", "b": "waiting",
        "c": "submitted", "d": "submitted",
    }  # fmt: skip
    assert second["d"].before == "job ran out of restarts"
    # The failed one stays, with its logs.
    assert name_of(second["d"]) == f"{first['d'].jobset}-2"
    assert call()["d"] == Row("d", "queued", second["d"].jobset, (), None)
    for _ in range(3):
        for name in list(cluster.jobsets):
            cluster.end(name, "Completed")
        last = call()
    assert set(states(last).values()) == {"done"}
    assert len(cluster.created) == 7


@needs_kubectl
def test_a_study_that_was_changed_leaves_nothing_of_before_in_the_queue(
    cluster: FakeCluster,
) -> None:
    first = call()
    cluster.admit(name_of(first["a/one"]))
    other = of(
        study_graph(
            [experiment("a", {**FIRST, "tokens": "20K"}), experiment("d", seed=2)]
        )
    )
    rows = call(other)
    assert states(rows) == {"a": "submitted", "d": "queued"}
    # What runs goes on; what only waited is taken away.
    assert set(cluster.jobsets) == {
        name_of(one) for one in (first["a/one"], rows["a"], rows["d"])
    }
    rows = call(of(study_graph([experiment("d", seed=3)])))
    assert set(cluster.jobsets) == {name_of(first["a/one"]), name_of(rows["d"])}


@needs_kubectl
def test_what_waits_with_other_options_is_created_anew_and_nothing_else(
    cluster: FakeCluster,
) -> None:
    first = call(STUDY, options(slice="v5e-4", queue="reserch"))
    cluster.admit(name_of(first["a/one"]))
    second = call()
    assert states(second)["a/one"] == "running"
    assert second["d"] == first["d"]._replace(jobset=f"{first['d'].jobset}-2")
    assert set(cluster.jobsets) == {name_of(first["a/one"]), name_of(second["d"])}
    label = "kueue.x-k8s.io/queue-name"
    assert cluster.created[-1]["metadata"]["labels"][label] == "research"
    assert states(call())["d"] == "queued"
    assert len(cluster.created) == 3, "what waits as asked is left alone"

    assert states(call(STUDY, options(slice="v5e-4", image="x:2")))["d"] == "submitted"
    assert states(call(STUDY, TPU, "--ledger", "there"))["d"] == "submitted"
    cluster.end(name_of(first["a/one"]), "Completed")
    last = call(STUDY, options(slice="v5e-8"))
    assert states(last)["a/one"] == "done"


@needs_kubectl
def test_what_waits_since_before_options_were_noted_is_created_anew(
    cluster: FakeCluster,
) -> None:
    first = call()
    cluster.admit(name_of(first["a/one"]))
    for one in cluster.jobsets.values():
        del one["metadata"]["annotations"]["codemix-options"]
    rows = states(call())
    assert (rows["a/one"], rows["d"]) == ("running", "submitted")
    assert states(call())["d"] == "queued"


@needs_kubectl
def test_what_the_cluster_refuses_is_told(cluster: FakeCluster) -> None:
    cluster.create = lambda _: (  # type: ignore[method-assign]
        403,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": 403,
            "reason": "Forbidden",
            "message": "jobsets is forbidden: no quota",
        },
    )
    with pytest.raises(InputError, match=r"kubectl create: .*no quota"):
        call()


def test_a_machine_without_kubectl_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="kubectl is not installed here"):
        Cluster(None)


SAID = [
    word
    for name, value in NEEDED.items()
    for word in ("--kubernetes-option", f"{name}={value}")
]
DRY = ["study", "s", "--on", "kubernetes", "--dry-run", *SAID]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path(".dvc").mkdir()
    Path("s").mkdir()
    for name, stages in {"a": [FIRST, MORE, END], "b": [FIRST], "c": [FIRST]}.items():
        spec = json.dumps(document(name=name, stages=stages))
        (Path("s") / f"{name}.yaml").write_text(spec)
    return tmp_path


def codemix(*arguments: str, code: int = 0) -> str:
    shown = CliRunner(charset="ascii").invoke(cli, list(arguments), prog_name="codemix")
    assert shown.exit_code == code, shown.output
    return shown.stdout


def test_a_dry_run_writes_a_manifest_per_stage_and_what_they_run(folder: Path) -> None:
    dry = [*DRY, "--kubernetes-option", "slice=v5e-4", "--json"]
    told = json.loads(codemix(*dry))
    assert told["folder"] == str(OWN / "kubernetes")
    jobs = {one["job"]: one for one in told["jobs"]}
    assert {name: one["after"] for name, one in jobs.items()} == {
        "a/two": ["b"], "a": ["a/two"], "b": [], "c": ["b"],
    }  # fmt: skip
    files = [Path(one["file"]) for one in told["jobs"]]
    assert sorted((OWN / "kubernetes").iterdir()) == files, "parents come first"
    for one in told["jobs"]:
        made = YAML(typ="safe", pure=True).load(Path(one["file"]))
        assert broken_rule(made) is None
        assert made["metadata"]["name"] == one["jobset"]
        (run,) = made["spec"]["replicatedJobs"]
        (container,) = run["template"]["spec"]["template"]["spec"]["containers"]
        assert container["command"][2] == one["spec"]
        assert Path(one["spec"]).exists()
    before = [file.read_bytes() for file in files]
    assert json.loads(codemix(*dry)) == told
    assert [file.read_bytes() for file in files] == before
    # What is not asked any more is not left for `kubectl create -f FOLDER`.
    Path("s/a.yaml").unlink()
    mine = OWN / "kubernetes" / "mine.yaml"
    mine.write_text("a: 1\n")
    text = codemix(*DRY, "--kubernetes-option", "slice=v5e-4")
    assert "wrote 2 manifests in .codemix/studies/s/kubernetes" in text
    assert mine.exists()
    assert len(list((OWN / "kubernetes").iterdir())) == 3


def test_the_next_command_is_the_same_as_a_shell_takes_it(folder: Path) -> None:
    said = [*SAID, "--kubernetes-option", "slice=v5e-4", "--ledger", "file:my runs"]
    told = codemix("study", "s", "--on", "kubernetes", "--dry-run", *said)
    next_command = told.splitlines()[-1].removeprefix("next: ")
    words = ["codemix", "study", "s", "--on", "kubernetes", *said]
    assert shlex.split(next_command) == words


def test_a_dry_run_loads_nothing_heavy(folder: Path) -> None:
    words = [*DRY, "--kubernetes-option", "slice=v5e-4"]
    loaded = loaded_by(
        f"import os; os.chdir({str(folder)!r})\n"
        f"from codemix_cli.main import cli\ncli({words!r}, standalone_mode=False)"
    )
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--dry-run"], 2),
        (["--on", "slurm", "--dry-run"], 2),
        (["--kubernetes-option", "image=x"], 2),
        (["--on", "kubernetes", "--kubernetes-option", "image"], 2),
        (["--on", "kubernetes", "--plan"], 2),
        (["--on", "kubernetes", "--dry-run"], 4),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_options_that_do_not_go_together_say_so(
    folder: Path, words: list[str], code: int
) -> None:
    codemix("study", "s", *words, code=code)


def run_pod(made: dict[str, Any], folder: Path) -> int:
    """Do what a node does with the only pod of a JobSet; return the exit code."""
    (job,) = made["spec"]["replicatedJobs"]
    assert (job["replicas"], job["template"]["spec"]["completions"]) == (1, 1)
    (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
    environ = {one["name"]: one.get("value", "0") for one in container["env"]}
    # What every pod of an Indexed job has.
    environ |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "JOB_COMPLETION_INDEX": "0"}
    assert container["command"][0] == "codemix"
    done = subprocess.run(
        command(*container["command"][1:]),
        cwd=folder,
        env={**environment(), **environ},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert "kubernetes" not in done.stderr.lower(), done.stderr
    return done.returncode


@needs_kubectl
@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_what_manifests_run_is_the_study(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "workspace"
    make_study(folder)
    for name in set(EXPERIMENTS) - {"gamma"}:
        (folder / "study" / f"{name}.yaml").unlink()
    monkeypatch.chdir(folder)
    plain = ["--kubernetes-option", "cpu=2", "--kubernetes-option", "memory=4Gi"]

    def submit() -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        told = json.loads(
            codemix("study", "study", "--on", "kubernetes", *SAID, *plain, "--json")
        )
        return {one["job"]: one for one in told["jobs"]}, told

    jobs, told = submit()
    assert {name: one["state"] for name, one in jobs.items()} == {
        "gamma/balanced": "submitted",
        "gamma": "waiting",
    }
    # A JobSet that is gone: the ledger has what it trained.
    assert run_pod(cluster.jobsets.pop(jobs["gamma/balanced"]["jobset"]), folder) == 0
    jobs, told = submit()
    assert jobs["gamma/balanced"]["state"] == "done"
    assert jobs["gamma"]["state"] == "submitted"
    assert not told["is_over"]
    name = jobs["gamma"]["jobset"]
    assert run_pod(cluster.jobsets[name], folder) == 0
    cluster.end(name, "Completed")
    jobs, told = submit()
    assert told["is_over"]
    entry = entries_of(folder, told)["gamma"]
    assert entry["outcome"]["status"] == "completed"
    assert trained_steps(folder) == 5 + 2
