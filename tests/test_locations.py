"""A source of several locations: one body of files, each location pinned by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from data_workspace import experiment_of, make_workspace, sentences, write_lines
from data_workspace import write_spec as write_small_spec
from remote_servers import Site, serving

from codemix_cli.main import cli
from ledger.dvc_store import DvcStore
from runtime.inputs import inputs_of
from runtime.pin import check_pinned, pin
from runtime.source_reader import SourceReader, Tally
from runtime.store_builder import StoreBuilder
from runtime.store_identity import store_identity
from specs.errors import InputError
from specs.lock import Lock
from specs.plan import Plan
from specs.resolve import plan_experiment

FILES = ["data/new/c.jsonl", "data/old/a.jsonl", "data/old/b.jsonl"]
LIST = ["data/old/*.jsonl", "data/new/c.jsonl"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_workspace(tmp_path_factory.mktemp("locations") / "workspace")
    for seed, path in enumerate(FILES):
        write_lines(
            folder / path, sentences(20, seed=seed), lang="cjava"[seed : seed + 1]
        )
    return folder


def pinned(workspace: Path, uri: Any, **source: Any) -> tuple[Plan, Lock]:
    spec = write_small_spec(workspace, {"web": {"uri": uri, **source}})
    experiment = experiment_of(spec)
    lock = pin(spec, experiment, workspace)
    check_pinned(experiment, lock, workspace)
    return plan_experiment(experiment), lock


def test_each_location_is_pinned_and_all_are_one_source(workspace: Path) -> None:
    plan, lock = pinned(workspace, LIST)
    assert list(lock.inputs) == ["sources.web.0", "sources.web.1"]
    assert [one.uri for one in lock.inputs.values()] == LIST
    found = lock.pinned("sources.web")
    assert [file.path for file in found.files] == FILES
    assert found.num_documents == 60
    assert sorted(lock.paths) == FILES
    builder = StoreBuilder("web", "x", plan, lock, workspace, "t")
    assert builder.files == tuple(FILES)
    tally = Tally()
    for job in builder.jobs():
        reader = SourceReader(job.planned, workspace)
        list(reader.read([job.rows(one) for one in job.ranges], tally))
    assert tally.read == 60


def test_the_order_of_the_list_decides_nothing(workspace: Path) -> None:
    stores = [
        store_identity("web", *pinned(workspace, uri), "t")
        for uri in (LIST, LIST[::-1], "data/**/*.jsonl")
    ]
    assert len(set(stores)) == 1
    assert store_identity("web", *pinned(workspace, LIST[:1]), "t") != stores[0]


def test_a_source_without_a_list_has_the_lock_it_had(workspace: Path) -> None:
    _, lock = pinned(workspace, "data/old/*.jsonl")
    assert list(lock.inputs) == ["sources.web"]
    assert lock.pinned("sources.web") is lock.inputs["sources.web"]
    # The name of one source may begin like another's.
    other = lock.model_copy(
        update={"inputs": {"sources.web2": lock.inputs["sources.web"]}}
    )
    with pytest.raises(KeyError, match=r"sources\.web"):
        other.pinned("sources.web")


def test_a_file_in_two_locations_is_refused(workspace: Path) -> None:
    with pytest.raises(InputError, match="would count twice") as caught:
        pinned(workspace, ["data/old/a.jsonl", "data/old/*.jsonl"])
    [problem] = caught.value.problems
    assert (problem.file, problem.path) == ("data/old/a.jsonl", "sources.web.1")


def test_what_changed_is_told_by_the_location(workspace: Path) -> None:
    spec = write_small_spec(workspace, {"web": {"uri": LIST}})
    experiment = experiment_of(spec)
    lock = pin(spec, experiment, workspace)
    shorter = experiment_of(write_small_spec(workspace, {"web": {"uri": LIST[::-1]}}))
    with pytest.raises(InputError, match="the spec names") as caught:
        check_pinned(shorter, lock, workspace)
    assert [one.path for one in caught.value.problems] == [
        "sources.web.0",
        "sources.web.1",
    ]


def test_subsets_share_all_locations(workspace: Path) -> None:
    spec = write_small_spec(
        workspace,
        {
            "web": {
                "uri": LIST,
                "subsets": {"field": "lang", "weights": {"c": 1, "j": 2}},
            }
        },
    )
    experiment = experiment_of(spec)
    assert [one.key for one in inputs_of(experiment)] == [
        "sources.web.0",
        "sources.web.1",
    ]
    plan, lock = plan_experiment(experiment), pin(spec, experiment, workspace)
    for name in ("web_c", "web_j"):
        builder = StoreBuilder(name, "x", plan, lock, workspace, "t")
        assert builder.files == tuple(FILES)


def test_addresses_and_files_go_together(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "workspace")
    write_lines(folder / "data" / "own.jsonl", ["mine"])
    row = b'{"text": "theirs"}\n'
    with serving(Site(files={"x.jsonl": row, "y/x.jsonl": row})) as site:
        uris = [
            f"{site.address}/x.jsonl",
            "data/own.jsonl",
            f"{site.address}/y/x.jsonl",
        ]
        _, lock = pinned(folder, uris)
    assert [file.path for file in lock.pinned("sources.web").files] == [
        "data/own.jsonl",
        "data/web/0/x.jsonl",
        "data/web/2/x.jsonl",
    ]
    assert lock.inputs["sources.web.0"].files[0].origin is not None
    assert (folder / "data/web/2/x.jsonl").read_bytes() == row
    assert DvcStore(folder).find("data/web/0/x.jsonl") is not None


def test_a_lost_lock_is_asked_for_by_the_command(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    write_small_spec(workspace, {"web": {"uri": ["data/none.jsonl", *LIST]}})
    with pytest.raises(SystemExit) as ended:
        cli(["pin", "specs/small.yaml"], prog_name="codemix")
    assert ended.value.code == 4
    assert "data/none.jsonl: sources.web.0: no such file" in capsys.readouterr().err
