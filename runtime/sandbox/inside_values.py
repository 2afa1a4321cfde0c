"""How values travel between the tests and a candidate: as data, never as code.

The tests read what a hostile process wrote, so nothing here can make them run
anything: a value is rebuilt from a closed list of types, and subclasses arrive as the
type that they derive from. What is not on the list stays where it is, and only its
number travels.

Runs inside the sandbox, on the standard library alone.
"""

from __future__ import annotations

import builtins

# Imports of what only type checkers read would be half of a program's time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    TO_NUMBER = Callable[[Any], int]
    """Takes what can't travel, returns its number."""

    FROM_NUMBER = Callable[[int, str], Any]
    """Takes a number and the name of a type, returns what stands for it."""

_SEQUENCES: tuple[tuple[type, bytes], ...] = (
    (list, b"l"),
    (tuple, b"t"),
    (set, b"S"),
    (frozenset, b"Z"),
)
_BUILDERS: dict[bytes, Callable[[list[Any]], Any]] = {
    b"l": list,
    b"t": tuple,
    b"S": set,
    b"Z": frozenset,
    b"q": lambda items: _collections().deque(items),
    b"k": lambda items: dict.fromkeys(items).keys(),
    b"e": lambda items: dict(items).items(),
}
_VIEWS: dict[type, bytes] = {type({}.keys()): b"k", type({}.items()): b"e"}
_MAPS: dict[bytes, Callable[[list[tuple[Any, Any]]], Any]] = {
    b"d": dict,
    b"C": lambda pairs: _collections().Counter(dict(pairs)),
    b"O": lambda pairs: _collections().OrderedDict(pairs),
}


def encode(value: Any, to_number: TO_NUMBER) -> bytes:
    """Write a value down.

    Raises:
        RecursionError: It holds itself, or is nested too deeply.
    """
    parts: list[bytes] = []
    _write(value, parts.append, to_number)
    return b"".join(parts)


def decode(data: bytes, from_number: FROM_NUMBER) -> Any:
    """Rebuild what `encode` wrote.

    Raises:
        ValueError: It was not written by `encode`.
    """
    try:
        value, end = _read(data, 0, from_number)
    except (LookupError, TypeError, ArithmeticError) as error:
        raise ValueError(f"not a value: {error}") from None
    if end != len(data):
        raise ValueError("more than a value")
    return value


def _is_builtin(kind: type) -> bool:
    return vars(builtins).get(kind.__name__) is kind


def _collections() -> Any:
    import collections  # takes a millisecond that most programs can spare

    return collections


def _write(value: Any, put: Callable[[bytes], None], to_number: TO_NUMBER) -> None:
    if value is None or value is True or value is False:
        put({None: b"N", True: b"T", False: b"F"}[value])
    elif isinstance(value, int):
        put(b"i%s;" % format(int.__index__(value), "x").encode())
    elif isinstance(value, float):
        put(b"f%s;" % float.hex(value).encode())
    elif isinstance(value, complex):
        parts = float.hex(value.real), float.hex(value.imag)
        put(b"c%s;%s;" % (parts[0].encode(), parts[1].encode()))
    elif isinstance(value, str):
        _put_text(b"s", str.encode(value, "utf-8", "surrogatepass"), put)
    elif isinstance(value, bytes | bytearray):
        _put_text(b"b" if isinstance(value, bytes) else b"B", bytes(value), put)
    elif isinstance(value, range):
        put(b"r%x;%x;%x;" % (value.start, value.stop, value.step))
    elif isinstance(value, type) and _is_builtin(value):
        _put_text(b"y", value.__name__.encode(), put)
    else:
        _write_many(value, put, to_number)


def _write_many(value: Any, put: Callable[[bytes], None], to_number: TO_NUMBER) -> None:
    kind = type(value)
    for base, tag in _SEQUENCES:
        if isinstance(value, base):
            _put_items(tag, list(base.__iter__(value)), put, to_number)  # type: ignore[attr-defined]
            return
    if kind in _VIEWS:
        _put_items(_VIEWS[kind], list(value), put, to_number)
        return
    is_collection = kind.__module__ == "collections"
    if is_collection and kind.__qualname__ == "deque":
        _put_items(b"q", list(value), put, to_number)
    elif kind.__module__ in ("decimal", "fractions"):
        _put_text(b"n", f"{kind.__name__} {value}".encode(), put)
    elif isinstance(value, dict):
        tags = {"Counter": b"C", "OrderedDict": b"O"} if is_collection else {}
        pairs = list(dict.items(value))
        _put_items(tags.get(kind.__qualname__, b"d"), pairs, put, to_number)
    else:
        put(b"o%x;" % to_number(value))
        _put_text(b"s", kind.__name__.encode("utf-8", "replace")[:100], put)


def _put_text(tag: bytes, text: bytes, put: Callable[[bytes], None]) -> None:
    put(b"%s%x;" % (tag, len(text)))
    put(text)


def _put_items(
    tag: bytes, items: list[Any], put: Callable[[bytes], None], to_number: TO_NUMBER
) -> None:
    put(b"%s%x;" % (tag, len(items)))
    for item in items:
        _write(item, put, to_number)


def _read(data: bytes, at: int, from_number: FROM_NUMBER) -> tuple[Any, int]:
    tag = data[at : at + 1]
    at += 1
    if not tag:
        raise ValueError("it ends too early")
    if tag in b"NTF":
        return {b"N": None, b"T": True, b"F": False}[tag], at
    word, at = _word(data, at)
    if tag == b"i":
        return int(word, 16), at
    if tag == b"f":
        return float.fromhex(word), at
    if tag == b"c":
        imaginary, at = _word(data, at)
        return complex(float.fromhex(word), float.fromhex(imaginary)), at
    if tag == b"r":
        stop, at = _word(data, at)
        step, at = _word(data, at)
        return range(int(word, 16), int(stop, 16), int(step, 16)), at
    if tag == b"o":
        name, at = _read(data, at, from_number)
        return from_number(int(word, 16), name), at
    if tag in b"sbByn":
        stop_at = at + _count(word, data, at)
        return _text(tag, data[at:stop_at]), stop_at
    items = []
    for _ in range(_count(word, data, at)):
        item, at = _read(data, at, from_number)
        items.append(item)
    if tag in _MAPS:
        return _MAPS[tag](items), at
    return _BUILDERS[tag](items), at


def _word(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b";", at)
    return data[at:end].decode("ascii"), end + 1


def _count(word: str, data: bytes, at: int) -> int:
    # Every item takes a byte at least, so a lie about their number costs no memory.
    count = int(word, 16)
    if not 0 <= count <= len(data) - at:
        raise ValueError(f"{count} are announced")
    return count


def _text(tag: bytes, text: bytes) -> Any:
    if tag == b"s":
        return text.decode("utf-8", "surrogatepass")
    if tag == b"n":
        return _number(*text.decode("ascii").split(" "))
    if tag == b"y":
        kind = getattr(builtins, text.decode("ascii"))
        if not isinstance(kind, type):
            raise ValueError("not a type")
        return kind
    return text if tag == b"b" else bytearray(text)


def _number(name: str, digits: str) -> Any:
    if name == "Fraction":
        from fractions import Fraction

        return Fraction(digits)
    if name != "Decimal":
        raise ValueError("not a kind of number")
    from decimal import Decimal

    return Decimal(digits)
