"""Many programs, a fresh sandbox for each, a few at a time."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace

from runtime.sandbox.command import NOBODY
from runtime.sandbox.probe import Found, check_level
from runtime.sandbox.process import run_one
from runtime.sandbox.suspicious import suspicious
from runtime.sandbox.values import Level, Limits, Program, Run


def run_programs(
    programs: Sequence[Program],
    *,
    limits: Limits | None = None,
    minimum: Level = "bubblewrap",
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Run]:
    """Run programs; each has a sandbox of its own, and none sees another.

    Args:
        programs: Any number.
        limits: What each may use; None: the usual.
        minimum: The weakest level that is good enough.
        workers: Programs at one time; None: one per core.
        progress: Told how many are done.

    Returns:
        One per program, in their order.

    Raises:
        InputError: This machine has no sandbox that is good enough.
    """
    found = check_level(minimum)
    stop = threading.Event()
    runs: dict[int, Run] = {}
    # A sandbox dies with the thread that started it, so the threads outlive them all.
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        jobs = {
            pool.submit(_run, program, found, limits or Limits(), stop): index
            for index, program in enumerate(programs)
        }
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                index = jobs[job]
                runs[index] = _flagged(job.result(), programs[index])
                if progress is not None:
                    progress(done)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [runs[index] for index in range(len(programs))]


def _run(program: Program, found: Found, limits: Limits, stop: threading.Event) -> Run:
    way = found.way
    if way.level == "bubblewrap":
        return run_one(program, way=way, limits=limits, stop=stop)
    with tempfile.TemporaryDirectory(prefix="codemix-program-") as folder:
        if way.is_root:
            os.chown(folder, NOBODY, NOBODY)
        return run_one(program, way=way, limits=limits, folder=folder, stop=stop)


def _flagged(run: Run, program: Program) -> Run:
    if run.outcome.verdict != "passed":
        return run
    found = {"suspicious": suspicious(program)}
    return replace(run, outcome=run.outcome.model_copy(update=found))
