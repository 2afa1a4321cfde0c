"""A worker's job: make one shard; see `runtime.worker_process`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from runtime.synth.catalogue import chosen_families
from runtime.synth.exclusion import read_excluded
from runtime.synth.form import form_of
from runtime.synth.shard import make_problems, write_shard
from runtime.synth.verification import check_all
from runtime.worker_process import Handler, Report


def load() -> Handler:
    """Return what does the jobs."""
    return _make


def _make(job: dict[str, Any], report: Report) -> None:
    indices = range(job["start"], job["stop"])
    problems, rejected = make_problems(
        indices,
        seed=job["seed"],
        families=chosen_families(job["families"]),
        check=partial(check_all, level=job["sandbox"]),
        form=form_of(job["difficulties"], job["layouts"]),
        excluded=read_excluded([Path(one) for one in job["exclude"]]),
        moved=report,
    )
    made = {problem["index"] for problem in problems}
    record = {
        "name": job["name"],
        "start": job["start"],
        "stop": job["stop"],
        "rejected": tuple(rejected),
        "given_up": tuple(index for index in indices if index not in made),
    }
    write_shard(Path(job["folder"]), record, problems)
