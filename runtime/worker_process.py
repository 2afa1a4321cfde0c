"""The worker's side of a worker process: jobs in on stdin, answers out on stdout.

`python -m runtime.worker_process MODULE` imports the module, whose `load()` returns
what does the jobs. One JSON value a line each way. Whatever libraries print goes to the
log that the parent keeps. When the parent goes, however it goes, stdin ends and so does
the worker.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import IO, Any, NoReturn

from specs.errors import CodemixError

Report = Callable[[int], None]
"""Tells how many bytes of the job are done."""

Handler = Callable[[Any, Report], Any]
"""Does one job, a JSON value, and returns its answer, another."""

SECONDS_BETWEEN_REPORTS = 0.2


def serve(module: str) -> NoReturn:
    """Answer jobs until stdin ends; never returns.

    Args:
        module: Imported at once, however slow, while the parent is still busy with
            other things; its `load()` returns the handler.
    """
    # Only we write to the real stdout; descriptor 1 becomes the log, also for C++.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()
    handler: Handler = importlib.import_module(module).load()
    while True:
        _answer(json.loads(jobs.get()), handler, answers)


def _read_jobs(jobs: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    # The parent closed the pipe or died. Nothing half-written is ever taken as whole,
    # so there is nothing to tidy up, and TensorFlow's threads are not waited for.
    os._exit(0)


def _answer(job: Any, handler: Handler, answers: IO[str]) -> None:
    def send(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    last_report = time.monotonic()

    def report(done_bytes: int) -> None:
        nonlocal last_report
        now = time.monotonic()
        if now - last_report >= SECONDS_BETWEEN_REPORTS:
            last_report = now
            send({"done_bytes": done_bytes})

    try:
        send({"answer": handler(job, report)})
    except CodemixError as error:
        send({"problems": [asdict(problem) for problem in error.problems]})
    except OSError as error:
        # A full disk is the user's to mend; the text names the file where there is one.
        send({"problems": [{"what": str(error)}]})
    except Exception:  # noqa: BLE001 - the parent raises it as ours
        send({"crash": traceback.format_exc()})


if __name__ == "__main__":
    serve(sys.argv[1])
