"""Pinning: what a spec names becomes tracked by DVC and enters the lock."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from data_workspace import (
    experiment_of,
    git,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from ledger.dvc_store import DvcStore
from runtime.pin import pin
from runtime.pinned import check_pinned
from runtime.progress import Progress
from specs.errors import InputError
from specs.loading import load_lock, lock_path, save_lock
from specs.lock import Lock, LockedStore
from specs.resolve import plan_experiment

Pin = Callable[..., Lock]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "study")


def pin_spec(workspace: Path, sources: dict[str, Any], **changes: Any) -> Lock:
    spec = write_spec(workspace, sources, **changes)
    return pin(spec, experiment_of(spec), workspace)


def refused(workspace: Path, sources: dict[str, Any], **changes: Any) -> list[str]:
    with pytest.raises(InputError, match=r".") as caught:
        pin_spec(workspace, sources, **changes)
    assert not (workspace / "specs" / "small.lock").exists()
    return [str(problem) for problem in caught.value.problems]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_input_is_tracked_and_locked(workspace: Path) -> None:
    write_lines(workspace / "data" / "one.jsonl", sentences(5))
    for name in ("b.jsonl", "a.jsonl"):
        write_lines(workspace / "data" / "many" / name, sentences(3, seed=ord(name[0])))
    folder = workspace / "data" / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "x.md").write_text("# x")
    (folder / "deep" / "y.txt").write_text("y")
    (folder / ".hidden.txt").write_text("no document")
    (workspace / "data" / "bpe.model").write_bytes(b"model")
    write_lines(workspace / "data" / "quiz.jsonl", ["q"] * 4)
    spec = write_spec(
        workspace,
        {
            "one": {"uri": "data/one.jsonl"},
            "many": {"uri": "data/many/*.jsonl"},
            "docs": {"uri": "data/docs"},
        },
        tokenizer={"vocab_size": 320, "file": "data/bpe.model"},
        evals=[{"suite": "heldout"}, {"suite": "choices", "file": "data/quiz.jsonl"}],
    )
    told: list[Progress] = []
    lock = pin(spec, experiment_of(spec), workspace, told.append)

    assert load_lock(lock_path(spec)) == lock
    found = {
        key: (one.dvc, [(file.path, file.documents) for file in one.files])
        for key, one in lock.inputs.items()
    }
    assert found == {
        "sources.one": ("data/one.jsonl.dvc", [("data/one.jsonl", 5)]),
        "sources.many": (
            "data/many/*.jsonl.dvc",
            [("data/many/a.jsonl", 3), ("data/many/b.jsonl", 3)],
        ),
        "sources.docs": (
            "data/docs.dvc",
            [("data/docs/deep/y.txt", 1), ("data/docs/x.md", 1)],
        ),
        "tokenizer": ("data/bpe.model.dvc", [("data/bpe.model", None)]),
        "evals.1": ("data/quiz.jsonl.dvc", [("data/quiz.jsonl", 4)]),
    }
    store = DvcStore(workspace)
    for one in lock.inputs.values():
        for file in one.files:
            data = (workspace / file.path).read_bytes()
            assert (file.sha256, file.bytes) == (
                sha256(workspace / file.path),
                len(data),
            )
            md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
            assert file.dvc_hash == f"md5:{md5}"
            cached = store.cached(md5)
            assert cached is not None
            assert cached.read_bytes() == data
    assert told[-1].done_bytes == told[-1].total_bytes > 0
    assert check_pinned(experiment_of(spec), lock, workspace) == ()


def test_pinning_again_changes_nothing(workspace: Path) -> None:
    write_lines(workspace / "data" / "one.jsonl", sentences(5))
    sources = {"one": {"uri": "data/one.jsonl"}}
    pin_spec(workspace, sources)
    tracked = (workspace / "data" / "one.jsonl.dvc").read_bytes()
    before = (workspace / "specs" / "small.lock").read_bytes()
    pin_spec(workspace, sources)
    assert (workspace / "specs" / "small.lock").read_bytes() == before
    assert (workspace / "data" / "one.jsonl.dvc").read_bytes() == tracked
    assert before.endswith(b"}\n")


def test_change_that_dvc_can_not_see_is_tracked(workspace: Path) -> None:
    path = write_lines(workspace / "data" / "one.jsonl", sentences(5))
    sources = {"one": {"uri": "data/one.jsonl"}}
    before = pin_spec(workspace, sources)
    # Same size, same time: DVC calls this up to date.
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"doc 0-3", b"doc 0-9"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = pin_spec(workspace, sources)
    old, new = (
        before.inputs["sources.one"].files[0],
        after.inputs["sources.one"].files[0],
    )
    assert (new.sha256, new.bytes) == (sha256(path), old.bytes)
    assert new.sha256 != old.sha256
    assert new.dvc_hash in (workspace / "data" / "one.jsonl.dvc").read_text().replace(
        "md5: ", "md5:"
    )
    assert DvcStore(workspace).cached((new.dvc_hash or "")[4:]) is not None


def test_pinning_fills_a_gap_in_the_cache(workspace: Path) -> None:
    write_lines(workspace / "data" / "one.jsonl", sentences(5))
    sources = {"one": {"uri": "data/one.jsonl"}}
    lock = pin_spec(workspace, sources)
    md5 = (lock.inputs["sources.one"].files[0].dvc_hash or "")[4:]
    cached = DvcStore(workspace).cached(md5)
    assert cached is not None
    cached.unlink()
    assert pin_spec(workspace, sources) == lock
    assert cached.is_file()


def test_folder_that_grew_is_tracked_anew(workspace: Path) -> None:
    folder = workspace / "data" / "docs"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    before = pin_spec(workspace, {"docs": {"uri": "data/docs"}})
    (folder / "b.txt").write_text("b")
    after = pin_spec(workspace, {"docs": {"uri": "data/docs"}})
    assert len(after.inputs["sources.docs"].files) == 2
    assert (
        after.inputs["sources.docs"].dvc_hash != before.inputs["sources.docs"].dvc_hash
    )


def test_folder_that_shrank_is_tracked_anew(workspace: Path) -> None:
    folder = workspace / "data" / "docs"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    alone = pin_spec(workspace, {"docs": {"uri": "data/docs"}})
    (folder / "b.txt").write_text("b")
    pin_spec(workspace, {"docs": {"uri": "data/docs"}})
    (folder / "b.txt").unlink()
    # The files that are left are tracked already; the list of them is another.
    assert pin_spec(workspace, {"docs": {"uri": "data/docs"}}) == alone


def test_pinning_keeps_stores_of_the_same_bytes_alone(workspace: Path) -> None:
    from runtime.store_identity import store_identity, tokenizer_identity

    write_lines(workspace / "data" / "a.jsonl", sentences(5))
    write_lines(workspace / "data" / "b.jsonl", sentences(5, seed=1))
    training = {"mixture": {"a": 1}, "sample_bytes": 1000}
    sources = {name: {"uri": f"data/{name}.jsonl"} for name in "ab"}
    pin_again = partial(
        pin_spec, workspace, sources, tokenizer={"vocab_size": 320, "train": training}
    )
    lock = pin_again()
    spec = workspace / "specs" / "small.yaml"
    experiment = experiment_of(spec)
    plan = plan_experiment(experiment)
    stores = {
        name: LockedStore(
            identity=store_identity(name, plan, lock, "t"),
            manifest_sha256="m",
            train_tokens=1,
            heldout_tokens=1,
        )
        for name in "ab"
    }
    identity = tokenizer_identity(experiment, plan, lock)
    made = {"stores": stores, "tokenizer_sha256": "t", "tokenizer_identity": identity}
    save_lock(lock.model_copy(update=made), lock_path(spec))
    assert pin_again().stores == stores

    write_lines(workspace / "data" / "b.jsonl", sentences(6, seed=1))
    assert set(pin_again().stores) == {"a"}

    write_lines(workspace / "data" / "a.jsonl", sentences(6))
    again = pin_again()  # the tokenizer learns from this source
    assert (again.stores, again.tokenizer_sha256) == ({}, None)


def test_output_of_a_stage_is_not_added_again(workspace: Path) -> None:
    (workspace / "dvc.yaml").write_text(
        "stages:\n  make:\n    deps: [seed.jsonl]\n    outs: [data/made]\n"
        "    cmd: mkdir -p data/made && cp seed.jsonl data/made/a.jsonl\n"
    )
    write_lines(workspace / "seed.jsonl", sentences(3))
    sources = {"made": {"uri": "data/made/a.jsonl"}}
    assert refused(workspace, sources) == [
        "data/made/a.jsonl: sources.made: no such file\n  fix: dvc repro make"
    ]
    reproduce(workspace)
    lock = pin_spec(workspace, sources)
    pinned = lock.inputs["sources.made"]
    assert pinned.dvc == "dvc.yaml:make"
    assert pinned.dvc_hash in (workspace / "dvc.lock").read_text().replace(
        "md5: ", "md5:"
    )
    assert not list(workspace.glob("data/**/*.dvc"))
    assert (
        check_pinned(experiment_of(workspace / "specs/small.yaml"), lock, workspace)
        == ()
    )

    write_lines(workspace / "data" / "made" / "a.jsonl", sentences(4))
    (workspace / "specs" / "small.lock").unlink()
    assert refused(workspace, sources) == [
        "data/made/a.jsonl: differs from what the DVC stage 'make' made\n"
        "  fix: dvc repro --force make, or dvc commit it"
    ]


def reproduce(workspace: Path) -> None:
    command = [sys.executable, "-m", "dvc", "repro", "--quiet"]
    environ = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run(command, cwd=workspace, check=True, env=environ)


def test_every_input_that_can_not_be_pinned_is_named(
    workspace: Path, tmp_path: Path
) -> None:
    write_lines(tmp_path / "outside.jsonl", ["a"])
    data = workspace / "data"
    write_lines(data / "ours.jsonl", ["a"])
    git(workspace, "add", "data/ours.jsonl")
    (data / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    (data / "what.bin").write_text("x")
    for name in ("mixed/a.txt", "mixed/b.jsonl", "empty/readme"):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_text("x")
    uris = {
        "absent": "data/absent.jsonl",
        "empty": "data/empty",
        "git": "data/ours.jsonl",
        "link": "data/link.jsonl",
        "mixed": "data/mixed",
        "nothing": "data/*.zst",
        "odd": "data/what.bin",
        "own": ".codemix/x.jsonl",
    }
    found = refused(workspace, {name: {"uri": uri} for name, uri in uris.items()})
    assert [problem.split("\n")[0] for problem in found] == EXPECTED_PROBLEMS
    assert all("\n  fix: " in problem for problem in found)


EXPECTED_PROBLEMS = [
    "data/absent.jsonl: sources.absent: no such file",
    "sources.empty: the folder holds no file that can be read: data/empty",
    "data/link.jsonl: sources.link: is a link that leads out of the workspace",
    "data/mixed: sources.mixed: the folder holds files of several formats: jsonl, text",
    "sources.nothing: the pattern matches no file that can be read: data/*.zst",
    "data/what.bin: sources.odd: nothing says how to read it",
    "sources.own: .codemix is no place for data",
    "data/ours.jsonl: is tracked by git, which DVC needs to have for itself",
]


class Page(BaseHTTPRequestHandler):
    """A web server with one file and the tag that DVC asks for."""

    requests: list[str] = []
    body = b'{"text": "from afar"}\n'

    def do_HEAD(self) -> None:
        self.requests.append(f"{self.command} {self.path}")
        found = self.path == "/corpus.jsonl"
        self.send_response(200 if found else 404)
        self.send_header("ETag", '"v1"')
        self.send_header("Content-Length", str(len(self.body) if found else 0))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        if self.path == "/corpus.jsonl":
            self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def web() -> Any:
    Page.requests = []
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_file_from_the_web_is_downloaded_once(workspace: Path, web: str) -> None:
    sources = {"afar": {"uri": f"{web}/corpus.jsonl"}}
    lock = pin_spec(workspace, sources)
    pinned = lock.inputs["sources.afar"]
    assert pinned.uri == f"{web}/corpus.jsonl"
    assert pinned.dvc == "data/afar/corpus.jsonl.dvc"
    (file,) = pinned.files
    assert (file.path, file.documents) == ("data/afar/corpus.jsonl", 1)
    assert (workspace / file.path).read_bytes() == Page.body
    assert any(request.startswith("GET") for request in Page.requests)

    Page.requests.clear()
    assert pin_spec(workspace, sources) == lock
    (workspace / file.path).unlink()  # it comes back from the cache
    assert pin_spec(workspace, sources) == lock
    assert Page.requests == []


def test_address_without_a_file_is_named(workspace: Path, web: str) -> None:
    sources = {"afar": {"uri": f"{web}/absent.jsonl"}}
    (problem,) = refused(workspace, sources)
    assert problem.startswith(
        f"sources.afar: {web}/absent.jsonl: 404: does not exist there"
    )


def test_downloaded_file_that_was_changed_is_not_pinned(
    workspace: Path, web: str
) -> None:
    sources = {"afar": {"uri": f"{web}/corpus.jsonl"}}
    pin_spec(workspace, sources)
    write_lines(workspace / "data" / "afar" / "corpus.jsonl", ["mine"])
    (workspace / "specs" / "small.lock").unlink()
    assert refused(workspace, sources) == [
        "data/afar/corpus.jsonl: differs from what was downloaded\n"
        "  fix: delete it, then dvc checkout data/afar/corpus.jsonl.dvc"
    ]


def test_file_that_dvc_ignores_is_not_pinned(workspace: Path) -> None:
    folder = workspace / "data" / "docs"
    folder.mkdir(parents=True)
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)
    (workspace / ".dvcignore").write_text("b.txt\n")
    assert refused(workspace, {"docs": {"uri": "data/docs"}}) == [
        "data/docs/b.txt: is ignored by DVC\n"
        "  fix: take it out of .dvcignore, or out of the source"
    ]


def test_damaged_cache_is_found_before_it_is_shared(workspace: Path) -> None:
    write_lines(workspace / "data" / "one.jsonl", sentences(5))
    sources = {"one": {"uri": "data/one.jsonl"}}
    lock = pin_spec(workspace, sources)
    md5 = (lock.inputs["sources.one"].files[0].dvc_hash or "")[4:]
    cached = DvcStore(workspace).cached(md5)
    assert cached is not None
    cached.chmod(0o644)
    cached.write_bytes(b"cut off")
    (workspace / "specs" / "small.lock").unlink()
    assert refused(workspace, sources) == [
        "data/one.jsonl: the DVC cache holds other bytes under its hash\n"
        f"  fix: delete {cached.relative_to(workspace)}, then pin again"
    ]
