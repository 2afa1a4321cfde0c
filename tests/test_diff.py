"""`codemix diff`: differences in meaning, between specs, revisions and entries."""

from __future__ import annotations

import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ledger_runs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_examples import RATE, document, experiments, stage

from codemix_cli.diff_text import told_comparison
from evals.statistics.diff import diff
from ledger.bundle_write import export_bundle
from ledger.compare import compare
from ledger.paired import questions_interval, steps_interval
from ledger.recorder import StepRecord
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from specs.consequences import diff_specs
from specs.declared import declared_identities
from specs.diff import Side, changes_of
from specs.errors import CodemixError
from specs.experiment import Experiment

TWO_STAGES = [
    stage("one", 10_000, {"text": 3, "web": 1}, optimizer=None),
    stage("two", 10_000, {"text": 1, "web": 1}),
]


def side(**changes: Any) -> Side:
    return Side.of(Experiment.model_validate(document(**changes)))


def kinds(was: Side, now: Side) -> dict[str, str]:
    return {change.path: change.kind for change in changes_of(was, now)}


# One leaf each, and what it is known to do: the weights follow from some alone.
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 5}, "identity"),
    "precision.compute": ({"precision": {"compute": "bfloat16"}}, "identity"),
    "optimizer.weight_decay": ({"optimizer": {"weight_decay": 0.2}}, "identity"),
    "batch.accumulation": (
        {"batch": {"sequences": 8, "length": 16, "accumulation": 2}},
        "execution",
    ),
    "parallel.gather": ({"parallel": {"gather": "layer"}}, "execution"),
    "parallel.slices": ({"parallel": {"slices": 2}}, "execution"),
    "parallel.tensor": ({"parallel": {"tensor": 2}}, "identity"),
    "logging.every_steps": ({"logging": {"every_steps": 3}}, "execution"),
    "checkpoints.keep_last": ({"checkpoints": {"keep_last": 5}}, "execution"),
    "checkpoints.location": ({"checkpoints": {"location": "states"}}, "execution"),
    "determinism": ({"determinism": "fast"}, "identity"),
    "evals": ({"evals": [{"suite": "heldout"}]}, "scores"),
    "description": ({"description": "why"}, "words"),
    "tags": ({"tags": ["b"]}, "words"),
    "tokenizer.file": ({"tokenizer": {"vocab_size": 512, "file": "u"}}, "identity"),
}


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_has_the_class_of_what_it_does(path: str) -> None:
    changes, kind = CHANGES[path]
    assert kinds(side(), side(**changes)) == {path: kind}


@given(st.sampled_from(sorted(CHANGES)), st.sampled_from(sorted(CHANGES)))
@settings(max_examples=25)
def test_no_change_of_class_identity_exactly_where_identities_are_equal(
    first: str, second: str
) -> None:
    was, now = side(**CHANGES[first][0]), side(**CHANGES[second][0])
    is_equal = declared_identities(was.experiment, was.plan) == declared_identities(
        now.experiment, now.plan
    )
    assert ("identity" not in kinds(was, now).values()) == is_equal


@given(experiments())
@settings(max_examples=20)
def test_a_spec_does_not_differ_from_itself(experiment: Experiment) -> None:
    found = diff_specs(Side.of(experiment), Side.of(experiment))
    assert found.changes == ()
    assert found.num_kept == len(experiment.stages)
    assert found.first_rate_step is None


@given(experiments(), experiments())
@settings(max_examples=20)
def test_differences_are_the_same_seen_from_either_side(
    one: Experiment, other: Experiment
) -> None:
    there = changes_of(Side.of(one), Side.of(other))
    back = changes_of(Side.of(other), Side.of(one))
    assert {(c.was, c.now) for c in there} == {(c.now, c.was) for c in back}


