"""Tokenising one shard with seqio; the only file that loads TensorFlow.

It runs in worker processes, see `runtime.worker_process`. Each source is one seqio
Task: our own data source, which yields the filtered documents of a shard, then our
`_tokenise` with the model of a `SentencePieceVocabulary`, then seqio's `append_eos`.

An example is a batch of documents, ragged, as what TensorFlow does costs about the same
for one document as for many. The model is SentencePiece's own: the one that is built
into TensorFlow Text gives the same tokens at less than half the speed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import seqio
import tensorflow as tf

from runtime.funnel import steps_to_text
from runtime.funnel_sampler import Sampler
from runtime.shard_writer import ShardWriter
from runtime.shards import ShardJob
from runtime.source_reader import Kept, Tally, read_shard
from runtime.splits import SPLITS
from runtime.store_format import ShardRecord, ShardResult
from runtime.store_sharing import put_shard
from runtime.text_encoder import text_encoder
from runtime.worker_process import Handler, Report

SPLIT = "all"
"""seqio's split: the documents of all our splits, told apart afterwards."""

BATCH_DOCUMENTS = 256
BATCH_BYTES = 2**18
"""A batch ends with the document that reaches one of the two."""


class DocumentSource(seqio.DataSource):  # type: ignore[misc]
    """A source of documents for seqio: shard in, examples out, in the file's order."""

    def __init__(self, job: ShardJob):
        """Describe the source that a job is a shard of."""
        super().__init__(splits=(SPLIT,), caching_permitted=False)
        self._num_shards = job.num_shards
        self.job = job
        self.start()

    def start(self) -> None:
        """Forget the shard before."""
        sampler = Sampler(int(self.job.sample_key), self.job.num_shards)
        self.tally = Tally(sampler=sampler)
        self.error: Exception | None = None
        # What TensorFlow need not carry: examples come out in the order they went in.
        self.taken: deque[Kept] = deque()

    @property
    def supports_arbitrary_sharding(self) -> bool:
        """Shards are planned, not arbitrary."""
        return False

    def list_shards(self, split: str) -> list[str]:
        """Name the shards of the whole source."""
        return [f"{split}-{index:05d}" for index in range(self._num_shards)]

    def get_dataset(
        self,
        split: str = SPLIT,
        shuffle: bool = False,
        seed: int | None = None,
        shard_info: seqio.ShardInfo | None = None,
    ) -> tf.data.Dataset:
        """Return the documents of the shard that is set when they are read."""
        return tf.data.Dataset.from_generator(
            self._examples,
            output_signature={"targets": tf.TensorSpec([None], tf.string)},
        )

    def _examples(self) -> Iterator[dict[str, list[bytes]]]:
        texts: list[bytes] = []
        num_bytes = 0
        try:
            for kept in read_shard(self.job, self.tally):
                self.taken.append(kept)
                texts.append(kept.text)
                num_bytes += len(kept.text)
                if len(texts) == BATCH_DOCUMENTS or num_bytes >= BATCH_BYTES:
                    yield {"targets": texts}
                    texts, num_bytes = [], 0
            if texts:
                yield {"targets": texts}
        except Exception as error:  # noqa: BLE001 - raised again by `tokenise_shard`
            # Through TensorFlow it would arrive as text; this keeps its type.
            self.error = error


def tokenise_shard(job: ShardJob, report: Report) -> ShardResult:
    """Write the files of one shard.

    Raises:
        InputError: Rows are corrupt and the source does not skip those.
    """
    task = _task(job)
    source = task.source
    folder = Path(job.folder)
    vocabulary = task.output_features["targets"].vocabulary
    writers = {
        split: ShardWriter(
            folder,
            split=split,
            shard=job.shard,
            order_key=int(job.order_key),
            vocab_size=vocabulary.vocab_size,
        )
        for split in SPLITS
    }
    done_bytes = 0
    for example in _dataset(task):
        tokens = example["targets"].values.numpy()
        splits = example["targets"].row_splits.numpy()
        for start, stop in pairwise(splits.tolist()):
            kept = source.taken.popleft()
            writers[kept.split].add(
                tokens[start:stop],
                file=job.ranges[kept.rows].file,
                number=kept.number,
                num_bytes=len(kept.text),
            )
            done_bytes += len(kept.text)
        report(done_bytes)
    if source.error is not None:
        raise source.error
    written: dict[str, ShardRecord] = {
        split: writer.finish() for split, writer in writers.items()
    }
    if job.location is not None:
        put_shard(job.location, folder, written.values())
    return ShardResult(
        splits=written,
        read=source.tally.read,
        dropped=dict(source.tally.dropped),
        reserved=source.tally.reserved,
        corrupt=source.tally.corrupt,
        funnel=steps_to_text(
            source.tally.sampler.steps(lambda text: len(vocabulary.encode(text)))
        ),
    )


def _task(job: ShardJob) -> seqio.Task:
    """Return the source's Task, registered on its first shard, set to this shard."""
    name = f"codemix_{job.source}"
    if name not in seqio.TaskRegistry.names():
        vocabulary = seqio.SentencePieceVocabulary(job.tokenizer)
        seqio.TaskRegistry.add(
            name,
            source=DocumentSource(job),
            preprocessors=[_tokenise, seqio.preprocessors.append_eos],
            output_features={
                # Documents by tokens.
                "targets": seqio.Feature(vocabulary, add_eos=True, rank=2)
            },
        )
    task = seqio.TaskRegistry.get(name)
    task.source.job = job
    task.source.start()
    return task


def _tokenise(dataset: tf.data.Dataset, output_features: Any) -> tf.data.Dataset:
    """Turn texts (B) into tokens, ragged (B, tokens)."""
    vocabulary = output_features["targets"].vocabulary
    encode_text = text_encoder(vocabulary.sp_model, vocabulary.tokenizer)

    def encode(texts: Any) -> tuple[Any, Any]:
        found = [encode_text(text) for text in texts]
        lengths = np.array([len(tokens) for tokens in found], np.int64)
        return np.concatenate(found), lengths

    def tokenise(example: dict[str, tf.Tensor]) -> dict[str, tf.RaggedTensor]:
        tokens, lengths = tf.numpy_function(
            encode, [example["targets"]], (tf.int32, tf.int64)
        )
        tokens.set_shape([None])
        lengths.set_shape([None])
        ragged = tf.RaggedTensor.from_row_lengths(tokens, lengths, validate=False)
        return {"targets": ragged}

    return dataset.map(tokenise)


@cache
def _dataset(task: seqio.Task) -> tf.data.Dataset:
    """Return what reads the shard that the Task's source is set to.

    Once per Task: to build it takes as long as to tokenise a few hundred kilobytes.
    """
    dataset = task.get_dataset(
        sequence_length=None,
        split=SPLIT,
        shuffle=False,
        shard_info=seqio.ShardInfo(
            index=0, num_shards=len(task.source.list_shards(SPLIT))
        ),
    )
    options = tf.data.Options()
    options.deterministic = True
    return dataset.with_options(options)


def load() -> Handler:
    """Return the handler of jobs."""

    def handle(job: Any, report: Report) -> Any:
        return tokenise_shard(ShardJob.model_validate(job), report).to_json()

    return handle
