"""What a program that passed reaches for and no honest solution needs.

The last layer, for people: nothing here decides a verdict. A candidate can't look into
the tests' process, but one that tries is worth a look.
"""

from __future__ import annotations

import ast
import warnings

from runtime.sandbox.values import Program

_MODULES = {
    "ctypes", "gc", "inspect", "builtins", "importlib", "multiprocessing", "mmap",
    "resource", "signal", "socket", "subprocess", "tracemalloc", "_ctypes", "atexit",
}  # fmt: skip
_NAMES = {
    "_getframe", "_current_frames", "settrace", "setprofile", "f_back", "f_globals",
    "f_locals", "__builtins__", "__subclasses__", "__globals__", "_exit", "excepthook",
}  # fmt: skip
_FOLDERS = ("/proc", "/sys", "/dev", "/etc", "/root", "/home")
_COMPARISONS = {"__eq__", "__ne__", "__hash__", "__bool__", "__instancecheck__"}


def suspicious(program: Program) -> tuple[str, ...]:
    """Name what the candidate of a program reaches for, sorted.

    >>> suspicious(Program(name="", candidate="import gc", tests="", names=()))
    ('imports gc',)
    """
    found: set[str] = set()
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(program.candidate)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ("can't be read",)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= _imported([alias.name for alias in node.names])
        elif isinstance(node, ast.ImportFrom):
            found |= _imported([node.module or ""])
        elif isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            found |= {f"uses {name}"} if name in _NAMES else set()
        elif isinstance(node, ast.FunctionDef) and node.name in _COMPARISONS:
            found.add(f"defines {node.name}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {
                f"names {folder}"
                for folder in _FOLDERS
                if node.value.startswith(folder) and " " not in node.value
            }
    return tuple(sorted(found))


def _imported(names: list[str]) -> set[str]:
    tops = {name.split(".")[0] for name in names}
    return {f"imports {name}" for name in tops & _MODULES}
