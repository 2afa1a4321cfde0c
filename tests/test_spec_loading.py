"""Loading: what a file means, what it inherits, what it stands for."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spec_examples import experiments

from specs import upgrade
from specs.errors import InputError, SpecError
from specs.experiment import Experiment, experiment_digest
from specs.loading import (
    load_experiment,
    load_experiments,
    load_lock,
    lock_path,
    save_lock,
)
from specs.lock import Lock, LockedFile, LockedInput, LockedStore
from specs.workspace import find_workspace
from specs.yaml_values import parse_document

GOOD = Path(__file__).parent / "good_specs"
SHIPPED = sorted((Path(__file__).parent.parent / "specs").glob("*.yaml"))
EVERYTHING = load_experiment(GOOD / "everything.yaml")
LEAST = """\
codemix: 1
name: heir
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write(tmp_path, "base.yaml", (GOOD / "parents" / "base.yaml").read_text())


def heir(base: Path, text: str) -> Experiment:
    text = f"{LEAST}extends: {base.name}\n{text}"
    return load_experiment(write(base.parent, "heir.yaml", text))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_spec_is_good(path: Path) -> None:
    assert load_experiments(path)


def test_yaml_means_what_it_says() -> None:
    one = EVERYTHING
    assert one.seed == 2**53 - 1
    assert one.model.norm_epsilon == 1e-6
    assert one.optimizer.beta2 == 0.99
    assert one.tokenizer.train is not None
    assert one.tokenizer.train.sample_bytes == 1_500_000
    assert one.sources["text"].holdout == 0.005
    assert one.sources["text"].where["draft"] is False
    assert [stage.tokens for stage in one.stages] == [50_000, 30_000, 20_000, 40_000]
    assert one.description == "All of it: colons, \u00e9 and '#'."


def test_an_explicit_size_beside_a_preset_wins() -> None:
    assert (EVERYTHING.model.layers, EVERYTHING.model.width) == (3, 96)


@pytest.mark.parametrize(
    ("batch", "lane"),
    [
        ("{sequences: 512, length: 8}", 64),
        ("{sequences: 12, length: 8}", 3),
        ("{sequences: 7, length: 8}", 7),
        ("{sequences: 8, length: 8, lane: 8}", 8),
    ],
)
def test_a_lane_is_an_eighth_of_the_batch_or_as_near_as_divides_it(
    batch: str, lane: int, tmp_path: Path
) -> None:
    text = (GOOD / "least.yaml").read_text()
    text = text.replace("{sequences: 1, length: 2}", batch)
    path = write(tmp_path, "x.yaml", text.replace("tokens: 2", "tokens: 10K"))
    assert load_experiment(path).batch.lane == lane


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n"])
def test_line_ends_and_a_byte_order_mark_change_nothing(
    newline: str, tmp_path: Path
) -> None:
    text = (GOOD / "everything.yaml").read_text("utf-8")
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", newline).encode())
    assert load_experiment(path) == EVERYTHING


def test_a_resolved_spec_loads_as_itself(tmp_path: Path) -> None:
    path = write(tmp_path, "x.yaml", json.dumps(EVERYTHING.to_json()))
    assert load_experiment(path) == EVERYTHING
    assert experiment_digest(load_experiment(path)) == experiment_digest(EVERYTHING)


@given(experiments())
def test_what_is_written_out_loads_as_itself(experiment: Experiment) -> None:
    text = json.dumps(experiment.to_json())
    value = parse_document(text, "dumped.yaml").value
    assert Experiment.model_validate(value) == experiment


def test_an_experiment_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        EVERYTHING.seed = 1  # type: ignore[misc]


# Digest


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(one) for one in value] if isinstance(value, list) else value


def test_the_digest_ignores_the_order_of_keys_and_words_for_people() -> None:
    document = reversed_keys(EVERYTHING.to_json())
    document |= {"name": "other", "description": "Other.", "tags": []}
    other = Experiment.model_validate(document)
    assert experiment_digest(other) == experiment_digest(EVERYTHING)


def test_the_digest_is_that_of_the_sizes_and_not_of_the_preset(tmp_path: Path) -> None:
    text = (GOOD / "least.yaml").read_text()
    sizes = "{layers: 1, width: 4, heads: 2, ffn_width: 1}"
    written = "{layers: 2, width: 32, heads: 2, kv_heads: 2, ffn_width: 64}"
    digests = {
        experiment_digest(
            load_experiment(write(tmp_path, "x.yaml", text.replace(sizes, model)))
        )
        for model in ("{preset: debug}", written)
    }
    assert len(digests) == 1


