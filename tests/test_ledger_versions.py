"""What another codemix wrote is named and passed over, and harms nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from ledger_runs import facts, play

from ledger.journal import encode_line, read_journal
from ledger.reuse import runs_with
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.verify import verify
from specs.canonical import canonical_json
from specs.errors import InputError


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    play(RunRecorder(Ledger.open(tmp_path), run_folder(tmp_path)))
    return tmp_path


def run_folder(workspace: Path) -> Path:
    return workspace / ".codemix" / "runs" / "a"


def add_document(ledger: Ledger, **changes: Any) -> str:
    """Add what another codemix might write: an entry with changes."""
    [first] = [line.digest for line in ledger.log()][:1]
    document = {**json.loads(ledger.read_bytes(first)), **changes}
    data = canonical_json(document)
    digest = hashlib.sha256(data).hexdigest()
    ledger.entry_path(digest).write_bytes(data)
    return digest


OTHER = {
    "a newer schema": {"schema": 2},
    "an unknown kind": {"kind": "distillation"},
    "an unknown field": {"energy_joules": "12.0"},
}


@pytest.mark.parametrize("changes", OTHER.values(), ids=list(OTHER))
def test_what_another_codemix_wrote_is_named_and_the_rest_goes_on(
    workspace: Path, changes: dict[str, Any]
) -> None:
    digest = add_document(Ledger.open(workspace), **changes)
    ledger = Ledger.open(workspace)
    assert ledger.healed == (digest,)
    [own] = ledger.entries()
    assert list(ledger.unknown) == [digest]
    assert digest in str(ledger.unknown[digest])
    assert list(runs_with(ledger, [own.entry.recording])) == [own]
    with pytest.raises(InputError, match=r"schema|another codemix"):
        ledger.read(digest)
    # Others are still recorded, and the chain holds.
    recording = RunRecorder(ledger, workspace / ".codemix" / "runs" / "b")
    play(recording)
    assert recording.digest is not None
    assert [one.digest for one in ledger.entries()] == [own.digest, recording.digest]
    assert not [one for one in verify(ledger).problems if "chain" in one.what]


def test_a_file_that_is_no_document_is_no_entry(workspace: Path) -> None:
    data = b"not even JSON"
    ledger = Ledger.open(workspace)
    ledger.entry_path(hashlib.sha256(data).hexdigest()).write_bytes(data)
    assert Ledger.open(workspace).healed == ()


def test_a_journal_with_events_of_another_codemix_is_not_gone_on_with(
    tmp_path: Path,
) -> None:
    recording = RunRecorder(Ledger.open(tmp_path), run_folder(tmp_path))
    play(recording, stop=10, outcome=None)
    recording.close()
    journal = run_folder(tmp_path) / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(encode_line({"kind": "expert_swap", "unix_ms": 1, "step": 9}))
    before = journal.read_bytes()
    again = RunRecorder(Ledger.open(tmp_path), run_folder(tmp_path))
    with pytest.raises(InputError, match=r"another codemix wrote .* 'expert_swap'"):
        play(again, start=8)
    assert journal.read_bytes() == before


def test_a_journal_that_lacks_what_every_one_has_is_refused(tmp_path: Path) -> None:
    recording = RunRecorder(Ledger.open(tmp_path), run_folder(tmp_path))
    play(recording, stop=10, outcome=None)
    recording.close()
    journal = run_folder(tmp_path) / "journal.jsonl"
    events = [line.event for line in read_journal(journal)]
    del events[0]["recording"]
    journal.write_bytes(b"".join(map(encode_line, events)))
    again = RunRecorder(Ledger.open(tmp_path), run_folder(tmp_path))
    with pytest.raises(InputError, match="does not say 'recording'"):
        play(again, start=8)


def test_an_unknown_field_of_an_event_is_no_obstacle(tmp_path: Path) -> None:
    recording = RunRecorder(Ledger.open(tmp_path), run_folder(tmp_path))
    play(recording, stop=10, outcome=None)
    recording.close()
    journal = run_folder(tmp_path) / "journal.jsonl"
    events = [{**line.event, "weather": "fine"} for line in read_journal(journal)]
    journal.write_bytes(b"".join(map(encode_line, events)))
    again = RunRecorder(Ledger.open(tmp_path), run_folder(tmp_path))
    assert play(again, start=8).outcome.status == "completed"


def test_two_processes_of_one_run_take_turns(tmp_path: Path) -> None:
    first = RunRecorder(Ledger.open(tmp_path), run_folder(tmp_path))
    play(first, stop=4, outcome=None)
    second = RunRecorder(Ledger.open(tmp_path), run_folder(tmp_path))
    with pytest.raises(InputError, match="another process is recording"):
        second.begin(facts())
    first.close()
