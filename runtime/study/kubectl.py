"""JobSets on a cluster, through `kubectl`: which there are, a new one, one less.

Whoever is asked, and as whom, is kubectl's to know: by its configuration file or, in a
pod, by the service account. Nothing of that passes through here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from runtime.study.jobset import ASKED_LABEL, OPTIONS_NOTE
from specs.errors import InputError
from specs.yaml_writer import yaml_text

State = Literal["queued", "running", "done", "failed"]

_KIND = "jobsets.jobset.x-k8s.io"
_SECONDS = 120


class Found(NamedTuple):
    """A JobSet that the cluster knows."""

    name: str
    asked: str
    """What it was labelled with."""
    options: str
    """A digest of those that it was created with; empty: it is of before there were."""
    state: State
    """`queued` where Kueue has not let it run, or not again."""
    created: str
    """When, as a text that sorts by time."""
    reason: str
    """Why it failed, in the cluster's words."""


class Cluster:
    """The namespace that jobs are in."""

    def __init__(self, namespace: str | None) -> None:
        """Take its name; None: that of kubectl's current context.

        Raises:
            InputError: kubectl is not installed.
        """
        if shutil.which("kubectl") is None:
            fix = "install it, or write the manifests with --dry-run"
            raise InputError("kubectl is not installed here", fix=fix)
        self._place = [] if namespace is None else [f"--namespace={namespace}"]

    def jobsets(self, label: str, value: str) -> list[Found]:
        """Return the JobSets with a label, the first one made at the beginning.

        Raises:
            InputError: The cluster does not answer.
        """
        told = self._call(["get", _KIND, f"--selector={label}={value}", "-o", "json"])
        found = map(_found, json.loads(told)["items"])
        return sorted(found, key=lambda one: (one.created, one.name))

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Make a JobSet; one that is there already is not touched.

        The cluster checks it against the schema that it knows.

        Raises:
            InputError: The cluster refuses it.
        """
        self._call(["create", "--filename=-"], yaml_text(manifest))

    def delete(self, name: str) -> None:
        """Take a JobSet away, without waiting for its pods to end."""
        self._call(["delete", _KIND, name, "--wait=false", "--ignore-not-found"])

    def _call(self, words: list[str], text: str | None = None) -> str:
        command = ["kubectl", *words, *self._place]
        try:
            done = subprocess.run(
                command,
                input=text,
                stdin=subprocess.DEVNULL if text is None else None,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"the cluster did not answer for {_SECONDS} s") from None
        if done.returncode != 0:
            raise InputError(f"kubectl {words[0]}: {_last(done.stderr)}", fix=_FIX)
        return done.stdout


_FIX = (
    "see that `kubectl get jobsets` works: a reachable cluster with JobSet and Kueue, "
    "and the right to get, list, create and delete JobSets"
)


def _found(document: Mapping[str, Any]) -> Found:
    """Read how a JobSet stands."""
    about, spec = document["metadata"], document["spec"]
    met = {
        one["type"]: one.get("message") or one.get("reason") or "no reason given"
        for one in document.get("status", {}).get("conditions", [])
        if one["status"] == "True"
    }
    state: State = "queued" if spec.get("suspend") else "running"
    if "Failed" in met:
        state = "failed"
    elif "Completed" in met:
        state = "done"
    asked = about["labels"].get(ASKED_LABEL, "")
    options = about.get("annotations", {}).get(OPTIONS_NOTE, "")
    created, reason = about["creationTimestamp"], met.get("Failed", "")
    return Found(about["name"], asked, options, state, created, reason)


def _last(told: str) -> str:
    lines = [line for line in told.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ").strip() if lines else "no reason given"
