"""`extends: {entry, after}`: a spec that goes on from a run of the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specs.canonical import canonical_json
from specs.errors import SpecError
from specs.experiment import experiment_digest
from specs.loading import load_experiment, load_experiments
from specs.resolve import plan_experiment
from specs.write_resolved import write_resolved

BASE = """\
codemix: 1
name: base
description: of the base
seed: 17
model: {layers: 1, width: 32, heads: 2, ffn_width: 64}
tokenizer: {vocab_size: 512, file: tokenizers/small.model}
sources:
  text: {uri: data/text.jsonl, holdout: 1%}
  web: {uri: data/web.jsonl, max_epochs: 2}
  math: {uri: data/math.jsonl}
mixtures:
  code: {web: 1}
batch: {sequences: 8, length: 64}
stages:
  - name: balanced
    tokens: 64K
    mixture: {text: 50, code: 50}
    learning_rate: {schedule: cosine, warmup_steps: 10, peak: 1.0e-3, final: 3.0e-4}
  - name: text
    tokens: 32K
    mixture: {text: 80, code: 20}
    optimizer: keep
    learning_rate: {schedule: constant, peak: previous}
  - name: cooldown
    tokens: 32K
    mixture: {math: 1}
    optimizer: keep
    learning_rate: {schedule: linear, peak: previous, final: 1.0e-6}
evals: [{suite: heldout}]
"""

STAGES = """\
stages:
  - name: more
    tokens: 16K
    mixture: {text: 1}
    optimizer: keep
    learning_rate: {schedule: linear, peak: previous, final: 1.0e-6}
"""


class Workspace:
    """A workspace with a made-up ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".dvc").mkdir(parents=True)
        (folder / "base.yaml").write_text(BASE)
        self.base = load_experiment(folder / "base.yaml")

    def add(self, **changes: Any) -> str:
        """Keep an entry of the base; return its digest."""
        names = [stage.name for stage in self.base.stages]
        entry = {
            "kind": "run",
            "determinism": "exact",
            "spec": self.base.to_json(),
            "stages": [{"name": name, "identity": "a" * 64} for name in names],
            **changes,
        }
        data = canonical_json(entry)
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / ".codemix" / "ledger" / "entries" / f"{digest}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return digest

    def write(self, entry: str, after: str = "text", text: str = STAGES) -> Path:
        """Write a spec that goes on from an entry."""
        path = self.folder / "more.yaml"
        head = f"extends: {{entry: {json.dumps(entry)}, after: {after}}}"
        path.write_text(f"codemix: 1\nname: more\n{head}\n{text}")
        return path


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def refusal(path: Path) -> list[Any]:
    with pytest.raises(SpecError, match=r".") as caught:
        load_experiments(path)
    return list(caught.value.problems)


def test_the_stages_of_the_run_are_kept_and_new_ones_come_behind(
    workspace: Workspace,
) -> None:
    digest = workspace.add()
    experiment = load_experiment(workspace.write(digest[:12]))
    names = [stage.name for stage in experiment.stages]
    assert names == ["balanced", "text", "more"]
    assert experiment.stages[:2] == workspace.base.stages[:2]
    assert (experiment.name, experiment.description) == ("more", "")
    assert experiment.evals == workspace.base.evals
    # What no stage draws from any more is left out.
    assert set(experiment.sources) == {"text", "web"}
    assert experiment.amends is not None
    assert (experiment.amends.entry, experiment.amends.after) == (digest, "text")
    plans = plan_experiment(experiment), plan_experiment(workspace.base)
    assert plans[0].stages[:2] == plans[1].stages[:2]


def test_where_a_spec_comes_from_changes_no_digest(workspace: Workspace) -> None:
    experiment = load_experiment(workspace.write(workspace.add()))
    plain = experiment.model_copy(update={"amends": None})
    assert experiment_digest(plain) == experiment_digest(experiment)
    assert plan_experiment(plain).digest == plan_experiment(experiment).digest


def test_it_can_be_written_out_and_still_names_the_run(workspace: Workspace) -> None:
    experiment = load_experiment(workspace.write(workspace.add()))
    path = workspace.folder / ".codemix" / "studies" / "s" / "more.yaml"
    write_resolved(path, experiment, "for people")
    assert load_experiment(path) == experiment


def test_a_file_may_extend_one_that_goes_on_from_a_run(workspace: Workspace) -> None:
    workspace.write(workspace.add())
    heir = workspace.folder / "heir.yaml"
    stages = STAGES.replace("16K", "32K")
    heir.write_text(f"codemix: 1\nname: heir\nextends: more.yaml\n{stages}")
    experiment = load_experiment(heir)
    assert [stage.name for stage in experiment.stages] == ["balanced", "text", "more"]
    assert experiment.stages[2].tokens == 32_000
    assert experiment.amends is not None


def test_a_matrix_may_vary_what_comes_after(workspace: Workspace) -> None:
    text = f"{STAGES}matrix: {{stages.2.tokens: [16K, 32K]}}\n"
    found = load_experiments(workspace.write(workspace.add(), text=text))
    assert [one.stages[2].tokens for one in found] == [16_000, 32_000]
    text = f"{STAGES}matrix: {{stages.1.tokens: [16K, 32K]}}\n"
    (problem,) = refusal(workspace.write(workspace.add(), text=text))
    assert "stages.1.sequences." in problem.what


