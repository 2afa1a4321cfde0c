"""What the filters measure in a document: how many, how long, which share.

The exact definitions are here; docs/filters.md says where they come from. All are
functions of one text, linear in its length; shares are pairs of whole numbers or
fractions, so that no rounding decides.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

# Possessive, so that no text makes them try twice.
FLOAT_NUMBER = re.compile(
    r"(?<![\w.])"
    r"(?:[0-9]*+\.[0-9]++(?:[eE][+-]?[0-9]++)?+|[0-9]++[eE][+-]?[0-9]++)"
    r"[fFdDlL]?+(?!\w|\.[0-9])"
)
_BASE64 = r"[A-Za-z0-9+/]{64,}+={0,2}+"
_BYTE = r"(?:0[xX]|\\x)[0-9A-Fa-f]{2}"
ENCODED_RUN = re.compile(
    rf"{_BASE64}(?:\r?\n[ \t]*+{_BASE64})*+"
    rf"|{_BYTE}(?:\s*+,?+\s*+{_BYTE}){{7,}}+"
    r"|(?:\\u[0-9A-Fa-f]{4}){8,}+"
)
DOMAIN = re.compile(
    r"(?:\*?\.)?(?:[a-z0-9_-]{1,63}+\.)*?(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})",
    re.IGNORECASE,
)
BARE_DOMAINS = frozenset(("com", "net", "org", "edu", "gov", "mil", "int", "arpa"))
ITEM_BORDER = re.compile(r"[\n,;]")
AROUND_ITEMS = " \t\r\"'`()[]{}<>-|"
COMMENT_MARKS = ("#", "!", "//")


def longest_line(text: str) -> int:
    """Return the characters of the longest line; line feeds alone end lines."""
    return max(map(len, text.split("\n")))


def mean_line_length(text: str) -> Fraction:
    r"""Return the mean characters of a line, line feeds not counted.

    >>> mean_line_length("ab\nabcd\n"), mean_line_length("\n")
    (Fraction(3, 1), Fraction(0, 1))
    """
    num_ends = text.count("\n")
    num_lines = num_ends + (not text.endswith("\n"))
    return Fraction(len(text) - num_ends, num_lines)


def alphanumeric_share(text: str) -> Fraction:
    """Return the share of characters that are letters or digits, as Unicode says."""
    return Fraction(sum(map(str.isalnum, text)), len(text))


def count_float_numbers(text: str) -> int:
    """Count float numbers; see `FloatNumbersFilter`.

    >>> count_float_numbers("0.5 -.5f 1e5 1.2.3 v1.2 7 x[1.0:2.0]. 3.")
    5
    """
    return sum(1 for _ in FLOAT_NUMBER.finditer(text))


def count_domains(text: str) -> tuple[int, int]:
    """Count the items of a document that are domains, and all items.

    >>> count_domains("com, net; 'example.org', hello world")
    (3, 4)
    """
    num_domains = num_items = 0
    for line in text.split("\n"):
        if line.lstrip().startswith(COMMENT_MARKS):
            continue
        for part in ITEM_BORDER.split(line):
            item = part.strip(AROUND_ITEMS)
            num_items += bool(item)
            num_domains += _is_domain(item)
    return num_domains, num_items


def encoded_chars(text: str) -> tuple[int, int]:
    """Return the characters in runs of encoded data, and those of the longest run."""
    runs = [match.end() - match.start() for match in ENCODED_RUN.finditer(text)]
    return sum(runs), max(runs, default=0)


def line_of(wanted: str, text: str) -> int:
    r"""Return the line that a text begins on, counted from 1; it must be there.

    >>> line_of("0x", "a\n0x\n0x")
    2
    """
    return 1 + text.count("\n", 0, text.index(wanted))


def licences_of(value: Any) -> frozenset[str]:
    """Return the licences of a document, folded; none if anything else is there.

    >>> licences_of("MIT"), licences_of(["MIT", None]), licences_of(None)
    (frozenset({'mit'}), frozenset(), frozenset())
    """
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        return frozenset()
    return frozenset(one.casefold() for one in values)


def _is_domain(item: str) -> bool:
    if "." not in item:
        is_code = len(item) == 2 and item.isascii() and item.isalpha()
        return is_code or item.lower() in BARE_DOMAINS
    return DOMAIN.fullmatch(item) is not None
