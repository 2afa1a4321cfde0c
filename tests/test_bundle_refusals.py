"""A bundle that somebody tampered with is refused before anything is written."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import bundles
import pytest
from bundles import METADATA, Files
from data_workspace import make_workspace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import bundle_zip
from ledger.bundle import open_bundle
from ledger.keys import load_key, make_key, trust
from ledger.signing import sign_entry
from ledger.store import Ledger
from specs.canonical import canonical_json
from specs.errors import CheckFailed, CodemixError, InputError

EPOCH = (1980, 1, 1, 0, 0, 0)
ORDER = "ledger/order.jsonl"


@pytest.fixture
def refused(bundled: tuple[Path, str, Path], tmp_path: Path) -> Callable[..., str]:
    """Say why a file is refused; nothing may be written."""

    def check(bundle: Path, kind: type[CodemixError] = CheckFailed) -> str:
        with pytest.raises(kind) as caught:
            bundles.take(bundle, tmp_path / "study")
        assert not (tmp_path / "study").exists()
        assert not list(tmp_path.glob(".codemix-import-*"))
        return str(caught.value)

    return check


def entry_name(files: Files, kind: str = "run") -> str:
    (name,) = [
        name
        for name, data in files.items()
        if name.startswith("ledger/entries/") and json.loads(data)["kind"] == kind
    ]
    return name


def packed(bundle: Path, target: Path, *infos: tuple[zipfile.ZipInfo, bytes]) -> Path:
    """Add raw members to a bundle."""
    target.write_bytes(bundle.read_bytes())
    with zipfile.ZipFile(target, "a") as opened:
        for info, data in infos:
            opened.writestr(info, data)
    return target


def info(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, EPOCH)
    made.external_attr = mode << 16
    return made


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("/etc/cron.d/x", "its name is absolute"),
        ("../../up.txt", "its name leads out of the bundle"),
        ("pins/../../../up.dvc", "its name leads out of the bundle"),
        ("pins\\..\\..\\up.dvc", "its name has a backslash"),
        ("C:/Windows/up.dvc", "its name names a drive"),
        ("pins/", "its name is not a plain path"),
        ("pins/./a.dvc", "its name is not a plain path"),
        ("readme.txt", "does not belong in a bundle"),
        ("sitecustomize.py", "does not belong in a bundle"),
        (".git/hooks/post-checkout", "does not belong in a bundle"),
    ],
)
def test_name_that_leads_elsewhere_is_refused(
    bundled: tuple[Path, str, Path],
    tmp_path: Path,
    refused: Callable[..., str],
    name: str,
    what: str,
) -> None:
    evil = packed(bundled[2], tmp_path / "evil.zip", (info(name), b"x"))
    assert what in refused(evil)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda one: setattr(one, "external_attr", 0o120777 << 16), "is a link"),
        (
            lambda one: setattr(one, "external_attr", 0o020666 << 16),
            "is no plain file",
        ),
        (
            lambda one: setattr(one, "compress_type", zipfile.ZIP_DEFLATED),
            "is compressed, which nothing in a bundle is",
        ),
    ],
)
def test_member_that_is_no_plain_file_is_refused(
    bundled: tuple[Path, str, Path],
    tmp_path: Path,
    refused: Callable[..., str],
    change: Callable[[zipfile.ZipInfo], None],
    what: str,
) -> None:
    member = info("pins/a.dvc")
    change(member)
    evil = packed(bundled[2], tmp_path / "evil.zip", (member, b"/etc/passwd"))
    assert what in refused(evil)


def test_bomb_is_refused_without_unpacking_it(
    bundled: tuple[Path, str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    bomb = info("ledger/objects/00/" + "0" * 64)
    bomb.compress_type = zipfile.ZIP_DEFLATED
    evil = packed(bundled[2], tmp_path / "bomb.zip", (bomb, bytes(50_000_000)))
    assert evil.stat().st_size < 200_000
    assert "is compressed" in refused(evil)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_that_is_there_twice_or_in_two_cases_is_refused(
    bundled: tuple[Path, str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    twice = packed(bundled[2], tmp_path / "a.zip", (info("README.txt"), b"x"))
    assert "README.txt: is there 2 times" in refused(twice)
    cases = packed(bundled[2], tmp_path / "b.zip", (info("pins/data/A.txt.dvc"), b"x"))
    assert "only in upper and lower case" in refused(cases)


def test_file_that_is_a_folder_too_is_refused(
    bundled: tuple[Path, str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    both = packed(
        bundled[2], tmp_path / "a.zip", (info("pins/data/a.txt.dvc/b.dvc"), b"")
    )
    assert "is a file and a folder" in refused(both)


def test_declared_sizes_must_be_real_ones(
    bundled: tuple[Path, str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    data = bytearray(bundled[2].read_bytes())
    place = data.index(b"PK\1\2")
    for offset in (20, 24):
        (size,) = struct.unpack_from("<L", data, place + offset)
        struct.pack_into("<L", data, place + offset, size + 1)
    (tmp_path / "a.zip").write_bytes(data)
    assert "does not begin where the file before it ends" in refused(tmp_path / "a.zip")
    struct.pack_into("<L", data, place + 20, 5)
    (tmp_path / "b.zip").write_bytes(data)
    assert "has 5 bytes and says" in refused(tmp_path / "b.zip")


def test_limits_are_looked_at_before_anything_is_read(
    bundled: tuple[Path, str, Path],
    tmp_path: Path,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bundle_zip, "MAX_MEMBERS", 3)
        assert "files, more than 3" in refused(bundled[2])
    with monkeypatch.context() as patch:
        patch.setattr(bundle_zip, "MAX_LIST_BYTES", 3)
        assert "its list of files has" in refused(bundled[2])
    with monkeypatch.context() as patch:
        patch.setattr(bundle_zip, "MAX_FILE_BYTES", 3)
        assert "bytes, more than 3" in refused(bundled[2])


@pytest.mark.parametrize("where", ["before", "after", "between"])
def test_bytes_that_are_no_files_are_refused(
    bundled: tuple[Path, str, Path],
    tmp_path: Path,
    refused: Callable[..., str],
    where: str,
) -> None:
    data = bundled[2].read_bytes()
    if where == "before":
        data = b"#!/bin/sh\n" + data
    elif where == "after":
        data += b"more"
    else:
        stream = io.BytesIO(data)
        with zipfile.ZipFile(stream, "a") as opened:
            opened.start_dir += 7
            opened._didModify = True
        data = stream.getvalue()
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip")


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 9])
def test_what_is_no_bundle_is_refused(
    tmp_path: Path, refused: Callable[..., str], data: bytes
) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    assert "is no bundle, or only a part of one" in refused(tmp_path / "a.zip")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_bundle_is_refused(
    bundled: tuple[Path, str, Path],
    tmp_path: Path,
    refused: Callable[..., str],
    share: float,
) -> None:
    data = bundled[2].read_bytes()
    (tmp_path / "a.zip").write_bytes(data[: int(len(data) * share)])
    assert "is no bundle, or only a part of one" in refused(tmp_path / "a.zip")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_flipped_bit_is_found_or_changes_nothing(
    bundled: tuple[Path, str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    place: float,
    bit: int,
) -> None:
    data = bytearray(bundled[2].read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    folder = tmp_path_factory.mktemp("flipped")
    (folder / "a.zip").write_bytes(data)
    (folder / "opened").mkdir()
    try:
        open_bundle(folder / "a.zip", folder / "opened")
    except (CheckFailed, InputError):
        return
    assert bundles.read(folder / "a.zip") == bundles.read(bundled[2])


def rename(files: Files, old: str, data: bytes) -> str:
    """Put another document in the place of one, under its right name, everywhere."""
    digest = hashlib.sha256(data).hexdigest()
    before = Path(old).stem
    del files[old]
    files[f"ledger/entries/{digest}.json"] = data
    for name in (ORDER, METADATA):
        files[name] = files[name].replace(before.encode(), digest.encode())
    link, lines = json.loads(files[ORDER].splitlines()[0])["prev"], b""
    for line in files[ORDER].splitlines():
        new = canonical_json({**json.loads(line), "prev": link})
        link = hashlib.sha256(new).hexdigest()
        lines += new + b"\n"
    files[ORDER] = lines
    return digest


def better_weights(files: Files) -> None:
    name = entry_name(files)
    entry = json.loads(files[name])
    entry["stages"][-1]["weights_digest"] = "0" * 64
    rename(files, name, canonical_json(entry))


def other_end(files: Files) -> None:
    name = entry_name(files)
    entry = json.loads(files[name])
    entry["times"]["ended_unix_ms"] += 1000
    verdict = entry_name(files, "replay")
    digest = rename(files, name, canonical_json(entry))
    rename(
        files,
        verdict,
        files[verdict].replace(Path(name).stem.encode(), digest.encode()),
    )


def bare_entry(files: Files) -> None:
    name = entry_name(files)
    files[name] = files[name].replace(b"made-up", b"made-it")


def swapped_object(files: Files) -> None:
    names = sorted(name for name in files if name.startswith("ledger/objects/"))
    files[names[0]], files[names[1]] = files[names[1]], files[names[0]]


def lost_object(files: Files) -> None:
    del files[next(name for name in files if name.startswith("ledger/objects/"))]


def loose_object(files: Files) -> None:
    sha256 = hashlib.sha256(b"x").hexdigest()
    files[f"ledger/objects/{sha256[:2]}/{sha256}"] = b"x"


def lost_document(files: Files) -> None:
    del files[entry_name(files, "replay")]


def other_order(files: Files) -> None:
    lines = files[ORDER].splitlines(keepends=True)
    files[ORDER] = b"".join(reversed(lines))


def other_spec(files: Files) -> None:
    files["spec/made-up.yaml"] = b"codemix: 1\nname: made-up\n"


def other_lock(files: Files) -> None:
    data = files["spec/made-up.lock"]
    files["spec/made-up.lock"] = data.replace(b"a.txt", b"b.txt")


def other_pin(files: Files) -> None:
    name = "pins/data/a.txt.dvc"
    files[name] = files[name].replace(b"path: ", b"path: evil")


def further_pin(files: Files) -> None:
    files["pins/data/more.dvc"] = files["pins/data/a.txt.dvc"]


def other_requirement(files: Files) -> None:
    files["environment/requirements.txt"] += b"evil==1.0\n"


def other_code(files: Files) -> None:
    data = files["code/workspace.bundle"]
    files["code/workspace.bundle"] = data[:-30] + bytes(10) + data[-20:]


def other_commit(files: Files) -> None:
    data = files["code/workspace.bundle"]
    files["code/workspace.bundle"] = data.replace(data[16:56], b"0" * 40)


def other_status(files: Files) -> None:
    files[METADATA] = files[METADATA].replace(b"CompletedAction", b"FailedAction")


def other_start(files: Files) -> None:
    document = json.loads(files[METADATA])
    for one in document["@graph"]:
        if one["@id"] == "#run":
            one["startTime"] = "2020-01-01T00:00:00.000+00:00"
    files[METADATA] = json.dumps(document).encode()


def no_order(files: Files) -> None:
    del files[ORDER]


def strange_checkpoint(files: Files) -> None:
    manifest = {"manifest": {"tensors": {}}}
    files["checkpoints/00000008/manifest.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (better_weights, "which the ledger does not hold whole"),
        (other_end, "says another endTime than the entry"),
        (bare_entry, "its bytes are not its name"),
        (swapped_object, "its bytes are not its name"),
        (lost_object, "an object of entry [0-9a-f]{12} is missing"),
        (loose_object, "is an object that nothing refers to"),
        (other_order, "the chain breaks"),
        (other_spec, "spec/made-up.yaml: is not the entry's spec"),
        (other_lock, "spec/made-up.lock: does not follow from the entry"),
        (other_pin, "pins/data/a.txt.dvc: does not follow from the entry"),
        (further_pin, "pins/data/more.dvc: does not belong to the entry"),
        (other_requirement, "requirements.txt: does not follow from the entry"),
        (other_code, "git says that it is damaged"),
        (other_commit, "is not the git bundle of commit"),
        (other_status, "says another actionStatus than the entry"),
        (other_start, "says another startTime than the entry"),
        (no_order, "ledger/order.jsonl is missing"),
        (strange_checkpoint, "the checkpoint after step 8 is not the entry's"),
    ],
)
def test_forged_bundle_is_refused_though_it_describes_itself_well(
    bundled: tuple[Path, str, Path],
    tmp_path: Path,
    refused: Callable[..., str],
    change: Callable[[Files], None],
    what: str,
) -> None:
    forged = bundles.forge(bundled[2], tmp_path / "forged.zip", change)
    assert re.search(what, refused(forged))


def test_description_that_does_not_fit_is_refused(
    bundled: tuple[Path, str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    files = bundles.read(bundled[2])
    files["README.txt"] += b"more\n"
    files["pins/x.dvc"] = b""
    del files["verify.py"]
    told = refused(bundles.write(files, tmp_path / "a.zip"))
    assert "README.txt: is not what the bundle says" in told
    assert "pins/x.dvc: is in the bundle, which does not say so" in told
    assert "verify.py: is missing from the bundle" in told


def test_newer_format_asks_for_a_newer_codemix(
    bundled: tuple[Path, str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    files = bundles.read(bundled[2])
    files[METADATA] = files[METADATA].replace(b"codemix-bundle-1", b"codemix-bundle-2")
    newer = bundles.write(files, tmp_path / "a.zip")
    assert "use a newer codemix" in refused(newer, InputError)


def test_document_that_has_nothing_to_do_with_the_run_is_refused(
    bundled: tuple[Path, str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    def change(files: Files) -> None:
        entry = json.loads(files[entry_name(files)])
        data = canonical_json({**entry, "recording": "other"})
        digest = hashlib.sha256(data).hexdigest()
        files[f"ledger/entries/{digest}.json"] = data
        last = files[ORDER].splitlines()[-1]
        line = {
            "entry": digest,
            "kind": "run",
            "name": "made-up",
            "prev": hashlib.sha256(last).hexdigest(),
            "unix_ms": 1,
        }
        files[ORDER] += canonical_json(line) + b"\n"

    forged = bundles.forge(bundled[2], tmp_path / "forged.zip", change)
    assert "has nothing to do with the bundle's entry" in refused(forged)


def test_what_was_said_of_a_run_may_stay_behind(
    bundled: tuple[Path, str, Path], tmp_path: Path
) -> None:
    # A bundle is what somebody chose to give away; its run is whole all the same.
    forged = bundles.forge(bundled[2], tmp_path / "forged.zip", lost_document)
    assert bundles.take(forged, tmp_path / "study").num_new == 1


@pytest.fixture
def signed(
    bundled: tuple[Path, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str]:
    """A bundle with a signature, and the line of the public key."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    workspace = shutil.copytree(bundled[0], tmp_path / "signed", symlinks=True)
    key = make_key("ana")
    sign_entry(Ledger.open(workspace), bundled[1], load_key(key.path))
    bundle = bundles.export(workspace, bundled[1], tmp_path / "signed.crate.zip").path
    return bundle, str(key.public)


