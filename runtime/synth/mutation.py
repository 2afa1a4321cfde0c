"""Small faults put into a program, one at a time. Standard library alone.

This file runs inside the sandbox. A mutant is made by changing one node of the tree,
compiling, and putting the node back. Loops and functions of the instrumented tree
count steps, so a mutant that never ends is stopped by a count and not by a clock:
the same fault is found on every machine.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

TICK = "_tick_"
"""Name of the function that instrumented code calls."""

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
# No operator turns into a product or a power: numbers that explode are not stopped by
# counting steps.
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.RShift: ast.BitAnd,
}
REMOVABLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.If, ast.Continue)


@dataclass(frozen=True)
class Mutant:
    """One fault."""

    operator: str
    """Kind of fault, such as `comparison`."""
    line: int
    code: CodeType


class _Ticks(ast.NodeTransformer):
    """Puts a call that counts at the start of each loop and function."""

    def _count(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        call = ast.Call(ast.Name(TICK, ast.Load()), [], [])
        node.body.insert(0, ast.Expr(call))  # type: ignore[attr-defined]
        return node

    visit_For = visit_While = visit_FunctionDef = _count


def instrumented(source: str) -> ast.Module:
    """Parse a program, drop its docstrings and annotations' weight, and count steps."""
    tree = ast.parse(source)
    _Ticks().visit(tree)
    return ast.fix_missing_locations(tree)


def mutants(tree: ast.Module, *, limit: int, key: int) -> Iterator[Mutant]:
    """Yield mutants of an instrumented program, spread evenly over its places.

    Mutants that compile to the bytecode of the program are the program, and left out.

    Args:
        tree: As `instrumented` returns it; changed while a mutant is made, no longer.
        limit: At most so many.
        key: Where in the list of all mutants to begin.
    """
    original = _signature(compile(tree, "solution", "exec"))
    changes = list(_changes(tree))
    stride = max(1, len(changes) / max(1, limit))
    start = key % max(1, len(changes))
    picked = [
        changes[(start + int(turn * stride)) % len(changes)]
        for turn in range(min(limit, len(changes)))
    ]
    for operator, node, field, index, new in picked:
        old = _swap(node, field, index, new)
        try:
            code = compile(tree, "solution", "exec")
        except (SyntaxError, ValueError):
            continue
        finally:
            _swap(node, field, index, old)
        if _signature(code) != original:
            yield Mutant(operator, getattr(node, "lineno", 0), code)


def faulty_texts(source: str, *, key: int) -> Iterator[str]:
    """Yield a program with one fault at a time, as text, from a place of the list on.

    Removed statements are left out: they can be seen without reading the program.
    Whether a fault changes any answer is for tests to say.
    """
    tree = ast.parse(source)
    changes = [change for change in _changes(tree) if change[0] != "removal"]
    start = key % max(1, len(changes))
    for _, node, field, index, new in changes[start:] + changes[:start]:
        old = _swap(node, field, index, new)
        text = ast.unparse(tree)
        _swap(node, field, index, old)
        yield text


Change = tuple[str, ast.AST, str, int | None, object]
"""Operator, node, field, place in the field if it is a list, new value."""


def _changes(tree: ast.Module) -> Iterator[Change]:
    for node in _executed(tree):
        if isinstance(node, ast.Compare):
            for index, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    yield "comparison", node, "ops", index, other()
        elif isinstance(node, ast.BinOp | ast.AugAssign):
            if type(node.op) in OPERATORS and not _joins_text(node):
                yield "arithmetic", node, "op", None, OPERATORS[type(node.op)]()
        elif isinstance(node, ast.BoolOp):
            other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "logic", node, "op", None, other_op
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield "sign", node, "op", None, ast.UAdd()
        elif isinstance(node, ast.Constant):
            yield from _constants(node)
        elif isinstance(node, ast.Call):
            yield from _boundaries(node)
        elif isinstance(node, ast.If | ast.While | ast.IfExp) and _is_not(node.test):
            yield "logic", node, "test", None, node.test.operand  # type: ignore[attr-defined]
        yield from _removals(node)


def _executed(tree: ast.Module) -> Iterator[ast.AST]:
    """Walk what runs: neither docstrings, nor annotations, nor our own counting."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.arg) or _is_tick(node):
            continue
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns"):
                continue
            if isinstance(value, ast.AST):
                waiting.append(value)
            elif isinstance(value, list):
                waiting += [one for one in value if isinstance(one, ast.AST)]


def _constants(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield "constant", node, "value", None, not value
    elif isinstance(value, int):
        yield "constant", node, "value", None, value + 1
        yield "constant", node, "value", None, value - 1
    elif isinstance(value, str):
        yield "constant", node, "value", None, "" if value else "?"


def _boundaries(node: ast.Call) -> Iterator[Change]:
    if not (isinstance(node.func, ast.Name) and node.func.id == "range"):
        return
    for index, argument in enumerate(node.args[:2]):
        if not isinstance(argument, ast.Constant):
            for operator in (ast.Add(), ast.Sub()):
                moved = ast.BinOp(copy.copy(argument), operator, ast.Constant(1))
                ast.copy_location(moved, argument)
                ast.copy_location(moved.right, argument)
                yield "boundary", node, "args", index, moved


def _removals(node: ast.AST) -> Iterator[Change]:
    for field in ("body", "orelse"):
        block = getattr(node, field, None)
        if isinstance(node, ast.Module) or not isinstance(block, list):
            continue
        for index, statement in enumerate(block):
            if isinstance(statement, REMOVABLE) and not _is_inert(statement):
                gone = ast.copy_location(ast.Pass(), statement)
                yield "removal", node, field, index, gone


def _is_tick(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == TICK
    )


def _is_inert(node: ast.stmt) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or _is_tick(node)


def _joins_text(node: ast.BinOp | ast.AugAssign) -> bool:
    """Say whether an operator surely fails when replaced, which proves little."""
    sides = [node.value] if isinstance(node, ast.AugAssign) else [node.left, node.right]
    return any(
        isinstance(side, ast.JoinedStr | ast.List | ast.ListComp | ast.Tuple)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _swap(node: ast.AST, field: str, index: int | None, new: object) -> object:
    if index is None:
        old = getattr(node, field)
        setattr(node, field, new)
        return old
    block = getattr(node, field)
    old, block[index] = block[index], new
    return old


def _signature(code: CodeType) -> tuple[object, ...]:
    inner = tuple(
        _signature(const) if isinstance(const, CodeType) else (type(const), const)
        for const in code.co_consts
    )
    return code.co_code, inner, code.co_names
