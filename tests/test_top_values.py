"""The filter `top_values`: counted once, exactly, by any number of workers."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from here_pool import HerePool
from hypothesis import given
from hypothesis import strategies as st
from value_cases import TOP_TWO, pinned, rows_of, write_rows

from runtime import engines, shards
from runtime.choices import choice_path, choices_of, chosen_source
from runtime.choosing import make_choices
from runtime.documents import Rows
from runtime.progress import Progress
from runtime.source_reader import SourceReader, Tally
from runtime.store_identity import store_identity
from runtime.value_counts import Choice, most_frequent, text_of
from runtime.value_counts_task import CountJob, count_shard
from runtime.watched import WatchedFiles
from specs.errors import InputError
from specs.lock import Lock
from specs.plan import Plan

REASON = "filters.0.top_values"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no processes."""
    monkeypatch.setattr(engines, "WorkerPool", HerePool)


def found_of(choice: Choice) -> list[tuple[Any, int]]:
    return [(one.value, one.documents) for one in choice.values]


def count(workspace: Path, plan: Plan, lock: Lock, *how: Any) -> None:
    watched = WatchedFiles(workspace, lock.paths)
    make_choices(plan, lock, workspace, watched, *(how or (1,)))


def choose(workspace: Path, plan: Plan, lock: Lock) -> dict[str, Choice]:
    count(workspace, plan, lock)
    return choices_of("web", plan, lock, workspace)


def kept_of(workspace: Path, plan: Plan, lock: Lock) -> tuple[int, Tally]:
    planned = chosen_source("web", plan, lock, workspace)
    files = [Rows(file.path) for file in lock.inputs["sources.web"].files]
    tally = Tally()
    return len(list(SourceReader(planned, workspace).read(files, tally))), tally


scalars = st.sampled_from(["a", "a b", "b", "A", "", "1", 1, 2, True, False, 1.0])


@given(st.lists(scalars), st.integers(1, 12))
def test_the_most_frequent_are_those_of_a_plain_count(
    values: list[Any], num_values: int
) -> None:
    counts = Counter(text for value in values if (text := text_of(value)) is not None)
    found = most_frequent(counts, num_values)
    # By hand: how many are before each value.
    texts = {text_of(one.value): one.documents for one in found}
    assert texts.items() <= counts.items()
    assert len(found) == min(num_values, len(counts))
    for text in counts.keys() - texts.keys():
        assert all(counts[text] <= other for other in texts.values())
    ranks = [(-one.documents, str(json_name(one.value))) for one in found]
    assert ranks == sorted(ranks)
    shuffled = list(counts.items())
    random.Random(1).shuffle(shuffled)
    assert most_frequent(dict(shuffled), num_values) == found


