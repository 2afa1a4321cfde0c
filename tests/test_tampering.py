"""Whatever is changed in a ledger of ten entries is found, and named."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from ledger_runs import hex_of
from tampering import make_ledger, private_key, restored

from ledger.attestation import Attestation
from ledger.dsse import Envelope, decode_envelope, encode_envelope, pre_authentication
from ledger.finding import Finding
from ledger.head import Head, head_of
from ledger.keys import PublicKey, read_trusted
from ledger.log import read_raw_lines
from ledger.objects import ObjectStore
from ledger.signing import sign_entry, signatures_of
from ledger.store import FIRST_LINK, Ledger
from ledger.verify import Checked, verify
from specs.canonical import canonical_json


class Case(NamedTuple):
    """One way to tamper."""

    name: str
    files: tuple[Path, ...]
    """Whatever it may change."""
    tamper: Callable[[], object]
    is_named: Callable[[Finding], bool]
    """Whether a finding names what was changed."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Ledger:
    return make_ledger(tmp_path_factory.mktemp("ten"))


@pytest.fixture(scope="module")
def trusted(ledger) -> dict[str, PublicKey]:
    return read_trusted(workspace_of(ledger))


@pytest.fixture(scope="module")
def head(ledger) -> Head:
    return head_of(read_raw_lines(ledger.folder))


def workspace_of(ledger: Ledger) -> Path:
    return ledger.folder.parents[1]


def journals_of(ledger: Ledger) -> list[Path]:
    return sorted(workspace_of(ledger).glob(".codemix/runs/*/journal.jsonl"))


def objects_of(ledger: Ledger) -> list[Path]:
    return sorted(path for path in ledger.objects.folder.glob("*/*"))


def check_all(
    ledger: Ledger,
    cases: Iterator[Case],
    trusted: dict[str, PublicKey],
    since: Head | None,
    at_least: int,
) -> None:
    """Play every case; nothing may stay unnamed, and nothing may stay behind."""
    missed, count = [], 0
    for case in cases:
        count += 1
        with restored(*case.files):
            case.tamper()
            found = verify(ledger, trusted=trusted, since=since).problems
        if not any(map(case.is_named, found)):
            missed.append((case.name, [str(one) for one in found]))
    assert missed == []
    assert count >= at_least
    assert verify(ledger, trusted=trusted, since=since).problems == ()


def in_file(path: Path, line: tuple[int, ...] = ()) -> Callable[[Finding], bool]:
    return lambda found: found.file == str(path) and (not line or found.line in line)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1
    path.write_bytes(data)


def swap(one: Path, other: Path) -> None:
    left, right = one.read_bytes(), other.read_bytes()
    one.write_bytes(right)
    other.write_bytes(left)


