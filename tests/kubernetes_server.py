"""As much of a Kubernetes API server as `kubectl` needs to handle JobSets, on loopback.

No controller is behind it: a test says when Kueue admits a JobSet and how it ends. It
holds what it is given to the published schema, as a cluster does.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes_schema import broken_rule

GROUP, VERSION = "jobset.x-k8s.io", "v1alpha2"
JOBSETS = f"/apis/{GROUP}/{VERSION}/namespaces/here/jobsets"

_CONFIGURATION = """\
apiVersion: v1
kind: Config
current-context: here
clusters: [{{name: here, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: here, context: {{cluster: here, namespace: here, user: me}}}}]
users: [{{name: me, user: {{}}}}]
"""

_FIELD_VALIDATION = {
    "openapi": "3.0.0",
    "info": {"title": "Kubernetes", "version": "v1.32.4"},
    "paths": {
        f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/jobsets/{{name}}": {
            "patch": {
                "parameters": [{"name": "fieldValidation", "in": "query"}],
                "x-kubernetes-group-version-kind": {
                    "group": GROUP,
                    "version": VERSION,
                    "kind": "JobSet",
                },
                "responses": {},
            }
        }
    },
}
"""Tells kubectl that the server itself refuses fields that it does not know."""

_OPENAPI = f"/openapi/v3/apis/{GROUP}/{VERSION}"
_FOUND = {
    "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.4"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": GROUP,
                "versions": [
                    {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
                ],
            }
        ],
    },
    f"/apis/{GROUP}/{VERSION}": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": [
            {
                "name": "jobsets",
                "singularName": "jobset",
                "namespaced": True,
                "kind": "JobSet",
                "verbs": ["create", "delete", "get", "list"],
            }
        ],
    },
    "/openapi/v3": {
        "paths": {f"apis/{GROUP}/{VERSION}": {"serverRelativeURL": _OPENAPI}}
    },
    _OPENAPI: _FIELD_VALIDATION,
}


class FakeCluster:
    """JobSets by name, and what is said of them."""

    def __init__(self) -> None:
        self.jobsets: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        """Manifests, as they came."""
        self.queries: list[str] = []
        """Of what was created."""

    def admit(self, name: str) -> None:
        """As Kueue does."""
        self.jobsets[name]["spec"]["suspend"] = False

    def end(self, name: str, kind: str, message: str = "") -> None:
        """As JobSet's controller does: `Completed` or `Failed`."""
        condition = {"type": kind, "status": "True", "message": message}
        self.jobsets[name]["status"] = {"conditions": [condition]}

    def create(self, manifest: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Take a JobSet; refuse what is there, and what is not as published."""
        broken = broken_rule(manifest)
        if broken is not None:
            return _status(400, "BadRequest", broken)
        name = manifest["metadata"]["name"]
        if name in self.jobsets:
            return _status(409, "AlreadyExists", f'jobsets "{name}" already exists')
        kept = json.loads(json.dumps(manifest))
        when = f"2026-01-01T00:{len(self.created):02}:00Z"
        kept["metadata"] |= {"creationTimestamp": when, "namespace": "here"}
        self.created.append(manifest)
        self.jobsets[name] = kept
        return 201, kept

    def listed(self, selector: str) -> dict[str, Any]:
        """Return those that have a label."""
        label, _, value = selector.partition("=")
        labels = {name: one["metadata"]["labels"] for name, one in self.jobsets.items()}
        items = [
            self.jobsets[name]
            for name, own in labels.items()
            if not label or own.get(label) == value
        ]
        about = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "JobSetList"}
        return {**about, "metadata": {"resourceVersion": "1"}, "items": items}


def _status(code: int, reason: str, message: str) -> tuple[int, dict[str, Any]]:
    about = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return code, {**about, "code": code, "reason": reason, "message": message}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: FakeCluster

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        folder, _, name = place.path.rpartition("/")
        if place.path in _FOUND:
            self._answer(200, _FOUND[place.path])
        elif place.path == JOBSETS:
            selector = parse_qs(place.query).get("labelSelector", [""])[0]
            self._answer(200, self.cluster.listed(selector))
        elif folder == JOBSETS and name in self.cluster.jobsets:
            self._answer(200, self.cluster.jobsets[name])
        else:
            self._answer(*_status(404, "NotFound", f"{place.path} not found"))

    def do_POST(self) -> None:
        place = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert place.path == JOBSETS, place.path
        self.cluster.queries.append(place.query)
        self._answer(*self.cluster.create(body))

    def do_DELETE(self) -> None:
        name = urlsplit(self.path).path.rpartition("/")[2]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        gone = self.cluster.jobsets.pop(name, None)
        if gone is None:
            self._answer(*_status(404, "NotFound", f"{name} not found"))
        else:
            self._answer(200, gone)

    def _answer(self, code: int, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def fake_cluster(folder: Path) -> Iterator[tuple[FakeCluster, dict[str, str]]]:
    """Yield a cluster, and what the environment of kubectl needs."""
    cluster = FakeCluster()
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        configuration = folder / "kubeconfig"
        port = server.server_address[1]
        configuration.write_text(_CONFIGURATION.format(port=port))
        kept = str(folder / "kubectl")
        try:
            yield cluster, {"KUBECONFIG": str(configuration), "KUBECACHEDIR": kept}
        finally:
            server.shutdown()
            thread.join()
