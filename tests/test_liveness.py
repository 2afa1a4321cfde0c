"""Signs of life, and words between processes: with a store in this process's memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from runtime import liveness
from runtime.liveness import PeerFailed, Watch
from runtime.processes import ALONE, Disagreement, Processes
from specs.errors import CodemixError, InputError, Preempted, ProcessLost


class Store:
    """What the coordination service keeps, without the service."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._changed = threading.Condition()

    def key_value_set(
        self, key: str, value: str, allow_overwrite: bool = False
    ) -> None:
        with self._changed:
            if key in self._values and not allow_overwrite:
                raise RuntimeError(f"ALREADY_EXISTS: {key}")
            self._values[key] = value
            self._changed.notify_all()

    def key_value_delete(self, key: str) -> None:
        with self._changed:
            self._values.pop(key, None)

    def key_value_dir_get(self, key: str) -> list[tuple[str, str]]:
        with self._changed:
            return [pair for pair in self._values.items() if pair[0].startswith(key)]

    def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str:
        with self._changed:
            is_there = self._changed.wait_for(
                lambda: key in self._values, timeout_in_ms / 1000
            )
            if not is_there:
                raise RuntimeError("DEADLINE_EXCEEDED: it never came")
            return self._values[key]


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that starts watches of one job; quick ones, which end no process."""
    monkeypatch.setattr(liveness, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(liveness, "LOST_SECONDS", 0.6)
    monkeypatch.setattr(liveness, "LOST_IN_DOUBT_SECONDS", 0.2)
    monkeypatch.setattr(liveness, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(Watch, "_end", lambda self: self._is_stopped.set())
    # The handler of a signal of the whole process is no matter of one test.
    monkeypatch.setattr(liveness, "catch_aborts", lambda *_: None)
    monkeypatch.setattr(liveness, "release_aborts", lambda: None)
    started: list[Watch] = []

    def start(count: int) -> tuple[Store, list[Watch]]:
        store = Store()
        for index in range(count):
            watch = Watch(
                store,
                index=index,
                count=count,
                address="127.0.0.1:1",
                tell=lambda error: None,
            )
            watch.start()
            started.append(watch)
        deadline = time.monotonic() + 5
        while len(store.key_value_dir_get("codemix/alive/")) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return store, started

    yield start
    for watch in started:
        watch.stop()


def verdict_of(watch: Watch, seconds: float = 5) -> CodemixError:
    deadline = time.monotonic() + seconds
    while watch.verdict is None:
        assert time.monotonic() < deadline, "there is no verdict"
        time.sleep(0.01)
    return watch.verdict


def as_many(
    count: int, work: Callable[[Processes], Any], store: Store, watches: list[Watch]
) -> list[Any]:
    """Let each of several processes, threads here, do the same; what each came to."""

    def one(index: int) -> Any:
        try:
            return work(Processes(index, count, store, watches[index]))
        except CodemixError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_all_are_well_as_long_as_all_give_signs_of_life(watches: Any) -> None:
    _, all_of_them = watches(3)
    time.sleep(1.0)  # longer than a silent one would be suffered
    assert [watch.verdict for watch in all_of_them] == [None] * 3


def test_a_process_that_falls_silent_is_named_to_all_others(watches: Any) -> None:
    _, (first, silent, other) = watches(3)
    silent.stop()
    for watch in (first, other):
        verdict = verdict_of(watch)
        assert isinstance(verdict, ProcessLost)
        assert "process 1 of 3 (pid " in str(verdict)
        assert "run the same command again" in str(verdict)


def test_a_failed_operation_is_explained_by_the_death_behind_it(watches: Any) -> None:
    _, (first, silent, other) = watches(3)
    silent.stop()
    error = RuntimeError("Gloo AllGather failed: Connection reset by peer")
    assert isinstance(other.explain(error), ProcessLost)
    assert "process 1 of 3" in str(verdict_of(first))


def test_a_failed_operation_where_nobody_died_is_what_it_is(watches: Any) -> None:
    _, (first, _) = watches(2)
    error = RuntimeError("RESOURCE_EXHAUSTED: out of memory")
    assert first.explain(error) is error
    ours = InputError("the disk is full")
    assert first.explain(ours) is ours


def test_what_one_process_fails_by_ends_the_others_with_its_exit_code(
    watches: Any,
) -> None:
    _, (first, other) = watches(2)
    other.post(InputError("the disk is full", fix="make room"))
    verdict = verdict_of(first)
    assert isinstance(verdict, PeerFailed)
    assert verdict.exit_code == 4
    assert "process 1 stopped: the disk is full" in str(verdict)
    with pytest.raises(PeerFailed, match="the disk is full"):
        first.check()


def test_what_all_fail_by_is_said_by_the_first_alone(watches: Any) -> None:
    _, (first, other) = watches(2)
    error = Preempted("SIGTERM: stopped after 5 steps")
    first.post(error)
    assert other.is_told_by_first(Preempted("SIGTERM: stopped after 5 steps"))
    assert not other.is_told_by_first(InputError("another thing"))
    assert not first.is_told_by_first(error)


def test_a_result_of_process_0_comes_to_all(watches: Any) -> None:
    made: list[int] = []

    def work(processes: Processes) -> str:
        def make() -> str:
            made.append(processes.index)
            return ""  # nothing is a result too

        return processes.from_first("nothing", make) + processes.from_first(
            "something", lambda: f"by {processes.index}"
        )

    assert as_many(3, work, *watches(3)) == ["by 0"] * 3
    assert made == [0]


def test_texts_are_gathered_in_the_order_of_processes(watches: Any) -> None:
    found = as_many(3, lambda p: p.gather("numbers", str(p.index)), *watches(3))
    assert found == [["0", "1", "2"]] * 3
    assert ALONE.gather("numbers", "0") == ["0"]


def test_digests_are_collected_by_process_0_and_leave_nothing(watches: Any) -> None:
    store, all_of_them = watches(2)
    found = as_many(2, lambda p: p.collect("saves/3", str(p.index)), store, all_of_them)
    assert found == [["0", "1"], []]
    assert store.key_value_dir_get("codemix/saves") == []


def test_a_disagreement_is_told_to_all_and_names_who_and_what(watches: Any) -> None:
    def work(processes: Processes) -> None:
        spec = "a" * 64 if processes.index != 2 else "b" * 64
        processes.agree({"spec": spec, "lock": "c" * 64})

    for error in as_many(3, work, *watches(3)):
        assert isinstance(error, Disagreement)
        (problem,) = error.problems
        assert "process 2 differs from process 0 in its spec: bbbb" in problem.what
        assert "aaaa" in problem.what


def test_waiting_for_a_dead_process_ends_with_its_name(watches: Any) -> None:
    store, all_of_them = watches(2)
    all_of_them[1].stop()
    with pytest.raises(ProcessLost, match="process 1 of 2"):
        Processes(0, 2, store, all_of_them[0]).gather("numbers", "0")