def test_the_digest_does_not_know_where_checkpoints_lie() -> None:
    document = EVERYTHING.to_json()
    for location in ("/mnt/runs", "s3://bucket/runs", "gs://bucket"):
        document["checkpoints"]["location"] = location
        other = Experiment.model_validate(document)
        assert other.checkpoints.location == location
        assert experiment_digest(other) == experiment_digest(EVERYTHING)


def leaves(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in leaves(value[key], (*place, key))]
    if isinstance(value, list):
        return [
            leaf
            for index, one in enumerate(value)
            for leaf in leaves(one, (*place, index))
        ]
    return [place]


COUNTED = [
    leaf
    for leaf in leaves(EVERYTHING.to_json())
    if leaf[0] not in ("name", "description", "tags")
    and leaf not in {("model", "preset"), ("checkpoints", "location")}
]


@given(st.sampled_from(COUNTED), st.data())
def test_the_digest_sees_every_other_change(
    leaf: tuple[Any, ...], data: st.DataObject
) -> None:
    document = copy.deepcopy(EVERYTHING.to_json())
    holder = document
    for part in leaf[:-1]:
        holder = holder[part]
    before = holder[leaf[-1]]
    other = {bool: not before, int: 1, float: 0.125, str: "x", type(None): 1}
    holder[leaf[-1]] = data.draw(
        st.sampled_from([other[type(before)], "x", 1, 0.125, None, True])
    )
    try:
        changed = Experiment.model_validate(document)
    except ValueError:
        return  # Not every change is a spec.
    # As text: to Python, 1 == True.
    same = json.dumps(changed.to_json()) == json.dumps(EVERYTHING.to_json())
    assert (experiment_digest(changed) == experiment_digest(EVERYTHING)) == same


def test_the_digest_sees_a_changed_default(tmp_path: Path) -> None:
    text = (GOOD / "least.yaml").read_text()
    plain = load_experiment(write(tmp_path, "x.yaml", text))
    spelt = load_experiment(write(tmp_path, "x.yaml", f"{text}precision: {{}}\n"))
    changed = load_experiment(
        write(tmp_path, "x.yaml", f"{text}precision: {{compute: bfloat16}}\n")
    )
    assert experiment_digest(plain) == experiment_digest(spelt)
    assert experiment_digest(plain) != experiment_digest(changed)


# extends


def test_mappings_are_merged_and_lists_replaced(base: Path) -> None:
    one = heir(base, "batch: {length: 64}\nsources: {text: {holdout: 5%}}\n")
    assert (one.batch.sequences, one.batch.length) == (8, 64)
    assert one.sources["text"].uri == "data/text/*.jsonl"
    assert one.sources["text"].holdout == 0.05
    stages = """\
stages:
  - name: short
    tokens: 8K
    mixture: {text: 1}
    learning_rate: {schedule: constant, peak: 1.0e-3}
"""
    assert [stage.name for stage in heir(base, stages).stages] == ["short"]


def test_a_mixture_is_replaced_whole(base: Path) -> None:
    one = heir(base, "mixtures: {code: {markup: 1}}\n")
    assert one.mixtures == {"code": {"markup": 1.0}}


def test_a_preset_replaces_the_sizes_of_the_parent(base: Path) -> None:
    assert heir(base, "model: {preset: debug}\n").model.layers == 2
    assert heir(base, "model: {layers: 3}\n").model.width == 64


def test_what_is_inherited_and_unused_is_left_out(base: Path) -> None:
    one = heir(base, "mixtures: {code: {web: 1}}\n")
    assert sorted(one.sources) == ["notes", "text", "web"]


def test_what_the_file_itself_writes_and_never_uses_is_an_error(base: Path) -> None:
    with pytest.raises(SpecError, match=r"heir\.yaml:4: sources\.more: is used by no"):
        heir(base, "sources: {more: {uri: more.txt}}\n")


def test_null_takes_away_an_inherited_mixture(base: Path) -> None:
    with pytest.raises(SpecError, match="unknown source or mixture 'code'"):
        heir(base, "mixtures: {code: null}\n")


def test_null_takes_away_an_inherited_matrix(base: Path) -> None:
    write(base.parent, "base.yaml", base.read_text() + "matrix: {seed: [8, 9]}\n")
    text = f"{LEAST}extends: base.yaml\n"
    both = load_experiments(write(base.parent, "both.yaml", text))
    assert [(one.name, one.seed) for one in both] == [
        ("heir-seed-8", 8),
        ("heir-seed-9", 9),
    ]
    one = heir(base, "matrix: null\n")
    assert (one.name, one.seed) == ("heir", 7)


