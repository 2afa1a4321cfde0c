"""A study pins each input once, and never changes a lock that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from data_workspace import make_workspace, sentences, write_lines
from spec_examples import document

from runtime.benchmarks import nothing_declared
from runtime.pin import pin
from runtime.progress import ignore_progress
from runtime.study import pinning
from runtime.study.places import prepared_locks
from runtime.study.ready import ReadyStudy, ready_study
from specs.errors import InputError
from specs.loading import load_experiment, load_lock, lock_path
from specs.lock import Lock, LockedStore
from specs.study_file import load_study

TEXT = {"uri": "data/text.jsonl"}
WEB = {"uri": "data/web.jsonl"}
MORE = {"uri": "data/more.jsonl"}

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "a": {"sources": {"text": TEXT, "web": WEB}},
    "b": {"sources": {"text": TEXT, "web": WEB}, "seed": 2},
    # Another source of the same name, and one more.
    "c": {"sources": {"text": TEXT, "web": MORE}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a study whose stores are taken as made."""
    make_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(["text", "web", "more"]):
        write_lines(Path("data") / f"{name}.jsonl", sentences(9, seed=number))
    Path("data/t.model").write_bytes(b"a model")
    Path("study").mkdir()
    for name, changes in EXPERIMENTS.items():
        tokenizer = {"vocab_size": 512, "file": "data/t.model"}
        spec = document(name=name, tokenizer=tokenizer, **changes)
        Path(f"study/{name}.yaml").write_text(json.dumps(spec))
    monkeypatch.setattr(pinning, "prepare", made)
    return tmp_path


def made(experiment: Any, plan: Any, lock: Lock, *_: Any, **__: Any) -> Lock:
    """Take the stores as made, each of the bytes that are pinned."""
    stores = {
        name: LockedStore(
            identity="a" * 64,
            manifest_sha256=lock.pinned(f"sources.{name}").files[0].sha256,
            train_tokens=10**6,
            heldout_tokens=0,
        )
        for name in plan.sources
    }
    return lock.model_copy(update={"stores": stores, "tokenizer_sha256": "b" * 64})


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is pinned: the addresses of each round."""
    rounds: list[list[str]] = []
    real = pinning.pin_inputs

    def watched(inputs: Any, *arguments: Any) -> Any:
        rounds.append([one.uri for one in inputs])
        return real(inputs, *arguments)

    monkeypatch.setattr(pinning, "pin_inputs", watched)
    return rounds


def ready() -> ReadyStudy:
    return ready_study(load_study(Path("study")), nothing_declared, ignore_progress)


def test_each_input_is_pinned_once_for_all_experiments(
    folder: Path, pinned: list[list[str]]
) -> None:
    study = ready()
    assert [sorted(one) for one in pinned] == [
        ["data/t.model", "data/text.jsonl", "data/web.jsonl"],
        ["data/more.jsonl"],
    ]
    first = {name: lock.inputs for name, lock in study.locks.items()}
    assert first["a"] == first["b"]
    assert first["c"]["sources.web"].uri == "data/more.jsonl"
    assert [node.experiments for node in study.graph.nodes.values()] == [
        ("a",), ("b",), ("c",),
    ]  # fmt: skip
    # By itself each comes to the same lock.
    spec = study.folder / "c.yaml"
    assert pin(spec, load_experiment(spec), Path()).inputs == first["c"]
    pinned.clear()
    assert ready().locks == study.locks
    assert pinned == []
    members = list(study.graph.members.values())
    assert prepared_locks(members, study.folder) == study.locks


def test_a_lock_that_people_made_counts_first_and_is_not_changed(
    folder: Path, pinned: list[list[str]]
) -> None:
    spec = Path("study/a.yaml")
    lock = pin(spec, load_experiment(spec), Path())
    before = lock_path(spec).read_bytes()
    study = ready()
    assert study.locks["a"].inputs == lock.inputs
    assert lock_path(spec).read_bytes() == before
    # They accept other bytes: then the study does as well, for this one alone.
    write_lines(Path("data/text.jsonl"), sentences(5, seed=7))
    again = pin(spec, load_experiment(spec), Path())
    assert again != lock
    locks = ready().locks
    assert locks["a"].inputs == again.inputs
    assert locks["b"] == study.locks["b"]
    assert load_lock(lock_path(study.folder / "a.yaml")) == locks["a"]


def test_a_spec_that_names_more_is_pinned_for_that_alone(
    folder: Path, pinned: list[list[str]]
) -> None:
    study = ready()
    pinned.clear()
    spec = json.loads(Path("study/c.yaml").read_text())
    spec["sources"]["web"] = WEB
    Path("study/c.yaml").write_text(json.dumps(spec))
    locks = ready().locks
    assert pinned == [["data/web.jsonl"]]
    assert locks["c"].inputs == study.locks["a"].inputs


def test_lists_of_locations_are_not_mixed_up(
    folder: Path, pinned: list[list[str]]
) -> None:
    # One list's third location is the first of another one.
    lists = {"a": ["web", "more"], "b": ["more", "text", "web"]}
    for name, files in lists.items():
        spec = json.loads(Path(f"study/{name}.yaml").read_text())
        spec["sources"]["web"] = {"uri": [f"data/{one}.jsonl" for one in files]}
        spec["sources"]["text"] = WEB
        Path(f"study/{name}.yaml").write_text(json.dumps(spec))
    locks = ready().locks
    for name, files in lists.items():
        found = [locks[name].inputs[f"sources.web.{at}"] for at in range(len(files))]
        assert [one.files[0].path for one in found] == [
            f"data/{one}.jsonl" for one in files
        ]


def test_what_is_missing_is_told_for_all_experiments(folder: Path) -> None:
    for name in ("text", "more"):
        Path(f"data/{name}.jsonl").unlink()
    with pytest.raises(InputError, match=r"no such file") as raised:
        ready()
    files = [problem.file for problem in raised.value.problems]
    assert files == ["data/text.jsonl", "data/more.jsonl"]
