"""The journal: nothing lost, nothing torn, nothing doubled."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.floats import bare_floats, float_text
from ledger.journal import (
    Journal,
    decode_line,
    encode_line,
    is_being_written,
    read_event,
    read_journal,
)
from specs.errors import InputError

ROOT = Path(__file__).parents[1]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def events(path: Path) -> list[dict[str, object]]:
    return [line.event for line in read_journal(path)]


def step(number: int) -> dict[str, object]:
    return {"kind": "step", "step": number}


@given(st.dictionaries(st.text(), JSON))
def test_a_line_reads_back_as_the_event(event):
    line = encode_line(event)
    assert line.count(b"\n") == 1
    assert decode_line(line) == event
    assert json.loads(line)[1] == event


@given(st.dictionaries(st.text(), JSON), st.data())
def test_no_part_of_a_line_reads_as_a_line(event, data):
    line = encode_line(event)
    cut = data.draw(st.integers(0, len(line) - 1))
    assert decode_line(line[:cut]) is None


@given(st.floats(width=64))
def test_every_float_keeps_its_bits_through_a_line(value):
    line = decode_line(encode_line({"kind": "x", **bare_floats({"v": value})}))
    assert line is not None
    assert float_text(float(line["v"])) == float_text(value)


def test_one_changed_byte_spoils_a_line():
    line = encode_line({"kind": "step", "step": 7, "loss": 2.5})
    for position in range(len(line)):
        changed = bytearray(line)
        changed[position] ^= 1
        assert decode_line(bytes(changed)) is None


def test_reopening_cuts_a_torn_last_line_and_goes_on(tmp_path):
    path = tmp_path / "run" / "journal.jsonl"
    journal = Journal(path)
    for number in range(5):
        journal.append(step(number))
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + encode_line(step(5))[:-4])
    journal = Journal(path)
    assert path.read_bytes() == whole
    line = journal.append(step(5))
    journal.close()
    assert events(path) == [step(number) for number in range(6)]
    assert read_event(path, line.start) == step(5)


def test_a_tail_of_zero_bytes_after_a_power_cut_is_cut_off(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append({"kind": "checkpoint", "step": 0})
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(100) + b"\n" + encode_line(step(9)))
    Journal(path).close()
    assert path.read_bytes() == whole


def test_damage_before_a_checkpoint_is_an_error_that_names_the_place(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    first = journal.append(step(0))
    journal.append(step(1))
    journal.append({"kind": "checkpoint", "step": 2})
    journal.close()
    damaged = bytearray(path.read_bytes())
    damaged[first.stop + 20] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=f"damaged line at byte {first.stop}"):
        Journal(path)
    assert path.read_bytes() == damaged


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path, monkeypatch):
    monkeypatch.setattr("ledger.journal._LOCK_SECONDS", 0.1)
    path = tmp_path / "journal.jsonl"
    assert not is_being_written(path)
    journal = Journal(path)
    assert is_being_written(path)
    with pytest.raises(InputError, match="another process is recording"):
        Journal(path)
    journal.close()
    assert not is_being_written(path)


FILLER = """
import resource, sys
from pathlib import Path
from ledger.journal import Journal
from specs.errors import InputError
journal = Journal(Path(sys.argv[1]))
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
try:
    for number in range(1000):
        journal.append({"kind": "step", "step": number})
except InputError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
journal.append({"kind": "step", "step": number})
journal.close()
print("last", number)
"""


def test_a_full_disk_is_an_input_error_and_leaves_whole_lines(tmp_path):
    # A process of its own: the limit on file sizes would hit pytest's files too.
    path = tmp_path / "journal.jsonl"
    filler = subprocess.run(
        [sys.executable, "-c", FILLER, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "can't write the journal: File too large" in filler.stdout
    found = events(path)
    assert 1 < len(found) < 1000
    assert found == [step(number) for number in range(len(found))]
    assert filler.stdout.endswith(f"last {len(found) - 1}\n")


def test_a_failed_fsync_stops_the_journal_for_good(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal.jsonl", sync_seconds=60)
    journal.append(step(0))
    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", fail_to_sync)
        with pytest.raises(InputError, match="Input/output error"):
            journal.append({"kind": "checkpoint", "step": 1})
    # The disk says it is well again, but the pages of the first try are gone.
    with pytest.raises(InputError, match="Input/output error"):
        journal.append(step(1))
    with pytest.raises(InputError):
        journal.close()


def fail_to_sync(file):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


WRITER = """
import sys
from pathlib import Path
from ledger.journal import Journal
journal = Journal(Path(sys.argv[1]))
number = len(list(__import__("ledger.journal").journal.read_journal(journal.path)))
while True:
    journal.append({"kind": "step", "step": number, "pad": "x" * (number % 500)})
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_writer_killed_at_any_moment_leaves_every_line_it_finished(tmp_path, rounds):
    path = tmp_path / "journal.jsonl"
    moments = random.Random(17)
    for _ in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        ) as writer:
            assert writer.stdout is not None
            reported = [int(writer.stdout.readline())]
            time.sleep(moments.uniform(0, 0.2))
            os.kill(writer.pid, signal.SIGKILL)
            reported += [int(text) for text in writer.stdout.read().split(b"\n")[:-1]]
        found = [event["step"] for event in events(path)]
        assert found == list(range(len(found)))
        assert found[-1] >= reported[-1]
