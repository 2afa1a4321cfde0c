"""`codemix data stats` and `data sample` on a corpus whose every number is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from data_workspace import sentences
from funnel_corpus import DROPPED, NUM_CORRUPT, NUM_GOOD, SPEC, codemix, prepared

from runtime.store_identity import store_folder
from runtime.token_store import TokenStore
from specs.loading import load_lock, lock_path

SPLITS = ("reserved", "heldout", "train")


def as_json(*arguments: str) -> dict[str, Any]:
    shown = codemix(*arguments, "--json")
    assert shown.exit_code == 0, shown.output
    told: dict[str, Any] = json.loads(shown.stdout)
    return told


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("funnel") / "study")


@pytest.fixture
def here(study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared workspace as the current folder, to be read only."""
    monkeypatch.chdir(study)
    return study


def test_every_document_is_in_the_step_that_is_known_beforehand(here: Path) -> None:
    web = as_json("data", "stats", SPEC)["sources"]["web"]
    steps = {step["name"]: step for step in web["steps"]}
    num_dropped = sum(count for count, _, _ in DROPPED.values())
    assert list(steps) == ["corrupt", *DROPPED, *SPLITS]
    assert steps["corrupt"]["documents"] == NUM_CORRUPT
    assert web["read"]["documents"] == NUM_GOOD + num_dropped
    for name, (count, text, _) in DROPPED.items():
        assert steps[name]["documents"] == count
        assert steps[name]["is_exact"]
        # Digits have one byte each.
        assert steps[name]["text_bytes"] == count * len(text.replace("{}", "0"))
        assert steps[name]["tokens"] >= count
    assert sum(steps[name]["documents"] for name in SPLITS) == NUM_GOOD
    lock = load_lock(lock_path(here / SPEC))
    assert steps["train"]["tokens"] == lock.stores["web"].train_tokens
    assert steps["heldout"]["tokens"] == lock.stores["web"].heldout_tokens
    assert web["read"]["tokens"] == sum(
        step["tokens"] for step in web["steps"] if step["name"] != "corrupt"
    )


def test_shares_are_of_what_was_read_and_of_what_came_to_the_step(here: Path) -> None:
    web = as_json("data", "stats", SPEC, "--source", "web")["sources"]["web"]
    left = read = web["read"]["documents"]
    for step in web["steps"]:
        if step["name"] == "corrupt":
            assert step["of_read"] is None
            continue
        assert step["of_read"] == round(step["documents"] / read, 6)
        assert step["of_before"] == round(step["documents"] / left, 6)
        if step["name"] not in SPLITS:
            left -= step["documents"]
    assert left == NUM_GOOD


def test_use_says_how_far_the_plan_goes_through_a_source(here: Path) -> None:
    told = as_json("data", "stats", SPEC)
    uses = {name: one["use"] for name, one in told["sources"].items()}
    assert sum(use["run_tokens"] for use in uses.values()) == told["run_tokens"]
    assert sum(use["share_of_run"] for use in uses.values()) == pytest.approx(1)
    (planned,) = as_json("plan", SPEC)["experiments"]
    for name, use in uses.items():
        assert planned["sources"][name].items() <= use.items()


def test_table_has_a_row_per_step_and_ends_with_the_next_command(here: Path) -> None:
    shown = codemix("data", "stats", SPEC)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    (row,) = [line for line in lines if line.startswith("filters.5.float_numbers")]
    assert row.split()[1:3] == ["3", "138"]
    (row,) = [line for line in lines if line.startswith("where.lang")]
    assert row.split()[-2:] == ["1.6%", "1.6%"]
    sample = f"codemix data sample {SPEC} --source web --step where.lang"
    assert lines[-1] == f"next: {sample}"
    assert shown.stdout == codemix("data", "stats", SPEC).stdout