def test_scaled_weights_are_no_other_weights() -> None:
    scaled = [stage("one", 10_000, {"text": 75, "web": 25}, optimizer=None)]
    plain = [stage("one", 10_000, {"text": 3, "web": 1}, optimizer=None)]
    was, now = side(stages=plain), side(stages=scaled)
    assert kinds(was, now) == {"stages.one.mixture": "execution"}


def test_a_later_stage_that_changes_leaves_the_earlier_one_to_be_taken_over() -> None:
    later = [TWO_STAGES[0], {**TWO_STAGES[1], "mixture": {"text": 1}}]
    found = diff_specs(side(stages=TWO_STAGES), side(stages=later))
    assert [one.is_kept for one in found.stages] == [True, False]
    assert found.num_kept == 1
    assert found.stages[1].sequences["web"].now == 0


def test_a_renamed_stage_is_the_same_stage() -> None:
    renamed = [{**TWO_STAGES[0], "name": "first"}, TWO_STAGES[1]]
    was, now = side(stages=TWO_STAGES), side(stages=renamed)
    assert kinds(was, now) == {"stages.one.name": "words"}
    assert diff_specs(was, now).num_kept == 2


def test_a_stage_that_is_added_is_new_and_the_others_are_kept() -> None:
    longer = [*TWO_STAGES, stage("three", 5000, {"text": 1})]
    found = diff_specs(side(stages=TWO_STAGES), side(stages=longer))
    assert [(one.was, one.now) for one in found.stages][-1] == (None, "three")
    assert found.num_kept == 2
    assert found.numbers["num_steps"].now > found.numbers["num_steps"].was


def test_learning_rates_differ_from_the_first_step_that_does() -> None:
    def warm(final: float) -> list[Any]:
        rate = {"schedule": "cosine", "warmup_steps": 9, "peak": 0.01, "final": final}
        return [{**TWO_STAGES[0], "learning_rate": rate}, TWO_STAGES[1]]

    found = diff_specs(side(stages=warm(0.001)), side(stages=warm(0.002)))
    assert found.first_rate_step == 9
    assert found.stages[0].peak_rate.is_same
    assert not found.stages[0].final_rate.is_same


def test_a_preset_written_out_is_no_difference() -> None:
    preset = side()
    sizes = preset.experiment.model.to_json()
    written = side(model={**sizes, "preset": None})
    assert kinds(preset, written) == {}


def test_equal_steps_have_no_interval_and_far_ones_one_without_zero() -> None:
    assert steps_interval([0.5] * 3).low is None
    apart = steps_interval([1.0 + (-1) ** step * 0.1 for step in range(100)])
    assert apart.low is not None
    assert apart.low > 0.9
    assert apart.high is not None
    assert apart.high < 1.1


