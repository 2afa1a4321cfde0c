"""The manifest of a job on Kubernetes: a JobSet that waits in a queue of Kueue's.

Each stage that a study trains is one JobSet with a pod for each host. It is created
suspended, and Kueue alone lets it run. What ends a pod that is no fault of the run's,
a preemption or a node that is drained, restarts all pods as often as it takes; anything
else a few times. A run that starts again goes on from its last checkpoint.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runtime.launch import ADDRESS, COUNT, INDEX
from runtime.study.kubernetes_options import ClusterOptions
from runtime.study.ready import ReadyStudy
from specs.canonical import digest_of
from specs.errors import Preempted
from specs.study_jobs import Job

API_VERSION = "jobset.x-k8s.io/v1alpha2"

STUDY_LABEL = "codemix-study"
ASKED_LABEL = "codemix-asked"
JOB_NOTE = "codemix-job"
OPTIONS_NOTE = "codemix-options"

MAX_NAME = 45
"""Characters. JobSet makes `NAME-run-SLICE-HOST-abcde` of it, which has at most 63: two
for the slice, four for the host."""

_MAX_LABEL = 63
_DIGITS = 32
_NAME_DIGITS = 10
"""Of a digest."""
_RUN = "run"
_CONTAINER = "codemix"
_VOLUME = "workspace"
_PORT = 8476
_ENDED_BY_SIGTERM = 128 + signal.SIGTERM
"""Exit code of a pod that was asked to stop before it began to train."""
_RESTARTS = 10
"""After failures; each one goes on from the last checkpoint."""
_GRACE_SECONDS = 600
"""At most, for one step and one save; a pod that has ended is not waited for."""


def study_label(study: ReadyStudy, options: ClusterOptions) -> str:
    """Return what all jobs of a study are labelled with: its own in each workspace."""
    own = digest_of([study.name, options.claim, options.claim_folder])[:_NAME_DIGITS]
    return f"{study.name[: _MAX_LABEL - _NAME_DIGITS - 1]}-{own}"


def asked_label(study: ReadyStudy, job: Job, options: ClusterOptions) -> str:
    """Return what a job is found by: a digest of what determines it."""
    place = f"{options.claim}/{options.claim_folder or ''}"
    asked = study.asked(job, place, job.command(_spec(study, job)))
    return asked[:_DIGITS]


def options_note(options: ClusterOptions, extra: Sequence[str]) -> str:
    """Return a digest of how a job is run, which does not determine what it comes to.

    Args:
        options: Of the cluster.
        extra: Added to `codemix run`.
    """
    return digest_of([asdict(options), list(extra)])[:_DIGITS]


def jobset_name(job: str, asked: str, attempt: int = 1) -> str:
    """Return a name that Kubernetes takes for a job, its own for what is asked.

    Args:
        job: Its name in the study.
        asked: See `asked_label`.
        attempt: Counted from 1.

    >>> jobset_name("alpha_2/text", "0123456789abcdef")
    'alpha-2-text-0123456789'
    """
    end = asked[:_NAME_DIGITS] + (f"-{attempt}" if attempt > 1 else "")
    plain = re.sub(r"[^a-z0-9]+", "-", job.lower()).strip("-")
    if not plain[:1].isalpha():
        plain = f"job-{plain}".rstrip("-")
    room = MAX_NAME - len(end) - 1
    if len(plain) > room:
        # Names of experiments differ at both ends.
        half = room // 2 - 1
        plain = f"{plain[:half].rstrip('-')}--{plain[-half:].lstrip('-')}"
    return f"{plain}-{end}"


def jobset(
    study: ReadyStudy,
    job: Job,
    options: ClusterOptions,
    extra: Sequence[str] = (),
    attempt: int = 1,
) -> dict[str, Any]:
    """Return the manifest of a job: plain JSON, the same for the same study.

    Args:
        study: What is run.
        job: One of its jobs.
        options: Of the cluster.
        extra: Added to `codemix run`.
        attempt: Counted from 1.
    """
    asked = asked_label(study, job, options)
    name = jobset_name(job.name, asked, attempt)
    command = [*job.command(_spec(study, job)), *extra]
    run = {
        "name": _RUN,
        "replicas": options.hosts.slices,
        "template": {"spec": _job(options, _pod(options, name, command))},
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "JobSet",
        "metadata": {
            "name": name,
            **({} if options.namespace is None else {"namespace": options.namespace}),
            "labels": _labels(study, options, asked),
            "annotations": _notes(study, job, options, extra),
        },
        "spec": {
            "suspend": True,
            "network": {"enableDNSHostnames": True, "subdomain": name},
            "failurePolicy": _failure_policy(),
            "replicatedJobs": [run],
        },
    }


def _labels(study: ReadyStudy, options: ClusterOptions, asked: str) -> dict[str, str]:
    labels = {
        "app.kubernetes.io/managed-by": "codemix",
        STUDY_LABEL: study_label(study, options),
        ASKED_LABEL: asked,
        "kueue.x-k8s.io/queue-name": options.queue,
    }
    if options.priority_class is not None:
        labels["kueue.x-k8s.io/priority-class"] = options.priority_class
    return labels


def _notes(
    study: ReadyStudy, job: Job, options: ClusterOptions, extra: Sequence[str]
) -> dict[str, str]:
    notes = {
        JOB_NOTE: job.name,
        "codemix-experiment": job.experiment,
        "codemix-stages": " ".join(study.graph.nodes[one].name for one in job.stages),
        "codemix-after": " ".join(job.parents),
        OPTIONS_NOTE: options_note(options, extra),
    }
    if options.hosts.is_tpu and options.hosts.num_pods > 1:
        # A slice of several hosts is a node pool of GKE's: one job each, whole.
        notes["alpha.jobset.sigs.k8s.io/exclusive-topology"] = (
            "cloud.google.com/gke-nodepool"
        )
    return notes


def _failure_policy() -> dict[str, Any]:
    asked_back = {
        "name": "asked_back",
        "action": "RestartJobSetAndIgnoreMaxRestarts",
        "onJobFailureReasons": ["PodFailurePolicy"],
    }
    return {
        "maxRestarts": _RESTARTS,
        # No pod of a run that is saving may be beside one that goes on.
        "restartStrategy": "BlockingRecreate",
        "rules": [asked_back],
    }


def _job(options: ClusterOptions, pod: dict[str, Any]) -> dict[str, Any]:
    codes = {
        "containerName": _CONTAINER,
        "operator": "In",
        "values": [Preempted.exit_code, _ENDED_BY_SIGTERM],
    }
    gone = {"type": "DisruptionTarget", "status": "True"}
    # What is no fault of the run's fails the job with a reason of its own.
    rules = [
        {"action": "FailJob", "onExitCodes": codes},
        {"action": "FailJob", "onPodConditions": [gone]},
    ]
    return {
        "parallelism": options.hosts.per_slice,
        "completions": options.hosts.per_slice,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": rules},
        "template": {"spec": pod},
    }


def _pod(options: ClusterOptions, name: str, command: Sequence[str]) -> dict[str, Any]:
    resources = options.hosts.resources
    mount = {"name": _VOLUME, "mountPath": options.mount_path}
    if options.claim_folder is not None:
        mount["subPath"] = options.claim_folder
    container: dict[str, Any] = {
        "name": _CONTAINER,
        "image": options.image,
        "command": list(command),
        "workingDir": options.mount_path,
        "resources": {"requests": dict(resources), "limits": dict(resources)},
        "volumeMounts": [mount],
    }
    if not options.hosts.is_tpu:
        container["env"] = _processes(options, name)
    if options.secret is not None:
        container["envFrom"] = [{"secretRef": {"name": options.secret}}]
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        # As process 1 a run would not be ended by SIGTERM before it listens for it.
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "containers": [container],
        "volumes": [
            {
                "name": _VOLUME,
                "persistentVolumeClaim": {"claimName": options.claim},
            }
        ],
    }
    if options.hosts.labels:
        pod["nodeSelector"] = dict(options.hosts.labels)
    if options.service_account is not None:
        pod["serviceAccountName"] = options.service_account
    return pod


def _processes(options: ClusterOptions, name: str) -> list[dict[str, Any]]:
    """Tell each pod which of how many it is; GKE tells those that have TPUs."""
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    return [
        {"name": ADDRESS, "value": f"{name}-{_RUN}-0-0.{name}:{_PORT}"},
        {"name": COUNT, "value": str(options.hosts.num_pods)},
        {"name": INDEX, "valueFrom": {"fieldRef": {"fieldPath": index}}},
    ]


def _spec(study: ReadyStudy, job: Job) -> Path:
    """Return the spec of a job, seen from the workspace."""
    return Path(os.path.relpath(study.spec(job), study.workspace))
