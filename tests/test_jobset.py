"""The manifest of a job, by what is in it and by the published schema."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes_schema import broken_rule
from test_kubernetes_options import options
from test_study_graph import END, FIRST, MORE, experiment
from test_study_schedule import GRAPH

from runtime.study.jobset import (
    MAX_NAME,
    asked_label,
    jobset,
    jobset_name,
    options_note,
    study_label,
)
from runtime.study.kubernetes import check_accelerator, stage_jobs
from runtime.study.kubernetes_options import ClusterOptions
from runtime.study.ready import ReadyStudy
from specs.errors import InputError
from specs.study_graph import study_graph

STUDY = ReadyStudy(
    name="s",
    folder=Path("w/.codemix/studies/s"),
    workspace=Path("w"),
    graph=GRAPH,
    locks={},
)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
CPU = options(cpu="8", memory="32Gi")
EVERYTHING = options(
    cpu="8",
    memory="32Gi",
    slice="2xv5e-16",
    namespace="lab",
    service_account="trainer",
    priority_class="low",
    secret="tracking",
    claim_folder="ana/study",
    mount_path="/data",
)
SLICES = [
    "v5e-4",
    "v5e-8",
    "v5e-16",
    "2xv6e-64",
    "v4-512",
    "v5p-32",
    "8xh100",
    "16xh100",
]
DELETE = object()
JOB = ("spec", "replicatedJobs", 0, "template", "spec")
POD = (*JOB, "template", "spec")
CONTAINER = (*POD, "containers", 0)


def manifest(
    job: str = "a/two", asked: ClusterOptions = CPU, **more: Any
) -> dict[str, Any]:
    jobs = stage_jobs(GRAPH)
    return jobset(STUDY, jobs[job], asked, **more)


def at(document: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        document = document[step]
    return document


def test_a_study_is_one_jobset_per_stage() -> None:
    # Also where no other experiment goes on from it.
    alone = study_graph([experiment("e", FIRST, MORE, END)])
    for graph in (GRAPH, alone):
        jobs = stage_jobs(graph)
        trained = [one for job in jobs.values() for one in job.stages]
        assert sorted(trained) == sorted(graph.nodes)
        assert [len(job.stages) for job in jobs.values()] == [1] * len(graph.nodes)
    notes = manifest()["metadata"]["annotations"]
    assert notes == {
        "codemix-job": "a/two",
        "codemix-experiment": "a",
        "codemix-stages": "a/two",
        "codemix-after": "a/one",
        "codemix-options": options_note(CPU, ()),
    }


def test_it_waits_for_kueue_in_the_queue_that_was_said() -> None:
    made = manifest(asked=EVERYTHING)
    assert made["spec"]["suspend"] is True
    labels = made["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "research"
    assert labels["kueue.x-k8s.io/priority-class"] == "low"
    assert made["metadata"]["namespace"] == "lab"
    assert "namespace" not in manifest()["metadata"]


def test_it_runs_one_stage_of_one_spec_in_the_workspace() -> None:
    container = at(manifest(extra=["--ledger", "http://t"]), CONTAINER)
    assert container["command"] == [
        *("codemix", "run", ".codemix/studies/s/a.yaml", "--stop-after", "118"),
        *("--ledger", "http://t"),
    ]
    assert container["workingDir"] == "/workspace"
    assert container["volumeMounts"] == [
        {"name": "workspace", "mountPath": "/workspace"}
    ]
    assert at(manifest(), POD)["volumes"] == [
        {"name": "workspace", "persistentVolumeClaim": {"claimName": "work"}}
    ]
    other = at(manifest(asked=EVERYTHING), CONTAINER)
    assert other["workingDir"] == "/data"
    assert other["volumeMounts"][0]["subPath"] == "ana/study"
    assert other["envFrom"] == [{"secretRef": {"name": "tracking"}}]
    assert at(manifest(asked=EVERYTHING), POD)["serviceAccountName"] == "trainer"


def test_a_slice_of_many_hosts_is_a_pod_for_each_on_one_node_pool() -> None:
    made = manifest(asked=EVERYTHING)
    assert made["spec"]["replicatedJobs"][0]["replicas"] == 2
    job = at(made, JOB)
    assert (job["parallelism"], job["completions"]) == (4, 4)
    assert job["completionMode"] == "Indexed"
    assert at(made, POD)["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "4x4",
    }
    wanted = {"cpu": "8", "memory": "32Gi", "google.com/tpu": "4"}
    resources = at(made, CONTAINER)["resources"]
    assert resources == {"requests": wanted, "limits": wanted}
    exclusive = "alpha.jobset.sigs.k8s.io/exclusive-topology"
    notes = made["metadata"]["annotations"]
    assert notes[exclusive] == "cloud.google.com/gke-nodepool"
    # GKE tells pods with TPUs which they are.
    assert "env" not in at(made, CONTAINER)
    # A pool of single hosts may have jobs of several kinds.
    for other in ("v5e-8", "16xh100"):
        made = manifest(asked=options(slice=other))
        assert exclusive not in made["metadata"]["annotations"]


def test_pods_without_tpus_are_told_which_of_how_many_they_are() -> None:
    made = manifest(asked=options(slice="16xh100"))
    name = made["metadata"]["name"]
    assert made["spec"]["network"] == {"enableDNSHostnames": True, "subdomain": name}
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    assert at(made, CONTAINER)["env"] == [
        {"name": "JAX_COORDINATOR_ADDRESS", "value": f"{name}-run-0-0.{name}:8476"},
        {"name": "JAX_NUM_PROCESSES", "value": "2"},
        {
            "name": "JAX_PROCESS_ID",
            "valueFrom": {"fieldRef": {"fieldPath": index}},
        },
    ]


def test_what_is_asked_back_is_not_counted_and_failures_are() -> None:
    made = manifest()
    job, pod = at(made, JOB), at(made, POD)
    assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    codes, gone = job["podFailurePolicy"]["rules"]
    assert codes["onExitCodes"]["values"] == [75, 143]
    assert pod["shareProcessNamespace"] is True
    assert codes["onExitCodes"]["containerName"] == pod["containers"][0]["name"]
    assert gone["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert {codes["action"], gone["action"]} == {"FailJob"}
    policy = made["spec"]["failurePolicy"]
    assert policy["maxRestarts"] == 10
    (rule,) = policy["rules"]
    assert rule["onJobFailureReasons"] == ["PodFailurePolicy"]
    assert rule["action"] == "RestartJobSetAndIgnoreMaxRestarts"
    # As JobSet's webhook wants it.
    assert re.fullmatch("[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", rule["name"])
    assert pod["terminationGracePeriodSeconds"] == 600


def test_the_same_is_asked_by_the_same_name_whatever_it_runs_on() -> None:
    assert json.dumps(manifest()) == json.dumps(manifest())
    job = stage_jobs(GRAPH)["a/two"]
    asked = asked_label(STUDY, job, CPU)
    assert asked_label(STUDY, job, options(slice="v5e-4", queue="q")) == asked
    assert asked_label(STUDY, job, EVERYTHING) != asked, "another workspace"
    assert study_label(STUDY, EVERYTHING) != study_label(STUDY, CPU)
    first, second = manifest(), manifest(attempt=2)
    assert first["metadata"]["labels"] == second["metadata"]["labels"]
    assert second["metadata"]["name"] == f"{first['metadata']['name']}-2"
    # What it runs on is noted apart.
    notes = {options_note(one, ()) for one in (CPU, options(slice="v5e-4"), EVERYTHING)}
    assert len({*notes, options_note(CPU, ["--ledger", "there"])}) == 4


def names(most: int) -> st.SearchStrategy[str]:
    """Names of all lengths alike, as specs may have them."""
    rest = st.integers(0, most - 1).flatmap(
        lambda size: st.text(f"{LETTERS}._-", min_size=size, max_size=size)
    )
    return st.builds(str.__add__, st.sampled_from(LETTERS), rest)


@given(
    job=st.one_of(names(128), st.builds("{}/{}".format, names(128), names(64))),
    asked=st.text("0123456789abcdef", min_size=32, max_size=32),
    attempt=st.integers(1, 99),
)
def test_names_are_those_that_kubernetes_takes(
    job: str, asked: str, attempt: int
) -> None:
    name = jobset_name(job, asked, attempt)
    # Of services and of jobs: they begin with a letter.
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= MAX_NAME
    assert len(f"{name}-run-99-1023-abcde") <= 63
    assert asked[:10] in name


@given(name=names(128))
def test_labels_are_those_that_kubernetes_takes(name: str) -> None:
    study = ReadyStudy(
        name=name, folder=Path(), workspace=Path(), graph=GRAPH, locks={}
    )
    label = study_label(study, CPU)
    assert re.fullmatch("[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?", label)


def test_jobs_of_a_study_have_names_of_their_own() -> None:
    names = {manifest(job)["metadata"]["name"] for job in stage_jobs(GRAPH)}
    assert len(names) == len(stage_jobs(GRAPH))
    # Also those that differ only where a name is shortened, or has other letters.
    alike = ["a" * 40 + "x" + "b" * 40, "a" * 40 + "y" + "b" * 40, "c_d", "c.d"]
    asked = [f"{number:032x}"[::-1] for number in range(4)]
    made = {jobset_name(*pair) for pair in zip(alike, asked, strict=True)}
    assert len(made) == 4


def test_an_accelerator_that_an_experiment_cannot_use_is_refused_for_all() -> None:
    with pytest.raises(InputError, match="lanes for") as caught:
        check_accelerator(GRAPH, options(slice="v5e-256"))
    told = [one.what for one in caught.value.problems]
    most = stage_jobs(GRAPH)["a"].most_devices
    assert told == [
        f"{name} has lanes for {most} chips, not for 256" for name in "abcd"
    ]
    check_accelerator(GRAPH, options(slice=f"v5e-{most}"))
    check_accelerator(GRAPH, CPU)


@pytest.mark.parametrize("slice_name", SLICES)
def test_every_manifest_is_as_the_published_schema_says(slice_name: str) -> None:
    for asked in (options(slice=slice_name), EVERYTHING, CPU):
        for job in stage_jobs(GRAPH):
            assert broken_rule(manifest(job, asked, attempt=3)) is None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((*JOB, "paralellism"), 4),
        ((*POD, "nodeSelectors"), {}),
        ((*CONTAINER, "volumes"), []),
        (("metadata", "lables"), {}),
        ((*JOB, "podFailurePolicy", "rules", 0, "onExitCode"), {}),
        ((*JOB, "parallelism"), "4"),
        (("spec", "suspend"), "true"),
        ((*POD, "terminationGracePeriodSeconds"), 1.5),
        ((*CONTAINER, "command"), "codemix run"),
        ((*CONTAINER, "env", 0, "value"), 2),
        ((*CONTAINER, "resources", "limits", "cpu"), ["8"]),
        ((*POD, "nodeSelector"), {"a": 1}),
        (("metadata", "labels", "codemix-study"), 7),
        ((*JOB, "template"), DELETE),
        ((*POD, "containers"), DELETE),
        ((*CONTAINER, "name"), DELETE),
        ((*CONTAINER, "volumeMounts", 0, "mountPath"), DELETE),
        ((*POD, "volumes", 0, "name"), DELETE),
        ((*JOB, "podFailurePolicy", "rules", 0, "action"), DELETE),
        (("spec", "failurePolicy", "rules", 0, "action"), DELETE),
        (("spec", "replicatedJobs", 0, "name"), DELETE),
    ],
    ids=lambda one: ".".join(map(str, one)) if isinstance(one, tuple) else "",
)
def test_a_planted_error_is_found_by_the_schema(
    place: tuple[Any, ...], value: Any
) -> None:
    made = deepcopy(manifest())
    around = at(made, place[:-1])
    if value is DELETE:
        del around[place[-1]]
    else:
        around[place[-1]] = value
    assert broken_rule(made) is not None
