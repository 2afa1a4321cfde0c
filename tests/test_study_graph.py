"""A study is a graph of stages, each of them once, and of jobs that train them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from spec_examples import RATE, document, stage

from specs.errors import SpecError
from specs.experiment import Experiment
from specs.study_graph import StudyGraph, study_graph
from specs.study_identity import planned_identities
from specs.study_jobs import Job, jobs_of
from specs.study_report import Assumed, study_report

FIRST = {**document()["stages"][0]}
MORE = stage("two", 5120, {"text": 1})
END = stage("end", 2560, {"web": 1})


def experiment(name: str, *stages: Any, **changes: Any) -> tuple[Path, Experiment]:
    """An experiment of some stages, in a file of its name."""
    fields = document(name=name, stages=list(stages or [FIRST]), **changes)
    return Path(f"{name}.yaml"), Experiment.model_validate(fields)


def graph_of(*experiments: tuple[Path, Experiment]) -> StudyGraph:
    return study_graph(experiments)


def text_source(**changes: Any) -> dict[str, Any]:
    """Change one of the two sources."""
    return {
        "sources": {"text": {"uri": "t.jsonl", **changes}, "web": {"uri": "w.jsonl"}}
    }


def tokenizer(**origin: Any) -> dict[str, Any]:
    return {"tokenizer": {"vocab_size": 512, **origin}}


def told(graph: StudyGraph) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(one.name, len(levels), one.experiments) for one, levels in graph.tree()]


def test_stages_of_one_definition_are_one_stage_whatever_their_names() -> None:
    graph = graph_of(
        experiment("a", FIRST, MORE, END),
        experiment("b", {**FIRST, "name": "other"}, MORE),
        experiment("c", FIRST, END),
    )
    assert told(graph) == [
        ("a/one", 0, ("a", "b", "c")),
        ("a/two", 1, ("a", "b")),
        ("a/end", 2, ("a",)),
        ("c/end", 1, ("c",)),
    ]
    steps = {node.name: node.num_steps for node in graph.nodes.values()}
    assert steps == {"a/one": 78, "a/two": 40, "a/end": 20, "c/end": 20}
    assert graph.alone.steps == 138 + 118 + 98
    assert (graph.shared.steps, graph.shared.stages) == (158, 4)
    assert graph.shared.tokens == 158 * 128


@pytest.mark.parametrize(
    ("changes", "is_shared"),
    [
        ({"evals": [{"suite": "heldout"}]}, True),
        ({"logging": {"every_steps": 5}}, True),
        ({"tags": ["x"], "description": "y"}, True),
        (text_source(max_epochs=3), True),
        ({"seed": 2}, False),
        ({"precision": {"compute": "bfloat16"}}, False),
        (text_source(uri="u.jsonl"), False),
        (text_source(filters=[{"filter": "length", "min_chars": 9}]), False),
        (text_source(holdout=0.01), False),
        (text_source(uri=["t.jsonl", "more.jsonl"]), False),
        ({"deduplicate": {"sources": ["text", "web"]}}, False),
        (tokenizer(file="other.model"), False),
        (tokenizer(train={"mixture": {"text": 1}}), False),
        ({"batch": {"sequences": 8, "length": 16, "lane": 2}}, False),
    ],
    ids=lambda one: json.dumps(one)[:40] if isinstance(one, dict) else "",
)
def test_what_decides_no_weights_splits_no_stage(
    changes: dict[str, Any], is_shared: bool
) -> None:
    graph = graph_of(experiment("a"), experiment("b", **changes))
    assert (graph.shared.stages == 1) is is_shared


def test_a_source_that_a_stage_does_not_draw_from_does_not_split_it() -> None:
    text = {**FIRST, "mixture": {"text": 1}}
    other = {"text": {"uri": "t.jsonl"}, "code": {"uri": "c.jsonl"}}
    mixed = stage("end", 2560, {"code": 1})
    graph = graph_of(
        experiment("a", text, END), experiment("b", text, mixed, sources=other)
    )
    assert [one.name for one in graph.nodes.values()] == ["a/one", "a/end", "b/end"]


@pytest.mark.parametrize("promise", ["exact", "same-topology", "fast"])
def test_nothing_is_shared_where_no_bits_are_promised(promise: str) -> None:
    graph = graph_of(
        experiment("a", determinism=promise), experiment("b", determinism=promise)
    )
    assert graph.shared.stages == (2 if promise == "fast" else 1)


def test_topology_counts_where_bits_are_promised_for_one_alone() -> None:
    one = {"determinism": "same-topology", "batch": {"sequences": 8, "length": 16}}
    graph = graph_of(
        experiment("a", **one), experiment("b", parallel={"slices": 2}, **one)
    )
    assert graph.shared.stages == 2


def test_experiments_of_one_name_are_refused() -> None:
    with pytest.raises(SpecError, match=r"an experiment in a\.yaml too"):
        graph_of(experiment("a"), experiment("b"), experiment("a", seed=3))


def brief(jobs: dict[str, Job]) -> dict[str, tuple[Any, ...]]:
    return {
        name: (job.experiment, job.stop_after, job.num_steps, job.parents)
        for name, job in jobs.items()
    }


def test_jobs_part_where_experiments_part() -> None:
    graph = graph_of(
        experiment("a", FIRST, MORE, END, {**END, "name": "last"}),
        experiment("b", FIRST, MORE, END),
        experiment("c", FIRST, MORE),
        experiment("d", seed=2),
    )
    assert brief(jobs_of(graph)) == {
        "c": ("c", None, 118, ()),
        "b": ("b", None, 20, ("c",)),
        "a": ("a", None, 20, ("b",)),
        "d": ("d", None, 78, ()),
    }


def test_a_prefix_that_is_nobodys_end_is_a_job_that_stops() -> None:
    graph = graph_of(
        experiment("a", FIRST, MORE, END),
        experiment("b", FIRST, MORE, {**END, "tokens": 5120}),
        experiment("c", FIRST, END),
    )
    jobs = jobs_of(graph)
    assert brief(jobs) == {
        "a/one": ("a", 78, 78, ()),
        "a/two": ("a", 118, 40, ("a/one",)),
        "a": ("a", None, 20, ("a/two",)),
        "b": ("b", None, 40, ("a/two",)),
        "c": ("c", None, 20, ("a/one",)),
    }
    assert jobs["a/two"].command(Path("x/a.yaml")) == (
        "codemix", "run", "x/a.yaml", "--stop-after", "118",
    )  # fmt: skip
    assert jobs["c"].command(Path("c.yaml")) == ("codemix", "run", "c.yaml")
    assert sum(job.num_steps for job in jobs.values()) == graph.shared.steps


def test_equal_stages_are_trained_by_one_and_taken_over_by_the_other() -> None:
    every = {"every_steps": 1, "heldout_every_steps": 4}
    graph = graph_of(
        experiment("a", logging={"every_steps": 9}),
        experiment("b", logging={"every_steps": 1}),
        experiment("c", logging=every),
    )
    assert brief(jobs_of(graph)) == {
        "c": ("c", None, 78, ()),
        "a": ("a", None, 0, ("c",)),
        "b": ("b", None, 0, ("c",)),
    }


def test_who_records_most_often_is_run_for_the_others_too() -> None:
    graph = graph_of(
        experiment("a", FIRST, logging={"every_steps": 9}),
        experiment("b", FIRST, END, logging={"every_steps": 3}),
    )
    assert brief(jobs_of(graph)) == {
        "b/one": ("b", 78, 78, ()),
        "b": ("b", None, 20, ("b/one",)),
        "a": ("a", None, 0, ("b/one",)),
    }


def test_a_run_that_has_trained_trains_all_that_comes_after() -> None:
    # It would not take over what another one trains meanwhile.
    graph = graph_of(
        experiment("a", FIRST, MORE, END),
        experiment("b", FIRST, MORE),
        experiment("c", FIRST, END),
    )
    assert brief(jobs_of(graph)) == {
        "a/one": ("a", 78, 78, ()),
        "a/two": ("a", 118, 40, ("a/one",)),
        "a": ("a", None, 20, ("a/two",)),
        "b": ("b", None, 0, ("a/two",)),
        "c": ("c", None, 20, ("a/one",)),
    }


def test_each_stage_can_be_a_job_of_its_own() -> None:
    graph = graph_of(experiment("a", FIRST, MORE, END))
    assert brief(jobs_of(graph, per_stage=True)) == {
        "a/one": ("a", 78, 78, ()),
        "a/two": ("a", 118, 40, ("a/one",)),
        "a": ("a", None, 20, ("a/two",)),
    }
    assert list(jobs_of(graph)) == ["a"]


def test_what_is_left_to_train_needs_nothing_before_what_is_there() -> None:
    graph = graph_of(experiment("a", FIRST, MORE, END), experiment("b", FIRST, END))
    _, two, _, other = graph.nodes
    left = [node.name for node in graph.to_train({two})]
    assert left == ["a/one", "a/end", "b/end"]
    left = [node.name for node in graph.to_train({two, other})]
    assert left == ["a/end"]


def test_costs_are_operations_by_what_is_assumed_of_a_chip() -> None:
    graph = graph_of(experiment("a", FIRST, END), experiment("b", FIRST))
    assumed = Assumed("v5e", 1e12, {"debug": 0.5}, price=2.0)
    sums = study_report(graph, name="s", assumed=assumed)["totals"]
    flops = sum(node.flops for node in graph.nodes.values())
    assert sums["shared"]["chip_hours"] == pytest.approx(flops / 5e11 / 3600, rel=1e-12)
    assert sums["shared"]["money"] == 2 * sums["shared"]["chip_hours"]
    assert sums["alone"]["chip_hours"] > sums["shared"]["chip_hours"]
    unknown = assumed._replace(mfu={"470m": 0.5})
    sums = study_report(graph, name="s", assumed=unknown)["totals"]
    assert sums["shared"]["chip_hours"] is None


def test_planned_identities_know_the_machine_no_more_than_the_name() -> None:
    (_, one), (_, other) = experiment("a"), experiment("b")
    plans = [graph_of((Path("x"), found)).members for found in (one, other)]
    first, second = (next(iter(plan.values())) for plan in plans)
    assert planned_identities(one, first.plan) == list(second.stages)


def test_rate_is_part_of_a_stage() -> None:
    slower = {**FIRST, "learning_rate": {**RATE, "peak": 5e-4}}
    graph = graph_of(experiment("a"), experiment("b", slower))
    assert graph.shared.stages == 2
