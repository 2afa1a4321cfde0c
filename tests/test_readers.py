"""Readers of rows: published shapes in, plain texts out, and what is wrong is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from readers_rows import ISSUE, NOTEBOOK, ROWS, THREAD

from runtime.documents import Corrupt, Document, Rows, read_rows
from runtime.file_endings import format_of
from runtime.readers import build_reader
from runtime.readers.html_text import html_to_text
from runtime.readers.row import WrongRowError


def text_of(reader: dict[str, Any], row: dict[str, Any]) -> str:
    return build_reader(json.dumps(reader), "text", "jsonl").text(row)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return
    table = pyarrow.Table.from_pylist(rows)
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    else:
        with ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)


def read(path: Path, reader: dict[str, Any] | None, *columns: str) -> list[Any]:
    file_format = format_of(path.name, "auto")
    assert file_format is not None
    declared = None if reader is None else json.dumps(reader)
    found = read_rows(
        path.parent,
        Rows(path.name),
        file_format=file_format,
        reader=build_reader(declared, "text", file_format),
        columns=frozenset(columns),
    )
    return list(found)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.arrow"])
@pytest.mark.parametrize("shown", ROWS)
def test_row_becomes_a_text_whatever_holds_it(
    tmp_path: Path, shown: str, name: str
) -> None:
    reader, row, text = ROWS[shown]
    write(tmp_path / name, [{**row, "lang": "x"}])
    assert read(tmp_path / name, reader, "lang") == [
        Document(text, name, 1, {"lang": "x"})
    ]


def test_notebook_file_is_one_document_without_being_told(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(NOTEBOOK))
    text = ROWS["notebook"][2]
    assert read(path, None) == [Document(text, "a.ipynb", 1)]
    more = {"kind": "notebook", "max_output_chars": 100}
    assert read(path, more) == [
        Document(ROWS["notebook with outputs"][2], path.name, 1)
    ]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is no notebook: not JSON: Expecting value"),
        (b'{"cells": [', "is no notebook: not JSON: Expecting value"),
        (b"[]", "is no notebook: must be an object, got a list"),
        (b"{}", "is no notebook: 'cells' must be a list of objects"),
        (b'{"cells": [1]}', "is no notebook: 'cells' must be a list of objects"),
        (b'{"worksheets": [3]}', "is no notebook: 'cells' must be a list of objects"),
        (
            b'{"cells": [{"cell_type": "code", "source": 3}]}',
            "is no notebook: a text of a cell must be a string or a list of strings",
        ),
        (
            b'{"cells": [{"cell_type": "code", "source": "a", "outputs": [1]}]}',
            "is no notebook: an output must be an object",
        ),
        (b"[" * 100_000, "is no notebook: not JSON: maximum recursion depth"),
        (
            b'{"cells": [{"cell_type": "markdown", "source": "\\ud800"}]}',
            "its text holds half of a surrogate pair",
        ),
    ],
)
def test_file_that_is_no_notebook_is_corrupt(
    tmp_path: Path, data: bytes, what: str
) -> None:
    (tmp_path / "a.ipynb").write_bytes(data)
    [found] = read(tmp_path / "a.ipynb", None)
    assert isinstance(found, Corrupt)
    assert (found.number, found.unit) == (1, "file")
    assert found.what.startswith(what)


@pytest.mark.parametrize(
    ("reader", "row", "what"),
    [
        ({"kind": "commit"}, {}, "has no field 'old_contents'"),
        (
            {"kind": "commit"},
            {"old_contents": None, "new_contents": "", "message": ""},
            "'old_contents' must be a string, got null",
        ),
        (
            {"kind": "thread"},
            {"question": "a", "answers": 1},
            "'answers' must be a list",
        ),
        (
            {"kind": "thread"},
            {"question": "a", "answers": ["b"]},
            "'answers.0' must be an object, got a string",
        ),
        (
            {"kind": "thread"},
            {"question": "a", "answers": [{"text": "b", "score": "3"}]},
            "the score of an answer must be a number, got a string",
        ),
        (
            {"kind": "thread"},
            {"question": "a", "answers": [{"text": "b", "score": float("nan")}]},
            "the score of an answer must be a number, got NaN",
        ),
        (
            {"kind": "thread"},
            {"question": "a", "answers": {"text": ["b"], "score": []}},
            "'answers' must hold lists of one length",
        ),
        ({"kind": "issue"}, {"title": "a"}, "has no field 'events'"),
        (
            {"kind": "issue", "rows": "comments"},
            {"title": "a", "comments": [3]},
            "'comments.0' must be a string or an object, got a number",
        ),
        (
            {"kind": "notebook", "rows": "parsed"},
            {"cells": ["a"], "types": []},
            "'types' has 0 items, 'cells' has 1",
        ),
        (
            {"kind": "notebook", "rows": "parsed"},
            {"cells": [[[1]]], "cell_types": ["code"]},
            "a cell of 'cells' must be a string",
        ),
    ],
)
def test_row_of_another_shape_says_what_it_lacks(
    reader: dict[str, Any], row: dict[str, Any], what: str
) -> None:
    with pytest.raises(WrongRowError) as caught:
        text_of(reader, row)
    assert str(caught.value).startswith(what)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"question": "a"}, "has no column 'answers', only question"),
        (
            {"question": 1, "answers": [{"text": "a"}]},
            "column 'question' must hold stri",
        ),
        (
            {"question": "a", "answers": "b"},
            "column 'answers' must hold lists, got stri",
        ),
    ],
)
def test_columns_of_another_kind_are_told_once_for_a_file(
    tmp_path: Path, name: str, row: dict[str, Any], what: str
) -> None:
    write(tmp_path / name, [row] * 3)
    [found] = read(tmp_path / name, {"kind": "thread"})
    assert (found.number, found.unit) == (1, "file")
    assert found.what.startswith(what)


@pytest.mark.parametrize("name", ["a.ipynb", "a.py"])
@pytest.mark.parametrize("kind", ["commit", "thread", "issue"])
def test_file_without_columns_has_no_rows_for_a_reader_of_columns(
    tmp_path: Path, name: str, kind: str
) -> None:
    (tmp_path / name).write_text(json.dumps(NOTEBOOK))
    [found] = read(tmp_path / name, {"kind": kind})
    assert isinstance(found, Corrupt)
    assert found.what.startswith("has no columns, and the source's reader needs ")


def test_fence_is_longer_than_any_in_the_cell() -> None:
    cell = {"cell_type": "code", "source": "'''\n```\n'''"}
    notebook = json.dumps({"cells": [cell]})
    assert text_of({"kind": "notebook"}, {"text": notebook}) == (
        "````\n'''\n```\n'''\n````\n"
    )


def test_indent_of_the_first_line_of_code_stays() -> None:
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": "\n  a\n  b \n"}]})
    assert text_of({"kind": "notebook"}, {"text": notebook}) == "```\n  a\n  b\n```\n"


def test_comment_that_repeats_itself_stays_and_a_body_that_comes_again_goes() -> None:
    said = {"action": "created", "author": "a", "text": "+1"}
    again = [*ISSUE["events"][:1], said, said, ISSUE["events"][-1]]
    text = text_of({"kind": "issue"}, {"events": again})
    assert text.count("username_1: +1") == 2
    assert text.count("It fails.") == 1


def test_issue_that_was_opened_again_is_not_closed() -> None:
    events = [*ISSUE["events"], {"action": "reopened", "author": "bert", "text": "No."}]
    assert text_of({"kind": "issue"}, {"events": events}).endswith("username_1: No.")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("no tags at all", "no tags at all"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<p>one<br/>two<br><br>three", "one\ntwo\n\nthree"),
        ("<ul>\n<li>one</li>\n<li><p>two</p></li></ul>end", "- one\n- two\n\nend"),
        ("<ol><li>one<li>two</ol>", "- one\n- two"),
        ("a <em> b </em> c", "a b c"),
        (
            "<pre>\n\n  a\n\n\n  b  \n</pre><p>c",
            "  a\n\n\n  b\n\nc".replace("  a", "\n  a"),
        ),
        ("a<!-- <p>not shown</p> -->b", "ab"),
        ("a<!-- to the end", "a"),
        ("a<script>if (1 < 2) x();</script>b", "ab"),
        ("if a < b and c > d", "if a < b and c > d"),
        ("a<x-bar></x-bar>b", "ab"),
        ("a &amp;lt; &#233; &nosuch;", "a &lt; \u00e9 &nosuch;"),
        ("<a href='x'>link</a> <img src=x alt=y>!", "link !"),
        ("vector<int> x; <i>y</i>", "vector x; y"),
    ],
)
def test_html_becomes_what_a_page_shows(html: str, text: str) -> None:
    assert html_to_text(html) == text


@given(st.text(alphabet="<>/!-pre code&;\n\"'=", max_size=60))
def test_any_html_has_a_text(html: str) -> None:
    text = html_to_text(html)
    assert text == text.rstrip()


def test_answers_of_one_score_keep_their_order() -> None:
    answers = [{"text": f"<p>{index}</p>", "score": 1} for index in range(5)]
    row = {
        **THREAD,
        "answers": [*answers, {"text": "none"}, {"text": "9", "score": 9.5}],
    }
    text = text_of({"kind": "thread"}, row)
    assert [part[3:] for part in text.split("\n\n") if part.startswith("A: ")] == [
        *("9", "0", "1", "2", "3", "4", "none")
    ]
