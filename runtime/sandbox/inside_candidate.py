"""The candidate's process: loads it, and does with it what the tests ask.

Whatever it answers is only data to the tests, so it does not matter that the candidate
could answer in our place. It knows of the tests what they hand over, no more.

Runs inside the sandbox, on the standard library alone.
"""

from __future__ import annotations

import builtins
import operator
import os
import sys

from runtime.sandbox.inside_values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

LONGEST_MESSAGE = 16 * 1024**2
LONGEST_TEXT = 500

ASKED: dict[str, Callable[..., Any]] = {
    "call": lambda target, *given, **named: target(*given, **named),
    "getattr": getattr,
    "setattr": setattr,
    "iter": iter,
    "next": next,
    "len": len,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "contains": operator.contains,
    "str": str,
    "repr": repr,
}


def execute(source: str, name: str, defined: dict[str, Any]) -> None:
    """Run code as a module of its own, with no `__future__` of this file."""
    exec(compile(source, name, "exec", dont_inherit=True), defined)


def send(descriptor: int, message: bytes) -> None:
    """Write a message, its length first."""
    data = b"%08x" % len(message) + message
    while data:
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int) -> bytes:
    """Read a message; empty: there is nobody any more.

    Raises:
        ValueError: It is none, or too long.
    """
    head = read_exactly(descriptor, 8)
    return read_exactly(descriptor, _length(head)) if head else b""


def _length(head: bytes) -> int:
    length = int(head, 16)
    if not 0 < length <= LONGEST_MESSAGE:
        raise ValueError(f"a message of {length} bytes")
    return length


def read_exactly(descriptor: int, count: int) -> bytes:
    """Read so many bytes and not one more; empty where they end before."""
    parts = []
    while count:
        part = os.read(descriptor, min(count, 65536))
        if not part:
            return b""
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Objects:
    """What can't travel, by number. The same object has the same number."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def number(self, value: Any) -> int:
        """Return the number of an object, which is kept from now on."""
        known = self._numbers.get(id(value))
        if known is None:
            known = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return known

    def find(self, number: int, _: str) -> Any:
        """Return the object of a number."""
        return self._objects[number]


def serve(source: str, asked: int, answers: int) -> NoReturn:
    """Answer what the tests ask until they are gone; never returns.

    Args:
        source: The candidate. It is loaded when the first request has come: only then
            have the tests been read from the pipe that both processes have.
        asked: Descriptor to read requests from.
        answers: Descriptor to write answers to.
    """
    # What is printed is seen even where the process is ended.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    objects = Objects()
    module: Any = type(builtins)("candidate")
    while request := receive(asked):
        try:
            name, given, named = decode(request, objects.find)
            if name == "load":
                sys.modules["candidate"] = module
                execute(source, "candidate", vars(module))
                answer = encode(("done", None, None), objects.number)
            elif name == "name":
                answer = _named(vars(module), given[0], objects)
            else:
                result = ASKED[name](*given, **named)
                answer = _answer(result, request, (name, given, named), objects)
        except BaseException as error:  # noqa: BLE001 - all that the candidate raises
            answer = encode(("raised", *_told(error)), objects.number)
        send(answers, answer)
    os._exit(0)


def _named(defined: dict[str, Any], name: str, objects: Objects) -> bytes:
    if name not in defined:
        return encode(("missing", None, None), objects.number)
    return encode(("done", defined[name], None), objects.number)


def _answer(result: Any, request: bytes, asked: Any, objects: Objects) -> bytes:
    # What was handed over may have been changed in place, which tests may look at.
    is_changed = encode(asked, objects.number) != request
    changed = (asked[1], asked[2]) if is_changed else None
    return encode(("done", result, changed), objects.number)


def _told(error: BaseException) -> tuple[list[str], str]:
    """Names of an exception's types, the nearest first, and its text."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    try:
        text = str(error)[:LONGEST_TEXT]
    except BaseException:  # noqa: BLE001 - its own code may do anything
        text = ""
    return kinds, text
