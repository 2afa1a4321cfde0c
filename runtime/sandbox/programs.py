"""Many programs, a fresh sandbox for each, a few at a time."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

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
                runs[jobs[job]] = job.result()
                if progress is not None:
                    progress(done)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [runs[index] for index in range(len(programs))]


def _run(program: Program, found: Found, limits: Limits, stop: threading.Event) -> Run:
    if found.way.level == "bubblewrap":
        run = run_one(program, way=found.way, limits=limits, stop=stop)
    else:
        with tempfile.TemporaryDirectory(prefix="codemix-program-") as folder:
            if found.way.is_root:
                os.chown(folder, NOBODY, NOBODY)
            run = run_one(
                program, way=found.way, limits=limits, folder=folder, stop=stop
            )
    if run.outcome.verdict != "passed":
        return run
    flagged = run.outcome.model_copy(update={"suspicious": suspicious(program)})
    return Run(
        outcome=flagged,
        seconds=run.seconds,
        exit_code=run.exit_code,
        output_tail=run.output_tail,
    )
