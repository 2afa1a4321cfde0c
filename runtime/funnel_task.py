"""Reading one shard again for its part of the funnel; runs in worker processes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from runtime.funnel import steps_to_text
from runtime.funnel_sampler import Sampler
from runtime.shards import ShardJob
from runtime.source_reader import Tally, read_shard
from runtime.tokenizer import Tokenizer, load_tokenizer
from runtime.worker_process import Handler, Report


def load() -> Handler:
    """Return the handler of jobs."""

    def handle(job: Any, report: Report) -> Any:
        return _funnel_of(ShardJob.model_validate(job), report)

    return handle


def _funnel_of(job: ShardJob, report: Report) -> dict[str, Any]:
    sampler = Sampler(int(job.sample_key), job.num_shards)
    tally = Tally(sampler=sampler)
    done_bytes = 0
    for kept in read_shard(job, tally):
        done_bytes += len(kept.text)
        report(done_bytes)
    tokenizer = _tokenizer(job.tokenizer)
    steps = sampler.steps(lambda text: len(tokenizer.encode(text)))
    return {"read": tally.read, "funnel": steps_to_text(steps)}


@lru_cache(maxsize=1)
def _tokenizer(path: str) -> Tokenizer:
    return load_tokenizer(Path(path))
