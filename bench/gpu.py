"""The paper's models on one GPU, beside transformers with flash attention.

    python bench/gpu.py [--models 470m 2.8b] [--lengths 2048 8192] [--json]

One peer has the GPU at a time, as no two states fit; each takes its turn in every
round. Where a step does not fit, more of its forward pass is computed again, until it
does: the table says how much.

Model-FLOP utilisation is tokens per second times the operations of a token, over the
datasheet's peak for dense bfloat16. A token is 6 (matrices + V D) + 12 layers D L:
`specs.costs.flops_per_token`. The whole square of attention counts (Chowdhery et al.,
2022, appendix B), what is computed twice to save memory does not, and neither does
looking up embeddings.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.gpu_peers import PEERS, SAVINGS, TOKENS_PER_STEP, build_plan  # noqa: E402
from bench.turns import Peer, PeerEnded  # noqa: E402
from runtime.accelerators import CHIPS, GIB  # noqa: E402
from specs.costs import flops_per_token  # noqa: E402

OURS, FAST = "codemix", "codemix-fast"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parse(arguments)
    device = device_name()
    peak = options.peak_tflops * 1e12 if options.peak_tflops else peak_flops(device)
    results: dict[str, Any] = {}
    for model in options.models:
        for length in options.lengths:
            name = f"{model} at {length}"
            results[name] = measure(model, length, options, peak)
            if not options.json:
                print_table(name, results[name], device)
    if options.json:
        print(json.dumps({"device": device, "peak": peak, "results": results}))


def measure(
    model: str, length: int, options: argparse.Namespace, peak: float | None
) -> dict[str, dict[str, Any]]:
    """Let every peer take its turn in every round; peer -> figures."""
    plan = build_plan(model, length, "none", "exact")
    operations = flops_per_token(plan.model, length)
    tokens = plan.stages[0].sequences_per_step * length
    fitting: dict[str, str] = {}
    seconds: dict[str, list[float]] = {name: [] for name in options.peers}
    peaks: dict[str, int] = {}
    for _ in range(options.rounds):
        for name in options.peers:
            tried = [fitting[name]] if name in fitting else SAVINGS[name]
            for saving in tried:
                facts = take_turn(name, model, length, saving, options.steps)
                if facts is not None:
                    fitting[name] = saving
                    seconds[name] += facts["seconds"]
                    peaks[name] = facts["peak_bytes"]
                    break
    found: dict[str, dict[str, Any]] = {}
    for name, taken in seconds.items():
        if not taken:
            found[name] = {"saving": None}
            continue
        middle = statistics.median(taken)
        found[name] = {
            "seconds": middle,
            "tokens_per_second": tokens / middle,
            "utilisation": operations * tokens / middle / peak if peak else None,
            "peak_gib": peaks[name] / GIB,
            "saving": fitting[name],
            "num_steps": len(taken),
        }
    return found


def take_turn(
    name: str, model: str, length: int, saving: str, steps: int
) -> dict[str, Any] | None:
    """Start a peer, measure and end it; None where it ended by itself."""
    arguments = ["-m", "bench.gpu_peers", name, model, str(length), saving]
    try:
        peer = Peer(name, arguments)
    except PeerEnded as error:
        print(error, file=sys.stderr)
        return None
    try:
        peer.take_turn(steps)
    except PeerEnded as error:
        print(error, file=sys.stderr)
        return None
    finally:
        peer.stop()
    return peer.turns[0]


def print_table(name: str, peers: dict[str, dict[str, Any]], device: str) -> None:
    """Print one model at one length."""
    print(f"\n{name}, {device}; medians\n")
    print("| peer | s/step | tokens/s | MFU | peak GiB | computed again |")
    print("|---|---|---|---|---|---|")
    for peer, x in peers.items():
        if x["saving"] is None:
            print(f"| {peer} | does not run | | | | |")
            continue
        used = "-" if x["utilisation"] is None else f"{x['utilisation']:.1%}"
        print(
            f"| {peer} | {x['seconds']:.3f} | {x['tokens_per_second']:,.0f} | {used} | "
            f"{x['peak_gib']:.1f} | {x['saving']} |"
        )
    speeds = {k: x["tokens_per_second"] for k, x in peers.items() if x["saving"]}
    others = {k: speed for k, speed in speeds.items() if k not in (OURS, FAST)}
    if OURS in speeds and others:
        best = max(others, key=lambda k: others[k])
        print(f"\ncodemix against {best}: {speeds[OURS] / others[best]:.2f}x tokens/s")
    if OURS in speeds and FAST in speeds:
        print(f"exact against fast: {speeds[FAST] / speeds[OURS] - 1:+.1%} time")


def device_name() -> str:
    """Ask the driver for the GPU's name; what there is if there is none."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no GPU: only to see that it works"
    return done.stdout.splitlines()[0].strip()


def peak_flops(device: str) -> float | None:
    """Look the datasheet up; None where there is none."""
    for name, chip in CHIPS.items():
        if chip.kind == "gpu" and name.upper() in device.upper():
            return chip.flops
    return None


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", choices=TOKENS_PER_STEP, default=["470m", "2.8b"]
    )
    parser.add_argument("--lengths", nargs="+", type=int, default=[2048, 8192])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10, help="steps in a turn")
    parser.add_argument("--peak-tflops", type=float, help="of a GPU not in the list")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
