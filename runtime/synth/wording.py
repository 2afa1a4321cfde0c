"""Statements: what is given, what is asked, the rules and a few examples.

The sentences are frames; families fill them with noun phrases. Which frame a problem
gets is drawn, so the same task is told in many ways.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.synth.checking import SINGLES
from runtime.synth.draws import Draws
from runtime.synth.family import Draft
from runtime.synth.rendering import Style

Example = tuple[str, str]
"""Arguments in their brackets, and the answer; source, both."""

FRAMES = (
    "{context}Write a function `{call}` that takes {given}{comma} and returns {task}.",
    "{context}Implement `{call}`, which takes {given}{comma} and returns {task}.",
    "{context}Write a Python function named `{name}` that takes {given}. It should return {task}.",
    "{context}Your task is to write `{call}`. It receives {given}. It must return {task}.",
    "{context}Define `{call}`. Given {given}, it returns {task}.",
    "{context}Complete the function `{call}`. Its input is {given}; its result is {task}.",
    "Write a function `{call}`. It takes {given}{comma} and returns {task}.",
    "{context}Create a function called `{name}`. The function is given {given}{comma} and returns {task}.",
    "{context}You are given {given}. Write a function `{call}` that returns {task}.",
    "Given {given}, compute {task}. Name the function `{name}`.",
)  # fmt: skip
BARE_FRAMES = (
    "Return {task}.\n\nThe function takes {given}.",
    "Given {given}, return {task}.",
    "{context}Given {given}, return {task}.",
    "You are given {given}. Return {task}.",
    "{context}Take {given}{comma} and return {task}.",
)
RULE_HEADS = ("Rules:", "Notes:", "Details:", "Keep in mind:", "Please note:")
_ONE = re.compile(r"\b(at least|at most|exactly|more than) 1 (\w+)s\b")
_BELOW = re.compile(
    r",? (that is|that are|as|in the format) (defined|described) below\b"
)
"""What a line under a signature can't point to."""
EXAMPLE_HEADS = ("Examples:", "Example:", "For example:", "Sample calls:")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The parts of a statement, to be put together by a layout."""

    request: str
    """What is asked, with the name of the function."""
    bare: str
    """The same as a docstring has it, without the name."""
    rules: str
    """Sentences or a list; may be empty."""
    examples: tuple[Example, ...]
    summary: str
    """One sentence."""
    title: str

    def text(self, *, with_examples: str = "") -> str:
        """Return request, rules and, under a head, examples."""
        return _joined(self.request, self.rules, with_examples)


def state(
    draft: Draft, style: Style, examples: Sequence[Example], draws: Draws
) -> Statement:
    """Word a problem."""
    call = f"{style.entry}({', '.join(param.name for param in draft.params)})"
    parts = {
        "call": call,
        "name": style.entry,
        "given": draft.given,
        # What stands between commas ends with one.
        "comma": "," if ", " in re.sub(r"\([^)]*\)", "", draft.given) else "",
        "task": _singular(draft.task),
        "context": f"{draft.context} " if draft.context else "",
    }
    return Statement(
        request=draws.choice(FRAMES).format(**parts),
        bare=draws.choice(BARE_FRAMES).format(**parts),
        rules=_rules([_singular(rule) for rule in draft.rules], draws),
        examples=_telling(examples, draws),
        summary=f"Return {_BELOW.sub('', _singular(draft.task))}.",
        title=style.entry.replace("_", " ").capitalize(),
    )


def example_lines(statement: Statement, name: str, draws: Draws) -> str:
    """Write the examples in one of several ways."""
    calls = [(f"{name}{args}", answer) for args, answer in statement.examples]
    form = draws.below(4)
    if form == 0 and len(calls) == 1:
        return f"For example, `{calls[0][0]}` returns `{calls[0][1]}`."
    head = EXAMPLE_HEADS[0] if len(calls) > 1 else EXAMPLE_HEADS[1]
    if form == 1:
        return head + "".join(f"\n- `{call}` returns `{ans}`" for call, ans in calls)
    if form == 2:
        return f"{head}\n\n" + "\n".join(
            f"    {call} {'is' if ans in SINGLES else '=='} {ans}"
            for call, ans in calls
        )
    head = draws.choice(EXAMPLE_HEADS[2:]) if len(calls) > 1 else head
    return f"{head}\n\n" + "\n".join(f"    {call} -> {ans}" for call, ans in calls)


def doctest_lines(statement: Statement, name: str) -> str:
    """Write the examples as doctests."""
    return "\n".join(
        f">>> {name}{args}\n{answer}" if answer != "None" else f">>> {name}{args}"
        for args, answer in statement.examples
    )


def _telling(examples: Sequence[Example], draws: Draws) -> tuple[Example, ...]:
    """Choose examples from the middle: the shortest one says least."""
    start = min(draws.integer(1, 2), len(examples) - 1)
    chosen = list(examples[start : start + draws.integer(1, 3)])
    if draws.chance(30) and examples[0] not in chosen:
        chosen.append(examples[0])
    return tuple(chosen)


def _singular(text: str) -> str:
    """Put right what a family says of 1 with the words for many.

    >>> _singular("at least 1 zeros and at least 10 ones")
    'at least one zero and at least 10 ones'
    """
    return _ONE.sub(r"\1 one \2", text)


def _rules(rules: Sequence[str], draws: Draws) -> str:
    if len(rules) < 2 or draws.chance(40):
        return " ".join(rules)
    return draws.choice(RULE_HEADS) + "".join(f"\n- {rule}" for rule in rules)


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
