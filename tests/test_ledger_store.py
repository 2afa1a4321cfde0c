"""The ledger's files: written once, chained, safe from crashes, tampering is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_runs import hex_of, play

from ledger.documents import Stored
from ledger.listing import rows_of
from ledger.objects import ObjectStore, references
from ledger.overview import show_entry
from ledger.recorder import Outcome
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from ledger.verify import verify
from specs.errors import CheckFailed, InputError

ROOT = Path(__file__).parents[1]


def record_run(workspace: Path, name: str = "a") -> Stored:
    ledger = Ledger.open(workspace)
    recorder = RunRecorder(ledger, workspace / ".codemix" / "runs" / name)
    entry = play(recorder)
    assert recorder.digest is not None
    return Stored(recorder.digest, entry)


def flip_a_byte(path: Path, position: int = 40) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_an_entry_is_found_by_digest_prefix_and_name(tmp_path):
    stored = record_run(tmp_path)
    ledger = Ledger.open(tmp_path)
    assert ledger.find(stored.digest) == stored
    assert ledger.find(stored.digest[:8]) == stored
    assert ledger.find("made-up") == stored
    assert list(ledger.entries()) == [stored]


def test_an_unknown_name_says_what_was_perhaps_meant(tmp_path):
    record_run(tmp_path)
    with pytest.raises(InputError, match="did you mean 'made-up'"):
        Ledger.open(tmp_path).find("madeup")
    with pytest.raises(InputError, match="see 'codemix ledger list'"):
        Ledger.open(tmp_path / "empty").find("zzzz")


def test_a_name_of_two_runs_is_ambiguous(tmp_path):
    first, second = record_run(tmp_path, "a"), record_run(tmp_path, "b")
    with pytest.raises(InputError, match="'made-up' means 2 entries") as raised:
        Ledger.open(tmp_path).find("made-up")
    assert first.digest[:12] in str(raised.value)
    assert second.digest[:12] in str(raised.value)


def test_too_short_a_prefix_is_no_prefix(tmp_path):
    stored = record_run(tmp_path)
    with pytest.raises(InputError, match="no entry"):
        Ledger.open(tmp_path).find(stored.digest[:3])


def test_a_changed_entry_is_named(tmp_path):
    stored = record_run(tmp_path)
    ledger = Ledger.open(tmp_path)
    flip_a_byte(ledger.entry_path(stored.digest))
    with pytest.raises(CheckFailed, match=f"entry {stored.digest[:12]} was changed"):
        ledger.find("made-up")
    problem, *others = verify(ledger).problems
    assert stored.digest[:12] in problem.what
    # The journal names an entry that is not there whole.
    assert [other.kind for other in others] == ["journal"]


def test_a_missing_entry_is_named(tmp_path):
    stored = record_run(tmp_path)
    ledger = Ledger.open(tmp_path)
    ledger.entry_path(stored.digest).unlink()
    problem, *others = verify(ledger).problems
    assert problem.file == str(ledger.entry_path(stored.digest))
    assert [other.kind for other in others] == ["journal"]


def test_every_changed_object_is_named(tmp_path):
    stored = record_run(tmp_path)
    ledger = Ledger.open(tmp_path)
    refs = {ref.sha256: ref for ref in references(stored.entry.to_json())}
    checked = verify(ledger)
    assert checked[:3] == (1, len(refs), 1)
    assert checked.problems == checked.notes == ()
    for ref in refs.values():
        path = ledger.objects.path(ref.sha256)
        data = path.read_bytes()
        flip_a_byte(path, len(data) // 2)
        with pytest.raises(CheckFailed, match="was changed"):
            ledger.objects.get(ref)
        [problem] = verify(ledger).problems
        assert problem.file == str(path)
        path.write_bytes(data)
    assert verify(ledger).problems == ()


def test_a_damaged_object_is_mended_when_it_is_put_again(tmp_path):
    store = ObjectStore(tmp_path)
    ref = store.put(b"evidence")
    store.path(ref.sha256).write_bytes(b"forgery!")
    assert store.put(b"evidence") == ref
    assert store.get(ref) == b"evidence"


def test_a_missing_object_says_where_to_get_it(tmp_path):
    store = ObjectStore(tmp_path)
    ref = store.put(b"evidence")
    store.path(ref.sha256).unlink()
    with pytest.raises(InputError, match="missing"):
        store.get(ref)


@pytest.fixture
def three(tmp_path) -> Ledger:
    for name in "abc":
        record_run(tmp_path, name)
    return Ledger.open(tmp_path)


def test_the_log_is_a_chain(three):
    assert verify(three).problems == ()
    lines = [json.loads(line) for line in three.log_path.read_text().splitlines()]
    assert lines[0]["prev"] == "0" * 64
    assert len({line["prev"] for line in lines}) == 3


@pytest.mark.parametrize("order", [[0, 2], [1, 2], [1, 0, 2], [0, 0, 1, 2], [0, 2, 1]])
def test_a_dropped_moved_or_repeated_line_breaks_the_chain(three, order):
    lines = three.log_path.read_text().splitlines(keepends=True)
    three.log_path.write_text("".join(lines[index] for index in order))
    assert verify(three).problems


def test_a_line_changed_by_hand_is_found(three):
    text = three.log_path.read_text()
    three.log_path.write_text(text.replace('"kind":"run"', '"kind":"RUN"', 1))
    problems = verify(three).problems
    assert {problem.line for problem in problems} == {1, 2}
    assert "the line says RUN 'made-up'" in problems[1].what


def test_a_line_that_is_none_of_ours_is_an_answer_not_a_traceback(three):
    with three.log_path.open("a") as file:
        file.write("garbage\n")
    with pytest.raises(CheckFailed, match="not one of codemix"):
        three.log()
    [problem] = verify(three).problems
    assert (problem.line, problem.kind) == (4, "log")


@pytest.mark.parametrize("bad", ["{}", "[]", "1", "{},{}", "", '{"a":1},{"b":2}'])
def test_a_bad_line_is_named_by_its_number_wherever_it_is(three, bad):
    lines = three.log_path.read_text().splitlines()
    lines[1] = bad
    three.log_path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(CheckFailed) as raised:
        three.log()
    [problem] = raised.value.problems
    assert problem.line == 2


def test_a_crash_between_entry_and_log_is_healed_at_the_next_opening(three):
    lines = three.log_path.read_text().splitlines(keepends=True)
    lost = json.loads(lines[2])["entry"]
    # The last line is torn, too.
    three.log_path.write_text("".join(lines[:2]) + lines[2][:30])
    healed = Ledger(three.folder)
    assert [line.digest for line in healed.log()] != [lost]
    workspace = three.folder.parents[1]
    opened = Ledger.open(workspace)
    assert opened.healed == (lost,)
    assert (verify(opened).num_entries, verify(opened).problems) == (3, ())
    assert Ledger.open(workspace).healed == ()


def test_an_entry_added_by_hand_is_named(three):
    forged = three.entry_path(hex_of("forged"))
    forged.write_text('{"kind":"run","name":"x"}')
    opened = Ledger.open(three.folder.parents[1])
    assert opened.healed == ()
    [problem] = verify(opened).problems
    assert problem.file == str(forged)


def test_appending_the_same_entry_twice_is_appending_it_once(tmp_path):
    stored = record_run(tmp_path)
    ledger = Ledger.open(tmp_path)
    assert ledger.append(stored.entry).digest == stored.digest
    assert len(ledger.log()) == 1


def test_an_entry_of_a_newer_codemix_is_an_answer_not_a_traceback(tmp_path):
    stored = record_run(tmp_path)
    ledger = Ledger.open(tmp_path)
    newer = stored.entry.model_copy(update={"schema_": 2})
    digest = ledger.append(newer).digest
    with pytest.raises(InputError, match="entry has schema 2"):
        ledger.read(digest)


WRITER = """
import sys
from pathlib import Path
from ledger.store import Ledger
workspace, number = Path(sys.argv[1]), sys.argv[2]
ledger = Ledger.open(workspace)
entry = ledger.find("made-up").entry
print("ready", flush=True)
sys.stdin.readline()
for count in range(10):
    name = f"run-{number}-{count}"
    ledger.append(entry.model_copy(update={"name": name, "recording": name}))
