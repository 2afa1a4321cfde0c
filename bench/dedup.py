"""What deduplication finds and how fast, beside datasketch's LSH on the same shingles.

    python bench/dedup.py [--documents 4000] [--megabytes 20] [--json]

Found: documents of words drawn at random, each with a variant whose similarity is known
exactly; for ranges of similarity, how many variants are dropped at a threshold of 80%.
All from 80% on should be, and none below. datasketch drops what its index returns, as
its documentation shows, or what also has an estimated similarity of 80%.

Fast: real text, Python's standard library in pieces of about 2,000 bytes, every tenth
of them once more with a few words changed. In seconds of processor time, all processes
of one worker together, reading and writing of files included; datasketch is given the
texts in memory.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import random
import re
import resource
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.turns import machine  # noqa: E402
from runtime.deduplication.drops import read_drops  # noqa: E402
from runtime.deduplication.folders import drops_folder, drops_path  # noqa: E402
from runtime.deduplication.run import deduplicate  # noqa: E402
from runtime.progress import ignore_progress  # noqa: E402
from runtime.shards import plan_shards  # noqa: E402
from runtime.watched import WatchedFiles  # noqa: E402
from specs.experiment import Experiment  # noqa: E402
from specs.lock import Lock, LockedFile, LockedInput  # noqa: E402
from specs.resolve import plan_experiment  # noqa: E402

THRESHOLD = Fraction(4, 5)
BORDERS = tuple(Fraction(n, 20) for n in (10, 12, 14, 15, 16, 17, 18, 19, 20))
"""As fractions: a pair exactly at the threshold is no pair below it."""
SIZE = 5
PERMUTATIONS = 128
PIECE_BYTES = 2000
WORD = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
MB = 1e6

Shingles = frozenset[bytes]
Dropped = set[int]
Ways = dict[str, Callable[[Sequence[bytes]], Dropped]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    ways = dict(WAYS)
    if importlib.util.find_spec("datasketch") is None:
        print("datasketch is not installed: make setup-bench", file=sys.stderr)
        ways = {"codemix": by_codemix}
    report = {
        "machine": machine(),
        "found": measure_found(options.documents, ways),
        "fast": measure_speed(int(options.megabytes * MB), ways),
    }
    print(json.dumps(report) if options.json else shown(report))


def measure_found(num_documents: int, ways: Ways) -> list[dict[str, Any]]:
    """Return for ranges of similarity which share of variants each way drops."""
    rng = random.Random(1)
    words = [f"w{number}" for number in range(20_000)]
    texts: list[str] = []
    similarities: dict[int, Fraction] = {}
    while len(similarities) < num_documents:
        base = rng.choices(words, k=rng.randint(60, 600))
        variant = _edited(base, rng.uniform(0, 0.12), words, rng)
        texts += [" ".join(base), " ".join(variant)]
        sets = [shingles(text.encode()) for text in texts[-2:]]
        shared = len(sets[0] & sets[1])
        similarities[len(texts) - 1] = Fraction(shared, len(sets[0] | sets[1]))
    encoded = [text.encode() for text in texts]
    found_by = {name: way(encoded) for name, way in ways.items()}
    rows = []
    for low, high in pairwise(BORDERS):
        is_last = high == BORDERS[-1]
        places = {
            place
            for place, found in similarities.items()
            if low <= found < high or (is_last and found == 1)
        }
        share = {
            name: len(dropped & places) / len(places) if places else None
            for name, dropped in found_by.items()
        }
        borders = {"from": float(low), "to": float(high)}
        rows.append({**borders, "pairs": len(places), **share})
    return rows


def measure_speed(num_bytes: int, ways: Ways) -> dict[str, Any]:
    """Return what each way takes for real text, and what it drops."""
    rng = random.Random(2)
    texts = real_texts(num_bytes, rng)
    total = sum(map(len, texts))
    found: dict[str, Any] = {"bytes": total, "documents": len(texts)}
    for name, way in ways.items():
        begin = _processor_seconds()
        dropped = way(texts)
        seconds = _processor_seconds() - begin
        found[name] = {
            "seconds": seconds,
            "megabytes_per_second": total / MB / seconds,
            "dropped": len(dropped),
        }
    return found


def by_codemix(texts: Sequence[bytes]) -> Dropped:
    """Deduplicate files as `codemix prepare` does, with one worker."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        plan, lock = _workspace(workspace, texts)
        deduplicate(
            plan,
            lock,
            workspace,
            watched=WatchedFiles(workspace, lock.paths),
            num_workers=1,
            progress=ignore_progress,
        )
        files = lock.inputs["sources.text"].files
        drops = drops_folder("text", plan, lock, workspace)
        return {
            number - 1
            for shard in range(len(plan_shards(files, "auto")))
            for _, number in read_drops(drops_path(drops, shard), [files[0].path])
        }


