"""Where a workspace begins. Apart from `specs.loading`, which loads the language."""

from __future__ import annotations

from pathlib import Path

from specs.errors import InputError


def find_workspace(spec_path: Path) -> Path:
    """Return the nearest folder above a spec that holds `.dvc/`.

    Raises:
        InputError: There is none.
    """
    for folder in spec_path.resolve().parents:
        if (folder / ".dvc").is_dir():
            return folder
    raise InputError(
        "is not inside a workspace: no folder above it holds `.dvc`",
        file=str(spec_path),
        fix="codemix init .",
    )
