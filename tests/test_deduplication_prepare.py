"""`codemix prepare` with deduplication: what is in the stores, and what they go by."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from data_workspace import (
    experiment_of,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from codemix_cli.main import cli
from runtime.funnel import funnel_path
from runtime.funnels import open_funnels
from runtime.pin import pin
from runtime.prepare import prepare
from runtime.progress import Progress
from runtime.store_identity import (
    store_folder,
    store_identity,
    tokenizer_identity,
)
from runtime.token_store import TokenStore, read_manifest
from specs.errors import InputError
from specs.experiment import Experiment
from specs.loading import lock_path, save_lock
from specs.lock import Lock
from specs.plan import Plan
from specs.resolve import plan_experiment

RULE = {"sources": ["good", "web"], "near": {"threshold": 0.8}}


@dataclass(frozen=True)
class Study:
    workspace: Path
    experiment: Experiment
    plan: Plan
    lock: Lock
    told: tuple[Progress, ...]

    def numbers(self, name: str) -> set[int]:
        """Return the lines that are in a source's store, in either split."""
        folder = store_folder(self.workspace, self.lock.stores[name].identity)
        return {
            document.number
            for split in ("train", "heldout")
            for document in TokenStore.open(folder, split).documents  # type: ignore[arg-type]
        }

    def dropped(self, name: str) -> dict[str, int]:
        folder = store_folder(self.workspace, self.lock.stores[name].identity)
        return read_manifest(folder).dropped


def spec_of(workspace: Path, **changes: Any) -> Path:
    sources = {
        name: {
            "uri": f"data/{name}.jsonl",
            "holdout": 0,
            "filters": [{"filter": "contains", "text": "generated"}],
        }
        for name in ("good", "web", "other")
    }
    return write_spec(workspace, sources, **changes)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    workspace = make_workspace(tmp_path_factory.mktemp("deduplicated") / "study")
    texts = sentences(60)
    write_lines(workspace / "data" / "good.jsonl", [*texts, texts[3]])
    near = texts[5].replace("doc", "document")
    # Line 2 would be the copy of what a filter drops, so it is none.
    web = ["generated 1", "generated 1 ", texts[0], near, *sentences(40, seed=1)]
    write_lines(workspace / "data" / "web.jsonl", web)
    write_lines(workspace / "data" / "other.jsonl", [texts[0], *sentences(30, seed=2)])
    spec = spec_of(workspace, deduplicate=RULE)
    experiment = experiment_of(spec)
    plan = plan_experiment(experiment)
    told: list[Progress] = []
    pinned = pin(spec, experiment, workspace)
    lock = prepare(experiment, plan, pinned, workspace, 1, told.append)
    save_lock(lock, lock_path(spec))
    return Study(workspace, experiment, plan, lock, tuple(told))


def test_duplicates_are_not_in_the_stores(study: Study) -> None:
    assert study.numbers("good") == set(range(1, 61))
    assert study.numbers("web") == set(range(5, 45))
    assert study.numbers("other") == set(range(1, 32))


def test_manifests_say_how_many_were_dropped_and_why(study: Study) -> None:
    assert study.dropped("good") == {"deduplicate.exact": 1}
    assert study.dropped("web") == {
        "deduplicate.exact": 1,
        "deduplicate.near": 1,
        "filters.0.contains": 2,
    }
    assert study.dropped("other") == {}


def test_only_listed_sources_and_what_is_before_them_count(study: Study) -> None:
    def stores(**changes: Any) -> dict[str, str]:
        spec = spec_of(study.workspace, **changes)
        experiment = experiment_of(spec)
        plan = plan_experiment(experiment)
        assert tokenizer_identity(experiment, plan, study.lock) == (
            study.lock.tokenizer_identity
        )
        return {
            name: store_identity(name, plan, study.lock, "t") for name in plan.sources
        }

    own = stores(deduplicate=RULE)
    without = stores()
    assert {name for name in own if own[name] != without[name]} == {"good", "web"}
    alone = stores(deduplicate={**RULE, "sources": ["good"]})
    assert {name for name in own if own[name] != alone[name]} == {"web"}
    other = stores(deduplicate={**RULE, "near": {"threshold": 0.81}})
    assert {name for name in own if own[name] != other[name]} == {"good", "web"}
    # A source behind sees what pins the one before it.
    inputs = dict(study.lock.inputs)
    files = inputs["sources.good"].files
    changed = files[0].model_copy(update={"sha256": "0" * 64})
    inputs["sources.good"] = inputs["sources.good"].model_copy(
        update={"files": (changed,)}
    )
    lock = study.lock.model_copy(update={"inputs": inputs})
    moved = {name: store_identity(name, study.plan, lock, "t") for name in own}
    assert {name for name in own if own[name] != moved[name]} == {"good", "web"}


def test_progress_tells_of_deduplication(study: Study) -> None:
    tasks = list(dict.fromkeys(one.task for one in study.told))
    assert tasks.index("hash documents") < tasks.index("train tokenizer")


def test_the_command_tells_what_was_dropped(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.workspace)
    spec = spec_of(study.workspace, deduplicate=RULE)
    arguments = ["prepare", str(spec.relative_to(study.workspace))]
    told = CliRunner().invoke(cli, arguments)
    assert told.exit_code == 0
    table, clusters = told.stdout.split("\n\n")[1:3]
    words = [line.split() for line in table.splitlines()]
    header = ["deduplicated", "documents", "exact", "near", "for", "held-out"]
    assert words[0] == [*header, "bytes", "dropped", "share"]
    assert [line[:4] for line in words[1:]] == [
        ["good", "61", "1", "0"],
        ["web", "42", "1", "1"],
    ]
    assert "data/good.jsonl:6" in clusters
    assert "same text" in clusters
    told = CliRunner().invoke(cli, [*arguments, "--json"])
    report = json.loads(told.stdout)["deduplicated"]
    assert [one["source"] for one in report["sources"]] == ["good", "web"]
    pairs = [pair for one in report["clusters"] for pair in one["samples"]]
    assert {(pair["dropped"]["file"], pair["dropped"]["number"]) for pair in pairs} == {
        ("data/good.jsonl", 61),
        ("data/web.jsonl", 3),
        ("data/web.jsonl", 4),
    }


def test_funnels_have_a_step_for_duplicates(study: Study) -> None:
    def steps() -> dict[str, int]:
        found = open_funnels(study.plan, study.lock, study.workspace, ["web"])
        return {step.name: step.documents for step in found["web"].steps}

    first = steps()
    assert first["deduplicate.exact"] == first["deduplicate.near"] == 1
    # Made anew from the files.
    funnel_path(study.workspace, study.lock.stores["web"].identity).unlink()
    assert steps() == first


def test_prepared_again_with_the_work_deleted_gives_the_same(study: Study) -> None:
    shutil.rmtree(study.workspace / ".codemix" / "dedup")
    again = prepare(study.experiment, study.plan, study.lock, study.workspace)
    assert again == study.lock
    assert not (study.workspace / ".codemix" / "dedup").exists()
    funnel_path(study.workspace, study.lock.stores["web"].identity).unlink()
    with pytest.raises(InputError, match="list of what was dropped"):
        open_funnels(study.plan, study.lock, study.workspace, ["web"])
