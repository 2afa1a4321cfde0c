"""The index of a ledger: the rows of its documents, whatever befalls its file."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import ledger_runs
import pytest

from ledger import index as index_module
from ledger.index import index_path, read_index
from ledger.labels import add_note, change_tags, labels_of
from ledger.rows import Row
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger of a made-up run and two copies of it with other names."""
    ledger = Ledger.open(tmp_path)
    entry = ledger_runs.play(RunRecorder(ledger, tmp_path / "run"))
    for name in ("second", "third"):
        ledger.append(entry.model_copy(update={"name": name}))
    return Ledger.open(tmp_path)


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of every document that is read from now on."""
    names: list[str] = []
    read_row = index_module.read_row

    def spy(folder, line):
        names.append(line.name)
        return read_row(folder, line)

    monkeypatch.setattr(index_module, "read_row", spy)
    return names


def fresh(ledger: Ledger) -> tuple[Row, ...]:
    """Rows computed without any index."""
    index_path(ledger.folder).unlink(missing_ok=True)
    rows = read_index(ledger.folder).rows
    index_path(ledger.folder).unlink(missing_ok=True)
    return rows


def test_a_row_has_what_its_document_says(ledger):
    row = read_index(ledger.folder).rows[0]
    [line, *_] = ledger.log()
    entry = ledger.read(line.digest)
    assert row[:4] == line
    assert (row.result, row.num_steps, row.seed) == ("completed", 12, 17)
    assert row.weights_digest == entry.weights_digest
    assert row.identity == entry.identity
    assert row.metrics == {"loss": repr(4.0 / 13), "odd": repr(0.1 + 0.2)}
    assert row.scores == {"heldout/text.bits_per_byte": repr(2.0 / 12)}


def test_documents_are_read_once(ledger, monkeypatch):
    names = reads(monkeypatch)
    first = read_index(ledger.folder)
    assert len(names) == 3
    again = read_index(ledger.folder)
    assert again.rows == first.rows
    assert again.specs() == first.specs()
    assert again.specs()[0] == ledger.find("made-up").entry.spec
    assert len(names) == 3


def test_a_grown_log_costs_only_what_is_new(ledger, monkeypatch):
    read_index(ledger.folder)
    names = reads(monkeypatch)
    entry = ledger.find("made-up").entry
    ledger.append(entry.model_copy(update={"name": "fourth"}))
    rows = read_index(ledger.folder).rows
    assert names == ["fourth"]
    assert rows == fresh(ledger)
    assert [row.name for row in rows] == ["made-up", "second", "third", "fourth"]


@pytest.mark.parametrize("lines", [[], [0], [0, 2], [1, 0, 2], [0, 1, 2, 2]])
def test_an_index_of_another_log_is_thrown_away(ledger, lines):
    read_index(ledger.folder)
    log = ledger.log_path.read_bytes().splitlines(keepends=True)
    ledger.log_path.write_bytes(b"".join(log[number] for number in lines))
    rows = read_index(ledger.folder).rows
    assert [row.digest for row in rows] == [line.digest for line in ledger.log()]
    assert rows == fresh(ledger)


def test_any_damage_to_its_file_changes_no_answer(ledger, seed):
    expected = read_index(ledger.folder)
    rows, specs = expected.rows, expected.specs()
    path = index_path(ledger.folder)
    whole = path.read_bytes()
    chance = random.Random(seed)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 8, 400])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(9000)])])
        found = read_index(ledger.folder)
        assert found.rows == rows
        assert found.specs() == specs


def test_a_value_forged_in_its_file_is_not_believed(ledger):
    rows = read_index(ledger.folder).rows
    path = index_path(ledger.folder)
    with sqlite3.connect(path) as database:
        forged = "UPDATE rows SET text = replace(text, 'completed', 'perfected')"
        assert database.execute(forged).rowcount == 3
    database.close()
    assert read_index(ledger.folder).rows == rows


@pytest.mark.parametrize("kind", ["folder", "text", "empty", "locked", "other"])
def test_a_file_that_is_no_index_or_busy_is_no_error(ledger, kind, monkeypatch):
    monkeypatch.setattr(index_module, "_WAIT_SECONDS", 0.05)
    rows = fresh(ledger)
    path = index_path(ledger.folder)
    database = None
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("not a database, and long enough to be none" * 100)
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        if kind == "locked":
            read_index(ledger.folder)
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
    found = read_index(ledger.folder)
    assert found.rows == rows
    assert found.specs()[0] == ledger.find("made-up").entry.spec
    if database is not None:
        database.close()
    assert read_index(ledger.folder).rows == rows
    # No temporary file is left.
    left = [one.name for one in ledger.folder.parent.iterdir()]
    assert sorted(left) == sorted({*left} - {name for name in left if ".tmp" in name})


def test_a_document_that_cannot_be_read_has_a_row_and_comes_back(ledger):
    rows = read_index(ledger.folder).rows
    path = ledger.entry_path(rows[1].digest)
    data = path.read_bytes()
    for damage, result in ((None, "missing"), (data[:-1] + b" ", "changed")):
        index_path(ledger.folder).unlink(missing_ok=True)
        path.unlink() if damage is None else path.write_bytes(damage)
        found = read_index(ledger.folder).rows
        assert [row.result for row in found] == ["completed", result, "completed"]
        path.write_bytes(data)
        assert read_index(ledger.folder).rows == rows


def test_a_slower_process_does_not_undo_what_a_faster_one_wrote(ledger, monkeypatch):
    read_index(ledger.folder)
    entry = ledger.find("made-up").entry
    ledger.append(entry.model_copy(update={"name": "fourth"}))
    read_row = index_module.read_row

    def slow(folder, line):
        # While this process reads, another one sees a longer log and is done.
        monkeypatch.setattr(index_module, "read_row", read_row)
        ledger.append(entry.model_copy(update={"name": "fifth"}))
        assert len(read_index(folder).rows) == 5
        return read_row(folder, line)

    monkeypatch.setattr(index_module, "read_row", slow)
    assert len(read_index(ledger.folder).rows) == 4
    names = reads(monkeypatch)
    assert len(read_index(ledger.folder).rows) == 5
    assert names == []


READER = """
import sys
from pathlib import Path
from ledger.index import read_index
folder = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    rows = read_index(folder).rows
    names = [row.name for row in rows]
    assert names[:3] == ["made-up", "second", "third"], names
    assert names[3:] == [f"more-{number}" for number in range(len(names) - 3)], names
