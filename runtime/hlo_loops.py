"""How often each computation of a compiled program runs.

Loops of the training step turn as often as a number that is known only at run time, an
argument of the program (see `runtime.numerics`). So the bound of a loop is followed
through the program back to a constant or to an argument, whose value the caller knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from runtime.hlo import Computation, Instruction, Program

_SAME_VALUE = frozenset(
    {"bitcast", "broadcast", "convert", "copy", "copy-done", "copy-start", "reshape"}
)
_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a // b if b else 0,
    "minimum": min,
    "maximum": max,
}


@dataclass(frozen=True)
class Runs:
    """What was found out about the loops of a program."""

    of: dict[str, int]
    """Computation -> times that it runs in one run of the program."""
    unknown: tuple[str, ...]
    """Loops whose turns could not be found; they count as one."""


def count_runs(program: Program, arguments: Mapping[str, int]) -> Runs:
    """Count how often each computation runs.

    Both branches of a conditional count, as which is taken is known to nobody.

    Args:
        program: The compiled program.
        arguments: Name of an argument as in the traced function, such as `turns.rows`
            -> its value.
    """
    reader = _Reader(program, dict(arguments))
    runs: dict[str, int] = {}
    unknown: list[str] = []

    def visit(name: str, times: int) -> None:
        runs[name] = runs.get(name, 0) + times
        for one in program.computations[name].instructions.values():
            inner = times
            if one.operation == "while":
                turns = reader.turns(one)
                if turns is None:
                    unknown.append(one.name)
                inner = times * (1 if turns is None else turns)
            for called in one.called:
                visit(called, inner)

    visit(program.entry, 1)
    return Runs(runs, tuple(unknown))


@dataclass
class _Reader:
    """Finds the values of scalars that decide how often loops turn."""

    program: Program
    arguments: dict[str, int]
    callers: dict[str, tuple[Computation, Instruction]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for computation in self.program.computations.values():
            for one in computation.instructions.values():
                for called in one.called:
                    self.callers[called] = (computation, one)

    def turns(self, loop: Instruction) -> int | None:
        """Return the turns of a loop that counts up to a bound."""
        condition = self._called(loop, "condition")
        test = self._test_of(condition)
        if test is None:
            return None
        counter, bound = test
        index = counter.attribute("index")
        if counter.operation != "get-tuple-element" or index is None:
            return None
        start = self._initial(loop, int(index))
        step = self._step(loop, int(index))
        stop = self._value(condition, bound)
        if start is None or stop is None or step < 1:
            return None
        return max(0, -(-(stop - start) // step))

    def _test_of(self, condition: Computation) -> tuple[Instruction, str] | None:
        """Return the counter, and the name of the bound that it must stay below."""
        root = condition.instructions[condition.root]
        names = list(root.operands)
        if root.operation == "fusion":
            inner = self._called(root, "calls")
            root = inner.instructions[inner.root]
            # The parameters of the fused comparison are operands of the fusion.
            outer = [inner.instructions[name].argument for name in root.operands]
            if not all(argument.isdigit() for argument in outer):
                return None
            names = [names[int(argument)] for argument in outer]
        if root.operation != "compare" or len(names) != 2:
            return None
        if root.attribute("direction") == "GT":
            names.reverse()
        elif root.attribute("direction") != "LT":
            return None
        return condition.instructions[names[0]], names[1]

    def _value(self, where: Computation, name: str) -> int | None:
        one = where.instructions[name]
        if one.operation == "constant":
            return int(one.argument) if one.argument.lstrip("-").isdigit() else None
        if one.operation == "parameter":
            return self._parameter(where, one)
        if one.operation == "get-tuple-element":
            return self._element(
                where, one.operands[0], int(one.attribute("index") or 0)
            )
        if one.operation in _SAME_VALUE:
            return self._value(where, one.operands[0])
        if one.operation == "fusion":
            inner = self._called(one, "calls")
            return self._value(inner, inner.root)
        if one.operation == "select":
            # Which of them is taken is known to nobody: the step that does most counts.
            left, right = (self._value(where, name) for name in one.operands[1:])
            return None if left is None or right is None else max(left, right)
        if one.operation in _ARITHMETIC:
            left, right = (self._value(where, name) for name in one.operands)
            if left is None or right is None:
                return None
            return _ARITHMETIC[one.operation](left, right)
        return None

    def _parameter(self, where: Computation, one: Instruction) -> int | None:
        if where.name == self.program.entry:
            return self.arguments.get(one.source_name)
        caller, call = self.callers[where.name]
        if call.operation == "while":
            return None
        return self._value(caller, call.operands[int(one.argument)])

    def _element(self, where: Computation, name: str, index: int) -> int | None:
        """Return an element of a tuple."""
        whole = where.instructions[name]
        if whole.operation == "tuple":
            return self._value(where, whole.operands[index])
        if whole.operation == "opt-barrier":
            return self._element(where, whole.operands[0], index)
        if whole.operation == "while":
            return self._initial(whole, index) if self._is_same(whole, index) else None
        if whole.operation == "parameter" and where.name in self.callers:
            _, call = self.callers[where.name]
            if call.operation == "while" and self._is_same(call, index):
                return self._initial(call, index)
        return None

    def _initial(self, loop: Instruction, index: int) -> int | None:
        """Return what an element of a loop's state is before the first turn."""
        where, _ = self.callers[self._called(loop, "body").name]
        return self._element(where, loop.operands[0], index)

    def _next(self, loop: Instruction, index: int) -> tuple[Computation, Instruction]:
        """Return what an element of a loop's state becomes after a turn."""
        body = self._called(loop, "body")
        root = body.instructions[body.root]
        if root.operation != "tuple":
            return body, root
        return body, body.instructions[root.operands[index]]

    def _is_same(self, loop: Instruction, index: int) -> bool:
        """Whether an element of a loop's state stays what it was."""
        _, after = self._next(loop, index)
        return after.operation == "get-tuple-element" and after.attribute(
            "index"
        ) == str(index)

    def _step(self, loop: Instruction, index: int) -> int:
        """Return what is added to a counter per turn; 0 where that is not seen."""
        body, after = self._next(loop, index)
        while after.operation in _SAME_VALUE:
            after = body.instructions[after.operands[0]]
        if after.operation == "fusion":
            body = self._called(after, "calls")
            after = body.instructions[body.root]
        if after.operation != "add":
            return 0
        found = [self._constant(body, name) for name in after.operands]
        return sum(number for number in found if number is not None)

    def _constant(self, where: Computation, name: str) -> int | None:
        one = where.instructions[name]
        if one.operation == "parameter" and where.name in self.callers:
            caller, call = self.callers[where.name]
            if call.operation != "while":
                return self._constant(caller, call.operands[int(one.argument)])
        return int(one.argument) if one.operation == "constant" else None

    def _called(self, one: Instruction, key: str) -> Computation:
        name = (one.attribute(key) or "").lstrip("%")
        return self.program.computations[name]
