"""Funnels: every document in one step, the same sample however it is come by."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.data_samples import steps_named
from runtime.documents import Corrupt, Document
from runtime.funnel import (
    MAX_SAMPLES,
    Funnel,
    Step,
    agrees,
    build_funnel,
    merge_steps,
    steps_to_text,
)
from runtime.funnel_sampler import (
    MAX_HEAD_BYTES,
    MAX_TOKENISED,
    Sampler,
    rank_of,
    rank_text,
)
from runtime.store_format import Manifest, SplitRecord
from specs.errors import InputError
from specs.plan import PlannedSource

KEY = 2**63 + 5
NAMES = ("empty", "filters.0.length", "where.lang", "train")
found = st.lists(
    st.tuples(st.sampled_from(NAMES), st.text(alphabet="ab\u00e9", max_size=3)),
    max_size=200,
)


def words(text: str) -> int:
    return len(text.split())


def steps_of(
    found: Sequence[tuple[str, str]],
    start: int = 0,
    key: int = KEY,
    num_shards: int = 1,
) -> tuple[Step, ...]:
    sampler = Sampler(key, num_shards)
    for number, (name, text) in enumerate(found, start=start + 1):
        document = Document(text, "a.jsonl", number)
        sampler.add(name, document, text.encode(), lambda text=text: f"is {text}")
    return sampler.steps(words)


@given(found, st.lists(st.integers(0, 200), max_size=3))
def test_documents_bytes_and_samples_do_not_depend_on_shards(
    found: list[tuple[str, str]], borders: list[int]
) -> None:
    whole = merge_steps([steps_of(found)])
    inner = sorted(border % (len(found) + 1) for border in borders)
    cuts = [0, *inner, len(found)]
    parts = [steps_of(found[start:stop], start) for start, stop in pairwise(cuts)]
    assert merge_steps(parts) == whole
    for name in NAMES:
        texts = [text for step, text in found if step == name]
        if not texts:
            assert name not in whole
            continue
        step = whole[name]
        assert step.documents == len(texts)
        assert step.text_bytes == sum(len(text.encode()) for text in texts)
        if name != "train":
            assert step.tokens == sum(words(text) + 1 for text in texts)


@given(found)
def test_samples_are_the_texts_of_the_smallest_ranks(
    found: list[tuple[str, str]],
) -> None:
    for name, step in merge_steps([steps_of(found)]).items():
        texts = [text for one, text in found if one == name]
        ranks = {rank_text(rank_of(text.encode(), KEY)): text for text in texts}
        wanted = sorted(ranks)[:MAX_SAMPLES]
        assert [sample.rank for sample in step.samples] == wanted
        for sample in step.samples:
            text = ranks[sample.rank]
            assert sample.copies == Counter(texts)[text]
            # The first of the copies is the one that is named.
            assert sample.number == found.index((name, text)) + 1
            assert sample.measured == f"is {text}"


def test_sample_is_chosen_by_text_and_key_and_not_by_place() -> None:
    texts = [("train", f"text {number}") for number in range(500)]
    (step,) = steps_of(texts)
    (again,) = steps_of([("train", "first of all"), *reversed(texts)])
    (other,) = steps_of(texts, key=KEY + 1)
    ranks = {sample.rank for sample in step.samples}
    assert len(ranks) == MAX_SAMPLES
    assert len(ranks - {sample.rank for sample in again.samples}) <= 1
    places = {sample.number for sample in step.samples}
    assert places != {sample.number for sample in other.samples}
    assert places != set(range(1, MAX_SAMPLES + 1))


def test_what_was_measured_is_asked_for_few_documents_alone() -> None:
    sampler, asked = Sampler(KEY, 20), []
    for number in range(20_000):
        document = Document(f"{number}", "a", number)
        sampler.add("where.x", document, f"{number}".encode(), lambda: asked.append(1))
    # 100 of a shard, times 1 + ln(20,000 / 100), are 630.
    assert MAX_TOKENISED // 20 <= len(asked) < 1_000


def test_tokens_of_many_documents_are_estimated_with_their_error() -> None:
    rng = random.Random(7)
    errors = []
    for trial in range(40):
        texts = [
            " ".join(["word" * rng.randint(1, 3)] * rng.randint(1, 90))
            for _ in range(2_000)
        ]
        found = [("empty", f"{trial} {text}") for text in texts]
        (step,) = steps_of(found, num_shards=20)
        exact = sum(words(text) + 1 for _, text in found)
        assert not step.is_exact
        assert step.tokens is not None
        assert 0 < step.tokens_error < exact / 10
        errors.append((step.tokens - exact) / step.tokens_error)
    # Standard normal, if the standard errors are right: 68% within 1, mean 0.
    assert 0.5 < sum(abs(error) < 1 for error in errors) / len(errors) < 0.9
    assert abs(sum(errors) / len(errors)) < 0.6


def test_shards_are_estimated_apart_and_their_variances_added() -> None:
    shards = [
        steps_of(
            [("empty", f"{seed} {n} {'x ' * (n % 50)}") for n in range(400)],
            num_shards=20,
        )
        for seed in range(3)
    ]
    merged = merge_steps(shards)["empty"]
    errors = [step.tokens_error for (step,) in shards]
    assert merged.tokens == sum(step.tokens or 0 for (step,) in shards)
    assert merged.tokens_error == int(sum(error**2 for error in errors) ** 0.5)
    assert not merged.is_exact


def test_long_text_is_tokenised_at_its_beginning() -> None:
    text = "word " * MAX_HEAD_BYTES
    sampler, seen = Sampler(KEY, 1), []
    sampler.add("empty", Document(text, "a", 1), text.encode())
    (step,) = sampler.steps(lambda head: seen.append(head) or words(head))
    assert [len(head) for head in seen] == [MAX_HEAD_BYTES]
    assert step.tokens == pytest.approx(MAX_HEAD_BYTES, rel=1e-3)
    assert not step.is_exact


def test_cut_within_a_character_is_no_error() -> None:
    text = "\u65e5" * MAX_HEAD_BYTES
    assert MAX_HEAD_BYTES % len("\u65e5".encode())
    sampler = Sampler(KEY, 1)
    sampler.add("empty", Document(text, "a", 1), text.encode())
    (step,) = sampler.steps(len)
    assert step.tokens == pytest.approx(len(text), rel=1e-3)


def test_corrupt_rows_have_a_place_and_a_reason_and_no_text() -> None:
    sampler = Sampler(KEY, 1)
    sampler.add_corrupt(Corrupt("a.jsonl", 7, "is not JSON"))
    (step,) = sampler.steps(words)
    assert (step.name, step.documents) == ("corrupt", 1)
    assert (step.text_bytes, step.tokens) == (None, None)
    (sample,) = step.samples
    assert (sample.file, sample.number) == ("a.jsonl", 7)
    assert sample.measured == "is not JSON"


def test_text_of_two_shards_is_one_sample_with_the_copies_of_both() -> None:
    texts = [("empty", f"{number}") for number in range(MAX_SAMPLES)]
    parts = [steps_of(texts[:15]), steps_of(texts[10:], 10)]
    samples = merge_steps(parts)["empty"].samples
    assert len(samples) == MAX_SAMPLES
    assert [sample.rank for sample in samples] == sorted(one.rank for one in samples)
    assert sum(sample.copies for sample in samples) == 15 + MAX_SAMPLES - 10
    assert sorted(sample.number for sample in samples) == list(range(1, 21))


def manifest(dropped: dict[str, int]) -> Manifest:
    split = SplitRecord(shards=(), num_tokens=7, num_documents=2, num_bytes=9)
    return Manifest(
        store=1,
        identity="id",
        source="web",
        tokenizer_sha256="",
        vocab_size=300,
        eos_id=1,
        files=(),
        splits={"train": split, "heldout": split},
        read=0,
        dropped=dropped,
        reserved=0,
        corrupt=0,
    )


def test_steps_that_no_rule_of_the_spec_names_come_behind_those_that_it_names() -> None:
    kept = [("train", "a"), ("train", "b"), ("heldout", "c"), ("heldout", "d")]
    found = [("filters.0.length", "x"), ("deduplicate.exact", "y"), *kept]
    dropped = {"filters.0.length": 1, "deduplicate.exact": 1, "other.kind": 3}
    planned = PlannedSource(
        format="auto",
        field="text",
        where="{}",
        filters='[{"filter":"length"}]',
        holdout="0",
        reserve="0",
        max_epochs="1",
        on_corrupt="error",
    )
    text = steps_to_text(steps_of(found))
    funnel = build_funnel(manifest(dropped), planned, [text])
    names = ["corrupt", "empty", "filters.0.length", "deduplicate.exact", "other.kind"]
    assert [step.name for step in funnel.steps] == [
        *names, "reserved", "heldout", "train"
    ]  # fmt: skip
    steps = {step.name: step for step in funnel.steps}
    assert steps["deduplicate.exact"].tokens == 2
    # Counted by the manifest alone: nothing else is known of them.
    assert (steps["other.kind"].documents, steps["other.kind"].tokens) == (3, None)
    assert steps["train"].tokens == 7
    assert agrees(funnel, manifest(dropped))
    assert not agrees(funnel, manifest({**dropped, "where.x": 1}))
    assert not agrees(funnel, manifest({**dropped, "other.kind": 4}))


def test_number_of_a_filter_stands_for_that_filter_alone() -> None:
    names = [f"filters.{index}.length" for index in range(12)]
    found = merge_steps([steps_of([(name, name) for name in names])])
    funnel = Funnel(funnel=1, identity="", source="web", steps=tuple(found.values()))

    def named(name: str) -> set[str]:
        return {step.name for step in steps_named(funnel, name)}

    assert named("filters.1") == {"filters.1.length"}
    assert named("filters.11.length") == {"filters.11.length"}
    assert named("filter") == named("filters") == named("read") == set(names)
    for name in ("filters.12", "length", ""):
        with pytest.raises(InputError, match="web has no step"):
            steps_named(funnel, name)
