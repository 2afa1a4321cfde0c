"""How fast training text is scanned for questions, beside plain scans in Python.

    python bench/contamination.py [--rounds 5] [--json]
    python bench/contamination.py --text data/*.txt --questions test.jsonl:question

All ways are timed in this process and in turns, in seconds of processor time, so that
what else the machine does counts less. Without files of your own the text is Python's
standard library, and the questions are made up from its words. The plain scans look up
runs of words in sets: of 8 words alone, one after another or all at once, and of every
length that is looked for, which is what it takes to find the same; that it is the same
is checked.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import statistics
import sys
import sysconfig
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from bench.turns import machine  # noqa: E402
from evals.contamination.characters import normalise  # noqa: E402
from evals.contamination.matches import Matcher  # noqa: E402
from evals.contamination.needles import QuestionIndex, index_questions  # noqa: E402
from evals.contamination.scan import Findings, Scanned, Scanner  # noqa: E402
from runtime.tokenizer import load_tokenizer  # noqa: E402
from runtime.tokenizer_training import train_model  # noqa: E402
from specs.task import Task  # noqa: E402

NUM_QUESTIONS = 20_000
SAMPLE_BYTES = 2_000_000
VOCAB_SIZE = 8_000

WORD = re.compile(r"[^\W_]+")

Grams = dict[int, set[tuple[str, ...]]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", nargs="*", type=Path, default=[])
    parser.add_argument("--questions", nargs="*", default=[], metavar="FILE:FIELD,...")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    texts = list(read_texts(options.text or [Path(sysconfig.get_path("stdlib"))]))
    tasks = [read_task(*one.rsplit(":", 1)) for one in options.questions]
    report = measure(texts, tasks or [made_up(texts)], options.rounds)
    print(json.dumps(report) if options.json else shown(report))


def measure(
    texts: list[bytes], tasks: list[tuple[Task, list[Any]]], rounds: int
) -> dict[str, Any]:
    """Scan the same text in every way, in turns."""
    begin = time.process_time()
    index = index_questions(tasks)
    scanner = Scanner(index)
    index_seconds = time.process_time() - begin
    documents = [Scanned("text", number, text) for number, text in enumerate(texts, 1)]
    grams = grams_of(index)
    eights = {8: runs_of_8(index)}
    check_same(index, scanner.scan(documents), texts, grams)
    ways: dict[str, Callable[[], object]] = {
        "codemix": lambda: scanner.scan(documents),
        "tokens to text": decoder(texts),
        "plain, 8 words, one by one": lambda: [one_by_one(t, eights) for t in texts],
        "plain, 8 words": lambda: [at_once(t, eights) for t in texts],
        "plain, all lengths": lambda: [at_once(t, grams) for t in texts],
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.process_time()
            way()
            seconds[name].append(time.process_time() - begin)
    num_bytes = sum(map(len, texts))
    return {
        "machine": machine(),
        "text_bytes": num_bytes,
        "documents": len(texts),
        "questions": sum(len(rows) for _, rows in tasks),
        "lengths": sorted(grams),
        "index_seconds": index_seconds,
        "megabytes_per_second": {
            name: sorted(num_bytes / 1e6 / one for one in found)
            for name, found in seconds.items()
        },
    }


def plain_words(text: bytes) -> list[str]:
    """Split a text into words, with the same rules for all but rare characters."""
    folded = unicodedata.normalize("NFKC", text.decode("utf-8", "replace")).casefold()
    return WORD.findall(folded)


def one_by_one(text: bytes, grams: Grams) -> set[tuple[str, ...]]:
    """Look up one run of words after another."""
    words = plain_words(text)
    return {
        tuple(words[at : at + length])
        for length, wanted in grams.items()
        for at in range(len(words) - length + 1)
        if tuple(words[at : at + length]) in wanted
    }


def at_once(text: bytes, grams: Grams) -> set[tuple[str, ...]]:
    """Look up all runs of words in one call for each length."""
    words = plain_words(text)
    found: set[tuple[str, ...]] = set()
    for length, wanted in grams.items():
        found |= wanted.intersection(zip(*(words[at:] for at in range(length))))  # noqa: B905
    return found


def grams_of(index: QuestionIndex) -> Grams:
    """Return all that counts as found, by its number of words."""
    grams: Grams = {}
    for task, needle in index.needles():
        words = needle.words.split(" ")
        length = len(words) if needle.kind == "whole" else task.ngram
        for at in range(len(words) - length + 1):
            grams.setdefault(length, set()).add(tuple(words[at : at + length]))
    return grams


def runs_of_8(index: QuestionIndex) -> set[tuple[str, ...]]:
    """Return all runs of 8 words."""
    texts = (needle.words.split(" ") for _, needle in index.needles())
    return {
        tuple(words[at : at + 8]) for words in texts for at in range(len(words) - 7)
    }


def check_same(
    index: QuestionIndex, findings: Findings, texts: list[bytes], grams: Grams
) -> None:
    """Check that both ways find the same where they see the same words."""
    matcher = Matcher(index)
    held: dict[int, set[tuple[str, ...]]] = {}
    for document in findings.found:
        for anchor, text in (findings.passages[one] for one in document.passages):
            words = text.split(" ")
            for match in matcher.matches(anchor, text.encode()):
                length = match.needle.ngram
                for at in range(
                    match.start, match.start + match.num_words - length + 1
                ):
                    run = tuple(words[at : at + length])
                    held.setdefault(document.number, set()).add(run)
    for number, text in enumerate(texts, 1):
        # Python's regular expressions don't count marks among the parts of words.
        if [word.encode() for word in plain_words(text)] == normalise(text).split():
            assert held.get(number, set()) == at_once(text, grams), number


def decoder(texts: list[bytes]) -> Callable[[], object]:
    """Return what turns tokens back into the texts, as a scan of a store does."""
    model = train_model([b"\n".join(texts)[:SAMPLE_BYTES]], VOCAB_SIZE)
    with tempfile.NamedTemporaryFile(suffix=".model") as file:
        file.write(model)
        file.flush()
        tokenizer = load_tokenizer(Path(file.name))
    pieces = np.array(tokenizer.piece_bytes(), object)
    tokens = [np.array(tokenizer.encode(t.decode()), np.uint16) for t in texts]
    return lambda: [b"".join(pieces[one].tolist()) for one in tokens]


def read_texts(paths: list[Path]) -> Iterator[bytes]:
    """Yield documents: of JSONL the lines' `text`, of a folder its Python files."""
    for path in paths:
        if path.is_dir():
            yield from read_texts(
                sorted(path.glob("*.py")) + sorted(path.glob("*/*.py"))
            )
        elif ".jsonl" in path.suffixes:
            yield from (row["text"].encode() for row in read_rows(path))
        else:
            yield path.read_bytes().decode("utf-8", "replace").encode()


