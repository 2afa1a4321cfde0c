"""Training steps of codemix, torch, plain JAX and Levanter, in alternation.

    python bench/train_step.py [--size cpu-small cpu-medium] [--rounds 8] [--json]

Every peer is a process of its own, and they take turns. What counts is the ratio:
seconds are of this machine on this day.

- codemix: the step that `codemix run` takes, in exact mode: one device per core, the
  sum over lanes, clipping, AdamW, fingerprints of weights and batch. codemix-fast is
  the same without exactness, on the same devices.
- torch: `CohereForCausalLM` of transformers, which is the same model, with its own
  loss, fused AdamW and clipping; eager and compiled.
- jax: a plain step, layers scanned, einsum attention, optax; one device with all cores,
  and `jax-spread` one device per core.
- levanter: its own trainer and its Llama; the same, and `levanter-spread`.

Same sizes, same tokens, float32, the same cores. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.step_peers import PEERS  # noqa: E402
from bench.step_sizes import SIZES, Size  # noqa: E402
from bench.turns import Peer, machine, take_turns  # noqa: E402

OURS, FAST = "codemix", "codemix-fast"
JAX_PEERS = ("jax", "jax-spread", "levanter", "levanter-spread")
TORCH = "torch-compiled"

LEVANTER_PYTHON = Path(sys.prefix) / "levanter" / "bin" / "python"

Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parse(arguments)
    names = [name for name in options.peers if _is_installed(name)]
    missing = [name for name in options.peers if name not in names]
    sizes = {
        name: measure(name, names, rounds=options.rounds, steps=options.steps)
        for name in options.size
    }
    report = {"machine": machine(), "missing": missing, "sizes": sizes}
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(machine())
    for name in missing:
        print(f"{name} is not measured: it is not installed, see `make help`")
    for name, peers in sizes.items():
        print_table(name, peers)


def measure(
    size_name: str, names: Sequence[str], *, rounds: int, steps: int
) -> dict[str, Figures]:
    """Run all peers of one size in alternation; name -> figures."""
    peers: list[Peer] = []
    try:
        for name in names:
            is_levanter = name.startswith("levanter")
            python = str(LEVANTER_PYTHON) if is_levanter else sys.executable
            arguments = ["-m", "bench.step_peers", name, size_name]
            # Each start compiles: what another run left would make it incomparable.
            environment = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
            peers.append(Peer(name, arguments, python=python, environment=environment))
        take_turns(peers, rounds=rounds, count=steps)
    finally:
        for peer in peers:
            peer.stop()
    return {peer.name: _figures(peer, SIZES[size_name]) for peer in peers}


def print_table(size_name: str, peers: dict[str, Figures]) -> None:
    """Print one size, and ours against the others."""
    size = SIZES[size_name]
    num_parameters = max(x["num_parameters"] for x in peers.values())
    print(
        f"\n{size_name}: {num_parameters / 1e6:.2f}M parameters, "
        f"{size.num_sequences} sequences of {size.sequence_length}, "
        f"lanes of {size.lane_sequences}; medians of "
        f"{min(x['num_steps'] for x in peers.values()):.0f} steps\n"
    )
    print("| peer | s/step | CPU s/step | tokens/s | GFLOP/s | peak MiB | start s |")
    print("|---|---|---|---|---|---|---|")
    for name, x in peers.items():
        print(
            f"| {name} | {x['seconds']:.3f} | {x['cpu_seconds']:.3f} | "
            f"{x['tokens_per_second']:,.0f} | {x['gflops']:.0f} | "
            f"{x['peak_mib']:,.0f} | {x['start_seconds']:.0f} |"
        )
    print()
    if OURS not in peers:
        return
    jax_peers = [name for name in JAX_PEERS if name in peers]
    if jax_peers:
        best = max(jax_peers, key=lambda name: peers[name]["tokens_per_second"])
        _compare(peers, best, "the fastest on JAX")
    if TORCH in peers:
        _compare(peers, TORCH, "compiled torch")
    if FAST in peers:
        cost = peers[OURS]["seconds"] / peers[FAST]["seconds"] - 1
        cpu = peers[OURS]["cpu_seconds"] / peers[FAST]["cpu_seconds"] - 1
        print(f"exact against fast: {cost:+.1%} time, {cpu:+.1%} CPU time")


def _compare(peers: dict[str, Figures], name: str, what: str) -> None:
    ours, theirs = peers[OURS], peers[name]
    speed = ours["tokens_per_second"] / theirs["tokens_per_second"]
    work = theirs["cpu_seconds"] / ours["cpu_seconds"]
    memory = ours["peak_mib"] / theirs["peak_mib"]
    print(
        f"codemix against {what}, {name}: {speed:.2f}x tokens/s, "
        f"{work:.2f}x tokens per CPU second, {memory:.2f}x memory"
    )


def _figures(peer: Peer, size: Size) -> Figures:
    seconds = statistics.median(peer.all_of("seconds"))
    num_parameters = peer.start["num_parameters"]
    return {
        "seconds": seconds,
        "best_seconds": min(peer.all_of("seconds")),
        "cpu_seconds": statistics.median(peer.all_of("cpu_seconds")),
        "tokens_per_second": size.tokens_per_step / seconds,
        # The usual count: six per parameter and token, without attention's scores.
        "gflops": 6 * num_parameters * size.tokens_per_step / seconds / 1e9,
        "peak_mib": max(turn["peak_mib"] for turn in peer.turns),
        "start_seconds": peer.start["start_seconds"],
        "num_parameters": num_parameters,
        "first_loss": peer.start["first_loss"],
        "num_steps": len(peer.all_of("seconds")),
    }


def _is_installed(name: str) -> bool:
    if name.startswith("levanter"):
        return LEVANTER_PYTHON.exists()
    if name.startswith("torch"):
        return all(importlib.util.find_spec(x) for x in ("torch", "transformers"))
    return True


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
