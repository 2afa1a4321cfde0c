"""Data that is not here comes from where DVC shares it, before anything is trained."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from data_workspace import (
    dvc,
    experiment_of,
    isolate,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from ledger.dvc_store import DvcStore
from runtime.fetch import fetch_missing
from runtime.pin import pin
from runtime.pinned import check_pinned
from specs.errors import InputError
from specs.loading import load_lock, lock_path
from specs.lock import Lock


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace whose files and folder are pinned, and its remote."""
    place = tmp_path_factory.mktemp("pushed")
    workspace = make_workspace(place / "study")
    for name in ("a", "b"):
        path = workspace / "data" / "many" / f"{name}.jsonl"
        write_lines(path, sentences(3, seed=ord(name)))
    (workspace / "data" / "docs").mkdir()
    for name in ("x", "y"):
        (workspace / "data" / "docs" / f"{name}.txt").write_text(name)
    sources = {"many": {"uri": "data/many/*.jsonl"}, "docs": {"uri": "data/docs"}}
    spec = write_spec(workspace, sources)
    pin(spec, experiment_of(spec), workspace)
    DvcStore(workspace).add_remote("depot", {"url": str(place / "depot")})
    dvc(workspace, "push")
    return place


@pytest.fixture
def shared(pushed: Path, tmp_path: Path) -> tuple[Path, Path, Lock]:
    """A copy of the workspace with its remote; its spec and lock."""
    for name in ("study", "depot"):
        shutil.copytree(pushed / name, tmp_path / name, symlinks=True)
    workspace = tmp_path / "study"
    isolate(workspace)
    config = workspace / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(pushed), str(tmp_path)))
    spec = workspace / "specs" / "small.yaml"
    return workspace, spec, load_lock(lock_path(spec))


def lose(workspace: Path, *names: str) -> None:
    """Lose files of the data, and DVC's cache."""
    shutil.rmtree(workspace / ".dvc" / "cache", ignore_errors=True)
    for name in names:
        (workspace / "data" / name).unlink()


def test_exactly_what_is_missing_is_pulled(shared: tuple[Path, Path, Lock]) -> None:
    workspace, spec, lock = shared
    lose(workspace, "many/a.jsonl", "docs/x.txt")
    untouched = (workspace / "data" / "many" / "b.jsonl").stat().st_mtime_ns
    told: list[tuple[int, int]] = []
    fetched = fetch_missing(
        lock, workspace, lambda one: told.append((one.done_bytes, one.total_bytes))
    )
    assert fetched == ("data/docs.dvc", "data/many/a.jsonl.dvc")
    num_bytes = (workspace / "data" / "many" / "a.jsonl").stat().st_size + 1
    assert told[-1] == (num_bytes, num_bytes)
    assert (workspace / "data" / "many" / "b.jsonl").stat().st_mtime_ns == untouched
    check_pinned(experiment_of(spec), lock, workspace)
    assert fetch_missing(lock, workspace) == ()


def test_cache_is_enough_where_it_has_the_file(
    shared: tuple[Path, Path, Lock], tmp_path: Path
) -> None:
    workspace, spec, lock = shared
    shutil.rmtree(tmp_path / "depot")
    (workspace / "data" / "many" / "a.jsonl").unlink()
    assert fetch_missing(lock, workspace) == ("data/many/a.jsonl.dvc",)
    check_pinned(experiment_of(spec), lock, workspace)


def test_remote_that_lacks_data_is_named_with_the_file(
    shared: tuple[Path, Path, Lock], tmp_path: Path
) -> None:
    workspace, _, lock = shared
    lose(workspace, "many/a.jsonl", "many/b.jsonl")
    shutil.rmtree(tmp_path / "depot")
    (tmp_path / "depot").mkdir()
    what = "the DVC remote does not have it"
    with pytest.raises(InputError, match=what) as caught:
        fetch_missing(lock, workspace)
    files = [problem.file for problem in caught.value.problems]
    assert files == ["data/many/a.jsonl.dvc", "data/many/b.jsonl.dvc"]


def test_wrong_bytes_in_the_remote_never_pass(
    shared: tuple[Path, Path, Lock], tmp_path: Path
) -> None:
    workspace, spec, lock = shared
    lose(workspace, "many/a.jsonl")
    for path in (tmp_path / "depot").rglob("*"):
        if path.is_file() and path.stat().st_size > 100:
            path.chmod(0o644)
            path.write_bytes(path.read_bytes().replace(b"model", b"m0del"))

    def bring() -> None:
        fetch_missing(lock, workspace)
        check_pinned(experiment_of(spec), lock, workspace)

    with pytest.raises(InputError, match=r"does not have it|has other bytes"):
        bring()


def test_without_a_remote_the_check_says_what_is_missing(
    shared: tuple[Path, Path, Lock],
) -> None:
    workspace, spec, lock = shared
    (workspace / ".dvc" / "config").write_text("")
    isolate(workspace)
    lose(workspace, "many/a.jsonl")
    assert fetch_missing(lock, workspace) == ()
    what = "is missing from the workspace and from the DVC cache"
    with pytest.raises(InputError, match=what):
        check_pinned(experiment_of(spec), lock, workspace)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address of a web server, and the folder that it shows."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def test_file_from_the_web_comes_from_there_again(
    tmp_path: Path, web: tuple[str, Path]
) -> None:
    address, folder = web
    write_lines(folder / "a.jsonl", sentences(3))
    workspace = make_workspace(tmp_path / "study")
    spec = write_spec(workspace, {"web": {"uri": f"{address}/a.jsonl"}})
    lock = pin(spec, experiment_of(spec), workspace)
    lose(workspace, "web/a.jsonl")
    assert fetch_missing(lock, workspace) == ("data/web/a.jsonl.dvc",)
    check_pinned(experiment_of(spec), lock, workspace)

    lose(workspace, "web/a.jsonl")
    write_lines(folder / "a.jsonl", sentences(3, seed=2))
    with pytest.raises(InputError, match=r"a\.jsonl changed there: its \w+ was"):
        fetch_missing(lock, workspace)
    assert not (workspace / "data" / "web" / "a.jsonl").exists()


def test_bucket_is_a_remote_like_a_folder(
    shared: tuple[Path, Path, Lock], cloud: str, endpoint: str
) -> None:
    pytest.importorskip("dvc_s3", reason="DVC reaches S3 by dvc-s3, which is extra")
    workspace, spec, lock = shared
    (workspace / ".dvc" / "config").write_text("")
    DvcStore(workspace).add_remote("cloud", {"url": cloud, "endpointurl": endpoint})
    dvc(workspace, "push")
    lose(workspace, "many/a.jsonl", "docs/x.txt")
    fetched = fetch_missing(lock, workspace)
    assert fetched == ("data/docs.dvc", "data/many/a.jsonl.dvc")
    check_pinned(experiment_of(spec), lock, workspace)