def test_words_for_people_are_not_inherited(base: Path) -> None:
    write(base.parent, "base.yaml", base.read_text() + "tags: [old]\n")
    one = heir(base, "")
    assert (one.name, one.tags) == ("heir", ())


def test_a_spec_and_its_heir_without_changes_have_one_digest(base: Path) -> None:
    parent = load_experiment(base)
    assert experiment_digest(heir(base, "")) == experiment_digest(parent)


def test_problems_point_to_the_file_that_holds_the_value(base: Path) -> None:
    write(base.parent, "base.yaml", base.read_text().replace("seed: 7", "seed: -7"))
    with pytest.raises(SpecError, match=r"must be") as caught:
        heir(base, "batch: {length: 1}\n")
    shown = [
        (Path(str(problem.file)).name, problem.line, problem.path)
        for problem in caught.value.problems
    ]
    assert shown == [("base.yaml", 3, "seed"), ("heir.yaml", 4, "batch.length")]


def test_a_parent_may_lie_beside_or_above_within_the_workspace(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    base = (GOOD / "parents" / "base.yaml").read_text()
    write(tmp_path, "base.yaml", base)
    path = write(tmp_path, "a/b/x.yaml", f"{LEAST}extends: ../../base.yaml\n")
    assert load_experiment(path).seed == 7


def test_without_a_workspace_a_parent_lies_in_the_same_folder(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", (GOOD / "parents" / "base.yaml").read_text())
    path = write(tmp_path, "a/x.yaml", f"{LEAST}extends: ../base.yaml\n")
    with pytest.raises(SpecError, match="must stay inside the workspace"):
        load_experiment(path)


def test_the_nearer_parent_wins(base: Path) -> None:
    for name, parent, seed in (("b", "base", 20), ("c", "b", 30), ("d", "c", 40)):
        text = f"codemix: 1\nextends: {parent}.yaml\nseed: {seed}\n"
        write(base.parent, f"{name}.yaml", text)
    path = write(base.parent, "x.yaml", f"{LEAST}extends: d.yaml\n")
    assert load_experiment(path).seed == 40


def test_what_is_missing_in_a_replaced_list_is_missing_in_this_file(base: Path) -> None:
    stages = """\
stages:
  - name: main
    tokens: 64K
    mixture: {text: 1}
    learning_rate:
      schedule: cosine
      peak: 1.0e-3
"""
    with pytest.raises(SpecError, match=r"heir\.yaml:8: stages\.0.*final: is required"):
        heir(base, stages)


def test_a_long_chain_is_refused_and_shown(tmp_path: Path) -> None:
    for index in range(20):
        text = f"codemix: 1\nname: n\nextends: f{index + 1}.yaml\n"
        write(tmp_path, f"f{index}.yaml", text)
    with pytest.raises(SpecError, match="a chain of more than 16 files") as caught:
        load_experiment(tmp_path / "f0.yaml")
    assert "f15.yaml -> " in str(caught.value)


# matrix


def test_a_matrix_is_every_combination_the_first_line_slowest() -> None:
    names = [one.name for one in load_experiments(GOOD / "heir.yaml")]
    mixtures = ("text100", "text75-code25", "text50-code50")
    assert names == [
        f"heir-seed-{seed}-mixture-{mixture}" for seed in (1, 2) for mixture in mixtures
    ]


def test_a_matrix_puts_its_values_in_place() -> None:
    found = load_experiments(GOOD / "heir.yaml")
    assert [one.seed for one in found] == [1, 1, 1, 2, 2, 2]
    assert found[0].stages[0].mixture == {"text": 100.0}
    assert found[5].stages[0].mixture == {"text": 50.0, "code": 50.0}
    assert len({experiment_digest(one) for one in found}) == 6


def test_a_matrix_may_vary_what_has_a_default_and_whole_parts() -> None:
    found = load_experiments(GOOD / "turns.yaml")
    assert [(one.stages[0].name, one.precision.compute) for one in found] == [
        ("one", "float32"),
        ("one", "bfloat16"),
        ("other", "float32"),
        ("other", "bfloat16"),
    ]


def test_an_experiment_without_a_source_of_the_matrix_does_not_name_it() -> None:
    first, second = load_experiments(GOOD / "heir.yaml")[:2]
    assert sorted(first.sources) == ["text"]
    assert sorted(second.sources) == ["synth", "text", "web"]


def test_one_experiment_is_not_a_matrix() -> None:
    with pytest.raises(SpecError, match="this file stands for 6"):
        load_experiment(GOOD / "heir.yaml")


def test_a_thousand_experiments_load_in_seconds(tmp_path: Path) -> None:
    text = (GOOD / "least.yaml").read_text()
    values = ", ".join(map(str, range(1000)))
    path = write(tmp_path, "x.yaml", f"{text}matrix: {{seed: [{values}]}}\n")
    assert len({one.name for one in load_experiments(path)}) == 1000


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ("{seed: [1, 2]}", ["least-seed-1", "least-seed-2"]),
        ("{model.norm: [rmsnorm]}", ["least-norm-rmsnorm"]),
        ("{model.norm_epsilon: [1e-5]}", ["least-norm-epsilon-1e-05"]),
        ("{stages.0.tokens: [2K, 1.5K]}", ["least-tokens-2k", "least-tokens-1.5k"]),
        # What looks the same once it is made a name is told apart by number.
        ("{stages.0.name: [a_b, a__b]}", ["least-0", "least-1"]),
    ],
)
def test_an_experiment_of_a_matrix_is_named_after_its_values(
    values: str, names: list[str], tmp_path: Path
) -> None:
    text = (GOOD / "least.yaml").read_text()
    path = write(tmp_path, "x.yaml", f"{text}matrix: {values}\n")
    assert [one.name for one in load_experiments(path)] == names


