"""Made-up runs in workspaces with git and DVC, their bundles, and how to forge them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import data_workspace
import ledger_runs

from ledger.bundle_import import Imported, import_bundle
from ledger.bundle_write import Exported, export_bundle
from ledger.facts import CodeFacts
from ledger.finding import Finding
from ledger.replay import ReplayRecorder
from ledger.repository import inspect_repository
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.verify import verify
from specs.lock import Lock, LockedFile, LockedInput

METADATA = "ro-crate-metadata.json"
DATA = b"one text\n"

Files = dict[str, bytes]


def md5(data: bytes) -> str:
    return f"md5:{hashlib.md5(data, usedforsecurity=False).hexdigest()}"


def lock() -> Lock:
    """A lock of a file, of a folder and of a file from the web."""

    def file(path: str) -> LockedFile:
        sha256 = hashlib.sha256(DATA).hexdigest()
        return LockedFile(
            path=path, sha256=sha256, bytes=len(DATA), documents=1, dvc_hash=md5(DATA)
        )

    def pinned(uri: str, dvc: str, path: str, dvc_hash: str = "") -> LockedInput:
        dvc_hash = dvc_hash or md5(DATA)
        return LockedInput(uri=uri, dvc=dvc, dvc_hash=dvc_hash, files=(file(path),))

    web = "https://example.org/b.jsonl"
    folder = f"{md5(b'list')}.dir"
    inputs = {
        "sources.text": pinned("data/a.txt", "data/a.txt.dvc", "data/a.txt"),
        "sources.docs": pinned("data/docs", "data/docs.dvc", "data/docs/x.txt", folder),
        "sources.web": pinned(web, "data/web/b.jsonl.dvc", "data/web/b.jsonl"),
    }
    return Lock(lock=1, codemix="0.1.0", inputs=inputs)


def make_recorded(
    workspace: Path, *, name: str = "made-up", is_replayed: bool = False, **changes: Any
) -> str:
    """Make a workspace with one made-up run of a commit; return the entry's digest."""
    data_workspace.make_workspace(workspace)
    (workspace / "notes.txt").write_text("what we want to know\n")
    data_workspace.git(workspace, "add", ".")
    data_workspace.git(workspace, "commit", "--quiet", "--message", "begin")
    (workspace / "new.txt").write_text("not in git yet\n")
    return record(workspace, name=name, is_replayed=is_replayed, **changes)


def record(
    workspace: Path, *, name: str = "made-up", is_replayed: bool = False, **changes: Any
) -> str:
    """Add a made-up run to a workspace's ledger; return its digest."""
    ledger = Ledger.open(workspace)
    code = CodeFacts(
        codemix="0.1.0",
        packages={"runtime": ledger_runs.hex_of("runtime")},
        repository=None,
        workspace=inspect_repository(workspace, ledger.objects.put),
    )
    spec = {"name": name}
    folder = workspace / ".codemix" / "runs" / name
    folder.mkdir(parents=True)
    facts = ledger_runs.facts.__wrapped__(lock=lock(), code=code, spec=spec, **changes)
    recorder = RunRecorder(ledger, folder)
    ledger_runs.play(recorder, run_facts=facts)
    digest = ledger.log()[-1].digest
    if is_replayed:
        replay = ReplayRecorder(ledger.find(digest), ledger)
        ledger_runs.play(replay, run_facts=facts)
    return digest


def export(workspace: Path, digest: str, output: Path, **options: Any) -> Exported:
    return export_bundle(digest, workspace=workspace, output=output, **options)


def take(bundle: Path, workspace: Path) -> Imported:
    """Import a bundle into a new or an old workspace."""
    return import_bundle(bundle, workspace=workspace, is_new=True)


def findings(workspace: Path) -> tuple[Finding, ...]:
    return verify(Ledger(workspace / ".codemix" / "ledger")).problems


def read(bundle: Path) -> Files:
    with zipfile.ZipFile(bundle) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def write(files: Files, bundle: Path) -> Path:
    """Write a bundle as codemix does: any files, so also forged ones."""
    with zipfile.ZipFile(bundle, "w") as opened:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16
            opened.writestr(info, data)
    return bundle


def described(files: Files) -> Files:
    """Make the description agree with the files, as a forger would."""
    document = json.loads(files[METADATA])
    kept = [
        one
        for one in document["@graph"]
        if "File" not in one["@type"] or one["@id"] in files
    ]
    for one in kept:
        if "File" in one["@type"]:
            data = files[one["@id"]]
            one["sha256"] = hashlib.sha256(data).hexdigest()
            one["contentSize"] = str(len(data))
    said = {one["@id"] for one in kept}
    for name in sorted(set(files) - said - {METADATA}):
        data = files[name]
        sha256 = hashlib.sha256(data).hexdigest()
        size = str(len(data))
        kept.append(
            {"@id": name, "@type": "File", "sha256": sha256, "contentSize": size}
        )
    document["@graph"] = kept
    return {**files, METADATA: json.dumps(document).encode()}


def forge(bundle: Path, target: Path, change: Callable[[Files], None]) -> Path:
    """Change the files of a bundle and describe them anew."""
    files = read(bundle)
    change(files)
    return write(described(files), target)
