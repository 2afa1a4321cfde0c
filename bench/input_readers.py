"""The peers of `input.py`: batches of one mixture, read by several programs.

Run as a program this is one of them: `python -m bench.input_readers NAME FOLDER SHAPE`.
"""

# B rows of a batch, L sequence length

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.turns import tell

NUM_SOURCES = 8
FILES_PER_SOURCE = 4
FILE_TOKENS = 2**22
VOCAB_SIZE = 50_000
WEIGHTS = {f"source_{number}": 1.0 + number for number in range(NUM_SOURCES)}

RESUME_STEP = 100_000
SKIPPED_BY_SEQIO = 500
"""seqio has to read what it skips, so it is asked to skip less, and says so."""

READ_AHEAD = 16
"""Batches that Grain's threads may have ready; as few as it allows for 16 threads."""
GRAIN_READING = {"num_threads": 16, "prefetch_buffer_size": READ_AHEAD}

Batches = Iterator[np.ndarray]


@dataclass(frozen=True)
class Shape:
    """A batch."""

    sequences: int
    length: int

    @property
    def num_tokens(self) -> int:
        """Tokens of a batch that are predicted."""
        return self.sequences * self.length


def files_of(folder: Path, name: str) -> list[Path]:
    """Return the token files of a source, in order."""
    return [
        folder / name / f"train-{number:05d}.tokens"
        for number in range(FILES_PER_SOURCE)
    ]


def codemix_batches(folder: Path, shape: Shape, start_step: int) -> Batches:
    """Read as training does: the order of a step, then its rows."""
    from runtime.mixture import Mixture
    from runtime.token_rows import RowReader
    from runtime.token_store import TokenStore

    plan = mixture_plan(shape)
    stores = {name: TokenStore.open(folder / name) for name in WEIGHTS}
    mixture = Mixture(plan, {name: one.num_tokens for name, one in stores.items()})
    reader = RowReader(mixture.sources, stores)
    for step in range(start_step, plan.num_steps):
        yield reader.read(mixture.at(step))


def plain_batches(folder: Path, shape: Shape, start_step: int) -> Batches:
    """Read the same rows, which are known beforehand, one slice after the other."""
    arrays, steps = _known_rows(folder, shape, start_step)
    count = shape.length + 1
    while True:
        for files, starts in steps:
            batch = np.empty((shape.sequences, count), np.int32)
            rows = zip(files.tolist(), starts.tolist(), strict=True)
            for row, (file, start) in enumerate(rows):
                batch[row] = arrays[file][start : start + count]
            yield batch


def plain_by_file_batches(folder: Path, shape: Shape, start_step: int) -> Batches:
    """Read the same rows, which are known beforehand, all of a file at once."""
    arrays, steps = _known_rows(folder, shape, start_step)
    count = shape.length + 1
    windows = [np.lib.stride_tricks.sliding_window_view(x, count) for x in arrays]
    while True:
        for files, starts in steps:
            batch = np.empty((shape.sequences, count), np.int32)
            for file in np.unique(files):
                rows = np.flatnonzero(files == file)
                batch[rows] = windows[file][starts[rows]]
            yield batch


def grain_batches(folder: Path, shape: Shape, start_step: int) -> Batches:
    """Read with Grain: each source shuffled, mixed, batched, threads ahead."""
    import grain

    mixed = _grain_mixture(folder, shape).batch(shape.sequences)
    iterator = iter(mixed.to_iter_dataset(grain.ReadOptions(**GRAIN_READING)))
    iterator.set_state({"next_index": start_step})
    yield from iterator


def grain_direct_batches(folder: Path, shape: Shape, start_step: int) -> Batches:
    """Read with Grain's random access alone, without threads."""
    mixed = _grain_mixture(folder, shape).batch(shape.sequences)
    for step in range(start_step, RESUME_STEP * 2):
        yield mixed[step]


def seqio_batches(folder: Path, shape: Shape, start_step: int) -> Batches:
    """Read with seqio: a mixture of tasks over records, shuffled, batched."""
    import seqio
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    names = []
    for name in WEIGHTS:
        names.append(f"{name}_{shape.sequences}_{shape.length}_{start_step}")
        if names[-1] not in seqio.TaskRegistry.names():
            _add_task(names[-1], [str(file) for file in files_of(folder, name)], shape)
    mixture = f"mixture_{shape.sequences}_{shape.length}_{start_step}"
    if mixture not in seqio.MixtureRegistry.names():
        rates = list(zip(names, WEIGHTS.values(), strict=True))
        seqio.MixtureRegistry.add(mixture, rates)
    rows = seqio.get_mixture_or_task(mixture).get_dataset(
        sequence_length={"targets": shape.length + 1},
        split="train",
        shuffle=True,
        seed=0,
        num_epochs=None,
    )
    batches = rows.map(lambda row: row["targets"]).batch(shape.sequences)
    yield from batches.skip(start_step).prefetch(4).as_numpy_iterator()


