"""One file from a server that does everything wrong that servers do."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_servers import Site, serving

from runtime.remote.download import Download, download
from runtime.remote.patience import Patience
from runtime.remote.places import Refused
from runtime.remote.several import download_all
from runtime.remote.web import Web
from specs.locations import parse_remote

BODY = random.Random(7).randbytes(300_000)
HASTE = Patience(tries=4, first_wait=0.001, longest_wait=0.002, read=5)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(files={"a.jsonl": BODY, "empty.jsonl": b""})) as found:
        yield found


def wanted(site: Site, folder: Path, name: str = "a.jsonl") -> Download:
    uri = f"{site.address}/{name}"
    place = Web(uri, HASTE)
    (file,) = place.listing(parse_remote(uri)).files
    return Download(file=file, place=place, target=folder / file.path)


def fetched(one: Download) -> bytes:
    download(one, patience=HASTE)
    assert not one.part.exists()
    return one.target.read_bytes()


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["cut", "cut", "cut", "cut", "cut", "cut"],
        ["429", "500", "503"],
        ["cut", "503", "cut", "408"],
    ],
)
def test_failures_that_pass_are_lived_through(
    site: Site, tmp_path: Path, faults: list[str]
) -> None:
    site.faults = list(faults)
    assert fetched(wanted(site, tmp_path)) == BODY
    assert site.faults == []


def test_connection_that_breaks_is_gone_on_with_where_it_broke(
    site: Site, tmp_path: Path
) -> None:
    site.faults = ["cut"]
    told: list[int] = []
    download(wanted(site, tmp_path), moved=told.append, patience=HASTE)
    (again,) = site.asked(f"bytes={len(BODY) // 2}-")
    assert again[1]["if-range"] == site.etag("a.jsonl")
    assert sum(told) == len(BODY)
    assert min(told) >= 0


def test_server_without_ranges_or_tags_is_asked_from_the_start(
    site: Site, tmp_path: Path
) -> None:
    site.has_ranges = site.has_etags = False
    site.faults = ["cut"]
    told: list[int] = []
    download(wanted(site, tmp_path), moved=told.append, patience=HASTE)
    assert (tmp_path / "a.jsonl").read_bytes() == BODY
    assert sum(told) == len(BODY)


def test_patience_ends_and_what_is_here_stays(site: Site, tmp_path: Path) -> None:
    one = wanted(site, tmp_path)
    site.faults = ["cut", *["500"] * HASTE.tries]
    with pytest.raises(Refused, match="the server answers 500, 4 times in a row"):
        download(one, patience=HASTE)
    assert not one.target.exists()
    assert fetched(one) == BODY
    assert len(site.asked("")) == 1


def test_file_that_changes_midway_is_refused_and_then_starts_anew(
    site: Site, tmp_path: Path
) -> None:
    one = wanted(site, tmp_path)
    site.faults = ["cut", "changed"]
    with pytest.raises(Refused, match=r'changed there: its ETag was ".*", is ".*"'):
        download(one, patience=HASTE)
    assert not one.target.exists()
    assert fetched(wanted(site, tmp_path)) == BODY[::-1]


def test_body_that_is_not_as_long_as_said_is_refused(
    site: Site, tmp_path: Path
) -> None:
    one = wanted(site, tmp_path)
    site.faults = ["long"]
    what = "its length was 300000 bytes, is 299999 bytes"
    with pytest.raises(Refused, match=what):
        download(one, patience=HASTE)
    assert not one.target.exists()


def test_redirects_are_followed_and_an_empty_file_is_a_file(
    site: Site, tmp_path: Path
) -> None:
    assert fetched(wanted(site, tmp_path, "moved/a.jsonl")) == BODY
    assert fetched(wanted(site, tmp_path, "empty.jsonl")) == b""


def test_server_that_is_gone_is_told_in_one_line(site: Site, tmp_path: Path) -> None:
    one = wanted(site, tmp_path)
    place = Web("http://127.0.0.1:1/a.jsonl", HASTE)
    gone = Download(file=one.file, place=place, target=one.target)
    object.__setattr__(
        gone.file,
        "origin",
        one.file.origin.model_copy(update={"address": "http://127.0.0.1:1/a.jsonl"}),
    )
    with pytest.raises(Refused, match=r"a\.jsonl: the server can't be reached, 4 "):
        download(gone, patience=HASTE)


KILLED = """
import sys, time
from pathlib import Path
from runtime.remote import download as module
from runtime.remote.download import Download, download
from runtime.remote.web import Web
from specs.locations import parse_remote
uri, folder = sys.argv[1], Path(sys.argv[2])
module._CHUNK_BYTES = 10_000
place = Web(uri)
(file,) = place.listing(parse_remote(uri)).files
one = Download(file=file, place=place, target=folder / file.path)
def moved(num_bytes):
    if "slow" in sys.argv and one.part.exists() and one.part.stat().st_size > 100_000:
        print("half", flush=True)
        time.sleep(60)
