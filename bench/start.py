"""How long `codemix run` takes from start to end, with and without compiled programs.

    python bench/start.py [--rounds 3]

The run is a tiny one of three stages and sixteen steps, so that nearly all of it is
starting: imports, compiling, scoring. `off` has no compile cache, `cold` an empty one,
`warm` what `cold` has left. All must train to the same weights.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from run_workspace import make_run_workspace  # noqa: E402

from bench.turns import machine  # noqa: E402
from specs.workspace import find_workspace  # noqa: E402

CASES = ("off", "cold", "warm")
MAIN = "from codemix_cli.main import cli; cli(prog_name='codemix')"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {case: [] for case in CASES}
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        spec = make_run_workspace(Path(folder) / "workspace")
        cache = Path(folder) / "cache"
        run(spec, cache, "off")  # pins and prepares
        for _ in range(rounds):
            shutil.rmtree(cache, ignore_errors=True)
            for case in CASES:
                taken, digest = run(spec, cache, case)
                seconds[case].append(taken)
                digests.add(digest)
    assert len(digests) == 1, "the compile cache changed the weights"
    print(machine())
    for case, taken in seconds.items():
        print(f"{case:5} {statistics.median(taken):6.1f} s")


def run(spec: Path, cache: Path, case: str) -> tuple[float, str]:
    """Train once, as if it had never been; return seconds and the weights' digest."""
    workspace = find_workspace(spec)
    for name in ("ledger", "runs", "mlflow.db"):
        path = workspace / ".codemix" / name
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_ENABLE_COMPILATION_CACHE": str(case != "off").lower(),
    }
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "run", str(spec), "--json"],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    taken = time.perf_counter() - started
    return taken, json.loads(done.stdout)["weights_digest"]


if __name__ == "__main__":
    main()
