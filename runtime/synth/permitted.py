"""What code of a model may use: the parts of Python that a pure function needs.

The sandbox is the wall. This is the fence before it: code that reaches for files, other
modules or its own interpreter is refused unrun, so that it can't meddle with the checks
that share its process.
"""

from __future__ import annotations

import ast

_MODULE_NAMES = (
    "math itertools functools collections heapq bisect string re fractions decimal "
    "operator statistics typing dataclasses"
)
MODULES = frozenset(_MODULE_NAMES.split())
_CLOSED_NAMES = (
    "open exec eval compile input globals locals vars getattr setattr delattr dir help "
    "breakpoint exit quit memoryview __import__ __builtins__ __loader__ __spec__"
)
_CLOSED_ATTRIBUTES = (
    "sys os builtins modules attrgetter methodcaller gi_frame gi_code cr_frame cr_code "
    "ag_frame ag_code f_back f_globals f_locals f_builtins f_code tb_frame tb_next"
)
_OPEN_METHODS = "__init__ __lt__ __eq__ __hash__ __repr__ __len__ __iter__ __getitem__"
_NAMES = frozenset(_CLOSED_NAMES.split())
_ATTRIBUTES = frozenset(_CLOSED_ATTRIBUTES.split())
_METHODS = frozenset(_OPEN_METHODS.split())


def what_is_not_permitted(source: str) -> str | None:
    """Return the first thing that a program may not use, or nothing.

    Args:
        source: Python that parses.

    >>> what_is_not_permitted("import os")
    'the module os'
    >>> what_is_not_permitted("from math import gcd; x = gcd(4, 6)") is None
    True
    >>> what_is_not_permitted("().__class__")
    'the attribute __class__'
    """
    for node in ast.walk(ast.parse(source)):
        found = _not_permitted(node)
        if found is not None:
            return found
    return None


def _not_permitted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return _imported(node)
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return f"the name {node.id}"
    if isinstance(node, ast.Attribute) and not _is_open(node.attr):
        return f"the attribute {node.attr}"
    if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.Global):
        return f"the statement {type(node).__name__}"
    return None


def _imported(node: ast.Import | ast.ImportFrom) -> str | None:
    if isinstance(node, ast.ImportFrom):
        closed = [one.name for one in node.names if not _is_open(one.name)]
        if closed:
            return f"the name {closed[0]}"
        modules = [node.module or "."] if not node.level else ["."]
    else:
        modules = [one.name for one in node.names]
    return next((f"the module {one}" for one in modules if one not in MODULES), None)


def _is_open(name: str) -> bool:
    return name in _METHODS or not (name.startswith("_") or name in _ATTRIBUTES)
