"""The parts of deduplication against plain Python."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from deduplicated import jaccard, shingles
from hypothesis import given
from hypothesis import strategies as st

from runtime.deduplication.candidates import DOCUMENTS_PER_JOB, Candidates
from runtime.deduplication.candidates import find_candidates as candidates_of
from runtime.deduplication.compare import (
    KEPT_PER_GROUP,
    MAX_COMPARISONS,
    Comparison,
)
from runtime.deduplication.groups import Groups, group_equal
from runtime.deduplication.shingles import distinct, num_shared, shingle_hashes
from runtime.deduplication.signatures import band_keys, minhash
from specs.plan import PlannedNear

NEAR = PlannedNear(
    threshold="0.8",
    shingle="words",
    size=5,
    permutations=128,
    bands=21,
    rows=6,
    seed=1,
    version=1,
)
TEXT = st.lists(st.sampled_from(["a", "b", "cc", "d_1", "e" * 70, "é"])).map(" ".join)


def sets_of(texts: list[str], unit: str = "words", size: int = 5) -> list[set[int]]:
    hashes, offsets = shingle_hashes([t.encode() for t in texts], unit, size)  # type: ignore[arg-type]
    return [set(hashes[a:b].tolist()) for a, b in pairwise(offsets.tolist())]


@given(texts=st.lists(TEXT, max_size=6), size=st.integers(1, 7))
def test_shingles_are_equal_where_runs_of_words_are(
    texts: list[str], size: int
) -> None:
    number: dict[int, tuple[str, ...]] = {}
    for text, found in zip(texts, sets_of(texts, size=size), strict=True):
        wanted = shingles(text, size)
        assert len(found) == len(wanted)
        alone = sets_of([text], size=size)[0]
        assert found == alone, "other texts of a batch make no difference"
        for one in wanted:
            (hashed,) = sets_of([" ".join(one)], size=len(one))[0]
            if len(one) == size:
                assert hashed in found
                assert number.setdefault(hashed, one) == one


@given(texts=st.lists(st.text(max_size=12), max_size=5), size=st.integers(1, 5))
def test_shingles_of_characters_are_runs_of_code_points(
    texts: list[str], size: int
) -> None:
    for text, found in zip(texts, sets_of(texts, "characters", size), strict=True):
        runs = {text[i : i + size] for i in range(max(1, len(text) - size + 1))}
        assert len(found) == (len(runs) if text else 0)


def test_words_that_differ_anywhere_have_other_hashes() -> None:
    words = ["x" * 65, "x" * 64 + "y", "a" * 20, "a" * 10 + "b" + "a" * 9, "A", "a"]
    words += ["a" * length for length in range(2, 80)]
    found = [tuple(one) for one in sets_of(words, size=1)]
    assert len(set(found)) == len(set(words))


def test_what_separates_words_makes_no_difference() -> None:
    one, two = sets_of(["a b c d e f", "\ta, b.c\n(d) e;f!"])
    assert one == two
    assert len(one) == 2


@given(
    one=st.sets(st.integers(0, 40)),
    other=st.sets(st.integers(0, 40)),
)
def test_what_two_sets_share_is_counted(one: set[int], other: set[int]) -> None:
    arrays = [distinct(np.array([*found], np.uint64)) for found in (one, other)]
    assert num_shared(*arrays) == len(one & other)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=30))
def test_equal_keys_are_grouped_in_order(keys: list[tuple[int, int]]) -> None:
    parts = [np.array([key[part] for key in keys], np.uint64) for part in (0, 1)]
    ranks = np.arange(len(keys), dtype=np.uint64) * np.uint64(3)
    found = group_equal(parts, ranks)
    wanted = defaultdict(list)
    for rank, key in enumerate(keys):
        wanted[key].append(3 * rank)
    groups = [part.tolist() for part in np.split(found.members_M, found.starts_G)[1:]]
    assert groups == sorted(one for one in wanted.values() if len(one) > 1)


@given(
    st.lists(
        st.lists(st.lists(st.integers(0, 25), min_size=2, unique=True), max_size=4),
        max_size=3,
    )
)
def test_clusters_are_what_groups_connect(
    tmp_path_factory: pytest.TempPathFactory, bands: list[list[list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("groups")
    wanted: list[set[int]] = []
    paths = []
    for band, groups in enumerate(bands):
        members = [np.array(sorted(one), np.uint64) for one in groups]
        starts = np.cumsum([0, *map(len, members)])[:-1].astype(np.int64)
        paths.append(folder / f"{band}.npz")
        Groups(np.concatenate([np.empty(0, np.uint64), *members]), starts).save(
            paths[-1]
        )
        for one in groups:
            touched = [cluster for cluster in wanted if cluster & set(one)]
            wanted = [cluster for cluster in wanted if cluster not in touched]
            wanted.append(set(one).union(*touched))
    found = candidates_of(paths)
    clusters = defaultdict(set)
    pairs = zip(found.ranks_C.tolist(), found.clusters_C.tolist(), strict=True)
    for rank, cluster in pairs:
        clusters[cluster].add(rank)
    in_order = [clusters[number] for number in range(len(clusters))]
    assert in_order == sorted(wanted, key=min)


def test_clusters_are_divided_between_jobs_and_never_cut() -> None:
    sizes = [3, DOCUMENTS_PER_JOB - 4, 2, 5 * DOCUMENTS_PER_JOB, 1]
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    found = Candidates(np.arange(len(clusters), dtype=np.uint64), clusters)
    ranges = found.cluster_ranges()
    assert ranges == [(0, 2), (2, 3), (3, 5)]
    counts = [found.num_within(*one) for one in ranges]
    assert counts == [sum(sizes[start:stop]) for start, stop in ranges]
    assert Candidates(found.ranks_C[:0], clusters[:0]).cluster_ranges() == []


def compared(sets: list[set[int]], threshold: Fraction) -> Comparison:
    """Compare documents that all share one group."""
    arrays = [distinct(np.array([*found], np.uint64)) for found in sets]
    comparison = Comparison(
        lambda rank: len(arrays[rank]), lambda rank: arrays[rank], threshold
    )
    for rank in range(len(sets)):
        comparison.add(rank, [0])
    return comparison


@given(
    sets=st.lists(st.sets(st.integers(0, 12), min_size=1), max_size=KEPT_PER_GROUP),
    hundredths=st.integers(30, 99),
)
def test_the_first_of_similar_documents_is_kept(
    sets: list[set[int]], hundredths: int
) -> None:
    threshold = Fraction(hundredths, 100)
    kept: list[int] = []
    dropped: dict[int, list[int]] = {}
    for rank, found in enumerate(sets):
        like = [one for one in kept if jaccard(found, sets[one]) >= threshold]
        if like:
            dropped[rank] = like
        else:
            kept.append(rank)
    comparison = compared(sets, threshold)
    assert [one[0] for one in comparison.dropped] == list(dropped)
    for rank, keeper, shared, either in comparison.dropped:
        assert keeper in dropped[rank], "who is dropped is like a document that is kept"
        assert Fraction(shared, either) == jaccard(sets[rank], sets[keeper])


def test_a_pair_exactly_at_the_threshold_is_near() -> None:
    sets = [set(range(10)), set(range(8)), set(range(7))]
    assert compared(sets, Fraction("0.8")).dropped == [(1, 0, 8, 10)]


def test_work_in_one_group_is_bounded() -> None:
    alike = [set(range(100)) | {1000 + number} for number in range(3000)]
    comparison = compared(alike, Fraction("0.9"))
    assert len(comparison.dropped) == comparison.num_comparisons == 2999
    rng = random.Random(5)
    unlike = [set(rng.sample(range(500), 20)) for _ in range(1000)]
    comparison = compared(unlike, Fraction("0.9"))
    assert not comparison.dropped
    assert comparison.num_comparisons <= 1000 * MAX_COMPARISONS
    assert comparison.num_comparisons > 900 * MAX_COMPARISONS


def test_signatures_are_those_of_before(golden: Callable[[str, str], None]) -> None:
    rng = random.Random(11)
    words = ["alpha", "beta", "gamma", "delta", "x" * 80, "é", "_", "0"]
    texts = [" ".join(rng.choices(words, k=k)).encode() for k in (1, 4, 5, 60, 900)]
    lines = []
    for unit in ("words", "characters"):
        hashes, offsets = shingle_hashes([*texts, b""], unit, 5)  # type: ignore[arg-type]
        signatures = minhash(hashes, offsets, 128, seed=1)
        keys = band_keys(hashes, offsets, NEAR)
        for signature, key in zip(signatures, keys.T, strict=True):
            lines.append(" ".join(f"{one:08x}" for one in signature[::16]))
            lines.append(" ".join(f"{one:016x}" for one in key[::5]))
    golden("deduplication_signatures.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("similarity", [0.5, 0.8, 0.9])
def test_signatures_estimate_similarity(similarity: float) -> None:
    rng = np.random.default_rng(4)
    size = 400
    num_shared = round(2 * size * similarity / (1 + similarity))
    found = []
    for _ in range(40):
        one = rng.integers(0, 2**63, size, dtype=np.uint64)
        new = rng.integers(0, 2**63, size - num_shared, dtype=np.uint64)
        both = np.concatenate([one, one[:num_shared], new])
        offsets = np.array([0, size, 2 * size])
        first, second = minhash(both, offsets, 128, seed=1)
        found.append(np.mean(first == second))
    true = num_shared / (2 * size - num_shared)
    # Five standard errors of a mean of 40 x 128 draws.
    assert abs(np.mean(found) - true) < 5 * (true * (1 - true) / (40 * 128)) ** 0.5


def test_another_seed_gives_another_signature(tmp_path: Path) -> None:
    hashes, offsets = shingle_hashes([b"a b c d e f g h i j"], "words", 5)
    assert (minhash(hashes, offsets, 64, 1) != minhash(hashes, offsets, 64, 2)).all()
