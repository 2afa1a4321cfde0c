"""Workspaces whose documents have languages, for tests of what is counted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_workspace import WORDS, write_spec

from runtime.hashing import hash_file
from specs.loading import load_experiment, lock_path, save_lock
from specs.lock import Lock, LockedFile, LockedInput
from specs.plan import Plan
from specs.resolve import plan_experiment

TOP_TWO = {"filter": "top_values", "field": "lang", "count": 2}


def rows_of(languages: Iterable[Any], **fields: Any) -> list[dict[str, Any]]:
    """Make a document for each language, no two the same."""
    words = WORDS.split()
    return [
        {
            "text": f"{words[number % len(words)]} {number} = {number * 37}\n" * 8,
            "lang": language,
            **fields,
        }
        for number, language in enumerate(languages)
    ]


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def pinned(
    workspace: Path, rows: list[dict[str, Any]], *, files: int = 1, **source: Any
) -> tuple[Plan, Lock]:
    """Make a workspace with one source `web` of some rows, and its lock without DVC."""
    locked = []
    for number in range(files):
        path = f"data/{number}.jsonl"
        write_rows(workspace / path, rows[number::files])
        found = hash_file(workspace / path)
        locked.append(
            LockedFile(
                path=path,
                sha256=found.sha256,
                bytes=found.num_bytes,
                documents=len(rows[number::files]),
            )
        )
    uri = "data/*.jsonl"
    web = LockedInput(uri=uri, dvc="", dvc_hash="", files=tuple(locked))
    lock = Lock(lock=1, codemix="", inputs={"sources.web": web})
    spec = write_spec(workspace, {"web": {"uri": uri, **source}})
    save_lock(lock, lock_path(spec))
    return plan_experiment(load_experiment(spec)), lock