@pytest.mark.parametrize(
    "text",
    [
        "seed: 17\nbatch: {length: 64}\nsources: {web: {max_epochs: 9}}\n",
        "sources: {new: {uri: data/new.jsonl}}\nmixtures: {mine: {new: 1}}\n",
        "logging: {every_steps: 5}\nevals: []\ncheckpoints: {every_steps: 7}\n",
        "parallel: {slices: 2}\n",
    ],
)
def test_what_decides_no_bit_of_the_prefix_may_change(
    workspace: Workspace, text: str
) -> None:
    stages = (
        STAGES.replace("{text: 1}", "{text: 1, mine: 1}") if "mine" in text else STAGES
    )
    assert load_experiment(workspace.write(workspace.add(), text=f"{text}{stages}"))


CHANGES = {
    "seed": ("seed: 18", "seed was 17, is 18"),
    "model": ("model: {layers: 2}", "model.layers was 1, is 2"),
    "preset": ("model: {preset: debug}", "model.layers was 1, is 2"),
    "tokenizer": ("tokenizer: {file: b.model}", "tokenizer.file was 'tokenizers/s"),
    "vocabulary": ("tokenizer: {vocab_size: 300}", "tokenizer.vocab_size was 512, is"),
    "optimizer": ("optimizer: {beta2: 0.9}", "optimizer.beta2 was '0.95', is '0.9'"),
    "precision": ("precision: {compute: bfloat16}", "precision.compute was"),
    "batch": ("batch: {sequences: 4}", "stages.0.sequences_per_step was 8, is 4"),
    "lane": ("batch: {lane: 2}", "stages.0.lane_sequences was 1, is 2"),
    "source": ("sources: {text: {uri: data/b.jsonl}}", "sources.text.uri was"),
    "held out": ("sources: {text: {holdout: 2%}}", "holdout was '0.01', is '0.02'"),
    "mixture": (
        "mixtures: {code: {text: 1}}",
        "stages.0.sequences.text was 500, is 1000",
    ),
    "tensor": ("parallel: {tensor: 2}", "parallel.tensor was 1, is 2"),
    "determinism": ("determinism: fast", "determinism was 'exact', is 'fast'"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_decides_the_bits_of_the_prefix_is_immutable(
    workspace: Workspace, name: str
) -> None:
    text, what = CHANGES[name]
    problems = refusal(workspace.write(workspace.add(), text=f"{text}\n{STAGES}"))
    told = [problem.what for problem in problems]
    assert any(what in one for one in told), told
    assert all("keeps the trained prefix immutable" in one for one in told)
    for problem in problems:
        assert (problem.file, problem.line) == (str(workspace.folder / "more.yaml"), 4)
        assert problem.fix


def test_longer_sequences_later_on_change_the_prefix_too(workspace: Workspace) -> None:
    stages = f"{STAGES}    batch: {{sequences: 8, length: 128}}\n"
    (problem,) = refusal(workspace.write(workspace.add(), text=stages))
    assert "longest sequence length was 64, is 128" in problem.what


Made = Callable[[Workspace], Path]

WRONG: dict[str, tuple[Made, str, str]] = {
    "unknown": (
        lambda w: w.write("abcd1234"),
        "no entry of this ledger begins",
        "list",
    ),
    "short": (lambda w: w.write(w.add()[:3]), "must be the first 4", "ledger list"),
    "a name": (lambda w: w.write("base"), "must be the first 4", "ledger list"),
    "changed": (lambda w: w.write(changed(w)), "was changed: its bytes", "a copy"),
    "replay": (
        lambda w: w.write(w.add(kind="replay", original="c" * 64)),
        "is not a run: replay",
        "name the run that it is about, cccccccccccc",
    ),
    "fast": (lambda w: w.write(w.add(determinism="fast")), "promises no bits", "go on"),
    "stage": (lambda w: w.write(w.add(), "txt"), "no stage 'txt' came to", "'text'?"),
    "unended": (
        lambda w: w.write(w.add(stages=[{"name": "text", "identity": None}])),
        "no stage 'text' came to its end",
        "there are none",
    ),
    "no stages": (lambda w: w.write(w.add(), text=""), "is required", "after 'text'"),
    "name taken": (
        lambda w: w.write(w.add(), text=STAGES.replace("more", "text")),
        "must be unique",
        "rename",
    ),
}


def changed(workspace: Workspace) -> str:
    digest = workspace.add()
    path = workspace.folder / ".codemix" / "ledger" / "entries" / f"{digest}.json"
    path.write_bytes(path.read_bytes().replace(b'"seed":17', b'"seed":18'))
    return digest


@pytest.mark.parametrize("name", WRONG)
def test_a_run_that_can_not_be_gone_on_from_is_refused_with_the_fix(
    workspace: Workspace, name: str
) -> None:
    make, what, fix = WRONG[name]
    (problem,) = refusal(make(workspace))
    assert what in problem.what
    assert fix in problem.fix
    assert problem.line in (1, 2, 3, 5)


def test_two_entries_of_one_beginning_are_told_apart(workspace: Workspace) -> None:
    entries = workspace.folder / ".codemix" / "ledger" / "entries"
    digest = workspace.add()
    (entries / f"{digest[:8]}{'0' * 56}.json").write_text("{}")
    (problem,) = refusal(workspace.write(digest[:8]))
    assert "means 2 entries" in problem.what
    assert digest[:12] in problem.fix


def test_outside_of_a_workspace_there_is_no_run_to_go_on_from(tmp_path: Path) -> None:
    path = tmp_path / "more.yaml"
    path.write_text(
        f"codemix: 1\nname: more\nextends: {{entry: abcd, after: text}}\n{STAGES}"
    )
    (problem,) = refusal(path)
    assert "no folder above this file is a workspace" in problem.what
