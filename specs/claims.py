"""The language of claims: one line that says what a study should find.

    claim   = order | alike | best
    order   = term (">" term)+ ["by" ">=" margin]
            | term ("<" term)+ ["by" ">=" margin]
    alike   = term "=~" term "within" margin
    best    = "best" "of" "{" point ("," point)* "}" "in" score "is" point
    term    = cell | "mean" "(" cell ("," cell)* ")" | number
    cell    = point "." score
    margin  = number "%" "relative" | number ["points"]

A relative margin is a share of the term on the right. Points are the score's unit, so
hundredths where it is a percentage; a score that is none has no word behind its number.
In a chain the margin holds between neighbours. Whether a claim is true is not asked
here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from specs.base import Value
from specs.rules import BrokenRules, broken, shown

EXAMPLE = "a.score > b.score by >= 5% relative"

_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?[0-9]+(?:\.[0-9]+)?)|(?P<name>[a-z][a-z0-9_]*)"
    r"|(?P<sign>>=|=~|[><.,%(){}]))"
)


class Cell(Value):
    """One score of one point."""

    point: str
    score: str

    def __str__(self) -> str:
        return f"{self.point}.{self.score}"


class Term(Value):
    """What is compared: the unweighted mean of some cells, or a number."""

    cells: tuple[Cell, ...] = ()
    number: float | None = None
    """In the unit of the score that it is compared with; None where there are cells."""

    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.number:g}"
        inner = ", ".join(str(cell) for cell in self.cells)
        return inner if len(self.cells) == 1 else f"mean({inner})"


class Margin(Value):
    """How much the difference must be, or may be."""

    amount: float
    """A share of the term on the right where relative, as 0.05; else a number."""
    kind: Literal["relative", "points", "plain"]

    def __str__(self) -> str:
        if self.kind == "relative":
            return f"{100 * self.amount:g}% relative"
        return (
            f"{self.amount:g} points" if self.kind == "points" else f"{self.amount:g}"
        )


class Order(Value):
    """Each term is larger, or smaller, than the one behind it."""

    kind: Literal["order"] = "order"
    relation: Literal[">", "<"]
    terms: tuple[Term, ...]
    """Two, or more in a chain."""
    margin: Margin | None
    """Least difference; None: any."""


class Alike(Value):
    """Two terms differ by no more than a margin, either way."""

    kind: Literal["alike"] = "alike"
    terms: tuple[Term, Term]
    within: Margin


class Best(Value):
    """Of some points, one is the best in a score."""

    kind: Literal["best"] = "best"
    points: tuple[str, ...]
    score: str
    """Whether high or low is better, the score's definition says."""
    winner: str


Parsed = Order | Alike | Best


def parse_claim(text: str) -> Parsed:
    """Read a claim.

    Raises:
        BrokenRules: It is none; says where.

    >>> parse_claim("a.code > b.code by >= 5% relative").margin
    Margin(amount=0.05, kind='relative')
    >>> [str(one) for one in parse_claim("mean(a.nl, b.nl) > c.nl > 50").terms]
    ['mean(a.nl, b.nl)', 'c.nl', '50']
    >>> str(parse_claim("a.nl =~ b.nl within 1 points").within)
    '1 points'
    >>> parse_claim("best of {p0, p25, p50} in nl is p25").winner
    'p25'
    """
    reader = _Reader(text, list(_tokens(text)))
    found = _best(reader) if reader.words_ahead("best", "of") else _comparison(reader)
    if not reader.at_end:
        raise reader.refuse("the end of the claim")
    return found


def cells_of(claim: Parsed) -> tuple[Cell, ...]:
    """Return every cell that a claim speaks of, each once.

    >>> [str(cell) for cell in cells_of(parse_claim("best of {p, q} in nl is q"))]
    ['p.nl', 'q.nl']
    """
    if isinstance(claim, Best):
        cells = [Cell(point=point, score=claim.score) for point in claim.points]
    else:
        cells = [cell for term in claim.terms for cell in term.cells]
    return tuple(dict.fromkeys(cells))


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int
    """Counted from 1."""


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            place = position + len(text[position:]) - len(text[position:].lstrip())
            what = f"is no claim: character {place + 1}, {shown(text[place])}, "
            raise broken(f"{what}has no meaning", f"write for instance '{EXAMPLE}'")
        assert match.lastgroup is not None
        start = match.start(match.lastgroup)
        yield _Token(match.lastgroup, match[match.lastgroup], start + 1)
        position = match.end()


