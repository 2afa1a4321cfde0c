"""A whole set of problems that a model writes, asked once and replayed for ever.

What is asked is a function of the seed and a problem's number; each answer is a file in
the set's folder, named by what was asked. So the same command goes on after a kill, and
makes the same bytes of the same answers, without a model.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.chat.exchange import ExchangeStore
from runtime.chat.pace import Stopped
from runtime.folder_lock import sole_user
from runtime.synth.asking import (
    Answers,
    Asks,
    BudgetSpentError,
    NotKeptError,
    usage_of,
    writer_client,
)
from runtime.synth.card import Card, describe
from runtime.synth.exclusion import Excluded, digest_of_files, read_excluded
from runtime.synth.from_model import FAMILY, Refusal, write_problem
from runtime.synth.generate import Moves
from runtime.synth.isolation import Level, ensure
from runtime.synth.model_requests import VERSION, ask_of
from runtime.synth.placement import ATTEMPTS
from runtime.synth.shard import ShardRecord, read_record, write_shard
from runtime.synth.whole_set import agree, drop_duplicates, write_manifest
from specs.errors import CodemixError, InputError
from specs.writer import Writer

PROBLEMS_PER_SHARD = 250
EXCHANGES = "exchanges"
"""Folder of what the model was asked and said."""

Rejected = tuple[int, int, str, str]
"""Index, attempt, family and reason."""


@dataclass(frozen=True, kw_only=True)
class Commission:
    """What a model is asked to write, and under which conditions."""

    writer: Writer
    count: int
    """Problems."""
    seed: int = 0
    exclude: tuple[Path, ...] = ()
    """Files of n-grams and of questions that no problem may hold."""
    sandbox: Level = "bubblewrap"
    num_workers: int = 1
    """Programs that run at once; changes no byte."""
    budget_tokens: int | None = None
    """Of requests and answers together; null: no limit."""
    is_replay: bool = False
    """Nobody is asked: everything must be kept."""

    def asked(self) -> dict[str, Any]:
        """Return what decides the bytes of the set, next to the answers."""
        return {
            "writer": self.writer.identity(),
            "request_version": VERSION,
            "seed": self.seed,
            "count": self.count,
            "problems_per_shard": PROBLEMS_PER_SHARD,
            "sandbox": self.sandbox,
            "excluded_sha256": digest_of_files(self.exclude),
        }


@dataclass(frozen=True, kw_only=True)
class WrittenSet:
    """A set that is whole."""

    shards: tuple[ShardRecord, ...]
    digest: str
    card: Card
    num_calls: int
    """Answers that were asked for now."""


def write_set(
    folder: Path,
    commission: Commission,
    *,
    client: Asks | None = None,
    moved: Moves = lambda done, total: None,
) -> WrittenSet:
    """Have a set written and verified, or what is missing of it.

    Args:
        folder: Made if missing; holds one set.
        commission: What is asked for.
        client: None: the writer's endpoint, unless it is a replay.
        moved: Told how far it is.

    Raises:
        InputError: The model can't be asked, the budget is spent, an answer is missing
            in a replay, the folder holds something else, or there is no sandbox. What
            was answered until then is kept.
    """
    ensure(commission.sandbox)
    excluded = read_excluded(commission.exclude)
    asked = commission.asked()
    if not commission.is_replay:
        client = client or writer_client(commission.writer)
    with sole_user(folder):
        agree(folder, asked)
        store = ExchangeStore(folder / EXCHANGES)
        answers = Answers(
            store, None if commission.is_replay else client, commission.budget_tokens
        )
        names = _Writing(folder, commission, answers, excluded, moved).all_shards()
        records = drop_duplicates(folder, names)
        usage = usage_of(store, commission.writer)
        card = {**describe(folder, records, ()), "model": usage}
        maker = f"{commission.writer.endpoint.model} and verified by codemix"
        digest = write_manifest(folder, asked, records, card, maker)
    return WrittenSet(
        shards=tuple(records), digest=digest, card=card, num_calls=answers.num_calls
    )


class _Writing:
    """The work on one set: shard after shard, the problems of each at once."""

    def __init__(
        self,
        folder: Path,
        commission: Commission,
        answers: Answers,
        excluded: Excluded,
        moved: Moves,
    ) -> None:
        self._folder, self._commission = folder, commission
        self._answers, self._excluded, self._moved = answers, excluded, moved
        self._running = threading.BoundedSemaphore(commission.num_workers)

    def all_shards(self) -> list[str]:
        count = self._commission.count
        names = []
        for number, start in enumerate(range(0, count, PROBLEMS_PER_SHARD)):
            name = f"written-{number:05d}.jsonl.zst"
            indices = range(start, min(start + PROBLEMS_PER_SHARD, count))
            record = read_record(self._folder, name)
            if record is None or record.stop != indices.stop:
                self._make(name, indices)
            self._moved(indices.stop, count)
            names.append(name)
        return names

    def _make(self, name: str, indices: range) -> None:
        found = self._all_of(indices)
        problems = [one for one, _ in found if one is not None]
        made = {one["index"] for one in problems}
        record = {
            "name": name,
            "start": indices.start,
            "stop": indices.stop,
            "rejected": tuple(no for _, refused in found for no in refused),
            "given_up": tuple(one for one in indices if one not in made),
        }
        write_shard(self._folder, record, problems)

    def _all_of(
        self, indices: range
    ) -> list[tuple[dict[str, Any] | None, list[Rejected]]]:
        """Make problems at once; in the order of their numbers whoever is first."""
        concurrency = self._commission.writer.endpoint.concurrency
        # A problem waits for its calls and for its turn in the sandbox.
        with ThreadPoolExecutor(concurrency + self._commission.num_workers) as pool:
            futures = [pool.submit(self._one, index) for index in indices]
            try:
                for done, future in enumerate(as_completed(futures), 1):
                    future.result()
                    self._moved(indices.start + done, self._commission.count)
            except (CodemixError, NotKeptError, BudgetSpentError, Stopped):
                self._answers.stop()
                pool.shutdown(cancel_futures=True)
                raise self._failure(futures, indices.start) from None
            except BaseException:
                # Calls on their way end and are kept; no other begins.
                self._answers.stop()
                pool.shutdown(cancel_futures=True)
                raise
        return [future.result() for future in futures]

    def _one(self, index: int) -> tuple[dict[str, Any] | None, list[Rejected]]:
        commission = self._commission
        refused: list[Rejected] = []
        for attempt in range(ATTEMPTS):
            found = write_problem(
                ask_of(index, attempt, seed=commission.seed),
                writer=commission.writer,
                answer=self._answers.answer,
                level=commission.sandbox,
                excluded=self._excluded,
                running=self._running,
            )
            if not isinstance(found, Refusal):
                return found, refused
            refused.append((index, attempt, FAMILY, found.reason))
        return None, refused

    def _failure(self, futures: Sequence[Future[Any]], start: int) -> InputError:
        """Return why it ended: the first problem's reason, whichever was first."""
        errors = [
            error
            for future in futures
            if not future.cancelled() and (error := future.exception()) is not None
        ]
        for error in errors:
            if isinstance(error, CodemixError):
                return InputError(error.problems)
        count = self._commission.count
        whole = start + next(
            number
            for number, future in enumerate(futures)
            if future.cancelled() or future.exception() is not None
        )
        if any(isinstance(error, BudgetSpentError) for error in errors):
            return InputError(
                f"the budget is spent: {self._answers.tokens:,} tokens for the first "
                f"{whole:,} of {count:,} problems, and some beyond",
                file=str(self._folder),
                fix="raise --budget, then run again: it goes on",
            )
        return InputError(
            f"not all was asked: answers are kept for the first {whole:,} of "
            f"{count:,} problems",
            file=str(self._folder),
            fix="run without --replay to ask the model",
        )
