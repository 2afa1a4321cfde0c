"""The most frequent languages of a body of code, from the spec to the token store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from contamination_cases import rows_of as questions_of
from contamination_cases import task_of
from data_workspace import isolate, make_workspace, write_spec
from here_pool import HerePool
from run_workspace import codemix
from value_cases import TOP_TWO, rows_of, write_rows

from evals.contamination import collect
from evals.contamination.find import look_for_questions
from runtime import engines
from runtime.funnel import funnel_path
from runtime.funnels import open_funnels
from runtime.pin import pin
from runtime.store_identity import store_folder
from runtime.token_store import read_manifest
from specs.loading import load_experiment, load_lock, lock_path
from specs.resolve import plan_experiment

LANGUAGES = ["c"] * 120 + ["java"] * 90 + ["tex"] * 60
REASON = "filters.0.top_values"
KEPT = [{"value": "c", "documents": 120}, {"value": "java", "documents": 90}]
WEB = {"uri": "data/*.jsonl", "holdout": "5%", "filters": [TOP_TWO]}


def spec_of(workspace: Path, **sources: Any) -> Path:
    names = {"web": 1, **({"code": 1} if "code" in sources else {})}
    return write_spec(
        workspace,
        sources,
        tokenizer={"vocab_size": 320, "train": {"mixture": names}},
        stages=[
            {
                "name": "only",
                "tokens": 4096,
                "mixture": names,
                "learning_rate": {"schedule": "constant", "peak": 0.001},
            }
        ],
    )


def copied(workspace: Path, folder: Path) -> Path:
    shutil.copytree(workspace, folder / "copy", symlinks=True)
    isolate(folder / "copy")
    return folder / "copy"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    workspace = make_workspace(tmp_path_factory.mktemp("top") / "workspace")
    write_rows(workspace / "data" / "a.jsonl", rows_of(LANGUAGES))
    subsets = {"field": "lang", "weights": {"java": 3, "tex": 1}}
    code = {"uri": "data/*.jsonl", "subsets": subsets}
    spec = spec_of(workspace, web=WEB, code=code)
    code, _, stderr = codemix(workspace, "pin", str(spec))
    assert code == 0, stderr
    code, told, stderr = codemix(workspace, "prepare", str(spec))
    assert code == 0, stderr
    return workspace, told


def test_prepare_tells_what_was_chosen(prepared: tuple[Path, dict[str, Any]]) -> None:
    workspace, told = prepared
    sources = {source["name"]: source for source in told["sources"]}
    assert sorted(sources) == ["code_java", "code_tex", "web"]
    web = sources["web"]
    assert web["choices"][REASON] == {
        "choice": 1,
        "field": "lang",
        "num_values": 3,
        "documents": 270,
        "without": 0,
        "values": KEPT,
    }
    assert web["dropped"] == {REASON: 60}
    assert sources["code_java"]["choices"] == {}
    assert sources["code_java"]["dropped"] == {"where.lang": 180}
    # Once more: nothing is counted or made, and the same is told.
    shutil.rmtree(workspace / ".codemix" / "choices")
    assert codemix(workspace, "prepare", "specs/small.yaml")[1] == told
    assert not (workspace / ".codemix" / "choices").exists()


def test_a_store_records_the_choice_it_was_made_by(
    prepared: tuple[Path, dict[str, Any]],
) -> None:
    workspace, _ = prepared
    lock = load_lock(workspace / "specs" / "small.lock")
    manifests = {
        name: read_manifest(store_folder(workspace, store.identity))
        for name, store in lock.stores.items()
    }
    assert [one.to_json() for one in manifests["web"].choices[REASON].values] == KEPT
    assert "choices" not in manifests["code_java"].to_json()
    splits = manifests["web"].splits.values()
    assert sum(one.num_documents for one in splits) == 210


def test_a_lost_funnel_goes_by_the_choice_of_the_store(
    prepared: tuple[Path, dict[str, Any]],
) -> None:
    workspace, _ = prepared
    spec = workspace / "specs" / "small.yaml"
    plan, lock = plan_experiment(load_experiment(spec)), load_lock(lock_path(spec))
    shutil.rmtree(workspace / ".codemix" / "choices", ignore_errors=True)
    path = funnel_path(workspace, lock.stores["web"].identity)
    before = path.read_bytes()
    path.unlink()
    funnel = open_funnels(plan, lock, workspace, ["web"])["web"]
    assert path.read_bytes() == before
    (step,) = [one for one in funnel.steps if one.name == REASON]
    assert step.documents == 60
    measured = 'lang is "tex", not among the 2 most frequent'
    assert {one.measured for one in step.samples} == {measured}


def test_a_field_that_is_not_there_ends_the_command(
    prepared: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    workspace = copied(prepared[0], tmp_path)
    spec = spec_of(workspace, web={**WEB, "filters": [{**TOP_TWO, "field": "lnag"}]})
    assert codemix(workspace, "pin", str(spec))[0] == 0
    code, told, _ = codemix(workspace, "prepare", str(spec))
    assert code == 4
    [problem] = told["problems"]
    assert problem["path"] == "sources.web.filters.0"
    assert problem["what"] == (
        "none of 270 documents has a value in 'lnag', so none would be kept"
    )


def test_questions_are_looked_for_in_what_is_chosen(
    prepared: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "WorkerPool", HerePool)
    monkeypatch.setattr(collect, "WorkerPool", HerePool)
    workspace = copied(prepared[0], tmp_path)
    question = "Which river did the old ferryman cross by night, and for whom?"
    rows = rows_of(LANGUAGES)
    rows[0]["text"] += question
    rows[-1]["text"] += question
    write_rows(workspace / "data" / "b.jsonl", rows)
    spec = spec_of(workspace, web={**WEB, "uri": "data/b.jsonl", "holdout": 0})
    experiment = load_experiment(spec)
    found = look_for_questions(
        [(task_of("quiz", ["question"]), questions_of([question]))],
        experiment=experiment,
        plan=plan_experiment(experiment),
        lock=pin(spec, experiment, workspace),
        workspace=workspace,
    )
    # Not on the last line, whose language is not kept.
    documents = [(one.file, one.number) for one in found.documents()]
    assert documents == [("data/b.jsonl", 1)]
