"""Training a SentencePiece BPE tokenizer on a sample of the training split.

Text stays as it is (no normalisation, no added or removed space), every byte can be
written (byte fallback), digits stand alone, runs of spaces are pieces, and so is a
newline: code keeps its shape and costs few tokens. One thread, as SentencePiece learns
other pieces with more of them; so the same sample gives the same bytes.
"""

from __future__ import annotations

import hashlib
import heapq
import io
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from runtime.documents import Rows
from runtime.shards import RowRange
from runtime.source_reader import SourceReader, Tally
from runtime.worker_process import Handler, Report
from specs.atomic import write_atomically
from specs.base import Value
from specs.errors import InputError
from specs.plan import PlannedSource

TRAINING_VERSION = 1
"""Part of every trained tokenizer's identity."""

SPECIAL_IDS: dict[str, Any] = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": 3}
NEWLINE = "\n"
NUM_BYTE_PIECES = 256
CHARACTER_COVERAGE = Fraction("0.9995")
"""Rarer characters are written as bytes, however large the vocabulary is."""

MAX_SENTENCE_BYTES = 4096
READ_PER_SAMPLE = 16
"""Bytes read for each byte sampled, at most: a sample of a huge source must not cost
reading all of it."""


class SampledSource(Value):
    """What to sample of one source."""

    planned: PlannedSource
    files: tuple[str, ...]
    shards: tuple[tuple[RowRange, ...], ...]
    """In the order in which they are sampled."""
    order_key: str
    """Key of the choice of documents, a decimal number of 64 bits."""
    sample_bytes: int


class TrainingJob(Value):
    """All that a worker needs to know to train a tokenizer."""

    sources: dict[str, SampledSource]
    vocab_size: int
    workspace: str
    folder: str
    """Where the model goes, under the name of its SHA-256."""


def load() -> Handler:
    """Return the handler of jobs."""

    def handle(job: Any, report: Report) -> str:
        return train_tokenizer(TrainingJob.model_validate(job), report)

    return handle


def train_tokenizer(job: TrainingJob, report: Report) -> str:
    """Train a tokenizer, write its model and return the SHA-256 of that."""
    samples: list[bytes] = []
    for _, source in sorted(job.sources.items()):
        samples += sample_documents(source, Path(job.workspace))
        report(sum(map(len, samples)))
    model = train_model(samples, job.vocab_size)
    sha256 = hashlib.sha256(model).hexdigest()
    write_atomically(Path(job.folder) / f"{sha256}.model", model)
    return sha256


def sample_documents(source: SampledSource, workspace: Path) -> list[bytes]:
    """Choose documents of the training split by a keyed hash of their text.

    Of what is read, the documents with the smallest hashes are chosen, as many as fit.
    """
    order_key = int(source.order_key).to_bytes(8, "little")
    reader = SourceReader(source.planned, workspace)
    # A heap with the largest hash on top, the first to make room.
    chosen: list[tuple[int, bytes]] = []
    chosen_bytes = read_bytes = 0
    for shard in source.shards:
        rows = [Rows(source.files[r.file], r.start_row, r.stop_row) for r in shard]
        for kept in reader.read(rows, Tally()):
            if kept.split != "train":
                continue
            digest = hashlib.blake2b(kept.text, key=order_key, digest_size=8).digest()
            heapq.heappush(chosen, (-int.from_bytes(digest, "big"), kept.text))
            chosen_bytes += len(kept.text)
            read_bytes += len(kept.text)
            while chosen_bytes > source.sample_bytes and len(chosen) > 1:
                chosen_bytes -= len(heapq.heappop(chosen)[1])
        if read_bytes >= READ_PER_SAMPLE * source.sample_bytes:
            break
    return [text for _, text in sorted(chosen, reverse=True)]


def train_model(documents: list[bytes], vocab_size: int) -> bytes:
    """Train a SentencePiece model.

    Args:
        documents: UTF-8 texts.
        vocab_size: Pieces, exactly.

    Returns:
        The bytes of the `.model` file.

    Raises:
        InputError: The sample is too small for so many pieces.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sentences(documents, vocab_size),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=1.0,
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_digits=True,
            allow_whitespace_only_pieces=True,
            user_defined_symbols=[NEWLINE],
            max_sentence_length=MAX_SENTENCE_BYTES,
            num_threads=1,
            minloglevel=2,
            **SPECIAL_IDS,
        )
    except RuntimeError as error:
        raise InputError(
            f"no tokenizer of {vocab_size} pieces can be learned from a sample of "
            f"{sum(map(len, documents))} bytes: {_last_sentence(str(error))}",
            path="tokenizer",
            fix="make tokenizer.vocab_size smaller, or sample_bytes or the data larger",
        ) from None
    return model.getvalue()


def _sentences(documents: list[bytes], vocab_size: int) -> Iterator[str]:
    """Yield the lines of documents, cut at rare characters and at the greatest length.

    What is rare is written as bytes; here it would become a piece of its own.
    """
    lines = [line for text in documents for line in text.decode().split(NEWLINE)]
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line)
    frequent = _frequent_characters(counts, vocab_size)
    cut = {ord(character): NEWLINE for character in counts.keys() - frequent}
    # Four bytes a character at most.
    step = MAX_SENTENCE_BYTES // 4
    for line in lines:
        for part in line.translate(cut).split(NEWLINE):
            for start in range(0, len(part), step):
                yield part[start : start + step]


def _frequent_characters(counts: Counter[str], vocab_size: int) -> set[str]:
    """Choose the characters that get a piece of their own.

    As many as cover nearly all of the text, but at most half of the pieces that are
    free: a small vocabulary would have room for nothing else.
    """
    num_fixed = len(SPECIAL_IDS) + len(NEWLINE) + NUM_BYTE_PIECES
    room = max(1, (vocab_size - num_fixed) // 2)
    frequent: set[str] = set()
    covered = 0
    for character in sorted(counts, key=lambda one: (-counts[one], one))[:room]:
        if covered >= CHARACTER_COVERAGE * counts.total():
            break
        frequent.add(character)
        covered += counts[character]
    return frequent


def _last_sentence(message: str) -> str:
    """Cut the source file and the condition off a message of SentencePiece."""
    return message.rsplit("]", 1)[-1].strip() or message
