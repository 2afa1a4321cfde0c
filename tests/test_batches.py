from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from runtime.batches import BatchReader

ROOT = Path(__file__).resolve().parent.parent


def batch_of(step: int) -> np.ndarray:
    return np.full((2, 3), step, np.int32)


def test_a_reader_gives_each_step_its_batch_in_any_order():
    with BatchReader(batch_of, stop_step=20) as reader:
        for step in [0, 1, 2, 3, 10, 11, 4, 4, 19, 0]:
            np.testing.assert_array_equal(reader(step), batch_of(step))


def test_a_reader_reads_ahead_but_not_beyond_its_depth_or_the_end():
    seen: list[int] = []

    def read(step: int) -> np.ndarray:
        seen.append(step)
        return batch_of(step)

    with BatchReader(read, stop_step=10, depth=3) as reader:
        reader(0)
        wait_until(lambda: seen == [0, 1, 2])
        time.sleep(0.05)
        assert seen == [0, 1, 2]
        reader(1)
        wait_until(lambda: seen == [0, 1, 2, 3])
        reader(9)
        time.sleep(0.05)
        assert max(seen) == 9


def test_a_reader_skips_what_is_no_longer_wanted():
    gate, hanging = threading.Event(), threading.Event()
    seen: list[int] = []

    def read(step: int) -> np.ndarray:
        seen.append(step)
        if step == 1:
            hanging.set()
            gate.wait(10)
        return batch_of(step)

    with BatchReader(read, stop_step=100, depth=3) as reader:
        reader(0)
        assert hanging.wait(10)
        threading.Timer(0.05, gate.set).start()
        reader(50)
    assert seen[:3] == [0, 1, 50]


def test_an_error_is_raised_where_its_step_is_asked_for():
    def read(step: int) -> np.ndarray:
        if step == 2:
            raise OSError("disk is gone")
        return batch_of(step)

    with BatchReader(read, stop_step=10) as reader:
        reader(0)
        reader(1)
        with pytest.raises(OSError, match="disk is gone"):
            reader(2)
        # Asked for again, it is read again: the disk may be back.
        with pytest.raises(OSError, match="disk is gone"):
            reader(2)
        np.testing.assert_array_equal(reader(3), batch_of(3))


def test_closing_does_not_wait_for_a_read_that_hangs():
    gate = threading.Event()
    started = threading.Event()

    def read(step: int) -> np.ndarray:
        if step:
            started.set()
            gate.wait(30)
        return batch_of(step)

    before = time.monotonic()
    with BatchReader(read, stop_step=10) as reader:
        reader(0)
        assert started.wait(10)
    assert time.monotonic() - before < 10
    gate.set()


def test_a_process_ends_while_a_read_hangs():
    script = (
        "import threading, numpy as np\n"
        "from runtime.batches import BatchReader\n"
        "def read(step):\n"
        "    if step: threading.Event().wait()\n"
        "    return np.zeros((1, 2), np.int32)\n"
        "BatchReader(read, stop_step=10)(0)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


def wait_until(is_true, seconds: float = 10.0) -> None:
    stop = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < stop
        time.sleep(0.005)