print(len(rows))
"""


def test_processes_that_read_at_once_while_the_log_grows_all_see_whole_rows(ledger):
    entry = ledger.find("made-up").entry
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(ledger.folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    for reader in readers:
        assert reader.stdin is not None
        reader.stdin.write("go\n")
        reader.stdin.flush()
    for number in range(20):
        ledger.append(entry.model_copy(update={"name": f"more-{number}"}))
    for reader in readers:
        reader.communicate(timeout=60)
        assert reader.returncode == 0
    rows = read_index(ledger.folder).rows
    assert rows == fresh(ledger)
    assert len(rows) == 23


def test_tags_come_and_go_and_notes_stay(ledger):
    digest, labels = change_tags(ledger, "second", ["best", "paper/fig=2", "best"])
    assert labels.tags == ("best", "paper/fig=2")
    change_tags(ledger, "second", ["best"])
    assert len(ledger.log()) == 4, "a tag that is there already adds no document"
    add_note(ledger, "second", "spike at 1,200\n\u2603")
    _, labels = change_tags(ledger, "second", ["best"], remove=True)
    assert labels.tags == ("paper/fig=2",)
    assert [note.text for note in labels.notes] == ["spike at 1,200\n\u2603"]
    assert set(labels_of(read_index(ledger.folder).rows)) == {digest}
    assert json.loads(ledger.log_path.read_text().splitlines()[-1])["kind"] == (
        "annotation"
    )
