"""What the modules of codemix import, read from their source."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STREET = ["specs", "ledger", "runtime", "evals", "codemix_cli"]
MODULES = sorted(path for name in STREET for path in (ROOT / name).rglob("*.py"))


def imported_names(path: Path) -> set[str]:
    """Top-level names of all imports of a file, those inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names.add((node.module or "").split(".")[0])
    return names
