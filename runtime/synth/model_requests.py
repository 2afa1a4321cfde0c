"""What a model is asked for: a problem, and then a second solution to its statement.

The second request shows the statement alone, so its answer agrees with the solution
only if the statement says what the solution does. Both are functions of the seed, the
problem's number and the attempt; nothing else decides what is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.facts import JsonObject
from runtime.keys import key
from runtime.synth.catalogue import FAMILIES
from runtime.synth.draws import Draws
from runtime.synth.grading import GRADES
from runtime.synth.model_answers import FEWEST_EDGES, FEWEST_TESTS, Written
from runtime.synth.vocabulary import COUNT_STORIES, SIGNED_STORIES, WORD_STORIES
from specs.writer import Writer

VERSION = 2
"""Of the requests below; part of every certificate."""
STYLES = (
    "Solve it in one function with plain loops.",
    "Solve it with comprehensions and built-in functions.",
    "Use a helper function for one part of the work.",
    "Use a dictionary or a set where it makes the code simpler.",
    "Write type hints.",
    "Put a short comment on the one line that needs it.",
)
_ADVANCED = "Recursion, dynamic programming or a search may be what it takes."
STORIES = tuple(
    dict.fromkeys(
        one.context
        for one in (*SIGNED_STORIES, *COUNT_STORIES, *WORD_STORIES)
        if one.context
    )
)

_PROBLEM = f"""Answer with one JSON object and nothing else. Its keys:
"statement": the task, in whole sentences; it names the function in backticks with its
  arguments, says what they are, what is returned, and what happens at the edges.
"entry": the name of the function.
"solution": source of a module that defines it; standard library only, no input or
  output, no randomness; it does not change its arguments.
"random_input": source of a module that defines `random_input(rng)`; it returns a tuple
  of arguments, small enough to check by hand, drawn with `rng`, a `random.Random`.
"edges": a list of at least {FEWEST_EDGES} strings, each the source of a tuple of
  arguments made of literals, such as "([1, 2], 3)", for the edge cases.
"tests": a list of at least {FEWEST_TESTS} assertions on the function, each a string of
  one line.
"""
_REFERENCE = """Here is a programming problem.

{statement}

Solve it in Python in the slowest and most obvious way: try all possibilities, or follow
the statement word by word. Name the function `reference`; it takes the same arguments
in the same order. Standard library only, no input or output, no randomness.

Answer with one JSON object and nothing else. Its only key is "reference": the source of
a module that defines the function.
"""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What one attempt at a problem asks for."""

    index: int
    attempt: int
    topic: str
    grade: str
    story: str
    """A sentence, or nothing."""
    style: str
    seeds: tuple[int, int]
    """Of the model's sampling, for both requests."""


def ask_of(index: int, attempt: int, *, seed: int) -> Ask:
    """Return what an attempt asks for, in words that our own families use.

    >>> ask_of(3, 0, seed=1) == ask_of(3, 0, seed=1)
    True
    """
    own_key = key(seed, "written", index, attempt)
    draws = Draws(own_key)
    family = draws.choice(FAMILIES)
    grade = draws.choice(GRADES)
    style = _ADVANCED if grade == "hard" and draws.chance(50) else draws.choice(STYLES)
    return Ask(
        index=index,
        attempt=attempt,
        topic=f"{family.topic}: {family.name.replace('-', ' ')}",
        grade=grade,
        story=draws.choice(STORIES) if draws.chance(60) else "",
        style=style,
        # Servers take 32-bit seeds, some of them signed.
        seeds=(key(own_key, "problem") % 2**31, key(own_key, "reference") % 2**31),
    )


def problem_request(ask: Ask, writer: Writer) -> JsonObject:
    """Return the request for a problem: all that decides the answer, and no more."""
    story = f" Its story may begin like this: {ask.story}" if ask.story else ""
    content = (
        f"Write one Python programming problem of {ask.grade} difficulty. Its topic: "
        f"{ask.topic}.{story} {ask.style}\n\n{_PROBLEM}"
    )
    return _request(content, writer, ask.seeds[0])


def reference_request(ask: Ask, written: Written, writer: Writer) -> JsonObject:
    """Return the request for a second solution, which shows nothing of the first."""
    content = _REFERENCE.format(statement=written.statement.strip())
    return _request(content, writer, ask.seeds[1])


def _request(content: str, writer: Writer, seed: int) -> JsonObject:
    endpoint = writer.endpoint
    return {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": content}],
        "temperature": endpoint.temperature,
        "seed": seed,
        "max_tokens": endpoint.max_tokens,
    }
