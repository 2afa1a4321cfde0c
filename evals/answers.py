"""When two texts count as the same answer."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence

_ARTICLES = re.compile(r"\b(?:[Tt]he|[Aa]n?) ")
_PUNCTUATION = str.maketrans("", "", string.punctuation)

STEPS: Mapping[str, Callable[[str], str]] = {
    "lower": str.lower,
    "punctuation": lambda text: text.translate(_PUNCTUATION),
    # With the space after them; "THE" is no article here, as in lm-eval's tasks.
    "articles": lambda text: _ARTICLES.sub("", text),
    "spaces": lambda text: " ".join(text.split()),
}
"""What `normalise` of a task names."""


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    """Return what was generated before the first stop string.

    >>> cut_at_stop("Paris. It is", [",", "."])
    'Paris'
    """
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(places, default=len(text))]


def normalised(text: str, steps: Sequence[str]) -> str:
    """Take out of an answer what does not count, step by step.

    >>> normalised("The  Beatles!", ["articles", "lower", "punctuation", "spaces"])
    'beatles'
    """
    for step in steps:
        text = STEPS[step](text)
    return text


def is_accepted(text: str, accepted: Sequence[str], steps: Sequence[str]) -> bool:
    """Whether an answer equals one of several, after the same steps on both sides."""
    answer = normalised(text, steps)
    return any(answer == normalised(one, steps) for one in accepted)
