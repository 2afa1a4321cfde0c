"""Processes that each look at numbers on devices of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Found = dict[str, Any]


def run_workers(worker: Path, orders: Sequence[dict[str, Any]]) -> list[Found]:
    """Run one process for each order, two at a time; what each found."""
    # Without what other tests, or the user, have set.
    ours = {"XLA_FLAGS", "PJRT_NPROC"}
    environment = {name: v for name, v in os.environ.items() if name not in ours}

    def run(order: dict[str, Any]) -> Found:
        command = [sys.executable, str(worker), json.dumps(order)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        # Gloo writes to stdout when processes find each other.
        found: Found = json.loads(done.stdout.splitlines()[-1])
        return found

    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(run, orders))