def test_steps_that_hang_together_have_a_wider_interval_than_questions() -> None:
    wave = [1.0 if (step // 40) % 2 else -1.0 for step in range(400)]
    steps, questions = steps_interval(wave), questions_interval(wave)
    assert steps.high is not None
    assert questions.high is not None
    assert steps.high > 2 * questions.high


# Specs in files and in git.


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(document(**changes)))


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def test_a_spec_of_an_earlier_revision_is_read_with_what_it_extended(
    workspace: Path,
) -> None:
    write(workspace / "base.yaml")
    (workspace / "heir.yaml").write_text("codemix: 1\nname: heir\nextends: base.yaml\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    write(workspace / "base.yaml", seed=77)
    found = compare(("HEAD:heir.yaml", "heir.yaml"))
    (change,) = found.others[0].spec.changes
    assert (change.path, change.now) == ("seed", "77")
    assert not found.is_same


@pytest.mark.parametrize(
    ("operand", "told"),
    [
        ("HEAD:bases.yaml", "did you mean 'base.yaml'"),
        ("nowhere:base.yaml", "no such revision"),
        ("nothing.yaml", "no such file"),
        ("feed", "no entry of the ledger"),
    ],
)
def test_what_is_not_there_is_named(workspace: Path, operand: str, told: str) -> None:
    write(workspace / "base.yaml")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    with pytest.raises(CodemixError, match=told):
        compare(("base.yaml", operand))


def test_one_experiment_of_a_matrix_is_named(workspace: Path) -> None:
    write(workspace / "study.yaml", matrix={"seed": [1, 2]})
    with pytest.raises(CodemixError, match="stands for 2 experiments") as caught:
        compare(("study.yaml", "study.yaml"))
    first = str(caught.value.problems[0].fix).split("#")[1].split(";")[0]
    names = str(caught.value.problems[0].fix).split("all: ")[1].split(", ")
    assert first == names[0]
    found = compare((f"study.yaml#{names[0]}", f"study.yaml#{names[1]}"))
    assert [change.path for change in found.others[0].spec.changes] == ["seed", "name"]


# Entries.


def record(ledger: Ledger, folder: Path, name: str, **how: Any) -> str:
    recorder = RunRecorder(ledger, folder / name)
    ledger_runs.play(recorder, **how)
    assert recorder.digest is not None
    return recorder.digest


def other_weights(kind: str, step: int, value: Any) -> Any:
    if kind == "step" and step >= 5:
        metrics = value.metrics and {**value.metrics, "loss": 9.0}
        weights = ledger_runs.hex_of("other", step, digits=32)
        return value.model_copy(update={"weights": weights, "metrics": metrics})
    return value


def other_batch(kind: str, step: int, value: Any) -> Any:
    if kind == "step" and step == 7:
        assert isinstance(value, StepRecord)
        return value.model_copy(update={"batch": "0" * 32})
    return value


@pytest.fixture
def entries(workspace: Path) -> dict[str, str]:
    ledger = Ledger.open(workspace)
    runs = workspace / ".codemix" / "runs"
    environment = ledger_runs.environment(jaxlib="0.10.3")
    later = ledger_runs.facts().model_copy(update={"environment": environment})
    return {
        "plain": record(ledger, runs, "plain"),
        "weights": record(
            ledger, runs, "weights", change=other_weights, run_facts=later
        ),
        "batch": record(ledger, runs, "batch", change=other_batch),
        "short": record(ledger, runs, "short", stop=8),
    }


def results(entries: dict[str, str], name: str) -> Any:
    found = compare((entries["plain"], entries[name])).others[0].results
    assert found is not None
    return found


def test_runs_part_at_the_first_step_of_other_weights(entries: dict[str, str]) -> None:
    found = results(entries, "weights")
    assert (found.parting.step, found.parting.channel) == (5, "weights")
    assert found.num_equal_steps == 5
    assert found.differences[0].path == "environment.distributions.jaxlib"


def test_runs_part_at_the_first_step_of_another_batch(entries: dict[str, str]) -> None:
    found = results(entries, "batch")
    assert (found.parting.step, found.parting.channel) == (7, "batch")


def test_a_run_that_ends_early_parts_where_it_ends(entries: dict[str, str]) -> None:
    found = results(entries, "short")
    assert (found.parting.step, found.parting.channel) == (8, "length")


def test_metrics_stand_side_by_side_from_where_they_differ(
    entries: dict[str, str],
) -> None:
    found = results(entries, "weights")
    loss = next(m for m in found.metrics if (m.stage, m.name) == ("balanced", "loss"))
    assert loss.first_step == 6
    assert float(loss.now) == 9.0
    odd = next(m for m in found.metrics if (m.stage, m.name) == ("balanced", "odd"))
    assert odd.first_step is None


def test_one_run_recorded_twice_does_not_differ(workspace: Path) -> None:
    ledger = Ledger.open(workspace)
    runs = workspace / ".codemix" / "runs"
    first, second = (record(ledger, runs, name) for name in ("one", "two"))
    found = compare((first, second))
    assert first != second
    assert found.is_same
    assert found.others[0].results is not None
    assert found.others[0].results.parting is None


def test_more_than_two_are_each_compared_with_the_first(
    entries: dict[str, str],
) -> None:
    found = compare((entries["plain"], entries["weights"], entries["batch"]))
    parted = [one.results.parting.step for one in found.others if one.results]  # type: ignore[union-attr]
    assert parted == [5, 7]
    names = ("plain", "weights", "batch")
    assert set(found.final) == {entries[name][:12] for name in names}


def test_the_table_of_several_tells_what_parted_and_each_stages_weights(
    entries: dict[str, str],
) -> None:
    found = compare((entries["plain"], entries["weights"], entries["batch"]))
    rows = {
        cells[0]: cells[1:]
        for line in told_comparison(found).splitlines()
        if (cells := [cell for cell in line.split("  ") if cell.strip()])
    }
    stated = [cell.strip() for cell in rows["parts at step"]]
    assert stated == ["-", "5 (weights)", "7 (batch)"]
    assert {cell.strip() for cell in rows["determinism"]} == {"exact"}
    assert {"weights of balanced", "weights of text"} <= rows.keys()


def test_a_bundle_is_compared_as_the_entry_in_it(
    entries: dict[str, str], workspace: Path
) -> None:
    bundle = workspace / "plain.crate.zip"
    export_bundle(entries["plain"], workspace=workspace, output=bundle)
    (same,) = compare((str(bundle), entries["plain"])).others
    assert same.is_same
    assert same.results is not None
    (other,) = compare((str(bundle), entries["weights"])).others
    assert other.results is not None
    assert other.results.parting is not None
    assert other.results.parting.step == 5


def test_a_bundle_that_was_cut_off_is_refused(
    entries: dict[str, str], workspace: Path
) -> None:
    bundle = workspace / "plain.crate.zip"
    export_bundle(entries["plain"], workspace=workspace, output=bundle)
    bundle.write_bytes(bundle.read_bytes()[:-200])
    with pytest.raises(CodemixError, match="only a part of one"):
        compare((str(bundle), entries["plain"]))


def test_a_spec_and_an_entry_are_compared_by_what_they_say(
    entries: dict[str, str], workspace: Path
) -> None:
    write(workspace / "a.yaml")
    (other,) = compare(("a.yaml", entries["plain"])).others
    assert other.results is None
    assert "seed" in {change.path for change in other.spec.changes}


class Page(HTMLParser):
    """Checks that tags close in order, and collects where links lead."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [str(v) for key, v in attrs if key in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_needs_no_network_and_is_the_same_each_time(
    entries: dict[str, str], workspace: Path
) -> None:
    texts = (entries["plain"], entries["weights"])
    diff(texts, workspace / "one.html")
    diff(texts, workspace / "two.html")
    written = (workspace / "one.html").read_bytes()
    assert written == (workspace / "two.html").read_bytes()
    page = Page()
    page.feed(written.decode())
    assert page.open == []
    assert page.seen.count("svg") >= 3
    assert all(link.startswith("#") for link in page.links)
    assert b"url(http" not in written


def test_what_people_write_is_no_markup(workspace: Path) -> None:
    write(workspace / "a.yaml")
    write(workspace / "b.yaml", description="<script>alert(1)</script>")
    diff(("a.yaml", "b.yaml"), workspace / "page.html")
    assert "<script>" not in (workspace / "page.html").read_text()


def test_a_page_that_can_not_be_written_is_told(workspace: Path) -> None:
    write(workspace / "a.yaml")
    page = workspace / "a.yaml" / "pages" / "page.html"
    with pytest.raises(CodemixError, match="can't be written: Not a directory"):
        diff((str(workspace / "a.yaml"),) * 2, page)


def test_the_learning_rate_of_a_spec_is_drawn(workspace: Path) -> None:
    write(workspace / "a.yaml")
    rate = {**RATE, "peak": 0.5}
    write(workspace / "b.yaml", stages=[{**TWO_STAGES[0], "learning_rate": rate}])
    diff(("a.yaml", "b.yaml"), workspace / "page.html")
    assert "learning_rate by step" in (workspace / "page.html").read_text()
