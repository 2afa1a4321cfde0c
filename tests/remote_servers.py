"""Servers on loopback that data comes from, which fail when they are told to."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Site:
    """What a server has, and what it does wrong."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """One is taken by each request for bytes of a file that isn't a probe."""
    retry_after: str = "0"
    has_etags: bool = True
    has_ranges: bool = True
    token: str | None = None
    """Without it, nothing is answered."""
    expired: str = "hf_expired"
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    address: str = ""

    def etag(self, name: str) -> str:
        return f'"{hashlib.sha256(self.files[name]).hexdigest()[:16]}"'

    def asked(self, start: str = "") -> list[tuple[str, dict[str, str]]]:
        """Return the requests whose range begins with this."""
        return [one for one in self.requests if one[1].get("range", "") == start]


class Handler(BaseHTTPRequestHandler):
    """Answers for a site."""

    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.site.requests.append((self.path, headers))
        url = urlsplit(self.path)
        path = unquote(url.path)
        if path.startswith(("/api/datasets/", "/datasets/")):
            self.hub(path, parse_qs(url.query), headers)
        elif path.startswith("/storage/v1/b/"):
            self.google(path, parse_qs(url.query), headers)
        else:
            self.file(path.lstrip("/"), headers)

    def file(self, name: str, headers: dict[str, str]) -> None:
        if name.startswith("moved/"):
            self.answer(302, {"Location": f"/{name.removeprefix('moved/')}"})
            return
        if name not in self.site.files:
            self.answer(404)
            return
        asked = headers.get("range", "")
        fault = ""
        if self.site.faults and asked != "bytes=0-0":
            fault = self.site.faults.pop(0)
        if fault == "changed":
            self.site.files[name] = self.site.files[name][::-1]
        if fault.isdecimal():
            self.answer(int(fault), {"Retry-After": self.site.retry_after})
            return
        self.body(name, headers, asked, fault)

    def body(self, name: str, headers: dict[str, str], asked: str, fault: str) -> None:
        data, etag, start = self.site.files[name], self.site.etag(name), 0
        sent = {"ETag": etag} if self.site.has_etags else {}
        is_fit = headers.get("if-range", etag) == etag
        if asked and self.site.has_ranges and is_fit:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), int(last) + 1 if last else len(data)
            if start >= len(data):
                self.answer(416, {"Content-Range": f"bytes */{len(data)}"})
                return
            stop = min(stop, len(data))
            sent["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            self.answer(206, sent, data[start:stop], fault)
        else:
            self.answer(200, sent, data, fault)

    def answer(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        fault: str = "",
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        length = len(body) - 1 if fault == "long" else len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if fault == "cut":
            body = body[: len(body) // 2]
            self.close_connection = True
        if fault == "wrong":
            body = bytes(len(body))
        self.wfile.write(body)

    def hub(self, path: str, query: dict[str, Any], headers: dict[str, str]) -> None:
        """Answer as a Hugging Face hub does, of the one data set org/name."""
        site = self.site
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if site.token is not None and given != site.token:
            if given == site.expired:
                self.answer(403)
            else:
                self.answer(401, {"X-Error-Code": "RepoNotFound"})
            return
        kind, _, rest = path.partition("/datasets/org/name/")[2].partition("/")
        if kind == "revision" and rest in (*site.revisions, COMMIT):
            commit = site.revisions.get(rest, rest)
            self.json({"id": "org/name", "sha": commit, "siblings": []})
        elif kind == "revision":
            self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        elif kind in ("tree", "resolve") and rest.partition("/")[0] in site.revisions:
            # A branch may move between two questions.
            self.answer(409)
        elif kind == "tree":
            folder = rest.partition("/")[2]
            self.tree(folder, query.get("recursive", ["false"])[0].lower() == "true")
        elif kind == "resolve":
            self.file(rest.partition("/")[2], headers)
        else:
            self.answer(404, {"X-Error-Code": "RepoNotFound"})

    def tree(self, folder: str, is_recursive: bool) -> None:
        before = f"{folder}/" if folder else ""
        found = []
        for name, data in sorted(self.site.files.items()):
            below = name.removeprefix(before)
            if not name.startswith(before) or ("/" in below and not is_recursive):
                continue
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            one = {"type": "file", "path": name, "size": len(data), "oid": git}
            if name.endswith(".parquet"):
                oid = hashlib.sha256(data).hexdigest()
                one["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 130}
            found.append(one)
        self.json(found)

    def google(self, path: str, query: dict[str, Any], headers: dict[str, str]) -> None:
        """Answer as Google's storage does, of one bucket, a name a page."""
        place = "/storage/v1/b/bucket/o"
        if path.startswith(f"{place}/"):
            is_now = query["generation"] == ["7"] and query["alt"] == ["media"]
            self.file(path.removeprefix(f"{place}/") if is_now else "", headers)
            return
        if path != place:
            self.answer(404)
            return
        prefix = query["prefix"][0]
        names = [one for one in sorted(self.site.files) if one.startswith(prefix)]
        names = [one for one in names if one >= query.get("pageToken", [""])[0]]
        items = []
        for name in names[:1]:
            data = self.site.files[name]
            md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
            one = {"name": name, "size": str(len(data)), "generation": "7"}
            items.append({**one, "md5Hash": md5})
        after = {"nextPageToken": names[1]} if len(names) > 1 else {}
        self.json({"items": items, **after})

    def do_POST(self) -> None:
        """Refuse whoever asks for a token."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"error": "invalid_grant"}).encode()
        self.answer(400, {"Content-Type": "application/json"}, body)

    def json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.answer(200, {"Content-Type": "application/json"}, body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve a site; its address is in it."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        site.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
