"""`codemix ledger export`: one file with all that it takes to check and repeat a run.

The same entry gives the same bytes: names are sorted, nothing has a date, and nothing
is compressed, as every version of zlib does that in its own way. Files go through in
pieces, so a checkpoint never has to fit in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ledger.bundle_checkpoints import Which, checkpoint_members
from ledger.bundle_code import CodeBundle, bundle_code
from ledger.bundle_crate import Facts, crate_of
from ledger.bundle_documents import Ordered, documents_of
from ledger.bundle_layout import (
    CHECKPOINT,
    CODE,
    METADATA,
    ORDER,
    README,
    REMOTES,
    VERIFY,
    Member,
    Tell,
    entry_name,
    object_name,
)
from ledger.bundle_readme import readme_of
from ledger.bundle_secrets import Secrets
from ledger.bundle_texts import spec_file, texts_of
from ledger.documents import run_of
from ledger.dvc_remotes import public_remotes
from ledger.entry import Entry
from ledger.objects import references
from ledger.store import Ledger
from specs.atomic import sync_folder
from specs.canonical import canonical_json
from specs.errors import CheckFailed, InputError

CHUNK_BYTES = 2**20

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644


class Exported(NamedTuple):
    """A bundle that was written."""

    entry: str
    """Digest of the run."""
    path: Path
    sha256: str
    num_bytes: int
    num_documents: int
    code: dict[str, CodeBundle]
    """`repository` and `workspace` -> its bundle, or why there is none."""


def export_bundle(
    text: str,
    *,
    workspace: Path,
    output: Path,
    checkpoints: Which = "none",
    tell: Tell = lambda task, done, total: None,
) -> Exported:
    """Write the bundle of a run.

    Args:
        text: Beginning of the entry's digest, or its unique name.
        workspace: Whose ledger holds it.
        output: File to make; must not be there yet.
        checkpoints: Which of them go along.
        tell: Told how far it is.

    Raises:
        CheckFailed: Something of the ledger was changed, or a secret would leave.
        InputError: There is no such run, the file is there, or it can't be written.
    """
    ledger = Ledger.open(workspace)
    stored = ledger.find(text)
    entry = run_of(stored)
    with (
        tempfile.TemporaryDirectory(prefix="codemix-") as scratch,
        _new_file(output) as made,
    ):
        secrets = Secrets.known(workspace)
        ordered = documents_of(ledger, stored.digest)
        code = bundle_code(entry.code, workspace, Path(scratch), secrets)
        members = [
            *_of_ledger(ledger, ordered),
            *_of_entry(ledger, entry, workspace, code),
            *checkpoint_members(workspace, entry, ledger.objects, checkpoints),
        ]
        steps = [
            int(found[1])
            for one in members
            if one.name.endswith("manifest.json")
            and (found := CHECKPOINT.fullmatch(one.name))
        ]
        readme = readme_of(stored.digest, entry, code, steps)
        members.append(Member(name=README, content=readme))
        writer = _Writer(made, secrets, sum(one.num_bytes for one in members), tell)
        writer.write(stored.digest, entry, members)
    sha256, num_bytes = file_digest(output)
    return Exported(
        stored.digest, output, sha256, num_bytes, len(ordered.digests), code
    )


def file_digest(path: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return sha256, path.stat().st_size


def _of_ledger(ledger: Ledger, ordered: Ordered) -> Iterator[Member]:
    refs: set[str] = set()
    for digest in ordered.digests:
        data = ledger.read_bytes(digest)
        yield Member(name=entry_name(digest), content=data, sha256=digest)
        refs |= {ref.sha256 for ref in references(json.loads(data))}
    for sha256 in sorted(refs):
        path = ledger.objects.path(sha256)
        if not path.is_file():
            raise InputError(
                "an object of the ledger is missing",
                file=str(path),
                fix="restore it from a copy of the ledger or from MLflow's artifacts",
            )
        yield Member(name=object_name(sha256), content=path, sha256=sha256)
    yield Member(name=ORDER, content=ordered.order)


def _of_entry(
    ledger: Ledger, entry: Entry, workspace: Path, code: dict[str, CodeBundle]
) -> Iterator[Member]:
    spec = spec_file(entry, ledger.objects.get(entry.raw_spec))
    yield Member(name=f"spec/{entry.name}.yaml", content=spec)
    for name, data in texts_of(entry, ledger.objects).items():
        yield Member(name=name, content=data)
    remotes = canonical_json(public_remotes(workspace)) + b"\n"
    yield Member(name=REMOTES, content=remotes)
    for key, bundle in code.items():
        if bundle.path is not None:
            yield Member(name=CODE[key], content=bundle.path)
    script = Path(__file__).with_name("bundle_verify.py").read_bytes()
    yield Member(name=VERIFY, content=script)


class _Writer:
    """Writes members in the order of their names, and what they are in between."""

    def __init__(
        self, path: Path, secrets: Secrets, num_bytes: int, tell: Tell
    ) -> None:
        self._path = path
        self._secrets = secrets
        self._total, self._done = num_bytes, 0
        self._tell = tell

    def write(self, digest: str, entry: Entry, members: Sequence[Member]) -> None:
        """Write the whole bundle."""
        ordered = sorted(members, key=lambda member: member.name)
        files: dict[str, Facts] = {}
        with zipfile.ZipFile(self._path, "w", zipfile.ZIP_STORED) as bundle:
            # What is described before it is written is small, and digested twice.
            for member in ordered:
                if member.name < METADATA:
                    files[member.name] = self._add(bundle, member)
            for member in ordered:
                if member.name > METADATA:
                    assert isinstance(member.content, bytes)
                    sha256 = hashlib.sha256(member.content).hexdigest()
                    files[member.name] = Facts(sha256, len(member.content))
            crate = crate_of(digest, entry, files)
            self._add(bundle, Member(name=METADATA, content=crate))
            for member in ordered:
                if member.name > METADATA:
                    self._add(bundle, member)

    def _add(self, bundle: zipfile.ZipFile, member: Member) -> Facts:
        info = zipfile.ZipInfo(member.name, _EPOCH)
        info.create_system, info.external_attr = 3, _MODE << 16
        info.file_size = member.num_bytes
        digest, size, scan = hashlib.sha256(), 0, self._secrets.scanner()
        with bundle.open(info, "w") as target:
            for chunk in _chunks(member):
                digest.update(chunk)
                size += len(chunk)
                if not CHECKPOINT.fullmatch(member.name):
                    scan.feed(chunk)
                target.write(chunk)
                self._done += len(chunk)
                self._tell("export", min(self._done, self._total), self._total)
        if scan.found is not None:
            raise CheckFailed(
                f"a secret of this machine would be in the bundle: {scan.found}",
                file=member.name,
                fix="an entry can't be changed: run again without it, and export that",
            )
        if member.sha256 not in (None, digest.hexdigest()):
            raise CheckFailed(
                "was changed: its bytes are not its name",
                file=member.name,
                fix="codemix ledger verify",
            )
        return Facts(digest.hexdigest(), size)


def _chunks(member: Member) -> Iterator[bytes]:
    if isinstance(member.content, bytes):
        yield member.content
        return
    with member.content.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Lend a place beside a file that is to be; what is written there becomes it.

    Raises:
        InputError: The file is there, or can't be written.
    """
    there = InputError("is there already", file=str(path), fix="name another file")
    if path.exists():
        raise there
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        # Unlike a rename, this fails where somebody was quicker.
        os.link(part, path)
        sync_folder(path.parent)
    except FileExistsError:
        raise there from None
    except OSError as error:
        raise InputError(
            f"can't be written: {error.strerror or error}",
            file=str(path),
            fix="free space, or name a place that can be written",
        ) from error
    finally:
        part.unlink(missing_ok=True)
