"""Training documents: one verified problem told as people tell problems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.synth.draws import Draws
from runtime.synth.family import Draft
from runtime.synth.rendering import Style, solution_code, wrapped
from runtime.synth.wording import Statement, doctest_lines, example_lines

DOC_WIDTH = 79
NEWLINES = "\n\n"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a layout lays out."""

    draft: Draft
    style: Style
    statement: Statement
    tests: Sequence[str]
    """Assertions, one a line."""

    def code(self, docstring: str = "") -> str:
        """Return the solution, with a docstring if there is one."""
        return solution_code(self.draft, self.style, docstring=docstring)

    def summary(self, draws: Draws) -> str:
        """Return a docstring of the short kind, or nothing."""
        if draws.chance(30):
            return ""
        return wrapped(self.statement.summary, DOC_WIDTH - 8)

    def bare(self) -> str:
        """Return the statement as a docstring tells it."""
        told = self.statement.bare + "\n\n" + self.statement.rules
        return wrapped(told.strip(), DOC_WIDTH - 4)


def document(layout: str, parts: Parts, draws: Draws) -> str:
    """Lay out a problem as one document."""
    return LAYOUTS[layout](parts, draws).strip("\n") + "\n"


def _docstring(parts: Parts, draws: Draws) -> str:
    examples = doctest_lines(parts.statement, parts.style.entry)
    return parts.code(f"{parts.bare()}\n\n{examples}")


def _docstring_and_tests(parts: Parts, draws: Draws) -> str:
    return f"{_docstring(parts, draws).rstrip()}\n\n\n" + "\n".join(parts.tests)


def _prose(parts: Parts, draws: Draws) -> str:
    examples = example_lines(parts.statement, parts.style.entry, draws)
    heads = draws.choice(
        (
            ("## Solution", "## Tests"),
            ("### Answer", "### Checks"),
            ("Solution:", "Tests:"),
        )
    )
    return (
        f"# {parts.statement.title}\n\n{parts.statement.text(with_examples=examples)}"
        f"\n\n{heads[0]}\n\n```python\n{parts.code(parts.summary(draws))}```\n\n"
        f"{heads[1]}\n\n```python\n" + "\n".join(parts.tests) + "\n```"
    )


def _dialogue(parts: Parts, draws: Draws) -> str:
    asked, answered = draws.choice(
        (("Question", "Answer"), ("Problem", "Solution"), ("Task", "Code"))
    )
    examples = (
        example_lines(parts.statement, parts.style.entry, draws)
        if draws.chance(70)
        else ""
    )
    told = parts.statement.text(with_examples=examples)
    if asked == "Task":
        told = told.replace("Your task is to write", "Write")
    return (
        f"{asked}: {told}\n\n"
        f"{answered}:\n\n```python\n{parts.code(parts.summary(draws))}```"
    )


def _doctests(parts: Parts, draws: Draws) -> str:
    examples = doctest_lines(parts.statement, parts.style.entry)
    summary = wrapped(parts.statement.summary, DOC_WIDTH - 8)
    told = wrapped(parts.statement.text(), DOC_WIDTH)
    return (
        f'"""{_escaped(told)}\n"""\n\n\n'
        f"{parts.code(summary + NEWLINES + examples)}\n\n"
        'if __name__ == "__main__":\n    import doctest\n\n    doctest.testmod()'
    )


def _pytest(parts: Parts, draws: Draws) -> str:
    name = parts.style.entry
    told = wrapped(parts.statement.text(), DOC_WIDTH - 2)
    head = "\n".join(f"# {line}".rstrip() for line in told.split("\n"))
    code = parts.code(parts.summary(draws))
    if draws.chance(50):
        half = max(1, len(parts.tests) // 2)
        groups = {
            "small_inputs": parts.tests[:half],
            "other_inputs": parts.tests[half:],
        }
        if len(parts.tests) == 1:
            groups.pop("other_inputs")
    else:
        groups = {"": parts.tests}
    bodies = [
        f"def test_{name}{'_' if group else ''}{group}():\n"
        + "\n".join(f"    {test}" for test in tests)
        for group, tests in groups.items()
    ]
    return f"{head}\n\n\n{code}\n\n" + "\n\n\n".join(bodies)


def _listed_tests(parts: Parts, draws: Draws) -> str:
    shown = "\n".join(parts.tests[: draws.integer(3, 5)])
    ask = draws.choice(
        (
            "Your code should pass these tests:",
            "The following assertions must hold:",
            "It has to satisfy these checks:",
        )
    )
    return f"{parts.statement.text()}\n\n{ask}\n\n{shown}\n\n{parts.code()}"


def _script(parts: Parts, draws: Draws) -> str:
    told = wrapped(parts.statement.text(), DOC_WIDTH)
    tests = "\n".join(f"    {test}" for test in parts.tests)
    return (
        f'"""{parts.statement.title}.\n\n{_escaped(told)}\n"""\n\n\n'
        f"{parts.code(parts.summary(draws))}\n\n"
        f'if __name__ == "__main__":\n{tests}\n    print("All tests passed.")'
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")


LAYOUTS: dict[str, Callable[[Parts, Draws], str]] = {
    "docstring": _docstring,
    "docstring-tests": _docstring_and_tests,
    "prose": _prose,
    "dialogue": _dialogue,
    "doctest": _doctests,
    "pytest": _pytest,
    "listed-tests": _listed_tests,
    "script": _script,
}
"""Name -> how it lays a problem out."""
