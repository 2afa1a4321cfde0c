"""Training documents of what a model wrote: statement, solution and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.synth.model_answers import Written
from runtime.synth.rendering import wrapped

_WIDTH = 77


def _plain(written: Written, tests: Sequence[str]) -> str:
    return f"{written.statement.strip()}\n\n{written.solution.strip()}\n\n\n" + (
        "\n".join(tests) + "\n"
    )


def _prose(written: Written, tests: Sequence[str]) -> str:
    title = written.entry.replace("_", " ").capitalize()
    return (
        f"# {title}\n\n{written.statement.strip()}\n\n## Solution\n\n"
        f"```python\n{written.solution.strip()}\n```\n\n## Tests\n\n"
        "```python\n" + "\n".join(tests) + "\n```\n"
    )


def _pytest(written: Written, tests: Sequence[str]) -> str:
    told = wrapped(written.statement.strip(), _WIDTH)
    head = "\n".join(f"# {line}".rstrip() for line in told.split("\n"))
    body = "\n".join(f"    {test}" for test in tests)
    return (
        f"{head}\n\n\n{written.solution.strip()}\n\n\n"
        f"def test_{written.entry}():\n{body}\n"
    )


LAYOUTS: dict[str, Callable[[Written, Sequence[str]], str]] = {
    "plain": _plain,
    "prose": _prose,
    "pytest": _pytest,
}
"""Name -> how it lays a problem out."""
