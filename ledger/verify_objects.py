"""Checking the objects: each file is hashed once and compared with its entries."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ledger.facts import ObjectRef
from ledger.finding import Finding, Listen
from ledger.objects import ObjectStore
from ledger.recorder import TensorFacts
from ledger.series import decode_series
from ledger.tensor_words import TensorWords
from ledger.trace import Trace
from ledger.verify_entries import RESTORE, Want, is_left_over
from ledger.verify_evaluations import claim_problems
from specs.errors import CodemixError
from specs.lock import Lock


class Objects(NamedTuple):
    """What a check of the objects found."""

    num_referenced: int
    findings: list[Finding]


def check_objects(store: ObjectStore, wants: Iterable[Want], listen: Listen) -> Objects:
    """Hash every file under `objects/`; look for every object that an entry names.

    A file that no entry names is no alarm as long as its bytes are its name: a killed
    run leaves such files.
    """
    by_digest: dict[str, list[Want]] = defaultdict(list)
    for want in wants:
        by_digest[want.ref.sha256].append(want)
    findings: list[Finding] = []
    seen: set[str] = set()
    files = _files(store.folder)
    for done, path in enumerate(files):
        listen("objects", done, len(files))
        digest = path.name
        if path != store.path(digest):
            what = "this file does not belong here: no object has this name and place"
            findings.append(_finding(path, what, fix="move it away"))
            continue
        seen.add(digest)
        findings += _check_file(store, path, by_digest.get(digest, ()))
    for digest in sorted(set(by_digest) - seen):
        what = f"an object of entry {by_digest[digest][0].entry[:12]} is missing"
        findings.append(_finding(store.path(digest), what, fix=RESTORE))
    return Objects(len(by_digest), findings)


def _files(folder: Path) -> list[Path]:
    """List everything that is not a folder, in order."""
    return sorted(
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if not is_left_over(name)
    )


def _check_file(
    store: ObjectStore, path: Path, wants: Sequence[Want]
) -> Iterator[Finding]:
    of_entry = f" (entry {wants[0].entry[:12]})" if wants else ""
    is_read = any(want.role for want in wants)
    data = b""
    try:
        if is_read:
            data = path.read_bytes()
            size, digest = len(data), hashlib.sha256(data).hexdigest()
        else:
            size = path.stat().st_size
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        yield _finding(path, f"can't be read: {error.strerror or error}{of_entry}")
        return
    if digest != path.name:
        what = f"an object was changed: its bytes are not its name{of_entry}"
        yield _finding(path, what, fix=RESTORE)
        return
    for ref, entry in dict.fromkeys((want.ref, want.entry) for want in wants):
        if ref.bytes != size:
            what = f"entry {entry[:12]} says that it has {ref.bytes} bytes, not {size}"
            yield _finding(path, what)
    if is_read:
        for what in _content_problems(store, data, wants):
            yield _finding(path, what)


def _content_problems(
    store: ObjectStore, data: bytes, wants: Sequence[Want]
) -> Iterator[str]:
    """Compare what an object holds with what entries say that it holds."""
    told = set()
    for want in wants:
        # Entries of one prefix share its objects and say the same of them.
        key = (want.role, want.stage, want.claim)
        if not want.role or key in told:
            continue
        told.add(key)
        for what in _problems_of(store, data, want):
            yield f"{what} (entry {want.entry[:12]})"


def _problems_of(store: ObjectStore, data: bytes, want: Want) -> Iterator[str]:
    try:
        if want.role == "trace":
            yield from _trace_problems(data, want)
        elif want.role in ("metrics", "timings"):
            yield from _series_problems(data, want)
        elif want.role == "words" and want.stage is not None:
            name = f"the tensor words of stage {want.stage.name}"
            trace = Trace(store.get(want.stage.trace))
            TensorWords(data, name=name).check(trace)
        elif want.role == "tensors":
            for tensor in json.loads(data).values():
                TensorFacts.model_validate(tensor)
        elif want.role == "results" and want.claim is not None:
            yield from claim_problems(json.loads(data), want.claim)
        elif want.role == "lock":
            Lock.model_validate(json.loads(data))
        elif not isinstance(json.loads(data), dict):
            yield f"it is no {want.role}"
    except CodemixError as error:
        yield error.problems[0].what
    # Whatever these bytes are, they are not what was recorded.
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ):
        yield f"it is no {want.role}: its bytes are another thing"


def _trace_problems(data: bytes, want: Want) -> Iterator[str]:
    stage = want.stage
    assert stage is not None
    name = f"the trace of stage {stage.name}"
    trace = Trace(data, name=name)
    if trace.head != stage.trace_head:
        yield f"{name} ends in another link than the entry says"
    if len(trace) != stage.stop_step - stage.start_step:
        yield f"{name} has {len(trace)} steps, the entry says otherwise"
    elif len(trace) and trace.start_step != stage.start_step:
        yield f"{name} starts at another step than the entry says"
    elif len(trace) and trace.at(trace.stop_step - 1).weights != stage.weights:
        yield f"{name} ends with other weights than the entry says"


def _series_problems(data: bytes, want: Want) -> Iterator[str]:
    stage = want.stage
    assert stage is not None
    name = f"the {want.role} of stage {stage.name}"
    last = stage.start_step - 1
    for point in decode_series(data):
        if not last < point.step < stage.stop_step:
            yield f"{name} hold step {point.step}, which is none of the next ones"
            return
        last = point.step
        for text in point.values.values():
            float(text)


def _finding(path: Path, what: str, *, fix: str | None = None) -> Finding:
    return Finding(kind="object", what=what, file=str(path), fix=fix)


def ref_of(data: bytes) -> ObjectRef:
    """Return the reference to bytes, without keeping them."""
    return ObjectRef(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
