"""Questions and tokens per second of the scorer, beside lm-eval's way on transformers.

    python bench/evals.py [--size cpu-small] [--questions FILE] [--rounds 5] [--json]

Every peer is a process of its own, and they take turns. What counts is the ratio:
seconds are of this machine on this day.

- codemix: the scorer that `codemix run` asks, in exact mode: one device per core.
- lm-eval: `CohereForCausalLM` of transformers on torch with all cores and the same
  weights, in the batches that lm-eval's `HFLM` would make of the work, 32 rows each.
  Its own class is not used: it needs `accelerate`, which adds no speed here.
- lm-eval-1: the same with one thread. On a busy machine torch's threads spin while they
  wait for each other; a single one shows what its work takes.

`choices` is the log-likelihood of every choice of 200 questions; `answers` is greedy
text of at most 64 tokens after 64 prompts. Both peers see the same tokens.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.step_sizes import SIZES  # noqa: E402
from bench.turns import Peer, machine, take_turns  # noqa: E402

UNITS = {"choices": "questions", "answers": "tokens"}

OURS, ONE = "codemix", "lm-eval-1"

Figures = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parse(arguments)
    loads = [machine()]
    found: dict[str, Figures] = {}
    for work in options.work:
        names = [f"{peer} {work}" for peer in options.peers]
        found |= measure(names, options.size, options.questions, options.rounds)
    loads.append(machine())
    if options.json:
        print(json.dumps({"machine": loads, "peers": found}, indent=2))
        return
    print("\n".join(loads))
    for work in options.work:
        print_table(work, found)


def measure(
    names: Sequence[str], size: str, questions: str | None, rounds: int
) -> dict[str, Figures]:
    """Run peers in alternation; name -> figures."""
    peers: list[Peer] = []
    try:
        for name in names:
            file = [] if questions is None else [questions]
            arguments = ["-m", "bench.evals_peers", name, size, *file]
            threads = {"OMP_NUM_THREADS": "1"} if name.startswith(ONE) else {}
            peers.append(Peer(name, arguments, environment=threads))
        take_turns(peers, rounds=rounds, count=1)
    finally:
        for peer in peers:
            peer.stop()
    return {peer.name: _figures(peer) for peer in peers}


def print_table(work: str, found: dict[str, Figures]) -> None:
    """Print one kind of work, and ours against the other."""
    unit = UNITS[work]
    print(f"\n| peer | s | CPU s | {unit}/s | {unit} per CPU s | start s |")
    print("|---|---|---|---|---|---|")
    alike = {name: x for name, x in found.items() if name.endswith(work)}
    for name, x in alike.items():
        print(
            f"| {name} | {x['seconds']:.2f} | {x['cpu_seconds']:.2f} | "
            f"{x['rate']:,.1f} | {x['cpu_rate']:,.1f} | {x['start_seconds']:.0f} |"
        )
    ours = alike.pop(f"{OURS} {work}")
    for name, theirs in alike.items():
        print(
            f"\n{work}, against {name}: {ours['rate'] / theirs['rate']:.2f}x {unit}/s, "
            f"{ours['cpu_rate'] / theirs['cpu_rate']:.2f}x {unit} per CPU second; "
            f"said {ours['said']} and {theirs['said']}"
        )


def _figures(peer: Peer) -> Figures:
    seconds = statistics.median(peer.all_of("seconds"))
    cpu_seconds = statistics.median(peer.all_of("cpu_seconds"))
    units = peer.turns[-1]["units"]
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "rate": units / seconds,
        "cpu_rate": units / cpu_seconds,
        "start_seconds": peer.start["start_seconds"],
        "said": peer.start["said"],
    }


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="cpu-small")
    parser.add_argument("--work", choices=UNITS, nargs="+", default=list(UNITS))
    parser.add_argument(
        "--peers",
        nargs="+",
        choices=[OURS, "lm-eval", ONE],
        default=[OURS, "lm-eval", ONE],
    )
    parser.add_argument("--questions", help="a file as the suite `choices` has them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
