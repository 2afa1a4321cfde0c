"""How hard a problem is, counted from its solution."""

from __future__ import annotations

import ast

GRADES = ("easy", "medium", "hard")


def difficulty(solution: str, level: int) -> str:
    """Grade a solution by its branches, loops and how deep they are nested.

    >>> difficulty("def f(x): return x + 1", 0)
    'easy'
    """
    score = 2 * level
    waiting: list[tuple[ast.AST, int]] = [(ast.parse(solution), 0)]
    while waiting:
        node, depth = waiting.pop()
        is_branch = isinstance(
            node, ast.For | ast.While | ast.If | ast.IfExp | ast.comprehension
        )
        is_inner = isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)
        score += is_branch * (1 + depth) + is_inner
        inside = depth + isinstance(node, ast.For | ast.While)
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)]
    return "easy" if score <= 4 else "medium" if score <= 10 else "hard"
