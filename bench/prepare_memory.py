"""What memory `codemix prepare` takes, all its processes together.

    python bench/prepare_memory.py [--megabytes 1000] [--workers 2] [--json]

Text is made: documents of words that are drawn anew, 2 KB each on average, in files of
250 MB. While they are pinned and prepared by the command line, twice a second the
memory of all its processes is added up: PSS, by which pages that several processes
share count once. The text and the store are deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.turns import machine  # noqa: E402

FILE_BYTES = 250 * 10**6
NUM_WORDS = 50_000
SECONDS_BETWEEN_LOOKS = 0.5
MIB = 2**20

SPEC = """
codemix: 1
name: memory
seed: 1
model: {layers: 1, width: 16, heads: 2, ffn_width: 16}
tokenizer:
  vocab_size: 8000
  train: {mixture: {text: 1}, sample_bytes: 2000000}
sources:
  text: {uri: "data/*.jsonl", holdout: 0.001}
batch: {sequences: 2, length: 8, lane: 1}
stages:
  - name: only
    tokens: 4096
    mixture: {text: 1}
    learning_rate: {schedule: constant, peak: 0.001}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parse(arguments)
    before = machine()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), options.megabytes * 10**6, options.workers)
    report = {"machine": before, "after": machine(), **report}
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{before} before, {report['after'].rpartition(';')[2]} after")
    for command in ("pin", "prepare"):
        found = report[command]
        print(
            f"{command}: {found['peak_mib']:,.0f} MiB at most in all processes, "
            f"{found['seconds']:,.0f} s for {options.megabytes:,} MB"
        )


def measure(folder: Path, num_bytes: int, num_workers: int) -> dict[str, Any]:
    """Prepare so much made text in a folder and tell what it took."""
    from ledger.workspace import make_bare_workspace

    make_bare_workspace(folder)
    spec = folder / "memory.yaml"
    spec.write_text(SPEC)
    write_text(folder / "data", num_bytes)
    workers = ["--workers", str(num_workers)]
    return {
        "bytes": num_bytes,
        "workers": num_workers,
        "pin": watch(["pin", str(spec)], folder),
        "prepare": watch(["prepare", str(spec), *workers], folder),
    }


def write_text(folder: Path, num_bytes: int) -> None:
    """Write JSON Lines of about so many bytes."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", np.uint8)
    lengths = rng.integers(2, 10, NUM_WORDS)
    words = [letters[rng.geometric(0.15, n) % 26].tobytes() for n in lengths]
    left, number = num_bytes, 0
    while left > 0:
        with (folder / f"{number:04d}.jsonl").open("wb") as file:
            while file.tell() < min(FILE_BYTES, left):
                # Few words make up most of a text, as in languages.
                count = int(rng.integers(10, 600))
                ranks = rng.zipf(1.3, count) % NUM_WORDS
                text = b" ".join([words[rank] for rank in ranks.tolist()])
                file.write(b'{"text": "%b"}\n' % text)
            left -= file.tell()
        number += 1


def watch(arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run the command line; returns seconds and the most memory at once."""
    main = "from codemix_cli.main import cli; cli()"
    start = time.monotonic()
    peak: dict[int, int] = {}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", main, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=said,
            stderr=said,
        )
        while process.poll() is None:
            now = {pid: pss_bytes(pid) for pid in family(process.pid)}
            if sum(now.values()) > sum(peak.values()):
                peak = now
            time.sleep(SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        sys.exit((folder / "said").read_text("utf-8", "replace"))
    return {
        "seconds": time.monotonic() - start,
        "peak_mib": sum(peak.values()) / MIB,
        "each_mib": sorted((size / MIB for size in peak.values()), reverse=True),
    }


def family(pid: int) -> list[int]:
    """Return a process and all that come from it."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def pss_bytes(pid: int) -> int:
    """Return what a process holds, its part of shared pages included."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    # Nothing is told of a process that has ended and is not waited for yet.
    return sum(int(x.split()[1]) * 1024 for x in lines if x.startswith("Pss:"))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=1000, help="of text")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