@pytest.mark.parametrize("step", DROPPED)
def test_sample_shows_the_documents_that_a_step_dropped(here: Path, step: str) -> None:
    count, text, measured = DROPPED[step]
    told = as_json("data", "sample", SPEC, "--source", "web", "--step", step)
    assert told["documents"] == count
    wanted = {text.replace("{}", str(number)) for number in range(count)}
    assert {one["text"] for one in told["shown"]} <= wanted
    assert len(told["shown"]) == min(len(wanted), 5)
    if len(wanted) <= 5:
        assert sum(one["copies"] for one in told["shown"]) == count
    lines = (here / "data" / "web.jsonl").read_text("utf-8").split("\n")
    for one in told["shown"]:
        assert json.loads(lines[one["number"] - 1])["text"] == one["text"]
        assert one["measured"] == measured
        assert one["step"] == step


def test_sample_tells_place_size_copies_and_measure_before_the_text(here: Path) -> None:
    ask = ("data", "sample", SPEC, "--source", "web", "--step", "where")
    (sample,) = as_json(*ask)["shown"]
    assert codemix(*ask, "-n", "1").stdout == (
        "web  where.lang\n"
        "7 of 444 documents read, 1 shown\n"
        "\n"
        f"data/web.jsonl:{sample['number']}  18 bytes  7 copies  lang is 'de'\n"
        "    the very same text\n"
    )


def test_sample_of_what_is_corrupt_has_a_reason_and_no_text(here: Path) -> None:
    ask = ("data", "sample", SPEC, "--source", "web", "--step", "corrupt")
    told = as_json(*ask)
    reasons = {one["number"]: one["measured"] for one in told["shown"]}
    assert "is not JSON" in reasons[101]
    assert len(reasons) == NUM_CORRUPT
    assert {one["text"] for one in told["shown"]} == {None}
    assert "2 rows without a document, 2 shown" in codemix(*ask).stdout


def test_beginning_of_names_stands_for_all_of_them(here: Path) -> None:
    def steps(name: str) -> list[str]:
        ask = ("data", "sample", SPEC, "--source", "web", "--step", name, "-n", "20")
        found = as_json(*ask)
        assert {one["step"] for one in found["shown"]} <= set(found["steps"])
        return list(found["steps"])

    filters = [name for name in DROPPED if name.startswith("filters.")]
    assert steps("filter") == steps("filters") == filters
    assert steps("filters.1") == ["filters.1.line_length"]
    assert steps("read") == [*DROPPED, *SPLITS]


def test_sample_of_the_kept_is_what_is_in_the_split(here: Path) -> None:
    lock = load_lock(lock_path(here / SPEC))
    store = TokenStore.open(store_folder(here, lock.stores["docs"].identity), "heldout")
    texts = sentences(50, seed=1)
    ask = ("data", "sample", SPEC, "--source", "docs", "--step", "heldout", "-n", "20")
    told = as_json(*ask)
    assert told["documents"] == store.num_documents > 1
    assert len(told["shown"]) == min(store.num_documents, 20)
    kept = {document.number for document in store.documents}
    assert {one["number"] for one in told["shown"]} <= kept
    for one in told["shown"]:
        assert one["text"] == texts[one["number"] - 1]
        assert one["measured"] is None


def test_figure_is_the_same_svg_every_time(here: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in paths:
        shown = codemix("data", "stats", SPEC, "--figure", str(path))
        assert shown.stderr == f"wrote {path}\n"
    svg = paths[0].read_text("utf-8")
    assert paths[1].read_text("utf-8") == svg
    assert "filters.5.float_numbers" in svg
    assert "-7, " in svg
    assert "prefers-color-scheme: dark" in svg


def test_names_that_are_unknown_are_told_with_those_that_are_known(here: Path) -> None:
    shown = codemix("data", "stats", SPEC, "--source", "wbe", "--source", "x")
    assert shown.exit_code == 4
    assert "there is no source 'wbe'\n  fix: did you mean 'web'?" in shown.stderr
    assert "there is no source 'x'\n  fix: name one of docs, web" in shown.stderr
    shown = codemix("data", "sample", SPEC, "--source", "web", "--step", "x")
    assert shown.exit_code == 4
    assert (
        "web has no step 'x'\n  fix: name one of read, corrupt, empty" in shown.stderr
    )
