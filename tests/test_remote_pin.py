"""Sources on a hub, in buckets and on the web: pinned, checked, fetched again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from data_workspace import experiment_of, make_workspace, write_spec
from remote_servers import COMMIT, Site, serving

from ledger.dvc_store import DvcStore
from runtime.fetch import fetch_missing
from runtime.pin import pin
from runtime.pinned import check_pinned
from specs.errors import InputError
from specs.lock import Lock

ROW = b'{"text": "%s"}\n'
TOKEN = "hf_" + "a" * 34


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "study")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A hub with one data set, org/name."""
    names = ("README.md", "data/a.jsonl", "data/b.jsonl", "data/en/c.jsonl")
    with serving(Site(files={name: ROW % name.encode() for name in names})) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.address)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield site


def pin_uri(workspace: Path, uri: str, **changes: Any) -> Lock:
    spec = write_spec(workspace, {"web": {"uri": uri, **changes}})
    return pin(spec, experiment_of(spec), workspace)


def refused(workspace: Path, uri: str) -> str:
    with pytest.raises(InputError, match=r".") as caught:
        pin_uri(workspace, uri)
    return str(caught.value)


def check(workspace: Path, lock: Lock) -> None:
    spec = workspace / "specs" / "small.yaml"
    check_pinned(experiment_of(spec), lock, workspace)


def forget(workspace: Path) -> None:
    """Lose all data and DVC's cache; what is in git stays."""
    shutil.rmtree(workspace / ".dvc" / "cache")
    for path in (workspace / "data").rglob("*.jsonl"):
        path.unlink()


DATASET = "hf://datasets/org/name"


def test_branch_of_a_data_set_is_pinned_as_the_commit_that_it_is(
    workspace: Path, hub: Site
) -> None:
    lock = pin_uri(workspace, f"{DATASET}@main/data/*.jsonl")
    pinned = lock.inputs["sources.web"]
    assert pinned.revision == COMMIT
    assert pinned.dvc == "data/web/*.jsonl.dvc"
    assert [file.path for file in pinned.files] == [
        "data/web/a.jsonl",
        "data/web/b.jsonl",
    ]
    origin = pinned.files[0].origin
    assert origin is not None
    assert origin.address == f"{DATASET}@{COMMIT}/data/a.jsonl"
    assert (origin.stated or "").startswith("git:")
    assert (workspace / "data/web/a.jsonl").read_bytes() == hub.files["data/a.jsonl"]
    assert not list((workspace / "data" / "web").glob(".*part*"))
    check(workspace, lock)

    hub.requests.clear()
    hub.revisions["main"] = "d" * 40
    assert pin_uri(workspace, f"{DATASET}@main/data/*.jsonl") == lock
    assert hub.requests == []


def test_pattern_reaches_into_folders_and_large_files_have_their_sha256(
    workspace: Path, hub: Site
) -> None:
    pinned = pin_uri(workspace, f"{DATASET}/data/**/*.jsonl").inputs["sources.web"]
    paths = [file.path for file in pinned.files]
    assert paths == [f"data/web/{name}.jsonl" for name in ("a", "b", "en/c")]


def test_bytes_that_are_not_what_the_hub_states_never_get_in(
    workspace: Path, hub: Site
) -> None:
    hub.faults = ["wrong"]
    told = refused(workspace, f"{DATASET}/data/a.jsonl")
    assert "what arrived is not what the place states: git:" in told
    assert not (workspace / "data" / "web" / "a.jsonl").exists()
    pin_uri(workspace, f"{DATASET}/data/a.jsonl")


@pytest.mark.parametrize(
    ("uri", "token", "told"),
    [
        (f"{DATASET}@v9/data/*.jsonl", None, "@v9: has no such revision"),
        (f"{DATASET}/data/*.parquet", None, "nothing is there that fits"),
        (f"{DATASET}/data/*.jsonl", None, "401: it is private, or does not exist, and"),
        (f"{DATASET}/data/*.jsonl", "hf_expired", "403: the credentials in HF_TOKEN"),
    ],
)
def test_what_a_hub_refuses_is_told_with_what_mends_it(
    workspace: Path,
    hub: Site,
    monkeypatch: pytest.MonkeyPatch,
    uri: str,
    token: str | None,
    told: str,
) -> None:
    if "40" in told:
        hub.token = TOKEN
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    text = refused(workspace, uri)
    assert text.startswith("sources.web: ")
    assert told in text
    assert "\n  fix: " in text
    assert "hf_expired" not in text
    assert not (workspace / "data").exists()


