"""Verified problems per second, and how near they come to benchmark questions.

`python bench/synth.py --count 3000` makes a set in a temporary folder and prints its
rate, the time in which 100,000 would be made at that rate, and the load of the machine
before and after. With `--humaneval FILE` and `--mbpp FILE` it looks for word n-grams
that a question and a problem share.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from runtime.synth.exclusion import ngrams  # noqa: E402
from runtime.synth.generate import synthesise  # noqa: E402
from runtime.synth.shard import read_shard  # noqa: E402

TARGET = 100_000
LENGTHS = (8, 10, 13)


def main() -> None:
    """Make a set and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sandbox", default="bubblewrap")
    parser.add_argument("--keep", type=Path, help="make or read the set here")
    parser.add_argument("--humaneval", type=Path)
    parser.add_argument("--mbpp", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary) / "synth"
        measure(folder, options)
        for name in ("humaneval", "mbpp"):
            path = getattr(options, name)
            if path is not None:
                overlap(name, list(questions(path)), folder)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Print problems per second."""
    load, start = os.getloadavg()[0], time.monotonic()
    begun: list[int] = []
    made = synthesise(
        folder,
        count=options.count,
        seed=options.seed,
        sandbox=options.sandbox,
        num_workers=options.workers,
        moved=lambda done, total: begun.append(done),
    )
    seconds = time.monotonic() - start
    spent = sum(os.times()[:4])
    fresh = options.count - begun[0]
    card = made.card
    print(f"{fresh} problems made in {seconds:.1f} s, {options.workers} workers")
    print(f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after")
    if fresh:
        rate = fresh / seconds
        print(f"{rate:.1f} a second; {TARGET / rate / 60:.1f} min for {TARGET:,}")
        if options.sandbox == "process":
            # Bubblewrap's processes are not among our own children.
            print(f"{1000 * spent / fresh:.1f} ms of processor time for each")
    print(f"kept {card['num_problems']}, given up {card['num_given_up']}, ", end="")
    print(f"duplicates {card['num_duplicates']}, rejected {card['rejected']}")
    print(f"near-duplicates {card['near_duplicates']}, shapes {card['num_shapes']}")


def questions(path: Path) -> Iterator[str]:
    """Yield the text of each question of HumanEval or MBPP, solutions included."""
    raw = path.read_bytes()
    text = gzip.decompress(raw) if path.suffix == ".gz" else raw
    for line in text.decode().splitlines():
        row = json.loads(line)
        parts = ("prompt", "canonical_solution", "text", "code")
        yield "\n".join(str(row[part]) for part in parts if part in row)


def overlap(name: str, texts: list[str], folder: Path) -> None:
    """Print how many problems share a word n-gram with a question."""
    held = {
        length: {one for text in texts for one in ngrams(text, length)}
        for length in LENGTHS
    }
    found: Counter[int] = Counter()
    shared: Counter[str] = Counter()
    for path in sorted(folder.glob("*.jsonl.zst")):
        for problem in read_shard(path):
            for length in LENGTHS:
                own = set(ngrams(problem["text"], length)) & held[length]
                found[length] += bool(own)
                if length == max(LENGTHS):
                    shared.update(own)
    told = ", ".join(f"{length}-gram {found[length]}" for length in LENGTHS)
    print(f"{name}: {len(texts)} questions; problems that share a {told}")
    for ngram, times in shared.most_common(5):
        print(f"  {times} x {ngram}")


if __name__ == "__main__":
    main()
