"""Raw text to tokens: `codemix prepare` beside tokenizers, on one core.

    python bench/prepare.py [--text FILE.jsonl] [--megabytes 8] [--rounds 5] [--json]
                            [--vocabulary codemix|plain]

The text is the source code of Python's own standard library, or the `text` field of a
file. A BPE vocabulary of 32,000 pieces is learned from it, which all use: as codemix
learns one, or `plain`, with a space in front of a text and newlines as bytes. Every
peer is a process of its own; they take turns. What counts is the time of the processor,
all threads together, for machines that do other things meanwhile: MB of UTF-8 per
second of a core. A share is the median over rounds of two peers' times in the same
round.

codemix goes from a JSON Lines file to a shard of a token store: reading, splitting off
held-out documents, tokens, order, digests. `sentencepiece` and `tokenizers` have the
texts in memory and keep nothing. `datasets` goes from the file to an Arrow file.
`seqio` reads the file by a Task of its own parts, and keeps nothing. Tokens differ
where a text names a control piece, such as `<unk>`, which `tokenizers` takes for one.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.prepare_peers import DOCUMENTS, MODEL, PEERS  # noqa: E402
from bench.turns import Peer, machine, take_turns  # noqa: E402

VOCAB_SIZE = 32_000
ALONE = ("sentencepiece", "tokenizers")
"""Peers that do nothing but tokenise."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parse(arguments)
    before = machine()
    with tempfile.TemporaryDirectory() as folder:
        num_bytes = write_text(
            Path(folder), options.text, options.megabytes * 10**6, options.vocabulary
        )
        figures = measure(Path(folder), options.peers, options.rounds, num_bytes)
    report = {"machine": before, "after": machine(), "bytes": num_bytes, **figures}
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print_table(report)


def write_text(folder: Path, text: Path | None, max_bytes: int, vocabulary: str) -> int:
    """Write the documents and learn the vocabulary; returns bytes of text."""
    chosen, num_bytes = [], 0
    for document in _from_file(text) if text else _standard_library():
        if num_bytes + len(document) > max_bytes:
            break
        chosen.append(document)
        num_bytes += len(document)
    lines = [json.dumps({"text": one.decode()}) + "\n" for one in chosen]
    (folder / DOCUMENTS).write_text("".join(lines), encoding="utf-8")
    (folder / MODEL).write_bytes(VOCABULARIES[vocabulary](chosen))
    return num_bytes


def _as_codemix(documents: list[bytes]) -> bytes:
    from runtime.tokenizer_training import train_model

    return train_model(documents, VOCAB_SIZE)


def _plain(documents: list[bytes]) -> bytes:
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(
            line for one in documents for line in one.decode().split("\n")
        ),
        model_writer=model,
        model_type="bpe",
        vocab_size=VOCAB_SIZE,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        split_digits=True,
        minloglevel=2,
    )
    return model.getvalue()


VOCABULARIES = {"codemix": _as_codemix, "plain": _plain}


def _from_file(path: Path) -> list[bytes]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["text"].encode() for line in lines]


def _standard_library() -> list[bytes]:
    found = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        raw = path.read_bytes()
        if "site-packages" not in path.parts and raw:
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError:
                continue  # made so on purpose, to test the parser
            found.append(raw)
    return found


def measure(
    folder: Path, names: Sequence[str], rounds: int, num_bytes: int
) -> dict[str, Any]:
    """Let all peers take turns, and put their times together."""
    peers: list[Peer] = []
    try:
        for name in names:
            peers.append(Peer(name, ["-m", "bench.prepare_peers", name, str(folder)]))
        take_turns(peers, rounds=rounds, count=1)
    finally:
        for peer in peers:
            peer.stop()
    times = {peer.name: [turn["cpu_seconds"] for turn in peer.turns] for peer in peers}
    alone = [name for name in names if name in ALONE]
    fastest = min(alone, key=lambda name: statistics.median(times[name]), default=None)
    return {
        "fastest": fastest,
        "peers": {
            peer.name: {
                "mb_per_core_second": num_bytes
                / 1e6
                / statistics.median(times[peer.name]),
                "share_of_fastest": _share(times, fastest, peer.name),
                "seconds": statistics.median(turn["seconds"] for turn in peer.turns),
                "cpu_seconds": times[peer.name],
                "peak_mib": max(turn["peak_mib"] for turn in peer.turns),
                "tokens": peer.start["tokens"],
            }
            for peer in peers
        },
    }


def _share(
    times: dict[str, list[float]], fastest: str | None, name: str
) -> float | None:
    if fastest is None:
        return None
    pairs = zip(times[fastest], times[name], strict=True)
    return statistics.median(best / mine for best, mine in pairs)


def print_table(report: dict[str, Any]) -> None:
    """Print what was measured."""
    print(f"{report['machine']} before, {report['after'].rpartition(';')[2]} after")
    print(f"{report['bytes'] / 1e6:.1f} MB of text, {VOCAB_SIZE:,} pieces, medians\n")
    print(f"| peer | MB/s per core | of {report['fastest']} | tokens | MiB |")
    print("|---|---|---|---|---|")
    for name, x in report["peers"].items():
        share = x["share_of_fastest"]
        told = [
            name,
            f"{x['mb_per_core_second']:.2f}",
            "-" if share is None else f"{share:.2f}",
            f"{x['tokens']:,}",
            f"{x['peak_mib']:,.0f}",
        ]
        print("| " + " | ".join(told) + " |")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", type=Path, help="JSON Lines with a field `text`")
    parser.add_argument("--megabytes", type=int, default=8, help="of text, at most")
    parser.add_argument("--vocabulary", choices=VOCABULARIES, default="codemix")
    parser.add_argument("--peers", choices=PEERS, nargs="+", default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