class _Reader:
    """Goes through the words of a claim."""

    def __init__(self, text: str, tokens: list[_Token]):
        self._text, self._tokens, self._next = text, tokens, 0

    @property
    def at_end(self) -> bool:
        return self._next == len(self._tokens)

    def words_ahead(self, *words: str) -> bool:
        ahead = self._tokens[self._next : self._next + len(words)]
        return [token.text for token in ahead] == list(words)

    def take(self, *words: str) -> bool:
        """Go past some words if they are next."""
        if self.words_ahead(*words):
            self._next += len(words)
            return True
        return False

    def need(self, *words: str) -> None:
        for word in words:
            if not self.take(word):
                raise self.refuse(f"'{word}'")

    def name(self, what: str) -> str:
        return self._of_kind("name", what)

    def number(self) -> Fraction:
        return Fraction(self._of_kind("number", "a number"))

    def number_ahead(self) -> bool:
        return not self.at_end and self._tokens[self._next].kind == "number"

    def refuse(self, wanted: str) -> BrokenRules:
        got = "the claim ends"
        if not self.at_end:
            token = self._tokens[self._next]
            got = f"{token.text!r} stands at character {token.column}"
        what = f"is no claim: {got} where {wanted} should be"
        return broken(what, f"write for instance '{EXAMPLE}'")

    def _of_kind(self, kind: str, wanted: str) -> str:
        if self.at_end or self._tokens[self._next].kind != kind:
            raise self.refuse(wanted)
        self._next += 1
        return self._tokens[self._next - 1].text


def _best(reader: _Reader) -> Best:
    reader.need("best", "of", "{")
    points = [reader.name("a point")]
    while reader.take(","):
        points.append(reader.name("a point"))
    reader.need("}", "in")
    score = reader.name("a score")
    reader.need("is")
    winner = reader.name("a point")
    repeated = [point for point in points if points.count(point) > 1]
    if repeated:
        raise broken(f"names {repeated[0]!r} twice", "name each point once")
    if winner not in points:
        what = f"says that {winner!r} is the best of points that it is not among"
        raise broken(what, f"put {winner!r} between the braces")
    if len(points) == 1:
        raise broken("compares a single point", "name two points or more")
    return Best(points=tuple(points), score=score, winner=winner)


def _comparison(reader: _Reader) -> Order | Alike:
    terms = [_term(reader)]
    if reader.take("=~"):
        terms.append(_term(reader))
        reader.need("within")
        _refuse_what_tells_nothing(terms)
        return Alike(terms=(terms[0], terms[1]), within=_margin(reader))
    relation: Literal[">", "<"] = "<" if reader.words_ahead("<") else ">"
    while reader.take(relation):
        terms.append(_term(reader))
    if len(terms) == 1:
        raise reader.refuse("'>', '<' or '=~'")
    _refuse_what_tells_nothing(terms)
    margin = None
    if reader.take("by"):
        reader.need(">=")
        margin = _margin(reader)
    return Order(relation=relation, terms=tuple(terms), margin=margin)


def _term(reader: _Reader) -> Term:
    if reader.number_ahead():
        return Term(number=float(reader.number()))
    if not reader.take("mean", "("):
        return Term(cells=(_cell(reader),))
    cells = [_cell(reader)]
    while reader.take(","):
        cells.append(_cell(reader))
    reader.need(")")
    return Term(cells=tuple(cells))


def _cell(reader: _Reader) -> Cell:
    point = reader.name("a point, as in point.score,")
    reader.need(".")
    return Cell(point=point, score=reader.name("a score"))


def _margin(reader: _Reader) -> Margin:
    amount = reader.number()
    if amount < 0:
        raise broken("has a margin below 0", "turn the relation round")
    if reader.take("%"):
        reader.need("relative")
        return Margin(amount=float(amount / 100), kind="relative")
    kind: Literal["points", "plain"] = "points" if reader.take("points") else "plain"
    return Margin(amount=float(amount), kind=kind)


def _refuse_what_tells_nothing(terms: list[Term]) -> None:
    for left, right in itertools.pairwise(terms):
        if left.number is not None and right.number is not None:
            raise broken("compares two numbers", "name a point and a score")
        if left == right:
            what = f"compares {left} with itself"
            raise broken(what, "name another point or another score")
