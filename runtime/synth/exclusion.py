"""What no problem may hold: words and solutions of benchmark questions.

A file of JSON rows, such as HumanEval's or MBPP's, is taken as questions: no problem
may share a run of `QUESTION_WORDS` words with any text of a row, nor ask for a function
that is a row's solution, names aside. Any other file has one n-gram a line, all of the
same number of words. Text and n-grams are compared as lower-case words of letters and
digits, so punctuation hides nothing.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.synth.duplicates import same_code
from specs.canonical import digest_of
from specs.errors import InputError

QUESTION_WORDS = 10
"""Eight are what many tasks share, such as "write a function that takes a list of"."""
REASONS = ("excluded n-gram", "excluded solution")

_WORD = re.compile(r"[a-z0-9]+")
_CODE_FIELDS = (("code",), ("prompt", "canonical_solution"), ("canonical_solution",))


@dataclass(frozen=True)
class Excluded:
    """N-grams by their lengths, and solutions."""

    ngrams: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Words of each -> n-grams."""
    solutions: frozenset[str] = frozenset()
    """Digests of functions, as `same_code` makes them."""

    def found_in(self, text: str) -> str | None:
        """Return an n-gram that a text holds, or nothing.

        >>> held = Excluded({2: frozenset({"has close"})})
        >>> held.found_in("if it HAS_close elements")
        'has close'
        """
        for length, held in self.ngrams.items():
            for one in ngrams(text, length):
                if one in held:
                    return one
        return None

    def reason_against(self, text: str, solution: str, entry: str) -> str | None:
        """Return why a problem may not be in a set, or nothing.

        Helpers of a solution don't count: what is even is asked everywhere.
        """
        if self.found_in(text) is not None:
            return REASONS[0]
        if self.solutions and self.solutions & set(function_codes(solution, entry)):
            return REASONS[1]
        return None


NOTHING = Excluded()


def ngrams(text: str, length: int) -> Iterator[str]:
    """Yield the word n-grams of a text.

    >>> list(ngrams("Sum of a, b", 3))
    ['sum of a', 'of a b']
    """
    words = _WORD.findall(text.lower())
    for start in range(len(words) - length + 1):
        yield " ".join(words[start : start + length])


def function_codes(source: str, entry: str | None = None) -> Iterator[str]:
    r"""Yield digests of the functions of a module, without names and docstrings.

    Args:
        source: Of the module.
        entry: Name of the only one that is meant; null: all are.

    >>> [one] = function_codes("def f(x): return x + 1")
    >>> [one] == list(function_codes("import re\ndef g(y):\n    return y + 1"))
    True
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and entry in (None, node.name):
            yield same_code(ast.unparse(node))


def digest_of_files(paths: Sequence[Path]) -> str | None:
    """Return what tells files of exclusions from others: one's SHA-256, or of several.

    Raises:
        InputError: One can't be read.
    """
    digests = [hashlib.sha256(_read(path)).hexdigest() for path in paths]
    if len(digests) < 2:
        return digests[0] if digests else None
    return digest_of(digests)


def read_excluded(paths: Sequence[Path]) -> Excluded:
    """Read files of n-grams and of benchmark questions.

    Raises:
        InputError: One can't be read, or the n-grams of one differ in length.
    """
    held: dict[int, set[str]] = {}
    solutions: set[str] = set()
    for path in paths:
        if path.name.removesuffix(".gz").endswith((".jsonl", ".json")):
            words = held.setdefault(QUESTION_WORDS, set())
            for row in _rows(path):
                texts = [one for one in row.values() if isinstance(one, str)]
                words.update(
                    one for text in texts for one in ngrams(text, QUESTION_WORDS)
                )
                solutions.update(_solutions(row))
        else:
            length, found = _ngram_file(path)
            held.setdefault(length, set()).update(found)
    return Excluded(
        {length: frozenset(found) for length, found in sorted(held.items())},
        frozenset(solutions),
    )


def _solutions(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the functions of a row, from the first fields that parse."""
    for names in _CODE_FIELDS:
        if all(isinstance(row.get(name), str) for name in names):
            try:
                yield from function_codes("".join(row[name] for name in names))
            except (SyntaxError, ValueError):
                continue
            return


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InputError(
                "must be a JSON object a line",
                file=str(path),
                line=number,
                fix="name a file of n-grams, or of questions as JSON lines",
            )
        yield row


def _ngram_file(path: Path) -> tuple[int, set[str]]:
    found, length = set(), 0
    for number, line in enumerate(_lines(path), 1):
        words = _WORD.findall(line.lower())
        length = length or len(words)
        if len(words) != length:
            raise InputError(
                f"all n-grams must have {length} words, got {len(words)}",
                file=str(path),
                line=number,
                fix="make a file for each length",
            )
        found.add(" ".join(words))
    return length, found


def _lines(path: Path) -> list[str]:
    data = _read(path)
    try:
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode("utf-8").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    told = f"can't be read: {error}"
    return InputError(told, file=str(path), fix="name a UTF-8 text file")
