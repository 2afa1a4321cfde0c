"""Workspaces with real git and DVC, for tests of pinning and preparing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ledger.dvc_store import DvcStore
from specs.experiment import Experiment
from specs.loading import load_experiment

WORDS = "the a of model data step weights code text mixture stage loss print return"


def make_workspace(folder: Path) -> Path:
    """Make a git repository that DVC works in."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    DvcStore(folder).initialise()
    isolate(folder)
    return folder


def isolate(folder: Path) -> None:
    """Keep what DVC remembers of a workspace inside it."""
    site = folder / ".dvc" / "tmp" / "site"
    config = f"[core]\n    site_cache_dir = {site}\n"
    (folder / ".dvc" / "config.local").write_text(config)


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    identity = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def dvc(workspace: Path, *arguments: str) -> None:
    """Run DVC's command."""
    environ = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments, "--quiet"]
    subprocess.run(command, cwd=workspace, check=True, env=environ)


def write_lines(path: Path, texts: Iterable[str], **fields: Any) -> Path:
    """Write a JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": text, **fields}) for text in texts]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def sentences(count: int, *, seed: int = 0, num_words: int = 40) -> list[str]:
    """Make texts that differ, with spaces, digits, newlines and rare characters."""
    words = WORDS.split()
    texts = []
    for number in range(count):
        chosen = [
            words[(number * 7 + place * (place + seed + 3)) % len(words)]
            for place in range(num_words)
        ]
        body = " ".join(chosen)
        texts.append(f"doc {seed}-{number}\n    {body}\n\n\t\u00e9 = {number * 37}\n")
    return texts


def write_spec(workspace: Path, sources: dict[str, Any], **changes: Any) -> Path:
    """Write a small spec; every source has the same weight."""
    spec = {
        "codemix": 1,
        "name": "small",
        "seed": 17,
        "model": {"layers": 1, "width": 16, "heads": 2, "ffn_width": 16},
        "tokenizer": {
            "vocab_size": 320,
            "train": {"mixture": dict.fromkeys(sources, 1), "sample_bytes": 100_000},
        },
        "sources": sources,
        "batch": {"sequences": 2, "length": 8, "lane": 1},
        "stages": [
            {
                "name": "only",
                "tokens": 4096,
                "mixture": dict.fromkeys(sources, 1),
                "learning_rate": {"schedule": "constant", "peak": 0.001},
            }
        ],
        **changes,
    }
    path = workspace / "specs" / "small.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(spec, indent=1))
    return path


def experiment_of(spec: Path) -> Experiment:
    """Load a spec."""
    return load_experiment(spec)