READERS: dict[str, Callable[[Path, Shape, int], Batches]] = {
    "codemix": codemix_batches,
    "plain": plain_batches,
    "plain-by-file": plain_by_file_batches,
    "grain": grain_batches,
    "grain-direct": grain_direct_batches,
    "seqio": seqio_batches,
}


def mixture_plan(shape: Shape) -> Any:
    """Plan one stage that goes beyond the step that is resumed at."""
    from specs.experiment import Experiment
    from specs.resolve import plan_experiment

    stage = {
        "name": "only",
        "tokens": (RESUME_STEP + 10_000) * shape.num_tokens,
        "mixture": WEIGHTS,
        "learning_rate": {"schedule": "constant", "peak": 0.001},
    }
    spec = {
        "codemix": 1,
        "name": "input",
        "seed": 17,
        "model": {"preset": "debug"},
        "tokenizer": {"vocab_size": VOCAB_SIZE, "file": "unused.model"},
        "sources": {name: {"uri": f"{name}.txt"} for name in WEIGHTS},
        "batch": {"sequences": shape.sequences, "length": shape.length, "lane": 1},
        "stages": (stage,),
    }
    return plan_experiment(Experiment.model_validate(spec))


def serve(name: str, folder: Path, shape: Shape) -> None:
    """Measure the first batch of a resume, then batches in turns."""
    read = READERS[name]
    next(read(folder, shape, 0))  # imports, and what is made once per process
    resume_step = SKIPPED_BY_SEQIO if name == "seqio" else RESUME_STEP
    first = []
    for _ in range(1 if name == "seqio" else 5):
        before = time.perf_counter()
        next(read(folder, shape, resume_step))
        first.append(time.perf_counter() - before)
    batches = read(folder, shape, 0)
    for _ in range(20):
        next(batches)
    tell(first_seconds=first, resume_step=resume_step)
    for line in sys.stdin:
        # What threads have read while others measured is given away.
        for _ in range(READ_AHEAD + 4):
            next(batches)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            batch = next(batches)
            assert batch.shape == (shape.sequences, shape.length + 1)
        wall = (time.perf_counter() - wall) / int(line)
        cpu = (time.process_time() - cpu) / int(line)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        tell(seconds=wall, cpu_seconds=cpu, peak_mib=peak)


def _known_rows(
    folder: Path, shape: Shape, start_step: int
) -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """Return all files, and the file and place of the rows of some steps."""
    from runtime.mixture import Mixture

    arrays = [
        np.asarray(np.memmap(file, "<u2", mode="r"))
        for name in sorted(WEIGHTS)
        for file in files_of(folder, name)
    ]
    source_tokens = FILES_PER_SOURCE * FILE_TOKENS
    mixture = Mixture(mixture_plan(shape), dict.fromkeys(WEIGHTS, source_tokens))
    steps = []
    for step in range(start_step, start_step + 200):
        order = mixture.at(step)
        files, starts = np.divmod(order.start_token, FILE_TOKENS)
        # A plain gather knows no rows that cross files.
        starts = np.minimum(starts, FILE_TOKENS - shape.length - 1)
        steps.append((order.source_index * FILES_PER_SOURCE + files, starts))
    return arrays, steps


def _grain_mixture(folder: Path, shape: Shape) -> Any:
    import grain

    class Rows:
        """The rows of a source, by number."""

        def __init__(self, files: list[Path]) -> None:
            self._arrays = [np.asarray(np.memmap(x, "<u2", mode="r")) for x in files]
            self._rows_per_file = (FILE_TOKENS - 1) // shape.length

        def __len__(self) -> int:
            return len(self._arrays) * self._rows_per_file

        def __getitem__(self, index: int) -> np.ndarray:
            file, row = divmod(int(index), self._rows_per_file)
            start = row * shape.length
            row_tokens = self._arrays[file][start : start + shape.length + 1]
            return row_tokens.astype(np.int32)

    sources = [
        grain.MapDataset.source(Rows(files_of(folder, name))).shuffle(seed=17).repeat()
        for name in WEIGHTS
    ]
    return grain.MapDataset.mix(sources, weights=list(WEIGHTS.values()))


def _add_task(name: str, files: list[str], shape: Shape) -> None:
    import seqio
    import tensorflow as tf

    count = shape.length + 1

    def records(split: str, shuffle_files: bool, seed: int | None = None) -> Any:
        rest = 2 * (FILE_TOKENS % count)
        raw = tf.data.FixedLengthRecordDataset(files, 2 * count, footer_bytes=rest)
        return raw.map(
            lambda x: {"targets": tf.cast(tf.io.decode_raw(x, tf.uint16), tf.int32)},
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    feature = seqio.Feature(seqio.PassThroughVocabulary(VOCAB_SIZE), add_eos=False)
    seqio.TaskRegistry.add(
        name,
        source=seqio.FunctionDataSource(records, splits=["train"]),
        preprocessors=[],
        output_features={"targets": feature},
    )


if __name__ == "__main__":
    sequences, length = (int(size) for size in sys.argv[3].split("x"))
    serve(sys.argv[1], Path(sys.argv[2]), Shape(sequences, length))
