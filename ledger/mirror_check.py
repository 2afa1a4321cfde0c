"""Checking an MLflow store against the ledger, in the process that loads MLflow."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ledger.delivered import load_delivered
from ledger.delivery import DeliveryState, load_state, report
from ledger.documents import Stored
from ledger.entry import Entry
from ledger.evaluation import Evaluation, StoredEvaluation
from ledger.history import read_history
from ledger.journal import is_being_written
from ledger.mirror import ENTRY_TAG, RECORDING_TAG
from ledger.mirror_differences import (
    Difference,
    digest_files,
    file_differences,
    metric_differences,
    run_differences,
)
from ledger.mirror_evaluations import evaluation_tag, with_evaluations
from ledger.mirror_expected import ExpectedRun, Recording, expected_run
from ledger.mlflow_index import MlflowIndex
from ledger.mlflow_run import FoundRun
from ledger.store import Ledger
from specs.credentials import without_credentials
from specs.errors import CodemixError

_ARTIFACTS = "/.codemix/mlartifacts/"


class MirrorProblem(NamedTuple):
    """One thing that is wrong in MLflow."""

    run: str
    """Name of the MLflow run, or of the recording where there is none."""
    entry: str | None
    place: str
    what: str


class MirrorCheck:
    """One check of one store."""

    def __init__(self, workspace: Path, uri: str, index: MlflowIndex) -> None:
        """Prepare to compare.

        Args:
            workspace: Holds `.codemix`.
            uri: Of the store.
            index: The connection to it.
        """
        self._folder = workspace / ".codemix"
        self._uri = uri
        self._index = index
        self._ledger = Ledger(self._folder / "ledger")
        self._delivered = frozenset(load_delivered(self._folder, uri).digests)
        self.problems: list[MirrorProblem] = []
        self.notes: list[str] = []
        self.num_runs = 0
        """That were compared."""

    def run(self, listen: Callable[[int, int], None]) -> None:
        """Compare every recording."""
        recordings = list(_recordings(self._ledger, self._folder / "runs"))
        by_name: dict[str, list[FoundRun]] = defaultdict(list)
        for found in self._index.read_runs():
            by_name[found.tags[RECORDING_TAG]].append(found)
        for done, recording in enumerate(recordings):
            listen(done, len(recordings))
            self._check(recording, by_name.get(recording.name, []))

    def _check(self, recording: Recording, found: list[FoundRun]) -> None:
        journal = recording.journal
        if journal is not None and is_being_written(journal):
            self.notes.append(f"run {journal.parent.name} goes on: not compared")
            return
        state = load_state(journal, self._uri) if journal is not None else None
        waiting = _waiting(journal, self._uri)
        # What the state says has arrived must be there; otherwise it may be missing.
        is_delivered = state is not None and state.is_ended and waiting == 0
        if not found and state is not None and state.run_id is not None:
            one = self._index.read_run(state.run_id)
            found = [one] if one is not None else []
        if not found:
            self._missing(recording, is_delivered=is_delivered)
            return
        if len(found) > 1:
            names = ", ".join(one.run_id for one in found)
            self._add(recording, "run", f"MLflow has it {len(found)} times: {names}")
        try:
            expected = expected_run(
                recording,
                self._ledger.objects,
                delivered_bytes=state.offset if state and state.run_id else None,
            )
        except CodemixError as error:
            # The other checks name what was changed.
            what = str(error).partition("\n")[0]
            self.notes.append(f"recording {recording.name}: not compared: {what}")
            return
        for one in found:
            self._compare(recording, expected, one, state, is_delivered=is_delivered)

    def _compare(
        self,
        recording: Recording,
        expected: ExpectedRun,
        found: FoundRun,
        state: DeliveryState | None,
        *,
        is_delivered: bool,
    ) -> None:
        is_sealed = found.tags.get(ENTRY_TAG) == expected.entry is not None
        if not is_delivered and not is_sealed:
            what = f"run {expected.name} is not delivered yet: codemix ledger sync"
            self.notes.append(what)
            return
        self.num_runs += 1
        is_live = is_delivered and state is not None and state.run_id == found.run_id
        expected, waiting = with_evaluations(
            expected,
            recording.evaluations,
            lambda digest: (
                digest in self._delivered or evaluation_tag(digest) in found.tags
            ),
        )
        self.notes += waiting
        refused = state.refused if state is not None else 0
        if refused:
            self.notes.append(f"run {expected.name}: MLflow refused {refused} lines")
        keys = {point.key for point in expected.required}
        keys |= {point.key for point in found.latest}
        history = {
            key: self._index.read_history(found.run_id, key) for key in sorted(keys)
        }
        differences = [
            *run_differences(expected, found, is_live=is_live),
            *metric_differences(expected, history, found.latest, may_lack=refused > 0),
        ]
        if expected.files:
            differences += self._file_differences(expected, found)
        for place, what in differences:
            self._add(recording, place, what, name=expected.name)

    def _file_differences(
        self, expected: ExpectedRun, found: FoundRun
    ) -> Iterator[Difference]:
        local = _local_folder(found.artifact_uri, self._folder)
        if local is not None:
            yield from file_differences(expected, digest_files(local))
            return
        with tempfile.TemporaryDirectory(prefix="codemix-") as scratch:
            self._index.download_files(found.run_id, Path(scratch))
            yield from file_differences(expected, digest_files(Path(scratch)))

    def _missing(self, recording: Recording, *, is_delivered: bool) -> None:
        if is_delivered:
            what = "MLflow has lost the run, which was delivered"
            self._add(recording, "run", what)
            return
        name = recording.entries[-1].entry.name if recording.entries else "a run"
        what = f"{name} {recording.name[:6]} is not in MLflow yet: codemix ledger sync"
        self.notes.append(what)

    def _add(
        self, recording: Recording, place: str, what: str, *, name: str | None = None
    ) -> None:
        entry = recording.entries[-1].digest if recording.entries else None
        run = name or f"recording {recording.name}"
        self.problems.append(MirrorProblem(run, entry, place, what))


def _recordings(ledger: Ledger, runs: Path) -> Iterator[Recording]:
    """List every recording that an entry or a journal is of, whole ones alone."""
    entries: dict[str, list[Stored]] = defaultdict(list)
    evaluations: dict[str, list[StoredEvaluation]] = defaultdict(list)
    recording_of: dict[str | None, str] = {}
    for digest in _logged(ledger):
        try:
            entry = ledger.read(digest)
        except CodemixError:
            continue
        if isinstance(entry, Entry):
            entries[entry.recording].append(Stored(digest, entry))
            recording_of[digest] = entry.recording
        elif isinstance(entry, Evaluation) and entry.subject in recording_of:
            of = recording_of[entry.subject]
            evaluations[of].append(StoredEvaluation(digest, entry))
    journals: dict[str, Path] = {}
    for path in sorted(runs.glob("*/journal.jsonl")):
        try:
            begins = read_history(path).begins
        # A damaged one is named by the check of journals.
        except (CodemixError, KeyError, IndexError, ValueError):
            continue
        if begins:
            journals[begins[0]["recording"]] = path
    for name in dict.fromkeys([*entries, *journals]):
        yield Recording(
            name,
            tuple(entries.get(name, ())),
            journals.get(name),
            tuple(evaluations.get(name, ())),
        )


def _logged(ledger: Ledger) -> list[str]:
    try:
        return [line.digest for line in ledger.log()]
    except CodemixError:
        return []


def _waiting(journal: Path | None, uri: str) -> int:
    try:
        return report(journal, uri).waiting if journal is not None else 0
    except CodemixError:
        return 0


def _local_folder(uri: str, codemix_folder: Path) -> Path | None:
    """Where files lie that are on this machine, also if the workspace has moved."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return None
    path = unquote(parts.path)
    _, marker, rest = path.partition(_ARTIFACTS)
    moved = codemix_folder / "mlartifacts" / rest
    return moved if marker and moved.exists() else Path(path)


def check_store(
    workspace: Path, uri: str, listen: Callable[[int, int], None]
) -> dict[str, object]:
    """Check a store; return what was found as plain JSON."""
    try:
        index = MlflowIndex(uri, artifacts=workspace / ".codemix" / "mlartifacts")
        check = MirrorCheck(workspace, uri, index)
        check.run(listen)
    # Whatever a store answers, it is the answer.
    except Exception as error:  # noqa: BLE001
        reason = without_credentials(str(error).strip().partition("\n")[0])
        return {"failed": reason or type(error).__name__}
    return {
        "problems": [one._asdict() for one in check.problems],
        "notes": check.notes,
        "runs": check.num_runs,
    }
