"""Conditions on fields within fields, such as SlimPajama's `meta`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest

from runtime.documents import Document, Rows, read_rows
from runtime.file_endings import format_of
from runtime.readers import build_reader
from runtime.source_reader import SourceReader, Tally
from runtime.store_identity import rules_of
from specs.canonical import canonical_json
from specs.plan import PlannedSource

NAME = "meta.redpajama_set_name"
SETS = ["CommonCrawl", "Github", "C4", "StackExchange", "Github", None]
SLIM = {NAME: {"not": ["RedPajamaGithub", "RedPajamaStackExchange"]}}


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"text": str(n), "meta": {"redpajama_set_name": name and f"RedPajama{name}"}}
        for n, name in enumerate(SETS)
    ]
    return [*found, {"text": "no meta", "meta": None}]


def write(path: Path, values: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(values), path)
    else:
        path.write_text("".join(f"{json.dumps(one)}\n" for one in values))


def planned(where: dict[str, Any]) -> PlannedSource:
    return PlannedSource(
        format="auto",
        field="text",
        where=canonical_json(where).decode(),
        filters="[]",
        holdout="0",
        reserve="0",
        max_epochs="1",
        on_corrupt="error",
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_one_line_leaves_out_two_sets_of_slimpajama(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, rows())
    tally = Tally()
    kept = SourceReader(planned(SLIM), tmp_path).read([Rows(name)], tally)
    assert [one.text for one in kept] == [b"0", b"2", b"5", b"no meta"]
    assert tally.dropped == Counter({f"where.{NAME}": 3})


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_nested_values_are_read_by_their_dotted_names(
    tmp_path: Path, name: str
) -> None:
    row = {"text": "t", "a": {"b": {"c": 1}, "d": [{"e": 2}]}, "a.x": 3, "n": 4}
    write(tmp_path / name, [{**row, "a": {**row["a"], "x": 5}}])
    asked = {"a.b.c", "a.d.e", "a.x", "n", "n.o", "a.b.z", "z.y", "text.t", "a.", "."}
    file_format = format_of(name, "auto")
    assert file_format is not None
    [found] = read_rows(
        tmp_path,
        Rows(name),
        file_format=file_format,
        reader=build_reader(None, "text", "jsonl"),
        columns=frozenset(asked),
    )
    assert isinstance(found, Document)
    # A name that holds the dot itself comes first; lists have no names.
    assert found.fields == {"a.b.c": 1, "a.x": 3, "n": 4}


def test_only_the_nested_column_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.parquet", [{"text": "t", "a": {"b": 1, "huge": "x"}}])
    seen = []
    pick = "runtime.documents.pick_fields"
    monkeypatch.setattr(pick, lambda row, _: seen.append(row) or {})
    reading = read_rows(
        tmp_path,
        Rows("a.parquet"),
        file_format="parquet",
        reader=build_reader(None, "text", "jsonl"),
        columns=frozenset({"a.b"}),
    )
    assert len(list(reading)) == 1
    assert seen == [{"text": "t", "a": {"b": 1}}]


def test_dotted_names_are_other_documents_than_before() -> None:
    # What prepared nothing of this kind keeps its store.
    assert "nested" not in rules_of(planned({"lang": "a"}))
    assert rules_of(planned({**SLIM, "lang": "a"}))["nested"] == 1