download(one, moved=moved)
"""


def test_killed_download_goes_on_and_the_bytes_are_right(
    site: Site, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, f"{site.address}/a.jsonl", str(tmp_path)]
    child = subprocess.Popen([*command, "slow"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"half\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    target = tmp_path / "a.jsonl"
    assert not target.exists()
    num_bytes = (tmp_path / ".a.jsonl.part").stat().st_size
    assert 100_000 < num_bytes < len(BODY)
    subprocess.run(command, check=True)
    assert target.read_bytes() == BODY
    assert len(site.asked(f"bytes={num_bytes}-")) == 1


def test_full_disk_is_told_before_and_while(site: Site, small_disk: Path) -> None:
    site.files["b.jsonl"] = BODY
    both = {name: wanted(site, small_disk, name) for name in ("a.jsonl", "b.jsonl")}
    with pytest.raises(Refused, match="the download needs 600,000 bytes, the disk has"):
        download_all(both, small_disk, lambda _: None, patience=HASTE)
    # A server that says no length is found out while it is written.
    blind = {
        name: Download(
            file=type(one.file)(
                path=one.file.path, num_bytes=None, origin=one.file.origin
            ),
            place=one.place,
            target=one.target,
        )
        for name, one in both.items()
    }
    with pytest.raises(Refused, match=r"jsonl can't be written: No space left") as told:
        download_all(blind, small_disk, lambda _: None, patience=HASTE)
    assert "free space on this disk" in told.value.fix
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    arrived, refused = download_all(blind, small_disk, lambda _: None, patience=HASTE)
    assert sorted(arrived) == ["a.jsonl", "b.jsonl"]
    assert refused == {}


def test_several_come_at_once_and_one_that_is_gone_keeps_none_back(
    site: Site, tmp_path: Path
) -> None:
    names = [f"{number}.jsonl" for number in range(9)]
    site.files |= {name: name.encode() * 1000 for name in names}
    several = {name: wanted(site, tmp_path, name) for name in names}
    del site.files["4.jsonl"]
    told: list[tuple[int, int]] = []
    arrived, refused = download_all(
        several,
        tmp_path,
        lambda one: told.append((one.done_bytes, one.total_bytes)),
        patience=HASTE,
    )
    assert sorted(arrived) == [name for name in names if name != "4.jsonl"]
    assert list(refused) == ["4.jsonl"]
    assert "404: does not exist there" in refused["4.jsonl"].what
    assert told[-1] == (56_000, 63_000)


def test_waits_grow_differ_by_name_and_are_the_same_every_time() -> None:
    patience = Patience(first_wait=1, longest_wait=8)
    waits = [patience.wait_before(attempt, "a") for attempt in range(1, 7)]
    assert waits == [patience.wait_before(attempt, "a") for attempt in range(1, 7)]
    assert waits != [patience.wait_before(attempt, "b") for attempt in range(1, 7)]
    for wait, full in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert full / 2 <= wait <= full


def test_wait_that_a_server_asks_for_is_kept(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = wanted(site, tmp_path)
    monkeypatch.setattr("runtime.remote.http._asked_wait", lambda response: 0.3)
    site.faults = ["429"]
    start = time.monotonic()
    download(one, patience=HASTE)
    assert time.monotonic() - start >= 0.3
    os.unlink(one.target)
    monkeypatch.undo()
    for asked in ("9999", "Fri, 01 Jan 2100 00:00:00 GMT"):
        site.faults, site.retry_after = ["429"], asked
        with pytest.raises(Refused, match=r"it asks to wait \d{4,} seconds"):
            download(one, patience=HASTE)
