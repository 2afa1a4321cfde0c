"""The devices of this machine, divided between jobs that run at once.

A run takes all devices that it sees, so each job is shown its own: cores by affinity,
GPUs by name. What jax has no package for, nobody sees. In exact mode how many there are
changes no bit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from runtime.devices import has_tpus, would_use
from specs.errors import InputError

One = TypeVar("One")

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What one job is given."""

    cores: tuple[int, ...] | None
    """Numbers of the cores; None: it may use all."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to its environment."""


def divide(num_jobs: int) -> list[Slot]:
    """Divide this machine between some jobs at once, each the same share.

    Raises:
        InputError: A TPU's chips can't be divided, or there are fewer GPUs than jobs.
    """
    if num_jobs == 1:
        return [Slot(cores=None)]
    if would_use("tpu") and has_tpus():
        fix = "leave --jobs out; on several machines each takes its own studies"
        raise InputError("the chips of a TPU can't be divided between jobs", fix=fix)
    environs: Sequence[Mapping[str, str]] = [{}] * num_jobs
    gpus = _gpus() if would_use("cuda") else []
    if gpus:
        if num_jobs > len(gpus):
            raise InputError(
                f"{num_jobs} jobs can't share {len(gpus)} GPU{'s' * (len(gpus) > 1)}",
                path="--jobs",
                fix=f"use at most {len(gpus)}, or JAX_PLATFORMS=cpu to train on cores",
            )
        environs = [{_VISIBLE: ",".join(one)} for one in _shares(gpus, num_jobs)]
    cores = _cores()
    if len(cores) < num_jobs:
        return [Slot(cores=None, environ=one) for one in environs]
    shares = _shares(cores, num_jobs)
    return [
        Slot(cores=tuple(mine), environ=environ)
        for mine, environ in zip(shares, environs, strict=True)
    ]


def _shares(things: Sequence[One], count: int) -> list[Sequence[One]]:
    """Return as many equal shares; what is left over is nobody's."""
    size = len(things) // count
    return [things[index * size : (index + 1) * size] for index in range(count)]


def _cores() -> list[int]:
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA numbers them."""
    given = os.environ.get(_VISIBLE)
    if given is not None:
        return [one for one in given.split(",") if one.strip()]
    nodes = Path("/dev").glob("nvidia[0-9]*")
    count = sum(bool(re.fullmatch(r"nvidia\d+", node.name)) for node in nodes)
    return [str(index) for index in range(count)]
