"""Training steps of codemix and of transformers' Cohere model, in alternation.

    python bench/train_step.py [--size cpu-small] [--rounds 8] [--json]

Every peer is a process of its own. In each round every peer takes a few steps while the
others wait, so that whatever else the machine does is shared out among them. What
counts is the ratio: seconds are of this machine on this day.

Ours is the step that `codemix run` takes: exact mode, one device per core, the sum
over lanes, clipping, AdamW, fingerprints of weights and batch. Theirs is
`CohereForCausalLM` with its own loss, fused AdamW and clipping, eager and compiled.
Same sizes, same tokens, float32, the same cores. Torch and transformers are optional.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.step_peers import PEERS, SIZES, Size  # noqa: E402

OURS = "codemix"


class Peer:
    """A process that takes steps when it is asked to."""

    def __init__(self, name: str, size_name: str) -> None:
        self.name = name
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self.peak_mib = 0.0
        self._arguments = ["-m", "bench.step_peers", name, size_name]
        self._process = subprocess.Popen(
            [sys.executable, *self._arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.start = self._read()

    def take_steps(self, count: int) -> None:
        """Let it take steps, and keep what it measured."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        facts = self._read()
        self.seconds += facts["seconds"]
        self.cpu_seconds += facts["cpu_seconds"]
        self.peak_mib = facts["peak_mib"]

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            command = f"echo 1 | python {' '.join(self._arguments)}"
            raise SystemExit(f"{self.name} ended; to see why: {command}")
        facts: dict[str, Any] = json.loads(line)
        return facts


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parse(arguments)
    names, missing = _available(options.peers)
    sizes = {
        name: measure(name, names, rounds=options.rounds, steps=options.steps)
        for name in options.size
    }
    report = {"machine": _machine(), "missing": missing, "sizes": sizes}
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(_machine())
    for name in missing:
        print(f"{name} is not measured: torch or transformers is not installed")
    for name, peers in sizes.items():
        print_table(name, peers)


def measure(
    size_name: str, names: Sequence[str], *, rounds: int, steps: int
) -> dict[str, dict[str, float]]:
    """Run all peers of one size in alternation; name -> figures."""
    peers = [Peer(name, size_name) for name in names]
    try:
        for turn in range(rounds):
            # Each goes first in turn: a peer may leave a warm or a busy core behind.
            for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
                peer.take_steps(steps)
    finally:
        for peer in peers:
            peer.stop()
    return {peer.name: _figures(peer, SIZES[size_name]) for peer in peers}


def print_table(size_name: str, peers: dict[str, dict[str, float]]) -> None:
    """Print the peers of a size, and how ours compares with the fastest of the rest."""
    print(f"\n{size_name}: {peers[next(iter(peers))]['num_parameters'] / 1e6:.2f}M")
    print("| peer | s/step | CPU s/step | tokens/s | GFLOP/s | peak MiB | start s |")
    print("|---|---|---|---|---|---|---|")
    for name, x in peers.items():
        print(
            f"| {name} | {x['seconds']:.3f} | {x['cpu_seconds']:.3f} | "
            f"{x['tokens_per_second']:,.0f} | {x['gflops']:.0f} | "
            f"{x['peak_mib']:,.0f} | {x['start_seconds']:.0f} |"
        )
    others = {name: x for name, x in peers.items() if name != OURS}
    if OURS not in peers or not others:
        return
    fastest = max(others, key=lambda name: others[name]["tokens_per_second"])
    ours, theirs = peers[OURS], others[fastest]
    speed = ours["tokens_per_second"] / theirs["tokens_per_second"]
    memory = ours["peak_mib"] / theirs["peak_mib"]
    work = theirs["cpu_seconds"] / ours["cpu_seconds"]
    print(
        f"codemix against {fastest}: {speed:.2f}x tokens/s, "
        f"{work:.2f}x tokens per CPU second, {memory:.2f}x memory"
    )


def _figures(peer: Peer, size: Size) -> dict[str, float]:
    seconds = statistics.median(peer.seconds)
    num_parameters = peer.start["num_parameters"]
    return {
        "seconds": seconds,
        "best_seconds": min(peer.seconds),
        "cpu_seconds": statistics.median(peer.cpu_seconds),
        "tokens_per_second": size.tokens_per_step / seconds,
        # The usual count: six per parameter and token, without attention's scores.
        "gflops": 6 * num_parameters * size.tokens_per_step / seconds / 1e9,
        "peak_mib": peer.peak_mib,
        "start_seconds": peer.start["start_seconds"],
        "num_parameters": num_parameters,
        "first_loss": peer.start["first_loss"],
        "num_steps": len(peer.seconds),
    }


def _available(wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    has_torch = all(importlib.util.find_spec(x) for x in ("torch", "transformers"))
    names = [name for name in wanted if name == OURS or has_torch]
    return names, [name for name in wanted if name not in names]


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return f"{len(os.sched_getaffinity(0))} cores of {model}; load averages {load}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, nargs="+", default=["cpu-small"])
    parser.add_argument("--peers", choices=PEERS, nargs="+", default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2, help="steps in a round")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
