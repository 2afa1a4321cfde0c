"""Words that families share: stories, names, conditions on numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.synth.draws import Draws


@dataclass(frozen=True)
class Story:
    """What a list of things is called, and why somebody has it."""

    name: str
    """Of the parameter."""
    item: str
    """Of one of them in a loop."""
    plural: str
    singular: str
    context: str = ""


PLAIN_NUMBERS = (
    Story("numbers", "number", "numbers", "number"),
    Story("values", "value", "values", "value"),
    Story("nums", "num", "numbers", "number"),
    Story("items", "item", "items", "item"),
    Story("data", "x", "entries", "entry"),
)
SIGNED_STORIES = (
    *PLAIN_NUMBERS,
    Story(
        "temperatures", "temperature", "temperatures", "temperature",
        "A weather station writes down the temperature once an hour, in whole degrees.",
    ),
    Story(
        "balances", "balance", "balances", "balance",
        "An accountant lists the balance of an account at the end of every day.",
    ),
    Story(
        "changes", "change", "changes", "change",
        "A warehouse keeps a log of changes to its stock, negative when goods leave.",
    ),
    Story(
        "offsets", "offset", "offsets", "offset",
        "A technician measures by how many microns each part is off its nominal size.",
    ),
    Story(
        "deltas", "delta", "deltas", "delta",
        "A trader notes by how many cents a share price moved on each day.",
    ),
    Story(
        "elevations", "elevation", "elevations", "elevation",
        "A hiker records the elevation at every milestone, in metres above the sea.",
    ),
)  # fmt: skip
COUNT_STORIES = (
    *PLAIN_NUMBERS,
    Story(
        "scores", "score", "scores", "score",
        "A referee collects the scores of a tournament in the order of the games.",
    ),
    Story(
        "prices", "price", "prices", "price",
        "A shop keeps a list of prices in whole cents.",
    ),
    Story(
        "orders", "order", "orders", "order",
        "A bakery notes how many loaves each customer orders.",
    ),
    Story(
        "steps", "count", "step counts", "step count",
        "A fitness tracker stores one step count per day.",
    ),
    Story(
        "weights", "weight", "weights", "weight",
        "A post office weighs every parcel in grams.",
    ),
    Story(
        "votes", "vote", "vote counts", "vote count",
        "An election office reports one vote count per district.",
    ),
    Story(
        "visitors", "visit", "visitor counts", "visitor count",
        "A museum counts its visitors hour by hour.",
    ),
    Story(
        "distances", "distance", "distances", "distance",
        "A courier writes down the distance of each trip in kilometres.",
    ),
    Story(
        "loads", "load", "loads", "load",
        "A monitoring tool samples the load of a server once a minute.",
    ),
    Story(
        "durations", "duration", "durations", "duration",
        "A call centre records the duration of each call in seconds.",
    ),
)  # fmt: skip
TEXT_STORIES = (
    Story("text", "char", "characters", "character"),
    Story("s", "c", "characters", "character"),
    Story("message", "ch", "characters", "character"),
    Story("line", "letter", "characters", "character"),
    Story("phrase", "char", "characters", "character"),
    Story("sentence", "char", "characters", "character"),
    Story("string", "ch", "characters", "character"),
)
WORD_STORIES = (
    Story("words", "word", "words", "word"),
    Story("names", "name", "names", "name", "A school has a list of first names."),
    Story("tags", "tag", "tags", "tag", "A blog attaches tags to its articles."),
    Story("cities", "city", "city names", "city name", "A travel agency lists the cities that it serves."),
    Story("tokens", "token", "tokens", "token"),
    Story("titles", "title", "titles", "title", "A library keeps the titles of its books."),
    Story("labels", "label", "labels", "label", "A laboratory labels its samples."),
    Story("keywords", "keyword", "keywords", "keyword"),
)  # fmt: skip

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = (
    "apple", "river", "stone", "cloud", "music", "level", "garden", "radar", "planet",
    "orange", "window", "silver", "noon", "copper", "violet", "kayak", "bridge", "sun",
    "moon", "star", "tree", "bird", "fish", "wolf", "bear", "snow", "rain", "wind",
    "fire", "earth", "gold", "iron", "salt", "sand", "leaf", "root", "seed", "rose",
    "banana", "cherry", "lemon", "grape", "melon", "olive", "pepper", "onion", "bean",
    "civic", "refer", "eye", "ice", "oak", "elm", "ash", "ink", "urn", "egg", "ox",
)  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """A yes or no about a whole number `{x}`, told twice in code and once in words."""

    text: str
    """Completes "the numbers that ..."."""
    code: str
    other: str
    """The same by another formula, for the reference."""


def conditions(*, signed: bool = True) -> tuple[Condition, ...]:
    """Return conditions of which no two are the same.

    >>> len({one.code for one in conditions()}) == len(conditions())
    True
    """
    found = [
        Condition("are even", "{x} % 2 == 0", "{x} // 2 * 2 == {x}"),
        Condition("are odd", "{x} % 2 == 1", "{x} // 2 * 2 != {x}"),
    ]
    found += [
        Condition(
            f"are divisible by {k}", f"{{x}} % {k} == 0", f"{{x}} // {k} * {k} == {{x}}"
        )
        for k in (3, 4, 5, 6, 7, 8, 9, 11)
    ]
    found += [
        Condition(
            f"are not divisible by {k}",
            f"{{x}} % {k} != 0",
            f"{{x}} // {k} * {k} != {{x}}",
        )
        for k in (3, 4, 5, 6, 7)
    ]
    found += [
        Condition(f"are greater than {k}", f"{{x}} > {k}", f"not {{x}} <= {k}")
        for k in (2, 3, 4, 5, 7, 8, 10, 12, 13, 15)
    ]
    found += [
        Condition(f"are less than {k}", f"{{x}} < {k}", f"not {{x}} >= {k}")
        for k in (4, 6, 9, 10, 11, 14, 16, 18, 20)
    ]
    found += [
        Condition(
            f"lie between {low} and {high} (both included)",
            f"{low} <= {{x}} <= {high}",
            f"{{x}} in range({low}, {high + 1})",
        )
        for low, high in (
            (2, 9),
            (5, 15),
            (1, 12),
            (4, 18),
            (3, 10),
            (6, 20),
            (8, 16),
            (0, 7),
        )
    ]
    found += [
        Condition(
            f"have {digit} as their last digit",
            f"abs({{x}}) % 10 == {digit}" if signed else f"{{x}} % 10 == {digit}",
            f"str({{x}})[-1] == '{digit}'",
        )
        for digit in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    ]
    if signed:
        found += [
            Condition("are positive", "{x} > 0", "{x} >= 1"),
            Condition("are negative", "{x} < 0", "{x} <= -1"),
            Condition(
                "have an absolute value above 6",
                "abs({x}) > 6",
                "({x} > 6 or {x} < -6)",
            ),
        ]
    return (*found, *_compound())


def _compound() -> list[Condition]:
    """Return conditions made of two, of which neither says all."""
    halves = (
        ("even", "{x} % 2 == 0", "{x} // 2 * 2 == {x}"),
        ("odd", "{x} % 2 == 1", "{x} // 2 * 2 != {x}"),
        ("divisible by 3", "{x} % 3 == 0", "{x} // 3 * 3 == {x}"),
        ("divisible by 5", "{x} % 5 == 0", "{x} // 5 * 5 == {x}"),
    )
    bounds = (
        *((f"greater than {k}", f"{{x}} > {k}", f"not {{x}} <= {k}") for k in (4, 6, 9, 11, 13)),
        *((f"less than {k}", f"{{x}} < {k}", f"not {{x}} >= {k}") for k in (5, 8, 12, 15, 17)),
    )  # fmt: skip
    return [
        Condition(
            f"are {half[0]} {joint} {bound[0]}",
            f"({half[1]} {joint} {bound[1]})",
            f"(({half[2]}) {joint} ({bound[2]}))",
        )
        for half in halves
        for bound in bounds
        for joint in ("and", "or")
    ]


def a(noun: str) -> str:
    """Put the article before a noun.

    >>> a("item"), a("price")
    ('an item', 'a price')
    """
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def singular(condition: Condition) -> str:
    """Return the condition's words for one number.

    >>> singular(Condition("are even", "", ""))
    'is even'
    """
    for many, one in (("are ", "is "), ("have ", "has "), ("lie ", "lies ")):
        if condition.text.startswith(many):
            return condition.text.replace(many, one, 1).replace("their", "its")
    raise AssertionError(condition.text)


def story(draws: Draws, stories: Sequence[Story]) -> Story:
    """Draw a story; the plain ones a little less often than they are listed."""
    chosen = draws.choice(stories)
    return chosen if chosen.context else draws.choice(stories)
