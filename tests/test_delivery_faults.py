"""Whatever dies while a run is delivered, MLflow ends with what the journal has."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from long_runs import play_long
from test_mlflow_delivery import journal_metrics, recorder, rows, run_folder
from tracking_servers import Flicker, Line, wait_until

from ledger.delivery import load_state
from ledger.store import Ledger
from ledger.sync import sync

pytestmark = pytest.mark.slow

NUM_STEPS = 800
NUM_FAULTS = 20


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Flicker]:
    (tmp_path / "server").mkdir()
    server = Flicker(tmp_path / "server")
    try:
        yield server
    finally:
        server.remove()


def arrived(workspace: Path, uri: str) -> int:
    return load_state(run_folder(workspace) / "journal.jsonl", uri).offset


def assert_same_as_journal(server: Flicker, workspace: Path, digest: str) -> None:
    """One run that people see, with the journal's numbers, each once, and the files."""
    seen = "from runs where lifecycle_stage = 'active'"
    [(run_id, status)] = rows(server.database, f"select run_uuid, status {seen}")
    assert status == "FINISHED"
    columns = "key, value, timestamp, step, is_nan"
    query = f"select {columns} from metrics where run_uuid = '{run_id}'"
    journal = journal_metrics(run_folder(workspace) / "journal.jsonl")
    assert sorted(rows(server.database, query)) == journal
    assert len(journal) == NUM_STEPS * 22
    query = f"select value from tags where run_uuid = '{run_id}' and key = "
    assert rows(server.database, f"{query}'codemix.entry'") == [(digest,)]
    folder = server.database.parent / "artifacts"
    [entry] = folder.glob(f"*/{run_id}/artifacts/entry.json")
    assert entry.read_bytes() == Ledger.open(workspace).read_bytes(digest)


def assert_never_waited(seconds: list[float]) -> None:
    """All but one in a hundred calls take less than a busy machine's time slices."""
    seconds = sorted(seconds)
    shares = {share: seconds[int(share * len(seconds)) - 1] for share in (0.5, 0.99, 1)}
    print({share: f"{1000 * one:.2f} ms" for share, one in shares.items()})  # noqa: T201
    assert shares[0.5] < 0.005
    assert shares[0.99] < 0.1


def test_a_server_killed_at_twenty_random_moments_gets_everything_once(
    server: Flicker, tmp_path: Path, seed: int
) -> None:
    choose = random.Random(seed)
    begun, over = threading.Event(), threading.Event()

    def kill_now_and_then() -> None:
        begun.wait()
        wait_until(lambda: arrived(tmp_path, server.uri) > 0, 120)
        for _ in range(NUM_FAULTS):
            time.sleep(choose.uniform(0.0, 0.6))
            server.kill()
            time.sleep(choose.uniform(0.0, 0.2))
            server.start()
        over.set()

    def go_slowly(step: int) -> None:
        begun.set()
        time.sleep(0 if over.is_set() else 0.04)

    threading.Thread(target=kill_now_and_then, daemon=True).start()
    recording = recorder(tmp_path, server.uri)
    seconds, _ = play_long(recording, num_steps=NUM_STEPS, before_step=go_slowly)
    assert_never_waited(seconds)
    over.wait(120)
    assert over.is_set()
    assert sync(tmp_path, server.uri).waiting == 0
    assert recording.digest is not None
    assert_same_as_journal(server, tmp_path, recording.digest)


def test_connections_cut_at_random_bytes_lose_and_double_nothing(
    server: Flicker, tmp_path: Path, seed: int
) -> None:
    choose = random.Random(seed)
    line = Line(server.port)
    # A request of 1,000 numbers has some 100,000 bytes, others have hundreds.
    sizes = [1_000, 30_000, 150_000]

    def next_budget() -> int | None:
        is_over = line.num_cut >= NUM_FAULTS
        return None if is_over else choose.randrange(1, choose.choice(sizes))

    line.next_budget = next_budget

    def go_slowly(step: int) -> None:
        time.sleep(0.04 if line.num_cut < NUM_FAULTS else 0)
        if step == NUM_STEPS - 1:
            wait_until(lambda: line.num_cut >= NUM_FAULTS, 400)

    recording = recorder(tmp_path, line.uri)
    seconds, _ = play_long(recording, num_steps=NUM_STEPS, before_step=go_slowly)
    assert_never_waited(seconds)
    assert sync(tmp_path, line.uri).waiting == 0
    assert line.num_cut >= NUM_FAULTS
    assert recording.digest is not None
    assert_same_as_journal(server, tmp_path, recording.digest)
    line.close()


def test_a_delivering_process_killed_at_random_moments_is_started_again(
    server: Flicker, tmp_path: Path, seed: int
) -> None:
    choose = random.Random(seed)
    recording = recorder(tmp_path, server.uri)
    delivery = recording._delivery
    assert delivery is not None
    num_killed = 0

    def kill_on_the_way(step: int) -> None:
        nonlocal num_killed
        if step % 100 == 50 and num_killed < 5:
            before = arrived(tmp_path, server.uri)
            wait_until(lambda: arrived(tmp_path, server.uri) > before, 120)
            time.sleep(choose.uniform(0.0, 0.3))
            assert delivery._process is not None
            delivery._process.kill()
            delivery._process.wait()
            num_killed += 1

    play_long(recording, num_steps=NUM_STEPS, before_step=kill_on_the_way)
    assert num_killed == 5
    assert recording.delivered is not None
    assert recording.delivered[1:] == (0, 0, None)
    assert recording.digest is not None
    assert_same_as_journal(server, tmp_path, recording.digest)


def test_a_server_that_never_comes_back_costs_nothing_but_a_later_sync(
    server: Flicker, tmp_path: Path
) -> None:
    def kill_in_the_middle(step: int) -> None:
        if step == NUM_STEPS // 2:
            wait_until(lambda: arrived(tmp_path, server.uri) > 0, 120)
            server.kill()

    recording = recorder(tmp_path, server.uri)
    seconds, _ = play_long(
        recording, num_steps=NUM_STEPS, before_step=kill_in_the_middle
    )
    assert_never_waited(seconds)
    assert recording.delivered is not None
    assert recording.delivered.waiting > 0
    assert recording.delivered.problem is not None
    server.start()
    assert sync(tmp_path, server.uri).waiting == 0
    assert recording.digest is not None
    assert_same_as_journal(server, tmp_path, recording.digest)
