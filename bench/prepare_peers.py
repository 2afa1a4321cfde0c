"""The peers of `prepare.py`: text to tokens, by several programs on one core.

Run as a program this is one of them: `python -m bench.prepare_peers NAME FOLDER`. The
folder holds `docs.jsonl` and `tokenizer.model`. All use the same model; `tokenizers`
and `datasets` read it from what `codemix export` writes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.turns import tell

DOCUMENTS = "docs.jsonl"
MODEL = "tokenizer.model"
BATCH = 256
"""Documents at once, for those who take batches."""

Pass = Callable[[], int]
"""Goes through all documents once; returns how many tokens they have, without EOS."""


def texts_of(folder: Path) -> list[str]:
    """Return the documents."""
    lines = (folder / DOCUMENTS).read_text("utf-8").split("\n")
    return [json.loads(line)["text"] for line in lines if line]


def codemix(folder: Path) -> Pass:
    """Do what a worker of `codemix prepare` does: file in, shard of a store out."""
    from runtime.shards import RowRange, ShardJob
    from runtime.tokenise_task import tokenise_shard
    from specs.plan import PlannedSource

    planned = PlannedSource(
        format="jsonl",
        field="text",
        where="{}",
        filters="[]",
        holdout="0.001",
        reserve="0",
        max_epochs="1",
        on_corrupt="error",
    )
    out = tempfile.mkdtemp(dir=folder)
    job = ShardJob(
        source="text",
        planned=planned,
        files=(DOCUMENTS,),
        ranges=(RowRange(file=0, start_row=0, stop_row=None),),
        shard=0,
        num_shards=1,
        order_key="1",
        sample_key="1",
        location=None,
        workspace=str(folder),
        folder=out,
        tokenizer=str(folder / MODEL),
    )

    def once() -> int:
        splits = tokenise_shard(job, lambda _: None).splits.values()
        # Each document has its EOS.
        return sum(split.num_tokens - split.num_documents for split in splits)

    return once


def seqio(folder: Path) -> Pass:
    """Read as a Task of seqio's own parts does, and write nothing."""
    import seqio
    import tensorflow as tf

    def documents(split: str, shuffle_files: bool, seed: int | None = None) -> Any:
        def examples() -> Iterator[dict[str, str]]:
            for text in texts_of(folder):
                yield {"targets": text}

        return tf.data.Dataset.from_generator(
            examples, output_signature={"targets": tf.TensorSpec([], tf.string)}
        )

    vocabulary = seqio.SentencePieceVocabulary(str(folder / MODEL))
    seqio.TaskRegistry.add(
        "plain",
        source=seqio.FunctionDataSource(documents, splits=["all"]),
        preprocessors=[
            lambda dataset, output_features: seqio.preprocessors.tokenize(
                dataset, output_features, copy_pretokenized=False
            ),
            seqio.preprocessors.append_eos,
        ],
        output_features={"targets": seqio.Feature(vocabulary, add_eos=True)},
    )
    task = seqio.TaskRegistry.get("plain")

    def once() -> int:
        dataset = task.get_dataset(split="all", shuffle=False)
        return sum(len(one["targets"]) - 1 for one in dataset.as_numpy_iterator())

    return once


def sentencepiece(folder: Path) -> Pass:
    """Encode texts that are in memory, and keep nothing."""
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / MODEL))
    texts = texts_of(folder)
    return lambda: sum(len(model.encode_as_numpy(text)) for text in texts)


def tokenizers(folder: Path) -> Pass:
    """Encode batches of texts that are in memory, and keep nothing."""
    tokenizer = _tokenizer(folder)
    texts = texts_of(folder)
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]

    def once() -> int:
        return sum(
            len(one.ids)
            for batch in batches
            for one in tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        )

    return once


def datasets(folder: Path) -> Pass:
    """Map the file's rows to tokens in an Arrow file."""
    import datasets

    datasets.disable_progress_bars()
    tokenizer = _tokenizer(folder)

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        found = tokenizer.encode_batch_fast(batch["text"], add_special_tokens=False)
        return {"tokens": [one.ids for one in found]}

    def once() -> int:
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            rows = datasets.Dataset.from_json(
                str(folder / DOCUMENTS), cache_dir=cache, keep_in_memory=False
            )
            made = rows.map(
                encode, batched=True, batch_size=BATCH, remove_columns=["text"]
            )
            lengths = made.with_format("arrow")[:]["tokens"]
            return sum(len(piece.values) for piece in lengths.chunks)

    return once


def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    from runtime.hf_tokenizer import tokenizer_files

    files = tokenizer_files(folder / MODEL, max_length=2**20)
    return Tokenizer.from_str(json.dumps(files["tokenizer.json"]))


PEERS = {
    "codemix": codemix,
    "sentencepiece": sentencepiece,
    "tokenizers": tokenizers,
    "datasets": datasets,
    "seqio": seqio,
}

ONE_CORE = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
}


def main(name: str, folder: Path) -> None:
    """Measure as often as asked."""
    os.environ.update(ONE_CORE)
    go_through = PEERS[name](folder)
    tell(tokens=go_through())
    for line in sys.stdin:
        start, start_cpu = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            go_through()
        tell(
            seconds=time.perf_counter() - start,
            cpu_seconds=time.process_time() - start_cpu,
            peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