# Older versions


def test_an_older_version_is_upgraded_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_version_0(document: dict[str, Any]) -> dict[str, Any]:
        # A made-up version 0 said `random_seed`.
        document = dict(document)
        document["seed"] = document.pop("random_seed")
        return document

    def from_version_minus_1(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "random_seed": document["random_seed"] + 1}

    steps = {0: from_version_0, -1: from_version_minus_1}
    monkeypatch.setattr(upgrade, "UPGRADES", steps)
    text = (GOOD / "least.yaml").read_text().replace("seed: 0", "random_seed: 41")
    for version, seed in ((0, 41), (-1, 42)):
        old = text.replace("codemix: 1", f"codemix: {version}")
        one = load_experiment(write(tmp_path, "old.yaml", old))
        assert (one.codemix, one.seed) == (1, seed)
    with pytest.raises(SpecError, match="this codemix reads versions -1 to 1"):
        load_experiment(write(tmp_path, "x.yaml", "codemix: -2\n"))


def test_a_parent_of_an_older_version_is_upgraded_by_itself(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upgrade_seed(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "seed": 100}

    monkeypatch.setattr(upgrade, "UPGRADES", {0: upgrade_seed})
    text = base.read_text()
    write(base.parent, "base.yaml", text.replace("codemix: 1", "codemix: 0"))
    assert heir(base, "").seed == 100
    assert heir(base, "seed: 5\n").seed == 5


def test_a_problem_after_an_upgrade_still_has_its_line(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "UPGRADES", {0: dict})
    text = base.read_text().replace("codemix: 1", "codemix: 0")
    path = write(base.parent, "x.yaml", text.replace("seed: 7", "seed: x"))
    with pytest.raises(SpecError, match=r"x\.yaml:3: seed: must be a whole number"):
        load_experiment(path)


# Locks and workspaces


def test_a_lock_is_saved_and_loaded_as_itself(tmp_path: Path) -> None:
    file = LockedFile(path="data/a.jsonl", sha256="0" * 64, bytes=3, documents=1)
    lock = Lock(
        lock=1,
        codemix="0.1.0",
        inputs={
            "sources.text": LockedInput(
                uri="data/*.jsonl", dvc="d.dvc", dvc_hash="md5:0", files=(file,)
            )
        },
        stores={
            "text": LockedStore(
                identity="i", manifest_sha256="m", train_tokens=1, heldout_tokens=2
            )
        },
    )
    path = tmp_path / "x.lock"
    save_lock(lock, path)
    assert load_lock(path) == lock
    # One key a line, in order: a difference is readable.
    assert path.read_text().splitlines()[1].strip() == '"codemix": "0.1.0",'


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"lock": 2}', '{"lock": 1, "codemix": 3, "inputs": {}}']
)
def test_a_damaged_lock_is_an_input_error(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, "x.lock", text)
    with pytest.raises(InputError, match="not a lock of this version"):
        load_lock(path)


def test_a_missing_lock_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"codemix pin .*x\.yaml"):
        load_lock(tmp_path / "x.lock")


def test_the_lock_lies_beside_its_spec() -> None:
    assert lock_path(Path("specs/x.yaml")) == Path("specs/x.lock")


def test_the_workspace_is_the_nearest_folder_with_dvc(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    inner = tmp_path / "inner"
    (inner / ".dvc").mkdir(parents=True)
    assert find_workspace(inner / "specs" / "x.yaml") == inner.resolve()
    assert find_workspace(tmp_path / "specs" / "x.yaml") == tmp_path.resolve()


def test_without_a_workspace_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="codemix init"):
        find_workspace(tmp_path / "x.yaml")