def file_cases(paths: list[Path], copy_of: Callable[[Path], Path]) -> Iterator[Case]:
    """Flip, cut, lengthen, delete, copy, swap files that are named by their bytes."""
    for path, following in zip(paths, [*paths[1:], paths[0]], strict=True):
        data, name, copy = path.read_bytes(), path.name[:12], copy_of(path)
        half = data[: len(data) // 2]

        def case(
            what: str, tamper: Callable[[], object], named: Path, *, name: str = name
        ) -> Case:
            files = (path, following, copy)  # noqa: B023  used before the next one
            return Case(f"{what} {name}", files, tamper, in_file(named))

        for position in (0, len(data) // 3, -1):
            yield case("flip", lambda p=path, at=position: flip(p, at), path)
        yield case("cut", lambda p=path, d=half: p.write_bytes(d), path)
        yield case("lengthen", lambda p=path, d=data: p.write_bytes(d + b"\n"), path)
        yield case("empty", lambda p=path: p.write_bytes(b""), path)
        yield case("delete", lambda p=path: p.unlink(), path)
        yield case("copy", lambda c=copy, d=data: c.write_bytes(d), copy)
        yield case("swap", lambda p=path, f=following: swap(p, f), path)
        yield case("swap", lambda p=path, f=following: swap(p, f), following)


def test_the_untouched_ledger_gives_no_alarm(ledger, trusted, head):
    checked = verify(ledger, trusted=trusted, since=head)
    assert checked.problems == checked.notes == ()
    assert (checked.num_entries, checked.num_signatures) == (10, 2)
    assert checked.num_journals == 3
    assert checked.num_objects == len(objects_of(ledger))
    assert checked.head == head


def test_every_change_of_an_object_is_named(ledger, trusted):
    def copy_of(path: Path) -> Path:
        return path.with_name(path.name[:2] + hex_of("copy", path.name)[2:])

    cases = file_cases(objects_of(ledger), copy_of)
    check_all(ledger, cases, trusted, None, at_least=300)


def test_a_copy_of_an_object_in_another_folder_does_not_belong(ledger, trusted):
    for path in objects_of(ledger):
        following = f"{(int(path.name[:2], 16) + 1) % 256:02x}"
        copy = path.parents[1] / following / path.name
        is_new = not copy.parent.exists()
        copy.parent.mkdir(exist_ok=True)
        with restored(copy):
            copy.write_bytes(path.read_bytes())
            [found] = verify(ledger, trusted=trusted).problems
        assert (found.file, found.kind) == (str(copy), "object")
        if is_new:
            copy.parent.rmdir()


def test_every_change_of_an_entry_is_named(ledger, trusted):
    def copy_of(path: Path) -> Path:
        return path.with_name(f"{hex_of('copy', path.name)}.json")

    paths = [ledger.entry_path(line.digest) for line in ledger.log()]
    check_all(ledger, file_cases(paths, copy_of), trusted, None, at_least=100)


def rewrite(ledger: Ledger, lines: list[bytes]) -> None:
    ledger.log_path.write_bytes(b"".join(line + b"\n" for line in lines))


def chained(lines: list[bytes]) -> list[bytes]:
    """Make the chain anew, as a forger would."""
    link, made = FIRST_LINK, []
    for line in lines:
        made.append(canonical_json({**json.loads(line), "prev": link}))
        link = hashlib.sha256(made[-1]).hexdigest()
    return made


def log_cases(ledger: Ledger) -> Iterator[Case]:
    lines = read_raw_lines(ledger.folder)

    def case(name: str, changed: list[bytes], *numbers: int) -> Case:
        def tamper() -> None:
            rewrite(ledger, changed)

        named = in_file(ledger.log_path, numbers)
        return Case(name, (ledger.log_path,), tamper, named)

    for index, line in enumerate(lines):
        number = index + 1
        before, after = lines[:index], lines[index + 1 :]
        for field in (b'"entry":"', b'"kind":"', b'"name":"', b'"prev":"'):
            at = line.index(field) + len(field)
            flipped = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
            name = f"flip {field!r} of line {number}"
            yield case(name, [*before, flipped, *after], number, number + 1)
        flipped = line[:-2] + bytes([line[-2] ^ 1]) + line[-1:]
        yield case(f"flip the time of line {number}", [*before, flipped, *after])
        yield case(f"drop line {number}", [*before, *after])
        yield case(f"repeat line {number}", [*before, line, line, *after], number + 1)
        again, last = [*lines, line], len(lines) + 1
        yield case(f"repeat line {number} last", again, last)
        yield case(f"repeat line {number} last, chained", chained(again), last)
        if after:
            swapped = [*before, after[0], line, *after[1:]]
            yield case(f"swap {number} with the next", swapped, number)
            yield case(f"swap {number} with the next, chained", chained(swapped))
        yield case(f"cut before line {number}", before)
        yield case(f"drop line {number}, chained", chained([*before, *after]))


def test_every_change_of_the_log_is_named(ledger, trusted, head):
    check_all(ledger, log_cases(ledger), trusted, head, at_least=110)


def test_a_log_cut_together_with_its_entries_is_seen_by_a_published_head(
    ledger, trusted, head
):
    lines = read_raw_lines(ledger.folder)
    paths = [ledger.entry_path(line.digest) for line in ledger.log()]
    journals = journals_of(ledger)
    for kept in range(len(lines)):
        with restored(ledger.log_path, *paths, *journals):
            rewrite(ledger, lines[:kept])
            for path in [*paths[kept:], *journals]:
                path.unlink()
            # Nothing else can tell that it was ever longer.
            assert verify(ledger, trusted=trusted).problems == ()
            [found] = verify(ledger, trusted=trusted, since=head).problems
        assert found.kind == "head"
        assert f"of 10 lines, the log has {kept}" in found.what


def test_a_ledger_that_grew_extends_every_head_that_it_had(ledger, trusted):
    lines = read_raw_lines(ledger.folder)
    for count in range(len(lines) + 1):
        since = head_of(lines[:count])
        assert verify(ledger, trusted=trusted, since=since).problems == ()
        other = since._replace(sha256=hex_of("fork", count))
        [found] = verify(ledger, trusted=trusted, since=other).problems
        assert (found.kind, found.line) == ("head", count or None)


def test_the_last_line_is_ours_to_the_byte_without_any_head(ledger, trusted):
    lines = read_raw_lines(ledger.folder)
    with restored(ledger.log_path):
        rewrite(ledger, [*lines[:-1], lines[-1].replace(b":", b": ", 1)])
        found = verify(ledger, trusted=trusted).problems
    assert found[0].line == len(lines)
    assert "not one that codemix writes" in found[0].what


def with_checksum(line: bytes) -> bytes:
    payload = line[len('["00000000",') : -1]
    return b'["%08x",%b]' % (zlib.crc32(payload), payload)


def journal_cases(path: Path) -> Iterator[Case]:
    lines = path.read_bytes().splitlines()

    def case(name: str, changed: list[bytes], *numbers: int) -> Case:
        data = b"".join(line + b"\n" for line in changed)

        def tamper() -> None:
            path.write_bytes(data)

        return Case(name, (path,), tamper, in_file(path, numbers))

    for index, line in enumerate(lines):
        number = index + 1
        before, after = lines[:index], lines[index + 1 :]
        flipped = line[:20] + bytes([line[20] ^ 1]) + line[21:]
        yield case(f"flip line {number}", [*before, flipped, *after], number)
        event = json.loads(line)[1]
        for change in ({"unix_ms": event["unix_ms"] + 1}, {"more": 1}):
            payload = json.dumps({**event, **change}, separators=(",", ":")).encode()
            forged = with_checksum(b'["00000000",%b]' % payload)
            name = f"forge {[*change]} of line {number}"
            yield case(name, [*before, forged, *after])
        yield case(f"drop line {number}", [*before, *after])
        yield case(f"repeat line {number}", [*before, line, line, *after])
        # Without any line it is as if it were deleted with its run's folder.
        if before:
            yield case(f"cut before line {number}", before)
        if after:
            swapped = [*before, after[0], line, *after[1:]]
            yield case(f"swap {number} with the next", swapped)


def test_every_change_of_a_journal_is_named(ledger, trusted):
    cases = [case for path in journals_of(ledger) for case in journal_cases(path)]
    check_all(ledger, iter(cases), trusted, None, at_least=400)


def test_a_forged_entry_with_chain_and_journal_made_anew_is_named(ledger, trusted):
    """Digest, log, chain and the journal's last line are right: it is built anew."""
    lines = read_raw_lines(ledger.folder)
    folder = hex_of("identity", "first")[:16]
    [journal] = [path for path in journals_of(ledger) if folder in str(path)]
    line = ledger.log()[0]
    was = ledger.entry_path(line.digest)
    score = b'"text.bits_per_byte":"0.2'
    forged = was.read_bytes().replace(score + b"5", score + b"4", 1)
    assert forged != was.read_bytes()
    digest = hashlib.sha256(forged).hexdigest()
    now = ledger.entry_path(digest)
    old, new = line.digest.encode(), digest.encode()
    *events, finish = journal.read_bytes().splitlines()
    with restored(was, now, ledger.log_path, journal):
        was.unlink()
        now.write_bytes(forged)
        rewrite(ledger, chained([one.replace(old, new) for one in lines]))
        last = with_checksum(finish.replace(old, new))
        journal.write_bytes(b"".join(one + b"\n" for one in (*events, last)))
        found = verify(ledger, trusted=trusted).problems
    [named] = [one for one in found if one.kind == "journal"]
    assert (named.file, named.line) == (str(journal), len(events) + 1)
    assert f"entry {digest[:12]} was made of: its scores.0.values.text" in named.what


def test_another_wording_of_a_seam_is_no_alarm(ledger, trusted, monkeypatch):
    monkeypatch.setattr(
        "ledger.build_entry.compare_devices", lambda was, now: ["worded otherwise"]
    )
    assert verify(ledger, trusted=trusted).problems == ()


def attestations(ledger: Ledger) -> list[tuple[str, Attestation]]:
    found = [(line.digest, ledger.read(line.digest)) for line in ledger.log()]
    return [(digest, one) for digest, one in found if isinstance(one, Attestation)]


def replaced(ledger: Ledger, digest: str, document: Attestation) -> ExitStack:
    """Put another signature in the place of one, and make the chain anew."""
    data = document.to_bytes()
    now = hashlib.sha256(data).hexdigest()
    lines = [
        line.replace(digest.encode(), now.encode())
        for line in read_raw_lines(ledger.folder)
    ]
    stack = ExitStack()
    was = ledger.entry_path(digest)
    stack.enter_context(restored(ledger.log_path, was, ledger.entry_path(now)))
    was.unlink()
    ledger.entry_path(now).write_bytes(data)
    rewrite(ledger, chained(lines))
    return stack


def signed_again(
    objects: ObjectStore, document: Attestation, who: str, *, claim: bool
) -> Attestation:
    """Sign the same statement with another key, under its name or the first one's."""
    envelope = decode_envelope(objects.get(document.envelope))
    key = private_key(who)
    keyid = document.key if claim else key.public.keyid
    data = pre_authentication(envelope.payload_type, envelope.payload)
    made = Envelope(envelope.payload, envelope.payload_type, keyid, key.sign(data))
    ref = objects.put(encode_envelope(made))
    return document.model_copy(update={"key": keyid, "envelope": ref})


def signature_problems(checked: Checked) -> str:
    return "\n".join(one.what for one in checked.problems if one.kind == "signature")


@pytest.mark.parametrize(
    ("claim", "what"),
    [(False, "by a key that is not trusted"), (True, "it is not the signature of key")],
)
def test_a_signature_made_again_with_another_key_is_named(tmp_path, claim, what):
    ledger = make_ledger(tmp_path)
    trusted = read_trusted(tmp_path)
    for digest, document in attestations(ledger):
        forged = signed_again(ledger.objects, document, "mallory", claim=claim)
        with replaced(ledger, digest, forged):
            found = signature_problems(verify(ledger, trusted=trusted))
        assert f"the signature on entry {document.subject[:12]} proves nothing" in found
        assert what in found
    assert verify(ledger, trusted=trusted).problems == ()


def test_a_signature_that_was_moved_to_another_entry_is_named(tmp_path):
    ledger = make_ledger(tmp_path)
    (digest, first), (_, other) = attestations(ledger)
    moved = first.model_copy(update={"subject": other.subject})
    with replaced(ledger, digest, moved):
        found = signature_problems(verify(ledger, trusted=read_trusted(tmp_path)))
    assert "what was signed is another entry" in found


def test_a_signature_says_what_came_before(tmp_path):
    """Even a whole chain made anew, with no head published, is found."""
    ledger = make_ledger(tmp_path)
    lines = read_raw_lines(ledger.folder)
    rewrite(ledger, chained([lines[1], lines[0], *lines[2:]]))
    found = signature_problems(verify(ledger, trusted=read_trusted(tmp_path)))
    assert found.count("stood elsewhere in the log, or after other entries") == 2


def test_what_is_required_to_be_signed_is_runs_and_replays(ledger, trusted):
    checked = verify(ledger, trusted=trusted, signatures_required=True)
    unsigned = [one.file for one in checked.problems]
    kinds = {str(ledger.entry_path(line.digest)): line.kind for line in ledger.log()}
    assert sorted(kinds[file] for file in unsigned) == ["replay"] + ["run"] * 3


def test_signing_twice_is_signing_once(tmp_path):
    ledger = make_ledger(tmp_path)
    _, document = attestations(ledger)[0]
    again = sign_entry(ledger, document.subject, private_key("ana"))
    assert again.entry == document
    assert len(ledger.log()) == 10
    [signature] = signatures_of(ledger, document.subject, read_trusted(tmp_path))
    assert (signature.who, signature.problem) == ("ana", None)
    [signature] = signatures_of(ledger, document.subject, {})
    assert signature.who is None
    assert "not trusted" in str(signature.problem)
