"""Rows in the shapes in which code-adjacent data sets are published, with their texts.

The rows are our own; the keys are those of CommitPack, of The Stack's notebooks and
issues and of the Stack Exchange preferences.
"""

from __future__ import annotations

import json
from typing import Any

COMMIT = {
    "commit": "5af1",
    "old_file": "lib/mean.py",
    "new_file": "lib/average.py",
    "old_contents": "def mean(x):\n    return sum(x) / len(x)\n",
    "new_contents": "def mean(x):\n    return sum(x) / len(x) if x else 0.0",
    "subject": "Mean of nothing is 0",
    "message": "Mean of nothing is 0\n\nIt was a division by zero.\n",
    "lang": "Python",
    "license": "mit",
    "repos": "ana/stats",
}
COMMIT_TEXT = """\
File: lib/mean.py -> lib/average.py
Before:
def mean(x):
    return sum(x) / len(x)
Commit: Mean of nothing is 0

It was a division by zero.
After:
def mean(x):
    return sum(x) / len(x) if x else 0.0
"""

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"language_info": {"name": "python"}},
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Sums\n", "\n", "One."]},
        {"cell_type": "raw", "metadata": {}, "source": "for a converter"},
        {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {},
            "source": ["x = 1 + 1\n", "x"],
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["one\n", "two"]},
                {
                    "output_type": "execute_result",
                    "data": {"text/plain": ["2"], "image/png": "iVBO"},
                    "execution_count": 1,
                    "metadata": {},
                },
                {"output_type": "error", "ename": "E", "evalue": "no", "traceback": []},
            ],
        },
        {"cell_type": "code", "metadata": {}, "source": "  \n", "outputs": []},
    ],
}
NOTEBOOK_TEXT = """\
# Sums

One.

```python
x = 1 + 1
x
```
"""
OUTPUT_TEXT = """
```output
one
two
2
E: no
```
"""
OLD_NOTEBOOK = {
    "nbformat": 3,
    "nbformat_minor": 0,
    "metadata": {"name": "old"},
    "worksheets": [
        {
            "cells": [
                {"cell_type": "heading", "level": 1, "source": ["Sums"]},
                {"cell_type": "markdown", "source": "One."},
                {
                    "cell_type": "code",
                    "language": "python",
                    "input": ["x = 1 + 1\n", "x"],
                    "outputs": [
                        {"output_type": "stream", "text": "one\ntwo\n"},
                        {"output_type": "pyout", "text": ["2"]},
                        {"output_type": "pyerr", "ename": "E", "evalue": "no"},
                    ],
                },
            ]
        }
    ],
}
GROUPED_CELLS = {
    "cells": [
        [["# Sums", "_____no_output_____"], ["One.", "_____no_output_____"]],
        [["x = 1 + 1\nx", "one\ntwo\n2\nE: no\n"]],
    ],
    "cell_types": ["markdown", "code"],
    "cell_type_groups": [["markdown", "markdown"], ["code"]],
}
LISTED_CELLS = {
    "cells": ["# Sums\n\nOne.", "x = 1 + 1\nx"],
    "types": ["markdown", "code"],
}

THREAD: dict[str, Any] = {
    "qid": 7,
    "question": "<p>How do I add <code>a &lt; b</code>?</p>\n\n<pre><code>a\n\n\nb\n"
    "</code></pre>\n",
    "answers": [
        {"answer_id": 1, "text": "<p>Don't.</p>", "pm_score": -1, "selected": False},
        {"answer_id": 2, "text": "<p>Use +.</p>", "pm_score": 3, "selected": False},
        {"answer_id": 3, "text": "<p>Use sum.</p>", "pm_score": 3, "selected": True},
    ],
    "date": "2020/01/02",
}
THREAD_TEXT = """\
Q: How do I add a < b?

a


b

A: Use sum.

A: Use +.

A: Don't."""