def test_token_opens_a_private_data_set_and_is_kept_nowhere(
    workspace: Path, hub: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = TOKEN
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    pin_uri(workspace, f"{DATASET}/data/*.jsonl")
    kept = [path for path in workspace.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


def test_lock_is_enough_to_fetch_the_very_same_commit(
    workspace: Path, hub: Site
) -> None:
    lock = pin_uri(workspace, f"{DATASET}@main/data/*.jsonl")
    forget(workspace)
    hub.revisions["main"] = "d" * 40
    assert fetch_missing(lock, workspace) == (
        "data/web/a.jsonl.dvc",
        "data/web/b.jsonl.dvc",
    )
    check(workspace, lock)
    files = lock.inputs["sources.web"].files
    md5s = [(file.dvc_hash or "").removeprefix("md5:") for file in files]
    assert all(DvcStore(workspace).cached(md5) for md5 in md5s)
    assert DvcStore(workspace).origin_of("data/web/a.jsonl") is not None


def test_other_revision_replaces_what_differs_and_nothing_else(
    workspace: Path, hub: Site
) -> None:
    before = pin_uri(workspace, f"{DATASET}@main/data/*.jsonl")
    hub.revisions["v2"] = "d" * 40
    hub.files["data/a.jsonl"] = ROW % b"new"
    hub.requests.clear()
    lock = pin_uri(workspace, f"{DATASET}@v2/data/*.jsonl")
    resolved = [path for path, _ in hub.requests if "/resolve/" in path]
    assert resolved == [f"/datasets/org/name/resolve/{'d' * 40}/data/a.jsonl"]
    assert lock.inputs["sources.web"].revision == "d" * 40
    assert (workspace / "data/web/a.jsonl").read_bytes() == ROW % b"new"
    same = [one.inputs["sources.web"].files[1].sha256 for one in (before, lock)]
    assert same[0] == same[1]
    check(workspace, lock)

    del hub.files["data/b.jsonl"]
    hub.revisions["v3"] = "e" * 40
    told = refused(workspace, f"{DATASET}@v3/data/*.jsonl")
    assert told.startswith(
        "data/web/b.jsonl: sources.web: is none of the files of hf://"
    )


def test_file_of_ones_own_is_never_overwritten(workspace: Path, hub: Site) -> None:
    mine = workspace / "data" / "web" / "a.jsonl"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    told = refused(workspace, f"{DATASET}/data/*.jsonl")
    assert "data/web/a.jsonl: sources.web: is in the way of what hf://" in told
    assert mine.read_bytes() == b"mine"


def test_names_that_lead_elsewhere_are_refused(workspace: Path, hub: Site) -> None:
    hub.files["data/../../x.jsonl"] = hub.files["data/.hidden.jsonl"] = b"{}\n"
    lock = pin_uri(workspace, f"{DATASET}/data/**/*.jsonl")
    assert len(lock.inputs["sources.web"].files) == 3
    assert not (workspace / "x.jsonl").exists()
    for name in ("../../x.jsonl", "back\\slash.jsonl", "x.jsonl.dvc"):
        hub.files = {f"data/{name}": b"{}\n"}
        pattern = ".*/.*/*.jsonl" if name.startswith("..") else "*l*"
        told = refused(workspace, f"{DATASET}@main/data/{pattern}")
        assert "can't be the name of a file here" in told


def test_kill_between_arriving_and_being_tracked_costs_no_second_download(
    workspace: Path, hub: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("runtime.pin.track", killed)
        with pytest.raises(KeyboardInterrupt):
            pin_uri(workspace, f"{DATASET}/data/*.jsonl")
    with monkeypatch.context() as patched:
        patched.setattr("runtime.pin.record_origins", killed)
        with pytest.raises(KeyboardInterrupt):
            pin_uri(workspace, f"{DATASET}/data/*.jsonl")
    hub.requests.clear()
    lock = pin_uri(workspace, f"{DATASET}/data/*.jsonl")
    assert not [path for path, _ in hub.requests if "/resolve/" in path]
    assert all(file.origin for file in lock.inputs["sources.web"].files)


@pytest.fixture
def bucket(cloud: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder in a bucket of moto's, with files."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("a.jsonl", "b.jsonl", "deep/c.jsonl", "notes.bin"):
        put(cloud, name, ROW % name.encode())
    return cloud


def put(place: str, name: str, data: bytes) -> None:
    bucket, _, folder = place.removeprefix("s3://").partition("/")
    client = boto3.client("s3", region_name="us-east-1")
    client.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=data)


def test_bucket_is_pinned_by_its_etags(workspace: Path, bucket: str) -> None:
    lock = pin_uri(workspace, f"{bucket}/*.jsonl")
    files = lock.inputs["sources.web"].files
    assert [file.path for file in files] == ["data/web/a.jsonl", "data/web/b.jsonl"]
    origin = files[0].origin
    assert origin is not None
    assert origin.address == f"{bucket}/a.jsonl"
    assert (origin.etag or "").startswith('"')
    forget(workspace)
    fetch_missing(lock, workspace)
    check(workspace, lock)

    forget(workspace)
    put(bucket, "b.jsonl", ROW % b"B.jsonl")
    with pytest.raises(InputError, match=r"b\.jsonl changed there: its ETag") as told:
        fetch_missing(lock, workspace)
    assert [problem.file for problem in told.value.problems] == ["data/web/b.jsonl"]
    assert "X-Amz" not in str(told.value)
    assert (workspace / "data" / "web" / "a.jsonl").is_file()


def test_bucket_that_changed_is_told_where_no_lock_is(
    workspace: Path, bucket: str
) -> None:
    pin_uri(workspace, f"{bucket}/a.jsonl")
    (workspace / "specs" / "small.lock").unlink()
    put(bucket, "a.jsonl", ROW % b"A.jsonl")
    told = refused(workspace, f"{bucket}/a.jsonl")
    assert "a.jsonl changed there: its ETag was" in told
    assert "fix: dvc remove data/web/a.jsonl.dvc and delete the file" in told


def test_bucket_that_is_not_there_is_told(workspace: Path, bucket: str) -> None:
    told = refused(workspace, "s3://nobodys/a/*.jsonl")
    assert "s3://nobodys/a/*.jsonl: 404 NoSuchBucket: does not exist there" in told
    assert "404: does not exist there" in refused(workspace, f"{bucket}/absent.jsonl")


def test_expired_credentials_are_told_without_a_secret(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>"

    with serving(Site()) as site:
        handler = _refusing(error)
        monkeypatch.setattr("remote_servers.Handler.do_GET", handler)
        monkeypatch.setenv("AWS_ENDPOINT_URL", site.address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-mine")
        told = refused(workspace, "s3://bucket/a/*.jsonl")
    assert "400 ExpiredToken: the credentials in AWS_ACCESS_KEY_ID" in told
    assert "a-secret-of-mine" not in told


def _refusing(body: bytes) -> Any:
    def answer(handler: Any) -> None:
        handler.answer(400, {"Content-Type": "application/xml"}, body)

    return answer


def test_all_that_is_wrong_is_told_in_one_pass(workspace: Path, hub: Site) -> None:
    sources = {
        "one": {"uri": f"{DATASET}@v9/data/*.jsonl"},
        "two": {"uri": f"{hub.address}/absent.jsonl"},
    }
    spec = write_spec(workspace, sources)
    with pytest.raises(InputError, match=r".") as told:
        pin(spec, experiment_of(spec), workspace)
    assert [one.path for one in told.value.problems] == ["sources.one", "sources.two"]


def test_progress_of_a_download_is_told(workspace: Path, hub: Site) -> None:
    spec = write_spec(workspace, {"web": {"uri": f"{DATASET}/data/*.jsonl"}})
    told: list[tuple[str, int, int]] = []
    pin(
        spec,
        experiment_of(spec),
        workspace,
        lambda one: told.append((one.task, one.done_bytes, one.total_bytes)),
    )
    total = sum(len(hub.files[f"data/{name}.jsonl"]) for name in "ab")
    assert ("download", total, total) in told


def test_rate_limit_of_the_hub_is_waited_for(workspace: Path, hub: Site) -> None:
    hub.faults = ["429"]
    start = time.monotonic()
    pin_uri(workspace, f"{DATASET}/data/a.jsonl")
    assert time.monotonic() - start >= 0.5
