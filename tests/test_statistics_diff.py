"""Benchmarks of two entries of a ledger, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import evaluated
import ledger_runs
import numpy as np
import pytest
from click.testing import CliRunner, Result
from ledger_runs import hex_of

from codemix_cli.main import cli
from evals.results import QuestionResult, TaskResult
from evals.statistics.compare import compare_sides
from evals.statistics.compared import ScoreComparison, Side, corrected
from evals.statistics.diff import BenchmarkDiff, diff
from evals.statistics.families import holm
from evals.statistics.paired import paired_difference
from evals.statistics.sides import Scored, sides_of
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from specs.benchmarks import Asked, Benchmarks
from specs.task import Task, what_counts

Answers = Sequence[float]
COUNT = 60
RNG = np.random.default_rng(71)
EASE = RNG.random(COUNT)


def answers(*names: object, rate: float = 0.5) -> list[float]:
    """Right or wrong, mostly by how easy a question is, and a little by the name."""
    noise = np.random.default_rng(int(hex_of(*names)[:8], 16)).random(COUNT)
    return [float(x) for x in 0.8 * EASE + 0.2 * noise < rate]


def task_of(name: str, prompt: str = "{{ question }}") -> Task:
    data = {"file": f"{name}.jsonl", "split": "test", "licence": "CC0-1.0"}
    return Task.model_validate(
        {
            "codemix_task": 1,
            "name": name,
            "version": 1,
            "prompt": prompt,
            "data": {**data, "fields": ["question"], "sha256": hex_of(name)},
            "choices": {"texts": ["a", "b"], "right": "{{ right }}"},
            "chance": 0.5,
        }
    )


AS_DECLARED = {"t": what_counts(task_of("t"))}


def result_of(
    name: str,
    values: Answers,
    fingerprint: str = "",
    clusters: Sequence[str | None] | None = None,
) -> TaskResult:
    names = clusters or [None] * len(values)
    return TaskResult(
        task=name,
        fingerprint=fingerprint or hex_of("task", name),
        main="accuracy",
        chance=0.5,
        questions=tuple(
            QuestionResult(
                id=str(at), values={"accuracy": value}, cluster=cluster, output={}
            )
            for at, (value, cluster) in enumerate(zip(values, names, strict=True))
        ),
    )


def side_of(*runs: Mapping[str, TaskResult], **fields: Any) -> Side:
    return Side(**{"runs": runs, "asked": {}, "suites": {}, **fields})


def refusals(was: Side, now: Side) -> list[tuple[str, str, str, str]]:
    found = compare_sides(was, now)
    assert found.tasks == ()
    return [(one.task, one.field, one.was, one.now) for one in found.refused]


# Results alone.


def test_one_task_is_compared_question_by_question() -> None:
    old, new = answers("a"), answers("b", rate=0.7)
    was, now = side_of({"t": result_of("t", old)}), side_of({"t": result_of("t", new)})
    (found,) = compare_sides(was, now).tasks
    assert found.runs == paired_difference(old, new, [None] * COUNT)
    assert found.recipes is None
    assert found.best == found.runs
    assert found.asked_alike
    # Two ways to the same interval.
    assert found.runs.low is not None
    assert found.resampled.low == pytest.approx(found.runs.low, abs=0.02)


def test_comparison_is_the_same_each_time() -> None:
    was = side_of({"t": result_of("t", answers("a"))})
    now = side_of({"t": result_of("t", answers("b"))})
    assert compare_sides(was, now) == compare_sides(was, now)


def test_other_prompts_are_refused_by_name() -> None:
    was = side_of(
        {"t": result_of("t", answers("a"), "one")},
        asked=AS_DECLARED,
    )
    now = side_of(
        {"t": result_of("t", answers("b"), "two")},
        asked={"t": what_counts(task_of("t", prompt="Q: {{ question }}"))},
    )
    assert refusals(was, now) == [
        ("t", "prompt", "{{ question }}", "Q: {{ question }}")
    ]


def test_other_data_is_refused_by_name() -> None:
    other = task_of("t")
    data = other.data.model_copy(update={"sha256": "f" * 64})
    was = side_of(
        {"t": result_of("t", answers("a"), "one")},
        asked=AS_DECLARED,
    )
    now = side_of(
        {"t": result_of("t", answers("b"), "two")},
        asked={"t": what_counts(other.model_copy(update={"data": data}))},
    )
    assert refusals(was, now) == [("t", "data.sha256", hex_of("t"), "f" * 64)]


def test_same_declaration_in_other_shapes_is_compared_and_told() -> None:
    was, now = (
        side_of(
            {"t": result_of("t", answers(name), name)},
            asked=AS_DECLARED,
        )
        for name in ("one", "two")
    )
    (found,) = compare_sides(was, now).tasks
    assert not found.asked_alike


def test_other_fingerprints_of_unknown_declarations_are_refused() -> None:
    was = side_of({"t": result_of("t", answers("a"), "one")})
    now = side_of({"t": result_of("t", answers("b"), "two")})
    assert refusals(was, now) == [("t", "fingerprint", "one", "two")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"main": "accuracy_per_byte"}, "main"),
        ({"chance": 0.25}, "chance"),
        ({"questions": result_of("t", [1.0]).questions}, "questions"),
    ],
)
def test_other_results_are_refused_by_name(change: dict[str, Any], field: str) -> None:
    old = result_of("t", answers("a"))
    was, now = side_of({"t": old}), side_of({"t": old.model_copy(update=change)})
    assert refusals(was, now)[0][1] == field


def test_other_questions_and_clusters_are_refused_by_name() -> None:
    old = result_of("t", answers("a"))
    turned = old.model_copy(update={"questions": old.questions[::-1]})
    assert refusals(side_of({"t": old}), side_of({"t": turned})) == [
        ("t", "questions.0.id", "0", str(COUNT - 1))
    ]
    passages = [str(at // 2) for at in range(COUNT)]
    clustered = result_of("t", answers("a"), clusters=passages)
    assert refusals(side_of({"t": old}), side_of({"t": clustered})) == [
        ("t", "questions.0.cluster", "None", "0")
    ]


def test_average_stands_only_if_every_task_was_compared() -> None:
    suites = {"mine": ("t", "u")}
    results = {name: result_of(name, answers("a", name)) for name in ("t", "u")}
    whole = side_of(results, suites=suites)
    (average,) = compare_sides(whole, whole).averages
    assert (average.name, average.tasks, average.runs.mean) == ("mine", ("t", "u"), 0)
    part = side_of({"t": results["t"]}, suites=suites)
    found = compare_sides(whole, part)
    assert found.averages == ()
    assert [(one.task, one.field) for one in found.refused] == [("mine", "tasks")]


def test_average_over_chance_puts_guessing_at_0() -> None:
    results = {"t": result_of("t", [1.0, 0.0] * 30), "u": result_of("u", [1.0] * 60)}
    side = side_of(results, suites={"mine": ("t", "u")})
    (average,) = compare_sides(side, side).averages
    assert (average.was.mean, average.was_over_chance.mean) == (0.75, 0.5)


def test_seeds_are_counted_where_both_sides_have_them() -> None:
    def side(recipe: str, seeds: int, rate: float) -> Side:
        return side_of(
            *(
                {"t": result_of("t", answers(recipe, seed, rate=rate))}
                for seed in range(seeds)
            )
        )

    (both,) = compare_sides(side("a", 3, 0.4), side("b", 2, 0.6)).tasks
    assert (both.was_seeds.num_seeds, both.now_seeds.num_seeds) == (3, 2)
    assert both.recipes is not None
    assert both.best == both.recipes
    assert both.best.mean == both.best_now[0] - both.best_was[0]
    assert both.recipes.mean != both.runs.mean
    (one,) = compare_sides(side("a", 3, 0.4), side("b", 1, 0.6)).tasks
    assert (one.recipes, one.was_seeds.num_seeds) == (None, 3)
    assert one.best_was == (one.was.mean, one.was.standard_error)


def test_tasks_of_one_table_are_corrected_together() -> None:
    def compared(names: str, rate: float) -> ScoreComparison:
        was = side_of({name: result_of(name, answers("a", name)) for name in names})
        now = side_of(
            {name: result_of(name, answers("b", name, rate=rate)) for name in names}
        )
        return compare_sides(was, now)

    table = [compared("tuv", 0.6), compared("tu", 0.75)]
    p_values = [one.best.p_value for each in table for one in each.tasks]
    found = [one.p_holm for each in corrected(table) for one in each.tasks]
    assert found == holm(p_values)
    assert any(one.is_different for each in corrected(table) for one in each.tasks)
    assert not any(one.is_different for each in table for one in each.tasks)


# Entries of a ledger.

BENCHMARKS = Benchmarks(
    tasks={name: task_of(name) for name in ("copa", "sciq")},
    asked=(Asked(item=0, suite="mine", version=1, tasks=("copa", "sciq")),),
)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(
    workspace: Path, name: str, seed: int, rate: float, epochs: int, **fields: Any
) -> str:
    """Record a run that was scored on two tasks at the end of each stage."""
    recorder = RunRecorder(Ledger.open(workspace), workspace / ".codemix/runs" / name)
    spec = {"name": name, "seed": seed}
    # What tells the recipes apart.
    spec["sources"] = {"text": {"uri": "data/*.txt", "max_epochs": epochs}}
    lock = ledger_runs.lock(fields.get("content", "text")).model_copy(
        update={"benchmarks": fields.get("benchmarks", BENCHMARKS)}
    )

    def change(kind: str, step: int, value: Any) -> Any:
        if kind != "stage_end":
            return value
        for task in ("copa", "sciq"):
            values = answers(task, name, step, rate=rate)
            mean = sum(values) / len(values)
            fingerprint = hex_of("task", task, *fields.get("asked", ()))
            result = result_of(task, values, fingerprint)
            detail = {**result.to_json(), "more": 1}
            recorder.scores(step, task, {"accuracy": mean}, detail)
        recorder.scores(step, "mine", {"average": 0.5}, {})
        return hex_of("weights", name, step)

    facts = ledger_runs.facts.__wrapped__(spec=spec, lock=lock, identity=hex_of(name))
    ledger_runs.play(recorder, run_facts=facts, change=change)
    assert recorder.digest is not None
    return recorder.digest


def codemix(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="codemix")


def last(found: Sequence[BenchmarkDiff]) -> BenchmarkDiff:
    (one,) = [each for each in found if each.is_last]
    return one


def test_diff_pairs_the_benchmarks_of_two_entries(workspace: Path) -> None:
    train(workspace, "was", 1, 0.4, epochs=100)
    train(workspace, "now", 1, 0.65, epochs=99)
    told = codemix("diff", "was", "now")
    assert told.exit_code == 1
    lines = told.output.splitlines()
    start = lines.index("benchmarks after text, in points: now - the first")
    names = [line.split()[0] for line in lines[start + 2 : start + 5]]
    assert names == ["mine", "copa", "sciq"]
    copa = answers("copa", "was", 12, rate=0.4), answers("copa", "now", 12, rate=0.65)
    known = paired_difference(*copa, [None] * COUNT)
    row = lines[start + 3]
    assert f"{100 * known.mean:+.2f} ({100 * (known.low or 0):+.2f} to" in row
    assert row.endswith("*  questions")
    assert "*: different at 5% among 2 tasks, 1 average" in told.output
    assert "item error only: seeds were not repeated" in told.output
    # Told once: the table of other scores has what no benchmark table has.
    after = [line for line in lines if line.startswith("copa/accuracy")]
    assert [line.split()[1] for line in after] == ["balanced"]


def test_diff_takes_the_other_seeds_of_the_ledger_along(workspace: Path) -> None:
    for seed in (1, 2, 3):
        train(workspace, f"was-{seed}", seed, 0.4, epochs=100)
        train(workspace, f"now-{seed}", seed, 0.6, epochs=99)
    found = json.loads(codemix("diff", "was-1", "now-1", "--json").output)
    stages = [(one["stage"], one["is_last"]) for one in found["benchmarks"]]
    assert stages == [("balanced", False), ("text", True)]
    for one in (*found["benchmarks"][1]["tasks"], *found["benchmarks"][1]["averages"]):
        assert [one[side]["num_seeds"] for side in ("was_seeds", "now_seeds")] == [3, 3]
        assert one["recipes"]["standard_error"] > 0
    told = codemix("diff", "was-1", "now-1").output
    assert "differences over seeds and questions; seeds on either side: 3 and 3" in told


def test_runs_of_other_bytes_are_no_repeats(workspace: Path) -> None:
    for name, seed, content in (("was-1", 1, "text"), ("was-2", 2, "other")):
        train(workspace, name, seed, 0.4, epochs=100, content=content)
    train(workspace, "now", 1, 0.6, epochs=99)
    for one in last(diff(("was-1", "now")).benchmarks).tasks:
        assert one.was_seeds.num_seeds == 1


def test_seeds_that_were_asked_otherwise_are_no_repeats() -> None:
    def scored(*fingerprints: str) -> Scored:
        results = [
            {"t": {each: result_of("t", answers(each), each)}} for each in fingerprints
        ]
        return Scored(results[0], tuple(results[1:]), asked={}, suites={})

    was, now = sides_of(scored("one", "two", "one"), scored("one"))
    assert [run["t"].fingerprint for run in was.runs if run] == ["one", "one"]
    assert len(now.runs) == 1


def test_result_that_both_were_asked_alike_is_chosen() -> None:
    def scored(*fingerprints: str) -> Scored:
        found = {each: result_of("t", answers(each), each) for each in fingerprints}
        return Scored({"t": found}, (), asked={}, suites={})

    was, now = sides_of(scored("old", "both", "new"), scored("both", "other"))
    assert was.runs[0]["t"].fingerprint == now.runs[0]["t"].fingerprint == "both"
    was, now = sides_of(scored("old", "new"), scored("other"))
    assert was.runs[0]["t"].fingerprint == "new"


def test_evaluations_made_later_are_compared_with_their_suites(
    workspace: Path,
) -> None:
    ledger = Ledger.open(workspace)
    boolq = evaluated.BOOLQ
    for name, rate in (("was", 0.4), ("now", 0.7)):
        digest = train(workspace, name, 1, rate, epochs=100 if name == "was" else 99)
        values = answers("boolq", name, rate=rate)
        detail = result_of("boolq", values, boolq.fingerprint).to_json()
        score = evaluated.Score("boolq", {"accuracy": sum(values) / COUNT}, detail)
        evaluated.evaluate(ledger, digest, name=name, tasks=[boolq], scores=[score])
    found = last(diff(("was", "now")).benchmarks)
    assert [one.name for one in found.tasks] == ["boolq", "copa", "sciq"]
    assert [one.name for one in found.averages] == ["mine", "quick"]
    known = answers("boolq", "was", rate=0.4), answers("boolq", "now", rate=0.7)
    assert found.tasks[0].runs == paired_difference(*known, [None] * COUNT)


def test_diff_says_what_is_not_compared(workspace: Path) -> None:
    train(workspace, "was", 1, 0.4, epochs=100)
    tasks = {"copa": task_of("copa", "Q: {{ question }}"), "sciq": task_of("sciq")}
    other = BENCHMARKS.model_copy(update={"tasks": tasks})
    train(workspace, "now", 1, 0.6, epochs=99, benchmarks=other, asked=("otherwise",))
    told = codemix("diff", "was", "now").output
    assert (
        "not compared: copa, asked otherwise: prompt: "
        "{{ question }} -> Q: {{ question }}\n"
    ) in told
    assert "not compared: mine, asked otherwise: tasks: " in told
    # The same declaration under another fingerprint.
    assert "~: the same data and prompts, but in other shapes or by other code" in told


def test_damaged_results_are_not_compared(workspace: Path) -> None:
    digest = train(workspace, "was", 1, 0.4, epochs=100)
    train(workspace, "now", 1, 0.6, epochs=99)
    ledger = Ledger.open(workspace)
    entry: Any = ledger.read(digest)
    detail = next(one.detail for one in entry.scores if one.suite == "copa")
    path = ledger.objects.path(detail.sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"accuracy":1', b'"accuracy":0'))
    told = codemix("diff", "was", "now")
    assert told.exit_code == 1
    assert detail.sha256[:12] in told.output
    assert "benchmarks" not in told.output


def test_page_has_a_forest_of_differences(workspace: Path) -> None:
    train(workspace, "was", 1, 0.4, epochs=100)
    train(workspace, "now", 1, 0.65, epochs=99)
    diff(("was", "now"), workspace / "one.html")
    diff(("was", "now"), workspace / "two.html")
    page = (workspace / "one.html").read_text()
    assert page == (workspace / "two.html").read_text()
    found = last(diff(("was", "now")).benchmarks)
    for one in (*found.averages, *found.tasks):
        assert f"{100 * one.best.mean:+.2f} (" in page
    assert 'aria-label="differences in points with 95% intervals: mine, average' in page


def test_entries_without_results_per_question_have_no_benchmarks(
    workspace: Path,
) -> None:
    for name in ("was", "now"):
        recorder = RunRecorder(Ledger.open(workspace), workspace / "runs" / name)
        facts = ledger_runs.facts.__wrapped__(spec={"name": name})
        ledger_runs.play(recorder, run_facts=facts)
    assert diff(("was", "now")).benchmarks == ()
    assert "benchmarks" not in codemix("diff", "was", "now").output


def test_results_of_another_form_are_an_error_that_helps(workspace: Path) -> None:
    ledger = Ledger.open(workspace)
    for name, epochs in (("was", 100), ("now", 99)):
        digest = train(workspace, name, 1, 0.4, epochs=epochs)
        score = evaluated.score(evaluated.BOOLQ, answers("boolq"))
        evaluated.evaluate(
            ledger, digest, name=name, tasks=[evaluated.BOOLQ], scores=[score]
        )
    told = codemix("diff", "was", "now")
    assert told.exit_code == 4
    assert "the results of boolq are not as this codemix writes them" in told.output