ISSUE: dict[str, Any] = {
    "repo": "ana/stats",
    "issue_id": 9,
    "events": [
        {
            "action": "opened",
            "author": "Ana-M",
            "title": "Mean of nothing",
            "text": "It fails. @bert, did you see it?\n",
        },
        {"action": "labeled", "author": "bert", "title": None, "text": None},
        {"action": "created", "author": "bert", "text": "I did, @ana-m and @carl."},
        {
            "action": "closed",
            "author": "Ana-M",
            "text": "It fails. @bert, did you see it?",
        },
    ],
}
ISSUE_TEXT = """\
Title: Mean of nothing

username_0: It fails. @username_1, did you see it?

username_1: I did, @username_0 and @carl.

Status: closed"""
COMMENTED = {
    "title": "Mean of nothing",
    "body": "It fails. @bert, did you see it?",
    "user": {"login": "Ana-M", "id": 1},
    "state": "closed",
    "comments": [{"user": {"login": "bert"}, "body": "I did, @ana-m and @carl."}],
}

ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "commit": ({"kind": "commit"}, COMMIT, COMMIT_TEXT),
    "commit with its subject": (
        {"kind": "commit", "message": "subject"},
        COMMIT,
        COMMIT_TEXT.replace("\n\nIt was a division by zero.", ""),
    ),
    "notebook": (
        {"kind": "notebook"},
        {"text": json.dumps(NOTEBOOK)},
        NOTEBOOK_TEXT,
    ),
    "notebook with outputs": (
        {"kind": "notebook", "max_output_chars": 100},
        {"text": json.dumps(NOTEBOOK)},
        NOTEBOOK_TEXT + OUTPUT_TEXT,
    ),
    "notebook with the start of its outputs": (
        {"kind": "notebook", "max_output_chars": 7},
        {"text": json.dumps(NOTEBOOK)},
        NOTEBOOK_TEXT + OUTPUT_TEXT.replace("\n2\nE: no", ""),
    ),
    "notebook of version 3": (
        {"kind": "notebook", "max_output_chars": 100},
        {"text": json.dumps(OLD_NOTEBOOK)},
        NOTEBOOK_TEXT + OUTPUT_TEXT,
    ),
    "cells in groups": (
        {"kind": "notebook", "rows": "parsed", "max_output_chars": 100},
        GROUPED_CELLS,
        (NOTEBOOK_TEXT + OUTPUT_TEXT).replace("```python", "```"),
    ),
    "cells in a list": (
        {"kind": "notebook", "rows": "parsed"},
        LISTED_CELLS,
        NOTEBOOK_TEXT.replace("```python", "```"),
    ),
    "thread": ({"kind": "thread"}, THREAD, THREAD_TEXT),
    "thread without bad answers": (
        {"kind": "thread", "min_score": 0},
        THREAD,
        THREAD_TEXT.removesuffix("\n\nA: Don't."),
    ),
    "thread with its best answer": (
        {"kind": "thread", "max_answers": 1},
        THREAD,
        THREAD_TEXT.split("\n\nA: Use +")[0],
    ),
    "plain thread with a title": (
        {"kind": "thread", "body": "plain"},
        {"title": "Adding", "question": "a < b?\n", "answers": [{"text": " yes "}]},
        "Q: Adding\n\na < b?\n\nA: yes",
    ),
    "thread stored as an object of lists": (
        {"kind": "thread"},
        THREAD
        | {
            "answers": {
                k: [a[k] for a in THREAD["answers"]]
                for k in ("text", "pm_score", "selected")
            }
        },
        THREAD_TEXT,
    ),
    "issue": ({"kind": "issue"}, ISSUE, ISSUE_TEXT),
    "issue with comments": (
        {"kind": "issue", "rows": "comments"},
        COMMENTED,
        ISSUE_TEXT,
    ),
    "issue with names": (
        {"kind": "issue", "authors": "named"},
        ISSUE,
        ISSUE_TEXT.replace("@username_0", "@ana-m")
        .replace("username_0", "Ana-M")
        .replace("username_1", "bert"),
    ),
    "issue without names": (
        {"kind": "issue", "authors": "left_out"},
        ISSUE,
        ISSUE_TEXT.replace("@username_0", "@ana-m")
        .replace("@username_1", "@bert")
        .replace("username_0: ", "")
        .replace("username_1: ", ""),
    ),
    "issue whose authors are masked": (
        {"kind": "issue"},
        {
            "events": [
                {
                    "title": "T",
                    "author": "x",
                    "masked_author": "username_3",
                    "text": "a",
                }
            ]
        },
        "Title: T\n\nusername_3: a",
    ),
    "issue with comments of nobody": (
        {"kind": "issue", "rows": "comments"},
        {"title": "T", "body": None, "comments": ["one", "two"], "state": "open"},
        "Title: T\n\none\n\ntwo",
    ),
}
"""What is shown -> a reader, a row and the text that it becomes."""