def read_rows(path: Path) -> list[Any]:
    """Read a JSONL file."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in data.splitlines()]


def read_task(file: str, fields: str) -> tuple[Task, list[Any]]:
    """Make a task of a JSONL file, named after its folder."""
    path = Path(file)
    return task(path.resolve().parent.name.lower(), fields.split(",")), read_rows(path)


def made_up(texts: list[bytes]) -> tuple[Task, list[Any]]:
    """Make questions of 8 to 40 words of the texts, one word in six another."""
    chance = random.Random(17)
    words = [word for text in texts for word in plain_words(text)]
    rows = []
    for _ in range(NUM_QUESTIONS):
        at, count = chance.randrange(len(words) - 40), chance.randint(8, 40)
        chosen = words[at : at + count]
        question = [
            chance.choice(words) if chance.random() < 1 / 6 else w for w in chosen
        ]
        rows.append({"question": " ".join(question)})
    return task("made-up", ["question"]), rows


def task(name: str, fields: list[str]) -> Task:
    """Declare a task that looks for some fields."""
    data = {"file": name, "split": "test", "licence": "unknown", "fields": fields}
    return Task.model_validate(
        {
            "codemix_task": 1,
            "name": name,
            "version": 1,
            "data": data,
            "prompt": "none",
            "reply": {},
            "contamination": {"fields": fields},
        }
    )


def shown(report: dict[str, Any]) -> str:
    """Return the report as text."""
    speeds = report["megabytes_per_second"]
    median = {name: statistics.median(found) for name, found in speeds.items()}
    head = (
        f"{report['text_bytes'] / 1e6:.1f} MB in {report['documents']} documents, "
        f"{report['questions']} questions, runs of {report['lengths']} words, "
        f"indexed in {report['index_seconds']:.1f} s"
    )
    lines = [
        f"{name:28} {median[name]:7.1f}  {found[0]:7.1f} to {found[-1]:.1f}"
        for name, found in speeds.items()
    ]
    return "\n".join([head, f"{'MB/s, processor time':28}  median    range", *lines])


if __name__ == "__main__":
    main()
