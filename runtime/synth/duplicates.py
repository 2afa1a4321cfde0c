"""What makes two problems the same: their code or their statement, names aside.

No core is used twice, so duplicates should not arise; this is the check that they did
not. The *shape* leaves constants out as well: problems of one shape ask the same with
other numbers, which is what the data card calls a near-duplicate.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence


def same_code(source: str) -> str:
    """Digest a program without its names, docstrings and hints.

    >>> one = same_code("def f(a): return a + 1")
    >>> one == same_code("def g(x): return x+1")
    True
    >>> one == same_code("def f(a): return a + 2")
    False
    """
    return _digest(_normal(source, with_constants=True))


def shape(source: str) -> str:
    """Digest a program without its names and its constants.

    >>> shape("def f(a): return a + 1") == shape("def g(b): return b + 2")
    True
    """
    return _digest(_normal(source, with_constants=False))


def same_statement(statement: str, entry: str, params: Sequence[str]) -> str:
    """Digest a statement without its names, case and punctuation.

    >>> one = same_statement("Write `f(a)`!", "f", ["a"])
    >>> one == same_statement("write g(b)", "g", ["b"])
    True
    """
    names = {entry: "FUNCTION"}
    names |= {param: f"PARAM{index}" for index, param in enumerate(params)}
    # Signs count: they are what tells "a+b" from "a-b" in a rule.
    words = re.findall(r"[A-Za-z_]\w*|-?\d+|[-+*/%<>=^|&#@~:;]", statement)
    return _digest(" ".join(names.get(word, word.lower()) for word in words))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _normal(source: str, *, with_constants: bool) -> str:
    names: dict[str, str] = {}
    out: list[str] = []
    _write(ast.parse(source), names, out, with_constants)
    return " ".join(out)


def _write(
    node: ast.AST, names: dict[str, str], out: list[str], with_constants: bool
) -> None:
    """Write a tree as words, names by the order in which they first appear."""
    out.append(type(node).__name__)
    if isinstance(node, ast.Constant):
        out.append(repr(node.value) if with_constants else type(node.value).__name__)
        return
    body = getattr(node, "body", None)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "type_comment", "type_params", "ctx"):
            continue
        if isinstance(value, str):
            is_known = field == "attr" or value in _BUILTINS
            out.append(value if is_known else names.setdefault(value, f"v{len(names)}"))
        elif isinstance(value, ast.AST):
            _write(value, names, out, with_constants)
        elif isinstance(value, list):
            items = value
            if value is body and value and _is_text(value[0]):
                items = value[1:]
            out.append("[")
            for item in items:
                if isinstance(item, ast.AST):
                    _write(item, names, out, with_constants)
            out.append("]")


def _is_text(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


_KNOWN = (
    "abs all any bool chr dict divmod enumerate filter float frozenset int isinstance "
    "iter len list map max min next ord pow print range repr reversed round set slice "
    "sorted str sum tuple zip math heapq collections itertools functools re bisect "
    "string deque Counter defaultdict gcd lcm product combinations permutations "
    "accumulate groupby reduce lru_cache bisect_left bisect_right cache"
)
_BUILTINS = frozenset(_KNOWN.split())