def test_signature_is_checked_against_the_log_where_it_was_made(
    signed: tuple[Path, str], tmp_path: Path
) -> None:
    bundle, line = signed
    study = make_workspace(tmp_path / "study")
    done = bundles.take(bundle, study)
    assert any("unknown here" in note for note in done.notes)
    trust(study, line, "ana")
    done = bundles.take(bundle, study)
    assert not any("unknown here" in note for note in done.notes)
    # It says nothing of a place in this log, so it is no false alarm here either.
    kinds = [one.kind for one in Ledger.open(study).log()]
    assert kinds == ["run", "replay", "annotation"]
    assert bundles.findings(study) == ()


def test_forged_signature_of_a_trusted_key_is_refused(
    signed: tuple[Path, str], tmp_path: Path
) -> None:
    bundle, line = signed
    study = make_workspace(tmp_path / "study")
    trust(study, line, "ana")

    def change(files: Files) -> None:
        name = entry_name(files, "attestation")
        document = json.loads(files[name])
        old = document["envelope"]["sha256"]
        envelope = json.loads(files.pop(f"ledger/objects/{old[:2]}/{old}"))
        signature = envelope["signatures"][0]["sig"]
        envelope["signatures"][0]["sig"] = "A" * 8 + signature[8:]
        data = json.dumps(envelope).encode()
        sha256 = hashlib.sha256(data).hexdigest()
        files[f"ledger/objects/{sha256[:2]}/{sha256}"] = data
        document["envelope"] = {"sha256": sha256, "bytes": len(data)}
        rename(files, name, canonical_json(document))

    forged = bundles.forge(bundle, tmp_path / "forged.zip", change)
    with pytest.raises(CheckFailed, match="signature"):
        bundles.take(forged, study)
    assert not (study / ".codemix").exists()
