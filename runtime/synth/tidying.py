"""Conditions as people write them: no needless brackets, no `not (a < b)`."""

from __future__ import annotations

import ast
import re

from runtime.synth.line_breaks import outside_strings


def tidied(line: str) -> str:
    """Write a condition without needless brackets, and `not (a < b)` as `a >= b`."""
    stripped = line.lstrip()
    if not re.search(r"(if|and|or|while|=|return) (not )?\(|\(\(", stripped):
        return line
    if re.search(r"<<|>>", stripped) and re.search(r"[|&+]", stripped):
        # Here brackets that could go help to read.
        return line
    tail = " pass" if stripped.endswith(":") else ""
    head = "if x: pass\n" if stripped.startswith(("elif ", "else")) else ""
    try:
        tree = ast.parse(f"{head}{stripped}{tail}")
    except SyntaxError:
        # The first line of something that goes on.
        return line
    plain = ast.unparse(_Plain().visit(tree)).split("\n")
    told = _single_brackets(plain[2 if head else 0])
    return line[: len(line) - len(stripped)] + told


def _single_brackets(line: str) -> str:
    """Take away brackets that unparsing puts around a generator that stands alone.

    >>> _single_brackets("return sum((1 for x in xs if (x + 1) % 2))")
    'return sum(1 for x in xs if (x + 1) % 2)'
    """
    match = re.search(r"\w\(\(", line)
    while match is not None:
        start = match.end() - 1
        end = _closing(line, start)
        if line[end + 1 : end + 2] == ")" and " for " in line[start:end]:
            line = line[:start] + line[start + 1 : end] + line[end + 1 :]
        match = re.compile(r"\w\(\(").search(line, match.end() - 1)
    return line


def _closing(line: str, start: int) -> int:
    depth = 0
    for place, char in outside_strings(line):
        if place >= start:
            depth += (char == "(") - (char == ")")
            if not depth:
                return place
    raise AssertionError(line)


class _Plain(ast.NodeTransformer):
    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        inner = node.operand
        if not (isinstance(node.op, ast.Not) and isinstance(inner, ast.Compare)):
            return node
        if len(inner.ops) > 1 or type(inner.ops[0]) not in _OPPOSITES:
            return node
        opposite = _OPPOSITES[type(inner.ops[0])]()
        return ast.Compare(inner.left, [opposite], inner.comparators)


_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
