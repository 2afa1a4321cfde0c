"""The paper's runs as specs: what they share, and what they cost."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from evals.catalogue import check_names, check_score_names
from specs import schema
from specs.plan import PlannedStage
from specs.study_file import load_study
from specs.study_graph import StudyGraph, study_graph
from specs.study_loaded import Study
from specs.study_report import Assumed
from specs.yaml_reader import read_document

ROOT = Path(__file__).parent.parent
PAPER = ROOT / "specs" / "paper"
READINGS = PAPER / "readings"
FILES = sorted(PAPER.rglob("*.yaml"))
V5E_FLOPS = 197e12

Stages = list[tuple[int, dict[str, int]]]
"""Of each stage, billions of tokens, and hundredths of them by kind."""

TEXT_ONLY: Stages = [(400, {"text": 100})]
BALANCED_ONLY: Stages = [(400, {"text": 50, "code": 50})]
THEN_TEXT: Stages = [(200, {"text": 90, "code": 10})]
BALANCED: Stages = [(200, {"text": 50, "code": 50})]
CODE: Stages = [(200, {"code": 100})]
COOLDOWN: Stages = [(40, {"quality": 80, "code": 20})]

RUNS: dict[str, Stages] = {
    # 3.1 and Table 2, 3.2.
    "text-only-470m": TEXT_ONLY,
    "balanced-only-470m": BALANCED_ONLY,
    "balanced-to-text-470m": BALANCED + THEN_TEXT,
    "code-to-text-470m": CODE + THEN_TEXT,
    "balanced-only-2.8b": BALANCED_ONLY,
    "balanced-to-text-2.8b": BALANCED + THEN_TEXT,
    "code-to-text-2.8b": CODE + THEN_TEXT,
    # 3.3.
    "sweep-470m-mixture-text100": [(200, {"text": 100})],
    "sweep-470m-mixture-text75-code25": [(200, {"text": 75, "code": 25})],
    "sweep-470m-mixture-text50-code50": BALANCED,
    "sweep-470m-mixture-text25-code75": [(200, {"text": 25, "code": 75})],
    "sweep-470m-mixture-text10-code90": [(200, {"text": 10, "code": 90})],
    "sweep-470m-mixture-code100": CODE,
    # 3.4.
    "properties-470m-mixture-web100": CODE,
    "properties-470m-mixture-code-adjacent100": [(200, {"code": 85, "adjacent": 15})],
    "balanced-to-text-plain-470m": BALANCED + THEN_TEXT,
    # 3.5 and 3.6.
    "text-only-cooldown-470m": TEXT_ONLY + COOLDOWN,
    "balanced-only-cooldown-470m": BALANCED_ONLY + COOLDOWN,
    "balanced-to-text-cooldown-470m": BALANCED + THEN_TEXT + COOLDOWN,
    "balanced-to-text-cooldown-without-code-470m": BALANCED
    + THEN_TEXT
    + [(40, {"quality": 100})],
    "code-to-text-cooldown-470m": CODE + THEN_TEXT + COOLDOWN,
}

KINDS = {
    "text": ("text",),
    "code": ("web", "markup", "synth"),
    "adjacent": ("issues", "stackexchange", "notebooks"),
    "quality": ("careful_text", "math", "instruct"),
}


@pytest.fixture(scope="module")
def paper() -> Study:
    return load_study(PAPER)


@pytest.fixture(scope="module")
def graph(paper: Study) -> StudyGraph:
    return study_graph(paper.experiments)


@pytest.fixture(scope="module")
def readings() -> StudyGraph:
    return study_graph(load_study(READINGS).experiments)


def stages(graph: StudyGraph, name: str) -> tuple[str, ...]:
    return graph.members[name].stages


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_passes_its_schema_as_it_is_written(path: Path) -> None:
    named = schema.study_schema_path() if path.stem == "study" else schema.schema_path()
    if path.name != "_base.yaml":
        validator = Draft202012Validator(json.loads(named.read_text("utf-8")))
        assert not list(validator.iter_errors(read_document(path).value))
    folder = "../../schema" if path.parent == READINGS else "../schema"
    first = path.read_text("utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={folder}/{named.name}"


def test_the_study_loads_and_plans_in_seconds() -> None:
    start = time.process_time()
    study_graph(load_study(PAPER).experiments)
    # Under 1 s of one core here; 20 s are promised.
    assert time.process_time() - start < 10


def test_its_suites_and_tasks_are_there(paper: Study) -> None:
    assert not check_score_names(paper)
    for _, experiment in paper.experiments:
        assert not check_names(experiment)


def test_every_run_has_the_stages_of_the_paper(graph: StudyGraph) -> None:
    found = {
        name: [
            (round(stage.num_tokens / 1e9), by_kind(stage))
            for stage in member.plan.stages
        ]
        for name, member in graph.members.items()
    }
    assert found == RUNS


def by_kind(stage: PlannedStage) -> dict[str, int]:
    shares = {
        kind: sum(stage.sequences.get(name, 0) for name in names)
        for kind, names in KINDS.items()
    }
    return {
        kind: round(100 * count / stage.num_sequences)
        for kind, count in shares.items()
        if count
    }


def test_every_stage_has_the_batch_and_the_schedule_of_the_paper(paper: Study) -> None:
    for _, experiment in paper.experiments:
        batch = experiment.batch
        assert (batch.sequences, batch.length) == (512, 8192)
        for stage in experiment.stages:
            assert stage.batch is None
            rate = stage.learning_rate
            if stage.name == "cooldown":
                told = (rate.schedule, rate.warmup_steps, rate.final)
                assert told == ("linear", 0, 1e-6)
            else:
                assert (rate.schedule, rate.warmup_steps) == ("cosine", 1325)


def test_the_larger_models_are_the_smaller_ones_but_for_their_size(
    paper: Study,
) -> None:
    sizes = {"preset", "layers", "width", "heads", "kv_heads", "ffn_width"}
    models = [
        {
            key: value
            for key, value in experiment.model.model_dump().items()
            if key not in sizes
        }
        for _, experiment in paper.experiments
    ]
    assert models == [models[0]] * len(models)
    assert models[0]["init"] == "glorot_normal"


def test_it_trains_25_models(graph: StudyGraph) -> None:
    assert len(graph.nodes) == 25
    tokens: dict[tuple[str | None, int], int] = {}
    for node in graph.nodes.values():
        key = (node.preset, round(node.num_tokens / 1e9))
        tokens[key] = tokens.get(key, 0) + 1
    assert tokens == {
        ("470m", 200): 13,
        ("470m", 400): 2,
        ("470m", 40): 5,
        ("2.8b", 200): 4,
        ("2.8b", 400): 1,
    }


def test_what_goes_on_from_a_model_begins_with_its_stages(graph: StudyGraph) -> None:
    balanced = stages(graph, "balanced-to-text-470m")
    code = stages(graph, "code-to-text-470m")
    for arm in ("cooldown", "cooldown-without-code"):
        assert stages(graph, f"balanced-to-text-{arm}-470m")[:2] == balanced
    assert stages(graph, "code-to-text-cooldown-470m")[:2] == code
    for name in ("text-only", "balanced-only"):
        cooled = stages(graph, f"{name}-cooldown-470m")
        assert cooled[:1] == stages(graph, f"{name}-470m")
    # The run without synthetic code begins as the sweep's half does.
    plain = stages(graph, "balanced-to-text-plain-470m")
    assert plain[:1] == stages(graph, "sweep-470m-mixture-text50-code50")
    assert balanced[0] not in (plain[0], code[0])


def test_seeds_in_the_common_parent_make_repeats_of_every_point(tmp_path: Path) -> None:
    shutil.copytree(PAPER, tmp_path, dirs_exist_ok=True)
    base = tmp_path / "_base.yaml"
    base.write_text(base.read_text("utf-8") + "matrix: {seed: [17, 18, 19]}\n")
    study = load_study(tmp_path)
    assert len(study.experiments) == 3 * 21
    assert {len(point.experiments) for point in study.points.values()} == {3}
    assert len(study_graph(study.experiments).nodes) == 3 * 25


def test_the_document_counts_what_is_there(paper: Study) -> None:
    text = " ".join((ROOT / "docs" / "paper.md").read_text("utf-8").split())
    assert f"{len(paper.experiments)} experiments that come to the 25 models" in text
    assert f"{len(paper.expected)} results that it printed or drew" in text
    assert f"and {len(paper.claims)} claims" in text


def test_sizes_share_nothing(graph: StudyGraph) -> None:
    for node in graph.nodes.values():
        presets = {
            graph.members[name].experiment.model.preset for name in node.experiments
        }
        assert presets == {node.preset}


def test_chip_hours_are_those_of_the_paper(paper: Study, graph: StudyGraph) -> None:
    cost = paper.cost
    assert cost is not None
    assumed = Assumed(cost.chip, V5E_FLOPS, cost.mfu, cost.price)
    for stated in cost.stated:
        found = [
            node
            for node in graph.nodes.values()
            if node.preset == stated.model
            and abs(node.num_tokens / stated.tokens - 1) < 1e-3
        ]
        hours = assumed.chip_hours(found[:1])
        # Within what rounding the shares to three digits does. The cooldown's hours are
        # printed apart and are an eighth more than those of as many tokens elsewhere.
        allowed = 0.08 if stated.tokens == 40_000_000_000 else 0.002
        assert hours == pytest.approx(stated.chip_hours, rel=allowed)
    # 85,632 at 470M and 82,944 at 2.8B, by what is printed.
    total = assumed.chip_hours(graph.nodes.values())
    assert total == pytest.approx(168_576, rel=0.005)


# --- The readings.


def test_one_line_switches_a_reading(graph: StudyGraph, readings: StudyGraph) -> None:
    # Without synthetic code, code-to-text begins as the sweep ends.
    plain = stages(readings, "code-to-text-plain-470m")
    assert plain[0] == stages(graph, "sweep-470m-mixture-code100")[0]
    # Of these the first stages are those of the study, only the last is another.
    taken = stages(graph, "balanced-to-text-470m")
    continued = stages(readings, "continued-plain-470m")
    assert (continued[0], continued[1] == taken[1]) == (taken[0], False)
    cooled = stages(readings, "cooldown-plain-470m")
    assert cooled[:2] == taken
    assert cooled[2] not in graph.nodes
    # docs/paper.md tells what they come to.
    new = [node for key, node in readings.nodes.items() if key not in graph.nodes]
    assert (len(new), round(sum(node.num_tokens for node in new) / 1e9)) == (7, 1440)


def test_each_reading_of_code_with_synthetic_is_trained(
    graph: StudyGraph, readings: StudyGraph
) -> None:
    experiments = [
        readings.members["code-synth-470m-code-synth-web90-synth10"],
        readings.members["code-synth-470m-code-synth-web72-markup20-synth8"],
        graph.members["code-to-text-470m"],
    ]
    shares = [
        {
            name: round(100 * count / member.plan.stages[0].num_sequences)
            for name, count in member.plan.stages[0].sequences.items()
        }
        for member in experiments
    ]
    assert shares == [
        {"web": 90, "synth": 10},
        {"web": 72, "markup": 20, "synth": 8},
        {"web": 70, "markup": 20, "synth": 10},
    ]
    assert len({member.stages[0] for member in experiments}) == 3
