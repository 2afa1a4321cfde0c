"""Buckets of Google's, as far as a server on loopback can stand for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from remote_servers import Site, serving

from runtime.remote.download import Download, download
from runtime.remote.google_storage import GoogleStorage
from runtime.remote.patience import Patience
from runtime.remote.places import Refused
from specs.locations import parse_remote

HASTE = Patience(tries=3, first_wait=0.001, longest_wait=0.002, read=5)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    names = ("a/x.jsonl", "a/y.jsonl", "a/deep/z.jsonl", "b/x.jsonl")
    with serving(Site(files={name: name.encode() * 99 for name in names})) as found:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", found.address)
        yield found


def test_objects_are_listed_page_by_page_and_fetched_in_their_generation(
    site: Site, tmp_path: Path
) -> None:
    place = GoogleStorage(HASTE)
    listing = place.listing(parse_remote("gs://bucket/a/**/*.jsonl"))
    addresses = [file.origin.address for file in listing.files]
    assert addresses == [
        f"gs://bucket/a/{name}.jsonl#7" for name in ("deep/z", "x", "y")
    ]
    (file,) = place.listing(parse_remote("gs://bucket/a/deep/z.jsonl")).files
    target = tmp_path / file.path
    site.faults = ["cut", "500"]
    download(Download(file=file, place=place, target=target), patience=HASTE)
    assert target.read_bytes() == b"a/deep/z.jsonl" * 99

    site.faults = ["wrong"]
    target.unlink()
    with pytest.raises(Refused, match="what arrived is not what the place states: md5"):
        download(Download(file=file, place=place, target=target), patience=HASTE)


def test_bucket_that_is_not_there_is_told(site: Site) -> None:
    with pytest.raises(Refused, match=r"gs://no/a/\*: 404: does not exist there"):
        GoogleStorage(HASTE).listing(parse_remote("gs://no/a/*"))


def test_credentials_that_are_absent_or_refused_are_told(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    path = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(Refused, match="names no file of credentials"):
        GoogleStorage(HASTE)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    account = {
        "type": "service_account",
        "client_email": "ana@example.org",
        "private_key": pem,
        "private_key_id": "1",
        "token_uri": f"{site.address}/token",
    }
    path.write_text(json.dumps(account))
    with pytest.raises(Refused, match="GOOGLE_APPLICATION_CREDENTIALS are refused"):
        GoogleStorage(HASTE).listing(parse_remote("gs://bucket/a/*"))
