"""Addresses of data, and what they mean, before anything is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from specs.locations import Remote, matches, parse_remote
from specs.rules import BrokenRules


@pytest.mark.parametrize(
    ("uri", "remote", "folder", "below"),
    [
        (
            "hf://datasets/org/name@v1/a/*.parquet",
            Remote("hf", "org/name", "a/*.parquet", "v1"),
            "a",
            "*.parquet",
        ),
        (
            "hf://datasets/org/name/x.jsonl",
            Remote("hf", "org/name", "x.jsonl", "main"),
            "",
            "x.jsonl",
        ),
        (
            "hf://datasets/org/name@refs/convert/parquet/d/train/*.parquet",
            Remote("hf", "org/name", "d/train/*.parquet", "refs/convert/parquet"),
            "d/train",
            "*.parquet",
        ),
        (
            "hf://datasets/org/name@refs%2Fpr%2F1/x.jsonl",
            Remote("hf", "org/name", "x.jsonl", "refs/pr/1"),
            "",
            "x.jsonl",
        ),
        (
            "S3://bucket/a/b*/c/*.jsonl",
            Remote("s3", "bucket", "a/b*/c/*.jsonl"),
            "a",
            "b*/c/*.jsonl",
        ),
        (
            "gs://bucket/k.jsonl",
            Remote("gs", "bucket", "k.jsonl"),
            "",
            "k.jsonl",
        ),
        (
            "https://example.org/a/b%20c.jsonl?x=1",
            Remote("https", "example.org", "/a/b c.jsonl"),
            "/a",
            "b c.jsonl",
        ),
    ],
)
def test_address_is_taken_apart(
    uri: str, remote: Remote, folder: str, below: str
) -> None:
    found = parse_remote(uri)
    assert (found, found.folder, found.below) == (remote, folder, below)


@pytest.mark.parametrize(
    "uri",
    [
        "hf://datasets/x",
        "hf://datasets/org/name@v1",
        "hf://datasets/org/name/folder/",
        "hf://models/org/name/x.jsonl",
        "s3://bucket",
        "s3://bucket/folder/",
        "gs:///key",
        "https://example.org/",
        "ftp://example.org/x.jsonl",
    ],
)
def test_address_that_names_no_files_is_refused(uri: str) -> None:
    with pytest.raises(BrokenRules, match=r"must") as told:
        parse_remote(uri)
    assert told.value.broken[0].fix


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.jsonl", "a.jsonl", True),
        ("*.jsonl", "en/a.jsonl", False),
        ("*.jsonl", ".a.jsonl", False),
        ("**/*.jsonl", "a.jsonl", True),
        ("**/*.jsonl", "x/y/a.jsonl", True),
        ("**/*.jsonl", "x/.y/a.jsonl", False),
        ("**", "x/y/a", True),
        ("a?/[bc].txt", "a1/c.txt", True),
        ("a?/[bc].txt", "a1/d.txt", False),
        ("*/a", "a", False),
    ],
)
def test_pattern_fits_as_in_a_workspace(pattern: str, path: str, fits: bool) -> None:
    assert matches(pattern, path) is fits


@given(some.lists(some.sampled_from(["a", "b1", "c.jsonl"]), min_size=1, max_size=4))
def test_path_fits_itself_and_anything_fits_all(names: list[str]) -> None:
    path = "/".join(names)
    assert matches(path, path)
    assert matches("**", path)
    assert matches(f"**/{names[-1]}", path)
