"""Long lines of code broken at their brackets, as formatters do."""

from __future__ import annotations

from collections.abc import Iterator

WIDTH = 88

_PAIRS = {")": "(", "]": "[", "}": "{"}


def broken(line: str) -> list[str]:
    """Break a line that is too long, if it ends with brackets that can be opened.

    >>> broken("x = [" + "a" * 50 + " for b in " + "c" * 40 + " if d]")[0]
    'x = ['
    >>> [len(one) for one in broken("x = [" + "a" * 50 + " for b in " + "c" * 40 + "]")]
    [5, 54, 53, 1]
    """
    if len(line) <= WIDTH:
        return [line]
    last = line[-2] if line.endswith(":") and line[-2:-1] in _PAIRS else line[-1]
    start = _opening(line, last)
    if start is None:
        return [line]
    end = line.rindex(last)
    indent = line[: len(line) - len(line.lstrip())]
    inner = indent + "    "
    parts = list(_parts(line[start + 1 : end]))
    if len(parts) == 1:
        return [line]
    lines = [line[: start + 1], *(inner + part for part in parts), indent + line[end:]]
    return [one for part in lines for one in (broken(part) if part != line else [part])]


def _opening(line: str, last: str) -> int | None:
    """Return where the bracket opens that the line ends with."""
    if last not in _PAIRS:
        return None
    stack: list[int] = []
    found = None
    for place, char in outside_strings(line):
        if char in _PAIRS.values():
            stack.append(place)
        elif char in _PAIRS:
            found = stack.pop()
    return found


def _parts(text: str) -> Iterator[str]:
    """Cut what stands in brackets: a comprehension at its clauses, else at commas."""
    depth, start, is_comprehension = 0, 0, _has_clause(text)
    for place, char in outside_strings(text):
        depth += (char in _PAIRS.values()) - (char in _PAIRS)
        if depth or place < start:
            continue
        if is_comprehension:
            seen_for = " for " in text[:place]
            is_clause = text.startswith(" for ", place) or (
                seen_for and text.startswith(" if ", place)
            )
            if is_clause:
                yield text[start:place]
                start = place + 1
        elif char == ",":
            yield text[start : place + 1].strip()
            start = place + 1
    rest = text[start:].strip()
    if rest:
        yield rest if is_comprehension else rest + ","


def _has_clause(text: str) -> bool:
    depth = 0
    for place, char in outside_strings(text):
        depth += (char in _PAIRS.values()) - (char in _PAIRS)
        if not depth and text.startswith(" for ", place):
            return True
    return False


def outside_strings(text: str) -> Iterator[tuple[int, str]]:
    """Yield the characters of a line of code that are not in a string, with places."""
    quote = ""
    for place, char in enumerate(text):
        if quote:
            if char == quote and text[place - 1] != "\\":
                quote = ""
        elif char in "'\"":
            quote = char
        else:
            yield place, char
