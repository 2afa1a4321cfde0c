"""Batches of one mixture, read by codemix, Grain, seqio and plain numpy.

    python bench/input.py [--shape 512x2048 512x8192] [--rounds 20] [--json]

The corpus is 8 sources of 4 files each, 268 MB of uint16 tokens, pages warm. Every
reader is a process of its own; they take turns. The plain readers know beforehand
which rows they have to read, and are what any reader could reach that also has to find
that out: one slice after the other, and all rows of a file at once. What counts is the
mean of a turn, so that no reader gains by doing many batches' work in one; and beside
the clock's the processor's time, for machines that do other things meanwhile. Resuming
is timed from opening the files to the first batch of step 100,000.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.input_readers import (  # noqa: E402
    FILE_TOKENS,
    FILES_PER_SOURCE,
    READERS,
    VOCAB_SIZE,
    WEIGHTS,
    Shape,
)
from bench.turns import Peer, machine, take_turns  # noqa: E402

PLAIN = ("plain", "plain-by-file")
NEEDED = {"grain": "grain", "grain-direct": "grain", "seqio": "seqio"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parse(arguments)
    names = [
        name
        for name in options.readers
        if name not in NEEDED or importlib.util.find_spec(NEEDED[name])
    ]
    missing = [name for name in options.readers if name not in names]
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(Path(folder))
        shapes = {
            shape: measure(Path(folder), shape, names, options.rounds, options.steps)
            for shape in options.shape
        }
    report = {"machine": machine(), "missing": missing, "shapes": shapes}
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(machine())
    for name in missing:
        print(f"{name} is not measured: it is not installed")
    for shape, readers in shapes.items():
        print_table(shape, readers)


def write_corpus(folder: Path) -> None:
    """Write token stores as `prepare` does; the pages stay warm."""
    from runtime.shard_writer import ShardWriter
    from runtime.store_format import Manifest, SplitRecord

    rng = np.random.default_rng(0)
    nothing = SplitRecord(shards=(), num_tokens=0, num_documents=0, num_bytes=0)
    for name in WEIGHTS:
        (folder / name).mkdir()
        shards = []
        for shard in range(FILES_PER_SOURCE):
            writer = ShardWriter(
                folder / name,
                split="train",
                shard=shard,
                order_key=1,
                vocab_size=VOCAB_SIZE,
            )
            tokens = rng.integers(0, VOCAB_SIZE, FILE_TOKENS, dtype=np.uint16)
            for number, document in enumerate(np.split(tokens, 2**10), 1):
                writer.add(document, file=shard, number=number, num_bytes=document.size)
            shards.append(writer.finish())
        split = SplitRecord(
            shards=tuple(shards),
            num_tokens=sum(one.num_tokens for one in shards),
            num_documents=sum(one.num_documents for one in shards),
            num_bytes=sum(one.num_text_bytes for one in shards),
        )
        manifest = Manifest(
            store=1,
            identity=name,
            source=name,
            tokenizer_sha256="0" * 64,
            vocab_size=VOCAB_SIZE,
            eos_id=1,
            files=(name,),
            splits={"train": split, "heldout": nothing},
            read=split.num_documents,
            dropped={},
            reserved=0,
            corrupt=0,
        )
        (folder / name / "manifest.json").write_bytes(manifest.to_bytes())


def measure(
    folder: Path, shape_name: str, names: Sequence[str], rounds: int, steps: int
) -> dict[str, dict[str, float]]:
    """Let all readers take turns at one shape; name -> figures."""
    shape = parse_shape(shape_name)
    peers: list[Peer] = []
    try:
        for name in names:
            arguments = ["-m", "bench.input_readers", name, str(folder), shape_name]
            quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
            peers.append(Peer(name, arguments, environment=quiet))
        take_turns(peers, rounds=rounds, count=steps)
    finally:
        for peer in peers:
            peer.stop()
    return {peer.name: _figures(peer, shape) for peer in peers}


def print_table(shape: str, readers: dict[str, dict[str, float]]) -> None:
    """Print one shape."""
    plain = [readers[name] for name in PLAIN if name in readers]
    best = min((x["seconds"] for x in plain), default=None)
    best_cpu = min((x["cpu_seconds"] for x in plain), default=None)
    print(f"\n{shape}, medians\n")
    print(
        "| reader | ms/batch | CPU ms | M tokens/s | of plain | of plain by CPU "
        "| resume ms | at step | MiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, x in readers.items():
        share = f"{best / x['seconds']:.2f}" if best else "-"
        share_cpu = f"{best_cpu / x['cpu_seconds']:.2f}" if best_cpu else "-"
        first = "-" if name in PLAIN else f"{x['first_seconds'] * 1e3:,.1f}"
        step = "-" if name in PLAIN else f"{x['resume_step']:,.0f}"
        speed = f"{x['tokens_per_second'] / 1e6:,.1f}"
        milliseconds = f"{x['seconds'] * 1e3:.2f}"
        cpu = f"{x['cpu_seconds'] * 1e3:.2f}"
        told = [name, milliseconds, cpu, speed, share, share_cpu, first, step]
        print("| " + " | ".join([*told, f"{x['peak_mib']:,.0f}"]) + " |")


def parse_shape(text: str) -> Shape:
    """Read rows x tokens."""
    sequences, length = text.split("x")
    return Shape(int(sequences), int(length))


def _figures(peer: Peer, shape: Shape) -> dict[str, float]:
    seconds = statistics.median(turn["seconds"] for turn in peer.turns)
    cpu_seconds = statistics.median(turn["cpu_seconds"] for turn in peer.turns)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "tokens_per_second": shape.num_tokens / seconds,
        "first_seconds": statistics.median(peer.start["first_seconds"]),
        "resume_step": peer.start["resume_step"],
        "peak_mib": max(turn["peak_mib"] for turn in peer.turns),
    }


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", nargs="+", default=["512x2048", "512x8192"])
    parser.add_argument("--readers", choices=READERS, nargs="+", default=list(READERS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=32, help="batches in a turn")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