"""


def test_four_processes_append_at_once_and_the_chain_holds(tmp_path):
    record_run(tmp_path)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in "abcd"
    ]
    # Nobody starts before all are there.
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * 4
    ledger = Ledger.open(tmp_path)
    assert ledger.healed == ()
    assert verify(ledger).problems == ()
    assert len({line.name for line in ledger.log()}) == 41


FULL = """
import resource, sys
from pathlib import Path
from ledger.store import Ledger
from specs.errors import InputError
ledger = Ledger.open(Path(sys.argv[1]))
entry = ledger.find("made-up").entry
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
for size in (100, ledger.log_path.stat().st_size + 10):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    for what in (ledger.append, lambda entry: ledger.objects.put(bytes(10_000))):
        try:
            what(entry.model_copy(update={"name": "full", "recording": "full"}))
        except InputError as error:
            print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
ledger.append(entry.model_copy(update={"name": "after", "recording": "after"}))
"""


def test_a_full_disk_leaves_the_ledger_whole(tmp_path):
    record_run(tmp_path)
    finished = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.count("File too large") == 4
    ledger = Ledger.open(tmp_path)
    assert [line.name for line in ledger.log()] == ["made-up", "after"]
    assert verify(ledger).problems == ()


def test_list_and_show_are_plain_values(tmp_path):
    stored = record_run(tmp_path)
    ledger = Ledger.open(tmp_path)
    [row] = rows_of(ledger.folder)
    assert row.digest == stored.digest
    assert (row.name, row.result, row.num_steps) == ("made-up", "completed", 12)
    shown = show_entry(ledger, "made-up")
    assert json.loads(json.dumps(shown)) == shown
    assert shown["entry"]["outcome"] == Outcome(status="completed").to_json()
    assert shown["verdicts"] == []