def by_index(texts: Sequence[bytes], *, is_checked: bool = False) -> Dropped:
    """Drop what datasketch's index finds, in one process."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=float(THRESHOLD), num_perm=PERMUTATIONS)
    kept: dict[int, Any] = {}
    dropped: Dropped = set()
    for place, text in enumerate(texts):
        signature = MinHash(num_perm=PERMUTATIONS)
        signature.update_batch(shingles(text))
        like = index.query(signature)
        if is_checked:
            like = [
                one for one in like if signature.jaccard(kept[one]) >= float(THRESHOLD)
            ]
        if like:
            dropped.add(place)
        else:
            index.insert(place, signature)
            kept[place] = signature
    return dropped


def by_checked_index(texts: Sequence[bytes]) -> Dropped:
    """Drop what the index finds and signatures call similar enough."""
    return by_index(texts, is_checked=True)


WAYS: Ways = {
    "codemix": by_codemix,
    "datasketch": by_index,
    "datasketch, estimated": by_checked_index,
}


def shingles(text: bytes) -> Shingles:
    """Return the runs of words of a text, as codemix defines them."""
    words = WORD.findall(text)
    count = max(1, len(words) - SIZE + 1)
    return frozenset(b" ".join(words[place : place + SIZE]) for place in range(count))


def real_texts(num_bytes: int, rng: random.Random) -> list[bytes]:
    """Return pieces of Python's standard library, a tenth of them twice."""
    found: list[bytes] = []
    total = 0
    while total < num_bytes:
        for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
            text = path.read_text("utf-8", "ignore")
            # A further round must not be a copy of the one before.
            mark = f"# {len(found)}\n" if found else ""
            for start in range(0, len(text), PIECE_BYTES):
                piece = mark + text[start : start + PIECE_BYTES]
                found.append(piece.encode())
                total += len(found[-1])
                if rng.random() < 0.1:
                    found.append(piece.replace("self", "this", 2).encode())
                    total += len(found[-1])
            if total >= num_bytes:
                break
    return found


def shown(report: dict[str, Any]) -> str:
    """Return the report for people."""
    names = [name for name in WAYS if name in report["fast"]]
    lines = [f"dropped at a threshold of {float(THRESHOLD):.0%}, by exact similarity"]
    lines.append(f"{'similarity':>14}{'pairs':>7}" + "".join(f"{n:>24}" for n in names))
    for row in report["found"]:
        cells = "".join(
            f"{'-' if row[name] is None else format(row[name], '.1%'):>24}"
            for name in names
        )
        lines.append(f"{row['from']:>8.2f} -{row['to']:.2f}{row['pairs']:>7}{cells}")
    fast = report["fast"]
    lines.append(
        f"\n{fast['bytes'] / MB:.1f} MB of text, {fast['documents']:,} documents"
    )
    for name in names:
        one = fast[name]
        lines.append(
            f"{name:>24}: {one['megabytes_per_second']:6.1f} MB/s per core, "
            f"{one['dropped']:,} dropped"
        )
    lines.append(report["machine"])
    return "\n".join(lines)


def _edited(
    base: list[str], share: float, words: list[str], rng: random.Random
) -> list[str]:
    return [rng.choice(words) if rng.random() < share else word for word in base]


def _workspace(workspace: Path, texts: Sequence[bytes]) -> tuple[Any, Lock]:
    path = workspace / "data" / "text.jsonl"
    path.parent.mkdir()
    lines = [json.dumps({"text": text.decode()}) for text in texts]
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(data)
    file = LockedFile(
        path="data/text.jsonl",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        documents=len(texts),
    )
    pinned = LockedInput(uri="data/text.jsonl", dvc="", dvc_hash="", files=(file,))
    near = {"threshold": float(THRESHOLD), "size": SIZE, "permutations": PERMUTATIONS}
    experiment = Experiment.model_validate(
        {
            "codemix": 1,
            "name": "bench",
            "seed": 1,
            "model": {"layers": 1, "width": 16, "heads": 2, "ffn_width": 16},
            "tokenizer": {"vocab_size": 320, "file": "a.model"},
            "sources": {"text": {"uri": "data/text.jsonl", "holdout": 0}},
            "deduplicate": {"sources": ["text"], "near": near},
            "batch": {"sequences": 2, "length": 8, "lane": 1},
            "stages": [
                {
                    "name": "only",
                    "tokens": 4096,
                    "mixture": {"text": 1},
                    "learning_rate": {"schedule": "constant", "peak": 0.001},
                }
            ],
        }
    )
    lock = Lock(lock=1, codemix="", inputs={"sources.text": pinned})
    return plan_experiment(experiment), lock


def _processor_seconds() -> float:
    """Return the seconds of this process and of its children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
