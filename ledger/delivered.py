"""Which evaluations of a workspace an MLflow store has got.

Journals say it of runs (`ledger.delivery`); an evaluation has none, as it comes whole.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ledger.delivery import store_name
from specs.base import Value


class DeliveredEvaluations(Value):
    """Which evaluations of a workspace one MLflow store has got."""

    digests: tuple[str, ...] = ()
    """In the order in which they arrived."""


def delivered_path(folder: Path, uri: str) -> Path:
    """Where it is kept which evaluations a store has got.

    Args:
        folder: `.codemix` of the workspace.
        uri: Of the store.
    """
    return folder / f"evaluations-{store_name(uri)}.json"


def load_delivered(folder: Path, uri: str) -> DeliveredEvaluations:
    """Read which evaluations a store has got; none if that can't be read.

    What is delivered once more counts once.
    """
    try:
        data = delivered_path(folder, uri).read_bytes()
        return DeliveredEvaluations.model_validate_json(data)
    except (FileNotFoundError, ValidationError):
        return DeliveredEvaluations()
