"""What the worker processes of test_prepare_workers do."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from runtime.worker_process import Handler, Report
from specs.errors import InputError, Problem


def load() -> Handler:
    sys.stdout.write("noise while importing\n")
    return handle


def handle(job: Any, report: Report) -> Any:
    os.write(1, b"noise of a library\n")
    if job == "corrupt":
        raise InputError(
            [Problem(what="is bad", file="a.jsonl", line=3, fix="mend it")]
        )
    if job == "crash":
        raise ZeroDivisionError("our own mistake")
    if job == "disk":
        raise OSError(28, "No space left on device", "store")
    if job == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "exit":
        sys.stderr.write("last words\n")
        os._exit(3)
    if job == "sleep":
        report(1)
        time.sleep(600)
    if job == "report":
        time.sleep(0.3)
        report(7)
    return {"double": job * 2, "pid": os.getpid()}