def json_name(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.usefixtures("here")
def test_ties_go_to_the_name_that_comes_first(tmp_path: Path) -> None:
    languages = ["tex"] * 3 + ["c", "java", "C"] * 4 + [None, 3, ["c"], 0.5, "\ud800"]
    plan, lock = pinned(tmp_path, rows_of(languages), filters=[TOP_TWO])
    choice = choose(tmp_path, plan, lock)[REASON]
    assert found_of(choice) == [("C", 4), ("c", 4)]
    assert (choice.documents, choice.without, choice.num_values) == (20, 4, 5)
    num_kept, tally = kept_of(tmp_path, plan, lock)
    assert (num_kept, tally.dropped) == (8, Counter({REASON: 12}))


@pytest.mark.usefixtures("here")
def test_what_is_before_the_filter_is_counted_and_nothing_else(tmp_path: Path) -> None:
    rows = rows_of(["c"] * 5 + ["java"] * 4 + ["tex"] * 3, ok=True)
    rows += rows_of(["tex"] * 9, ok=False)
    rows += [{"text": "", "lang": "tex", "ok": True}] * 9
    rows += [{"text": "0x" * 20, "lang": "tex", "ok": True}] * 9
    hex_out = {"filter": "contains", "text": "0x"}
    plan, lock = pinned(tmp_path, rows, where={"ok": True}, filters=[hex_out, TOP_TWO])
    choice = choose(tmp_path, plan, lock)["filters.1.top_values"]
    assert found_of(choice) == [("c", 5), ("java", 4)]
    assert choice.documents == 12
    # The other way round other documents are counted: the order is declared.
    other = tmp_path / "other"
    plan, lock = pinned(other, rows, where={"ok": True}, filters=[TOP_TWO, hex_out])
    assert found_of(choose(other, plan, lock)[REASON]) == [("tex", 12), ("c", 5)]


@pytest.mark.usefixtures("here")
def test_one_filter_may_stand_behind_another(tmp_path: Path) -> None:
    rows = rows_of(["c"] * 5 + ["java"] * 4, licence="mit")
    rows += rows_of(["tex"] * 6, licence="gpl") + rows_of(["c"], licence=None)
    of_licences = {"filter": "top_values", "field": "licence", "count": 1}
    plan, lock = pinned(tmp_path, rows, filters=[of_licences, TOP_TWO])
    choices = choose(tmp_path, plan, lock)
    assert [found_of(one) for one in choices.values()] == [
        [("mit", 9)],
        [("c", 5), ("java", 4)],
    ]
    assert kept_of(tmp_path, plan, lock)[0] == 9


@pytest.fixture
def many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MIN_SHARD_BYTES", 10_000)
    monkeypatch.setattr(shards, "SHARDS_PER_SOURCE", 10_000)


@pytest.mark.usefixtures("many_shards")
def test_any_number_of_workers_and_files_chooses_the_same(tmp_path: Path) -> None:
    draw = random.Random(3)
    languages = [f"l{min(draw.randrange(9), draw.randrange(9))}" for _ in range(3000)]
    rows = rows_of(languages)
    found = []
    for files, workers in ((1, 1), (1, 3), (3, 2)):
        folder = tmp_path / f"{files}-{workers}"
        plan, lock = pinned(folder, rows, files=files, filters=[TOP_TWO])
        told: list[Progress] = []
        count(folder, plan, lock, workers, told.append)
        (path,) = (folder / ".codemix" / "choices").glob("*.json")
        found.append((path.name if files == 1 else "", path.read_bytes()))
        assert told[-1].done_bytes == told[-1].total_bytes
        assert told[-1].documents == 3000
        assert not path.with_suffix("").exists()
    assert found[0] == found[1]
    assert found[0][1] == found[2][1]
    counts = Counter(languages)
    assert found_of(Choice.model_validate_json(found[0][1])) == [
        ("l0", counts["l0"]),
        ("l1", counts["l1"]),
    ]


COUNT = """
import sys
from pathlib import Path
from runtime import engines, shards
from runtime.choosing import make_choices
from runtime.watched import WatchedFiles
from specs.loading import load_experiment, load_lock, lock_path
from specs.resolve import plan_experiment
shards.MIN_SHARD_BYTES, shards.SHARDS_PER_SOURCE = 10_000, 10_000
spec = Path("specs/small.yaml")
plan = plan_experiment(load_experiment(spec))
lock = load_lock(lock_path(spec))
make_choices(plan, lock, Path.cwd(), WatchedFiles(Path.cwd(), lock.paths), 1)
"""


@pytest.mark.usefixtures("many_shards")
def test_a_killed_counting_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows = rows_of([f"l{number % 7}" for number in range(5_000)])
    plan, lock = pinned(tmp_path, rows, filters=[TOP_TWO])
    counting = subprocess.Popen([sys.executable, "-c", COUNT], cwd=tmp_path)
    folder = tmp_path / ".codemix" / "choices"
    until = time.monotonic() + 60
    while len(finished := sorted(folder.glob("*/*.json"))) < 3:
        assert time.monotonic() < until
        assert counting.poll() is None, "it was through before it could be killed"
        time.sleep(0.005)
    counting.send_signal(signal.SIGKILL)
    counting.wait()
    assert not list(folder.glob("*.json"))
    before = {path: path.read_bytes() for path in finished}
    told: list[Progress] = []
    count(tmp_path, plan, lock, 1, told.append)
    total = lock.inputs["sources.web"].num_bytes
    assert 0 < told[-1].total_bytes < total - len(before) * 9_000
    choice = choices_of("web", plan, lock, tmp_path)[REASON]
    assert found_of(choice) == [("l0", 715), ("l1", 715)]
    # A second time there is nothing to count.
    count(tmp_path, plan, lock, 1, lambda _: pytest.fail("counted again"))


@pytest.mark.usefixtures("here")
def test_a_choice_is_no_part_of_an_identity(tmp_path: Path) -> None:
    plan, lock = pinned(tmp_path, rows_of(["c", "java", "tex"]), filters=[TOP_TWO])
    before = store_identity("web", plan, lock, "t")
    choose(tmp_path, plan, lock)
    assert store_identity("web", plan, lock, "t") == before
    assert plan.sources["web"].chosen is None
    fewer, _ = pinned(
        tmp_path, rows_of(["c", "java", "tex"]), filters=[{**TOP_TWO, "count": 1}]
    )
    assert store_identity("web", fewer, lock, "t") != before


@pytest.mark.usefixtures("here")
def test_what_does_not_decide_a_choice_makes_no_new_one(tmp_path: Path) -> None:
    rows = rows_of(["c", "java", "tex"])
    plan, lock = pinned(tmp_path, rows, filters=[TOP_TWO])
    choose(tmp_path, plan, lock)
    behind = [TOP_TWO, {"filter": "contains", "text": "0x"}]
    plan, lock = pinned(tmp_path, rows, filters=behind, holdout="5%", max_epochs=3)
    count(tmp_path, plan, lock, 1, lambda _: pytest.fail("counted again"))
    assert choices_of("web", plan, lock, tmp_path)


@pytest.mark.usefixtures("here")
def test_a_field_without_values_is_refused(tmp_path: Path) -> None:
    plan, lock = pinned(tmp_path, rows_of([None, None]), filters=[TOP_TWO])
    with pytest.raises(InputError, match="none of 2 documents has a value") as caught:
        count(tmp_path, plan, lock)
    assert caught.value.problems[0].path == "sources.web.filters.0"


def test_what_was_never_counted_is_said(tmp_path: Path) -> None:
    plan, lock = pinned(tmp_path, rows_of(["c"]), filters=[TOP_TWO])
    with pytest.raises(InputError, match="not counted yet") as caught:
        chosen_source("web", plan, lock, tmp_path)
    assert caught.value.problems[0].fix == "codemix prepare SPEC"


@pytest.mark.usefixtures("here")
def test_corrupt_lines_are_named_or_skipped(tmp_path: Path) -> None:
    rows = [*rows_of(["c"] * 3), {"lang": "tex"}]
    plan, lock = pinned(tmp_path, rows, filters=[TOP_TWO])
    with pytest.raises(InputError, match="has no field 'text'") as caught:
        count(tmp_path, plan, lock)
    assert caught.value.problems[0].line == 4
    plan, lock = pinned(tmp_path, rows, filters=[TOP_TWO], on_corrupt="skip")
    assert found_of(choose(tmp_path, plan, lock)[REASON]) == [("c", 3)]


@pytest.mark.parametrize("what", ["many", "long"])
def test_a_field_that_tells_documents_apart_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    languages = [f"l{n}" for n in range(6)] if what == "many" else ["x" * 1000]
    plan, lock = pinned(tmp_path, rows_of(languages), filters=[TOP_TWO])
    monkeypatch.setattr("runtime.value_counts_task.MAX_VALUES", 5)
    job = CountJob(
        place="sources.web.filters.0",
        field="lang",
        planned=plan.sources["web"].model_copy(update={"filters": "[]"}),
        files=("data/0.jsonl",),
        ranges=tuple(shards.plan_shards(lock.inputs["sources.web"].files, "auto")[0]),
        num_bytes=1,
        workspace=str(tmp_path),
        path=str(choice_path(tmp_path, "x")),
    )
    with pytest.raises(InputError, match="name a field that tells kinds"):
        count_shard(job, lambda _: None)


@pytest.mark.usefixtures("here")
def test_a_file_that_changes_is_not_counted(tmp_path: Path) -> None:
    plan, lock = pinned(tmp_path, rows_of(["c", "java"]), filters=[TOP_TWO])
    watched = WatchedFiles(tmp_path, lock.paths)
    write_rows(tmp_path / "data" / "0.jsonl", rows_of(["tex", "tex", "lua"]))
    with pytest.raises(InputError, match="while it was being read") as caught:
        make_choices(plan, lock, tmp_path, watched, 1)
    assert caught.value.problems[0].file == "data/0.jsonl"
    assert not list((tmp_path / ".codemix" / "choices").rglob("*.json"))
