"""Preparing: the right tokens of every document, the same bytes however it is done.

Importing seqio takes half a minute of a busy machine, so the workspace that most tests
look at is prepared once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest
from data_workspace import (
    dvc,
    experiment_of,
    git,
    isolate,
    make_workspace,
    sentences,
    write_lines,
    write_spec,
)

from runtime.funnel import Funnel, agrees, funnel_path
from runtime.funnels import open_funnels
from runtime.pin import pin
from runtime.prepare import SourceSummary, prepare, summarise
from runtime.progress import Progress
from runtime.splits import Splitter
from runtime.store_identity import store_folder
from runtime.token_store import KeptSplit, TokenStore
from runtime.tokenizer import load_tokenizer, tokenizer_path
from runtime.workers import WorkerPool
from specs.errors import InputError
from specs.experiment import Experiment
from specs.loading import load_lock, lock_path, save_lock
from specs.lock import Lock
from specs.plan import Plan
from specs.resolve import plan_experiment

SPLITS: tuple[KeptSplit, ...] = ("train", "heldout")
ROOT = Path(__file__).resolve().parent.parent

# What tokenizers stumble over: no text, only space, tabs and carriage returns, other
# scripts, the sign that SentencePiece has for a space, its control pieces, NUL.
ODD_TEXTS = [
    " ",
    "\n\n\n",
    "\tif x:\r\n\t\treturn  1_000\n",
    "\u65e5\u672c\u8a9e \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \U0001f600",
    "\u2581 a \u2581\u2581b",
    "<s> </s> <unk> <pad> <0x0A>",
    "nul\x00nul",
    "e\u0301 \ufb01 \u00bd",  # what normalising would change
    "word " * 3000,
]


@dataclass(frozen=True)
class Study:
    """A workspace with everything pinned and prepared."""

    workspace: Path
    experiment: Experiment
    plan: Plan
    lock: Lock
    told: tuple[Progress, ...]

    def store(self, name: str, split: KeptSplit) -> TokenStore:
        return TokenStore.open(self.folder(name), split)

    def folder(self, name: str) -> Path:
        return store_folder(self.workspace, self.lock.stores[name].identity)

    def summary(self, name: str) -> SourceSummary:
        (found,) = [
            one for one in summarise(self.lock, self.workspace) if one.name == name
        ]
        return found


def make_study(workspace: Path) -> tuple[Path, Experiment, Plan, Lock]:
    make_workspace(workspace)
    data = workspace / "data"
    # Several shards of one file, and a second file.
    write_lines(data / "code" / "a.jsonl", sentences(6000))
    write_lines(data / "code" / "b.jsonl", [*ODD_TEXTS, *sentences(50, seed=1)])
    for index, text in enumerate(sentences(30, seed=2)):
        path = data / "docs" / f"{index}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    texts = [*sentences(300, seed=3), None]
    languages = ["en", "de", "en"] * 100 + ["en"]
    table = pyarrow.table({"body": texts, "lang": languages})
    parquet.write_table(table, data / "web.parquet", row_group_size=100)
    sources = {
        "code": {"uri": "data/code/*.jsonl", "holdout": 0.05},
        "docs": {"uri": "data/docs", "holdout": 0.2},
        "web": {
            "uri": "data/web.parquet",
            "field": "body",
            "where": {"lang": "en"},
            "filters": [{"filter": "contains", "text": "doc 3-1", "within_chars": 20}],
            "holdout": 0,
            "on_corrupt": "skip",
        },
    }
    spec = write_spec(workspace, sources)
    experiment = experiment_of(spec)
    return (
        spec,
        experiment,
        plan_experiment(experiment),
        pin(spec, experiment, workspace),
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    workspace = tmp_path_factory.mktemp("prepare") / "study"
    spec, experiment, plan, pinned = make_study(workspace)
    told: list[Progress] = []
    lock = prepare(experiment, plan, pinned, workspace, 1, told.append)
    save_lock(lock, lock_path(spec))
    return Study(workspace, experiment, plan, lock, tuple(told))


def original_text(study: Study, name: str, file: str, number: int) -> str:
    path = study.workspace / file
    if name == "docs":
        return path.read_text(encoding="utf-8")
    if name == "web":
        return str(parquet.read_table(path)["body"][number - 1])
    return str(json.loads(path.read_bytes().split(b"\n")[number - 1])["text"])


def test_tokens_are_those_of_sentencepiece_and_end_in_eos(study: Study) -> None:
    path = tokenizer_path(study.workspace, study.lock.tokenizer_sha256 or "")
    tokenizer = load_tokenizer(path)
    num_checked = 0
    for name in study.lock.stores:
        for split in SPLITS:
            store = study.store(name, split)
            for document in list(store.documents)[::7]:
                text = original_text(study, name, document.file, document.number)
                count = document.stop_token - document.start_token
                tokens = store.read(document.start_token, count).tolist()
                assert tokens == [*tokenizer.encode(text), tokenizer.eos_id]
                assert document.num_bytes == len(text.encode())
                num_checked += 1
    assert num_checked > 700


def test_odd_texts_are_tokenised_as_sentencepiece_does(study: Study) -> None:
    path = tokenizer_path(study.workspace, study.lock.tokenizer_sha256 or "")
    tokenizer = load_tokenizer(path)
    found = {}
    for split in SPLITS:
        store = study.store("code", split)
        for document in store.documents:
            if document.file.endswith("b.jsonl") and document.number <= len(ODD_TEXTS):
                count = document.stop_token - document.start_token
                found[document.number] = store.read(
                    document.start_token, count
                ).tolist()
    assert len(found) >= len(ODD_TEXTS) - 4  # a few may be reserved
    for number, tokens in found.items():
        assert tokens == [*tokenizer.encode(ODD_TEXTS[number - 1]), tokenizer.eos_id]


def test_every_document_is_in_one_place(study: Study) -> None:
    for name, store in study.lock.stores.items():
        summary = study.summary(name)
        places = [
            (document.file, document.number)
            for split in SPLITS
            for document in study.store(name, split).documents
        ]
        assert len(set(places)) == len(places)
        dropped = sum(summary.dropped.values())
        assert len(places) + dropped + summary.reserved == summary.read
        assert store.train_tokens == study.store(name, "train").num_tokens > 0
        assert store.heldout_tokens == study.store(name, "heldout").num_tokens
    assert study.summary("code").read == 6000 + len(ODD_TEXTS) + 50
    assert study.summary("docs").read == 30


def test_splits_go_by_the_hash_of_the_text(study: Study) -> None:
    for name, planned in study.plan.sources.items():
        splitter = Splitter(holdout=planned.holdout, reserve=planned.reserve)
        for split in SPLITS:
            for document in study.store(name, split).documents[::5]:
                text = original_text(study, name, document.file, document.number)
                assert splitter.split_of(text.encode()) == split
    assert study.store("web", "heldout").num_tokens == 0
    # The largest share of any source is kept out of all of them.
    assert study.summary("web").reserved > 20


def test_summary_counts_what_was_dropped_and_why(study: Study) -> None:
    summary = study.summary("web")
    assert summary.read == 300
    assert summary.dropped == {"filters.0.contains": 72, "where.lang": 100}
    assert summary.corrupt == 1
    assert summary.train.bytes_per_token == pytest.approx(
        summary.train.text_bytes / summary.train.tokens
    )
    assert summary.heldout.bytes_per_token is None


def test_funnel_counts_what_the_manifest_counts(study: Study) -> None:
    tokenizer = load_tokenizer(
        tokenizer_path(study.workspace, study.lock.tokenizer_sha256 or "")
    )
    for name, store in study.lock.stores.items():
        path = funnel_path(study.workspace, store.identity)
        funnel = Funnel.model_validate_json(path.read_bytes())
        assert agrees(funnel, study.store(name, "train").manifest)
        assert sum(step.documents for step in funnel.read) == study.summary(name).read
        steps = {step.name: step for step in funnel.steps}
        assert steps["train"].tokens == store.train_tokens
        assert steps["heldout"].tokens == store.heldout_tokens
    # Where all are sampled, the tokens that were not kept are counted, too.
    texts = [
        original_text(study, "web", "data/web.parquet", number)
        for number in range(2, 300, 3)
    ]
    funnel = Funnel.model_validate_json(
        funnel_path(study.workspace, study.lock.stores["web"].identity).read_bytes()
    )
    (dropped,) = [step for step in funnel.steps if step.name == "where.lang"]
    assert dropped.is_exact
    assert dropped.tokens == sum(len(tokenizer.encode(text)) + 1 for text in texts)
    assert dropped.text_bytes == sum(len(text.encode()) for text in texts)
    assert {sample.measured for sample in dropped.samples} == {"lang is 'de'"}


def test_funnel_that_is_missing_or_of_other_counts_is_made_by_reading(
    study: Study,
) -> None:
    paths = {
        name: funnel_path(study.workspace, store.identity)
        for name, store in study.lock.stores.items()
    }
    before = {name: path.read_bytes() for name, path in paths.items()}
    paths["code"].unlink()
    other = before["web"].replace(b'"documents":100,', b'"documents":99,')
    paths["web"].write_bytes(other)
    told: list[Progress] = []
    found = open_funnels(study.plan, study.lock, study.workspace, (), told.append)
    assert {name: path.read_bytes() for name, path in paths.items()} == before
    assert {name: funnel.to_bytes() for name, funnel in found.items()} == before
    # The one that was whole is not read again.
    assert {one.task for one in told} == {"read code", "read web"}


def test_documents_are_shuffled_within_a_shard(study: Study) -> None:
    store = study.store("code", "train")
    numbers = [one.number for one in store.documents[:1000]]
    assert numbers != sorted(numbers)
    assert len(store.manifest.splits["train"].shards) == 2


def test_progress_ends_with_everything(study: Study) -> None:
    tasks = {one.task for one in study.told}
    assert "train tokenizer" in tasks
    assert {task for task in tasks if task.startswith("tokenise")}
    assert study.told[-1].done_bytes == study.told[-1].total_bytes
    assert study.told[-1].documents == sum(
        study.summary(name).read for name in study.lock.stores
    )


def test_prepared_data_is_found_again_without_tensorflow(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(WorkerPool, "__init__", refuse)
    loaded = set(sys.modules)
    before = [
        path.stat().st_mtime_ns for path in sorted(study.folder("code").iterdir())
    ]
    lock = prepare(study.experiment, study.plan, study.lock, study.workspace)
    after = [path.stat().st_mtime_ns for path in sorted(study.folder("code").iterdir())]
    assert (lock, after) == (study.lock, before)
    # Even without what an earlier prepare wrote into the lock.
    bare = study.lock.model_copy(
        update={"stores": {}, "tokenizer_sha256": None, "tokenizer_identity": None}
    )
    assert prepare(study.experiment, study.plan, bare, study.workspace) == study.lock
    # Other tests of this process may have loaded it before.
    assert not any("tensorflow" in name for name in sys.modules.keys() - loaded)


def test_stores_that_differ_from_the_lock_are_refused(study: Study) -> None:
    stores = {
        name: store.model_copy(update={"manifest_sha256": "0" * 64})
        for name, store in study.lock.stores.items()
    }
    lock = study.lock.model_copy(update={"stores": stores})
    with pytest.raises(
        InputError, match=r"prepared bytes differ from the lock"
    ) as caught:
        prepare(study.experiment, study.plan, lock, study.workspace)
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["stores.code", "stores.docs", "stores.web"]


def test_identity_sees_what_changes_the_bytes_and_nothing_else(study: Study) -> None:
    from runtime.store_identity import store_identity

    def identity(plan: Plan = study.plan, lock: Lock = study.lock) -> str:
        return store_identity("docs", plan, lock, "tokenizer")

    def planned(**changes: str) -> Plan:
        source = study.plan.sources["docs"].model_copy(update=changes)
        sources = {**study.plan.sources, "docs": source}
        return study.plan.model_copy(update={"sources": sources})

    assert identity(planned(max_epochs="7")) == identity()
    for change in (
        {"holdout": "0.1"},
        {"filters": '[{"filter":"length"}]'},
        {"reserve": "0.3"},
    ):
        assert identity(planned(**change)) != identity()
    assert identity(study.plan.model_copy(update={"seed": 18})) != identity()
    pinned = study.lock.inputs["sources.docs"]
    fewer = pinned.model_copy(update={"files": pinned.files[1:]})
    inputs = {**study.lock.inputs, "sources.docs": fewer}
    assert identity(lock=study.lock.model_copy(update={"inputs": inputs})) != identity()


PREPARE = """
import sys
from pathlib import Path
from runtime.prepare import prepare
from specs.loading import load_experiment, load_lock, lock_path, save_lock
from specs.resolve import plan_experiment
spec = Path("specs/small.yaml").resolve()
experiment = load_experiment(spec)
lock = load_lock(lock_path(spec))
made = prepare(experiment, plan_experiment(experiment), lock, Path.cwd(), 2)
save_lock(made, lock_path(spec))
"""


def start_prepare(workspace: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def copy_of(study: Study, folder: Path) -> Path:
    """Copy a workspace as it was before anything was prepared."""
    workspace = shutil.copytree(study.workspace, folder, symlinks=True)
    shutil.rmtree(workspace / ".codemix")
    path = lock_path(workspace / "specs" / "small.yaml")
    unprepared = {"stores": {}, "tokenizer_sha256": None, "tokenizer_identity": None}
    save_lock(load_lock(path).model_copy(update=unprepared), path)
    return workspace


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def is_alive(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except FileNotFoundError:
        return False


def assert_same_bytes(study: Study, workspace: Path) -> None:
    lock = load_lock(lock_path(workspace / "specs" / "small.yaml"))
    assert lock == study.lock
    for name, store in lock.stores.items():
        folder = store_folder(workspace, store.identity)
        names = sorted(path.name for path in folder.iterdir())
        assert names == sorted(path.name for path in study.folder(name).iterdir())
        for file in names:
            assert (folder / file).read_bytes() == (
                study.folder(name) / file
            ).read_bytes()
        TokenStore.open(folder).verify()
        funnels = [
            funnel_path(root, store.identity) for root in (workspace, study.workspace)
        ]
        assert funnels[0].read_bytes() == funnels[1].read_bytes()


def test_killed_and_resumed_with_more_workers_gives_the_same_bytes(
    study: Study, tmp_path: Path
) -> None:
    workspace = copy_of(study, tmp_path / "again")
    process = start_prepare(workspace)
    stores = workspace / ".codemix" / "stores"
    # Until the first shard is finished and others are under way.
    while not list(stores.glob("*/shard-*.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    workers = children_of(process.pid)
    assert len(workers) == 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stop = time.monotonic() + 30
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < stop
        time.sleep(0.05)
    kept = {
        path: path.stat().st_mtime_ns
        for record in stores.glob("*/shard-*.json")
        for path in record.parent.glob(f"[th]*{record.stem[-5:]}.*")
    }

    process = start_prepare(workspace)
    assert process.communicate() == ("", "")  # TensorFlow has a lot to say
    assert process.returncode == 0
    assert_same_bytes(study, workspace)
    assert kept
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


@pytest.mark.slow
def test_killed_at_any_moment_gives_the_same_bytes(
    study: Study, tmp_path: Path, rng: np.random.Generator
) -> None:
    workspace = copy_of(study, tmp_path / "again")
    for _ in range(12):
        process = start_prepare(workspace)
        try:
            process.wait(float(rng.uniform(0, 40)))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    process = start_prepare(workspace)
    assert process.communicate() == ("", "")
    assert_same_bytes(study, workspace)


@pytest.mark.slow
def test_second_clone_prepares_from_the_lock_alone(
    study: Study, tmp_path: Path
) -> None:
    first = shutil.copytree(study.workspace, tmp_path / "first", symlinks=True)
    isolate(first)
    dvc(first, "remote", "add", "--default", "depot", str(tmp_path / "depot"))
    (first / ".gitignore").write_text("/.codemix/\n")
    git(first, "add", ".")
    git(first, "commit", "--quiet", "--message", "pinned")
    dvc(first, "push")
    second = tmp_path / "second"
    git(tmp_path, "clone", "--quiet", str(first), str(second))
    isolate(second)
    dvc(second, "pull")
    process = start_prepare(second)
    assert process.communicate() == ("", "")
    assert_same_bytes(study, second)
    assert git(second, "status", "--porcelain") == ""


def test_damaged_shard_is_made_again(study: Study, tmp_path: Path) -> None:
    from runtime.store_builder import StoreBuilder
    from runtime.store_format import ShardResult

    workspace = shutil.copytree(study.workspace, tmp_path / "copy", symlinks=True)
    builder = StoreBuilder(
        name="code",
        identity=study.lock.stores["code"].identity,
        plan=study.plan,
        lock=study.lock,
        workspace=workspace,
        tokenizer_sha256=study.lock.tokenizer_sha256 or "",
    )
    manifest = study.store("code", "train").manifest
    shards = {name: split.shards[1] for name, split in manifest.splits.items()}
    result = ShardResult(splits=shards, read=1, dropped={}, reserved=0, corrupt=0)
    builder.keep_shard(1, result)
    assert builder.finished_shard(1) == result
    assert builder.finished_shard(0) is None
    path = builder.folder / shards["heldout"].tokens.name
    path.write_bytes(path.read_bytes()[::-1])
    assert builder.finished_shard(1) is None


def test_corrupt_line_stops_preparing_and_is_named(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "study")
    path = write_lines(workspace / "data" / "a.jsonl", sentences(300))
    path.write_text(path.read_text() + '{"text": 7}\n\n')
    spec = write_spec(workspace, {"a": {"uri": "data/a.jsonl"}})
    experiment = experiment_of(spec)
    lock = pin(spec, experiment, workspace)
    with pytest.raises(InputError, match="must be a string") as caught:
        prepare(experiment, plan_experiment(experiment), lock, workspace)
    assert [str(problem).split("\n")[0] for problem in caught.value.problems] == [
        "data/a.jsonl:301: 'text' must be a string, got a number",
        "data/a.jsonl:302: is empty, where a JSON object is needed",
    ]


def test_changed_bytes_are_not_prepared(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "study")
    write_lines(workspace / "data" / "a.jsonl", sentences(300))
    spec = write_spec(workspace, {"a": {"uri": "data/a.jsonl"}})
    experiment = experiment_of(spec)
    lock = pin(spec, experiment, workspace)
    write_lines(workspace / "data" / "a.jsonl", sentences(299))
    with pytest.raises(InputError, match="has other bytes than the lock says"):
        prepare(experiment, plan_experiment(experiment), lock, workspace)
    assert not (workspace / ".codemix" / "tokenizers").exists()


def test_tokenizer_file_of_another_size_is_refused(
    study: Study, tmp_path: Path
) -> None:
    workspace = make_workspace(tmp_path / "study")
    write_lines(workspace / "data" / "a.jsonl", sentences(300))
    model = tokenizer_path(study.workspace, study.lock.tokenizer_sha256 or "")
    shutil.copy(model, workspace / "data" / "bpe.model")
    spec = write_spec(
        workspace,
        {"a": {"uri": "data/a.jsonl"}},
        tokenizer={"vocab_size": 400, "file": "data/bpe.model"},
    )
    experiment = experiment_of(spec)
    lock = pin(spec, experiment, workspace)
    with pytest.raises(
        InputError, match=r"has 320 pieces, tokenizer\.vocab_size says 400"
    ):
        prepare(experiment, plan_experiment(experiment), lock, workspace)
