"""Options that the commands have in common which make sets of problems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

count_option = click.option(
    "--count", type=click.IntRange(min=1), required=True, help="Problems."
)

exclude_option = click.option(
    "--exclude",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Questions (.jsonl) or n-grams that no problem may hold; repeatable.",
)


def seed_option(says: str) -> Callable[[Decorated], Decorated]:
    """Return `--seed`, with what it decides."""
    kind = click.IntRange(min=0)
    return click.option("--seed", type=kind, default=0, show_default=True, help=says)


def out_option(says: str) -> Callable[[Decorated], Decorated]:
    """Return `--out`, with what the folder holds."""
    kind = click.Path(path_type=Path, file_okay=False)
    return click.option("--out", type=kind, required=True, help=says)


def workers_option(says: str) -> Callable[[Decorated], Decorated]:
    """Return `--workers`, with what they are."""
    kind = click.IntRange(min=1)
    return click.option("--workers", type=kind, default=1, show_default=True, help=says)
