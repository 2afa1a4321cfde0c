"""Subsets: one body of files as several sources, each with a weight of tokens."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from data_workspace import make_workspace, sentences
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from spec_examples import document

from runtime import tracking
from runtime.documents import Rows
from runtime.inputs import download_folder, inputs_of
from runtime.pin import check_pinned, pin
from runtime.source_reader import SourceReader, Tally
from runtime.store_identity import store_identity, tokenizer_identity
from specs.apportion import source_shares
from specs.declared import declared_identities
from specs.document import Document, Mark
from specs.errors import SpecError
from specs.experiment import Experiment
from specs.loading import load_experiment, load_experiments, load_lock, lock_path
from specs.resolve import plan_experiment
from specs.subsets import part_name, with_subsets

URI = "data/code/*.jsonl"
TEXT = {"uri": "data/text.jsonl", "holdout": "40%"}
SUBSETS = {"field": "lang", "weights": {"python": 20, "java": 15, "c-sharp": 8}}
LANGUAGES = ["python", "java", "c-sharp", "tex", None]


def spec(folder: Path, **changes: Any) -> Path:
    web = {"uri": URI, "holdout": "20%", "subsets": SUBSETS}
    small = {
        "sources": {"text": TEXT, "web": web},
        "tokenizer": {
            "vocab_size": 320,
            "train": {"mixture": {"web": 1}, "sample_bytes": "100K"},
        },
        "deduplicate": {"sources": ["web", "text"], "exact": True},
        **changes,
    }
    path = folder / f"{changes.get('name', 'small')}.yaml"
    path.write_text(json.dumps(document(**small)))
    return path


def by_hand(folder: Path) -> Path:
    parts = {"web_python": "python", "web_java": "java", "web_c_sharp": "c-sharp"}
    sources = {
        name: {"uri": URI, "holdout": "20%", "where": {"lang": value}}
        for name, value in parts.items()
    }
    weights = list(SUBSETS["weights"].values())
    return spec(
        folder,
        name="by-hand",
        sources={"text": TEXT, **sources},
        mixtures={"web": dict(zip(parts, weights, strict=True))},
        deduplicate={"sources": [*parts, "text"], "exact": True},
    )


def heir(base: Path, text: str) -> Experiment:
    path = base.with_name("heir.yaml")
    path.write_text(f"codemix: 1\nname: heir\nextends: {base.name}\n{text}")
    return load_experiment(path)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_workspace(tmp_path_factory.mktemp("subsets") / "workspace")
    (folder / "data" / "code").mkdir(parents=True)
    for number in range(2):
        texts = sentences(200, seed=number)
        rows = [
            {"text": text, "lang": LANGUAGES[one % 5]}
            for index, text in enumerate(texts)
            # Every third text is there in two languages.
            for one in range(index, index + (2 if index % 3 == 0 else 1))
        ]
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / "data" / "code" / f"{number}.jsonl").write_text(lines)
    (folder / "data" / "text.jsonl").write_text('{"text": "t"}\n')
    return folder


def test_subsets_are_what_one_would_write_by_hand(tmp_path: Path) -> None:
    one, other = load_experiment(spec(tmp_path)), load_experiment(by_hand(tmp_path))
    stripped = one.to_json() | {"name": "by-hand"}
    for source in stripped["sources"].values():
        source.pop("pinned_as", None)
    assert stripped == other.to_json()
    # The same documents, tokens and order, whoever wrote it.
    plans = [plan_experiment(experiment) for experiment in (one, other)]
    assert plans[0].stages == plans[1].stages
    assert declared_identities(one, plans[0]) == declared_identities(other, plans[1])


def test_files_are_pinned_and_hashed_once_for_all_subsets(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: Counter[str] = Counter()
    hash_file = tracking.hash_file

    def count(path: Path, **options: Any) -> Any:
        hashed[path.name] += 1
        return hash_file(path, **options)

    monkeypatch.setattr("runtime.tracking.hash_file", count)
    monkeypatch.setattr("runtime.pinned.hash_file", count)
    path = spec(workspace)
    experiment = load_experiment(path)
    lock = pin(path, experiment, workspace)
    assert list(lock.inputs) == ["sources.text", "sources.web"]
    assert [file.path for file in lock.inputs["sources.web"].files] == [
        "data/code/0.jsonl",
        "data/code/1.jsonl",
    ]
    before = dict(hashed)
    assert check_pinned(experiment, load_lock(lock_path(path)), workspace) == ()
    assert before == {"0.jsonl": 1, "1.jsonl": 1, "text.jsonl": 1}
    assert hashed == dict.fromkeys(before, 2)


def test_stores_and_tokenizer_are_those_of_sources_by_hand(workspace: Path) -> None:
    found = []
    for path in (spec(workspace), by_hand(workspace)):
        experiment = load_experiment(path)
        plan, lock = plan_experiment(experiment), pin(path, experiment, workspace)
        stores = {name: store_identity(name, plan, lock, "t") for name in plan.sources}
        found.append((stores, tokenizer_identity(experiment, plan, lock)))
    assert found[0] == found[1]
    assert len(found[0][0]) == 4


def test_what_is_held_out_of_one_is_trained_on_in_none(workspace: Path) -> None:
    plan = plan_experiment(load_experiment(spec(workspace)))
    rows = [Rows(f"data/code/{number}.jsonl") for number in range(2)]
    tally = Tally()
    heldout, trained = set(), set()
    # `text` would hold out more of the same documents, if it had them.
    for name in sorted(plan.sources):
        of_one = []
        for kept in SourceReader(plan.sources[name], workspace).read(rows, tally):
            if kept.split == "heldout":
                of_one.append(kept.text)
            elif name != "text":
                trained.add(kept.text)
        assert of_one
        heldout |= set(of_one)
    assert len(trained) > 10
    assert not heldout & trained
    # Every document of these languages is in one subset, and no other is in any.
    lines = [
        json.loads(line)["lang"]
        for number in range(2)
        for line in (workspace / f"data/code/{number}.jsonl").read_text().splitlines()
    ]
    num_kept = sum(language in SUBSETS["weights"] for language in lines)
    assert tally.dropped["where.lang"] == 3 * len(lines) - num_kept


def test_what_is_elsewhere_is_downloaded_once(tmp_path: Path) -> None:
    web = {"uri": "https://example.org/a.jsonl", "subsets": SUBSETS}
    sources = {"text": {"uri": "t.jsonl"}, "web": web}
    inputs = inputs_of(load_experiment(spec(tmp_path, sources=sources)))
    assert [one.key for one in inputs] == ["sources.text", "sources.web"]
    assert download_folder(inputs[1]) == "data/web"


def test_weights_of_subsets_are_replaced_whole(tmp_path: Path) -> None:
    base = spec(tmp_path, deduplicate=None)
    found = heir(base, "sources: {web: {subsets: {weights: {tex: 1, java: 3}}}}\n")
    assert found.mixtures == {"web": {"web_tex": 1, "web_java": 3}}
    assert found.sources["web_tex"].where == {"lang": "tex"}
    assert found.sources["web_tex"].uri == URI


def test_inherited_subsets_without_use_are_left_out(tmp_path: Path) -> None:
    base = spec(tmp_path)
    stages = json.loads(base.read_text())["stages"]
    text = [{**stages[0], "mixture": {"text": 1}}]
    mixture = {"mixture": {"text": 1}, "sample_bytes": 100}
    tokenizer = {"vocab_size": 320, "train": mixture}
    changes = f"stages: {json.dumps(text)}\ntokenizer: {json.dumps(tokenizer)}\n"
    found = heir(base, changes)
    assert list(found.sources) == ["text"]
    assert found.mixtures == {}
    # One of them alone may be used, and then the others are not there.
    some = changes.replace('"mixture": {"text": 1}', '"mixture": {"web_java": 1}')
    found = heir(base, some)
    assert list(found.sources) == ["web_java"]


def test_weights_of_subsets_can_vary(tmp_path: Path) -> None:
    axis = "sources.web.subsets.weights"
    values = [{"python": 1}, {"python": 1, "tex": 2}]
    varied = spec(tmp_path, deduplicate=None, matrix={axis: values})
    one, other = load_experiments(varied)
    assert one.mixtures["web"] == {"web_python": 1}
    assert other.mixtures["web"] == {"web_python": 1, "web_tex": 2}
    assert other.name == "small-weights-python1-tex2"


def test_a_resolved_spec_has_no_subsets() -> None:
    web = {"uri": URI, "subsets": SUBSETS}
    sources = {"text": {"uri": "t.jsonl"}, "web": web}
    with pytest.raises(ValidationError, match="is for spec files") as caught:
        Experiment.model_validate(document(sources=sources))
    assert caught.value.error_count() == 1


values = st.text(max_size=12) | st.sampled_from(
    ["c", "C", "c++", "cpp", "c#", "f-sharp"]
)


@given(st.dictionaries(values, st.integers(1, 99), min_size=1, max_size=6))
def test_each_value_has_a_source_of_its_own_or_is_refused(
    weights: dict[str, int],
) -> None:
    web = {"uri": URI, "subsets": {"field": "lang", "weights": weights}}
    marked = Document({"sources": {"web": web}}, {(): Mark("x.yaml", 1)})
    made, problems = with_subsets(marked)
    names = Counter(part_name("web", value) for value in weights)
    bad = {name for name, count in names.items() if count > 1 or name == "web_"}
    assert len(problems) == sum(
        count - (name != "web_") for name, count in names.items() if name in bad
    )
    if problems:
        assert list(made.value["sources"]) == ["web"]
        return
    assert {one["where"]["lang"] for one in made.value["sources"].values()} == set(
        weights
    )
    shares = source_shares({"web": 1}, made.value["mixtures"])
    total = sum(weights.values())
    assert shares == {
        part_name("web", value): Fraction(weight, total)
        for value, weight in weights.items()
    }


def test_problems_of_subsets_are_told_once_and_by_the_file(tmp_path: Path) -> None:
    web = {"uri": "../code", "subsets": SUBSETS}
    sources = {"text": {"uri": "t.jsonl"}, "web": web}
    with pytest.raises(SpecError, match=r"sources\.web\.uri") as caught:
        load_experiment(spec(tmp_path, sources=sources))
    assert [one.path for one in caught.value.problems] == ["sources.web.uri"]
