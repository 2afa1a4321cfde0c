"""Peers that measure in turns, each a process of its own.

A peer prints one JSON line when it is ready, and one more for every line with a number
that it reads: what it measured over so many steps. While one works the others wait, so
that whatever else the machine does is shared out among them.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

Facts = dict[str, Any]


class Peer:
    """A process that measures when it is asked to."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it, and wait until it is ready.

        Args:
            name: What it is called in results.
            arguments: Of the interpreter.
            python: The interpreter, for peers with packages of their own.
            environment: Variables that it gets besides ours.
        """
        self.name = name
        self.turns: list[Facts] = []
        self._command = [python, *arguments]
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.start = self._read()

    def take_turn(self, count: int) -> None:
        """Let it measure, and keep what it tells."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        self.turns.append(self._read())

    def all_of(self, fact: str) -> list[float]:
        """Join a list that each turn told."""
        return [value for turn in self.turns for value in turn[fact]]

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> Facts:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            # Libraries print too.
            if line.startswith("{"):
                facts: Facts = json.loads(line)
                return facts
        raise PeerEnded(self.name, self._command)


class PeerEnded(Exception):
    """A peer's process ended before it answered."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        super().__init__(f"{name} ended; to see why: echo 1 | {' '.join(command)}")
        self.name = name


def take_turns(peers: Sequence[Peer], *, rounds: int, count: int) -> None:
    """Let each peer measure once in every round."""
    for turn in range(rounds):
        # Each goes first in turn: a peer may leave a warm or a busy core behind.
        first = turn % len(peers)
        for peer in [*peers[first:], *peers[:first]]:
            peer.take_turn(count)


def tell(**facts: object) -> None:
    """Print one line for the process that started this one."""
    print(json.dumps(facts), flush=True)


def machine() -> str:
    """Name the processor, and how busy it is."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return f"{len(os.sched_getaffinity(0))} cores of {model}; load averages {load}"
