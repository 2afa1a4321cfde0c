"""From the row of a file to what is asked and what is right, by a task's templates."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.runtime import Undefined

from evals.template_sandbox import MAX_CHARACTERS, MAX_TEMPLATE_CHARACTERS, sandbox
from specs.errors import InputError, Problem, SpecError
from specs.task import Task

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """What is rendered, to be named in messages."""

    file: str | None = None
    """The task's file."""
    path: str | None = None
    """The template in it, such as `choices.texts`."""
    row: int | None = None
    """Index among all rows of the data, from 0."""

    def at(self, path: str) -> Place:
        """Return another template of the same file and row."""
        return replace(self, path=path)

    @property
    def of_every_row(self) -> Place:
        """Return the template alone."""
        return replace(self, row=None)


NOWHERE = Place()


@dataclass(frozen=True, kw_only=True)
class RenderedChoices:
    """A question with several continuations."""

    contexts: tuple[str, ...]
    """What the model sees before each; all the same unless the task has `contexts`."""
    texts: tuple[str, ...]
    """The continuations, without the delimiter."""
    right: int
    """Index of the right one."""


def render(template: str, row: Row, *, place: Place = NOWHERE) -> str:
    r"""Render a template with the fields of a row.

    Raises:
        SpecError: The template is wrong, whatever the row.
        InputError: This row doesn't fit it.

    >>> render("Question: {{ question }}\nAnswer:", {"question": "Why?"})
    'Question: Why?\nAnswer:'
    """
    compiled = _compiled(template, place.of_every_row)
    return str(_guarded(lambda: _generated(compiled, row), template, place))


def render_value(template: str, row: Row, *, place: Place = NOWHERE) -> Any:
    """Render a template; one that is a single expression gives its value as it is.

    >>> render_value("{{ [one, two] }}", {"one": "a", "two": 3})
    ['a', 3]
    >>> render_value("{{ one }} b", {"one": "a"})
    'a b'
    """
    expression = _single_expression(template, place.of_every_row)
    if expression is None:
        return render(template, row, place=place)
    return _guarded(lambda: _defined(expression(**row)), template, place)


def template_problems(task: Task, *, file: str | None = None) -> list[Problem]:
    """Return what is wrong with the templates of a task, without any row."""
    problems: list[Problem] = []
    for path, template in task_templates(task):
        place = Place(file=file, path=path)
        try:
            parsed = _parsed(template, place)
        except SpecError as error:
            problems += error.problems
            continue
        known = {*task.data.fields, *_EXTRA_NAMES.get(path, ())}
        for name in sorted(meta.find_undeclared_variables(parsed) - known):
            what = f"{name!r} is no field of the data"
            fix = f"use one of {', '.join(sorted(known))}, or add it to data.fields"
            problems.append(_problem(place, what, fix))
    return problems


def task_templates(task: Task) -> list[tuple[str, str]]:
    """Return the templates of a task with their places."""
    found: list[tuple[str, str | None]] = [("prompt", task.prompt)]
    if task.choices is not None:
        texts = task.choices.texts
        found += _numbered("choices.texts", texts)
        found += _numbered("choices.contexts", task.choices.contexts or ())
        found.append(("choices.right", task.choices.right))
    if task.answer is not None:
        found.append(("answer.accepted", task.answer.accepted))
    if task.program is not None:
        found.append(("program.source", task.program.source))
        found.append(("program.solution", task.program.solution))
    if task.reply is not None:
        found.append(("reply.reference", task.reply.reference))
    return [(path, template) for path, template in found if template is not None]


def rendered_prompt(task: Task, row: Row, *, place: Place = NOWHERE) -> str:
    """Return what the model sees before a continuation, without solved examples."""
    assert task.prompt is not None, "a definition of lm-eval has its own prompt"
    return render(task.prompt, row, place=place.at("prompt"))


def rendered_choices(
    task: Task, row: Row, *, place: Place = NOWHERE
) -> RenderedChoices:
    """Return the continuations of a question and which is right."""
    choices = task.choices
    assert choices is not None, f"{task.name} has no choices"
    at = place.at("choices.texts")
    texts = _texts(choices.texts, row, at)
    if choices.contexts is None:
        contexts = (rendered_prompt(task, row, place=place),) * len(texts)
    else:
        contexts = _texts(choices.contexts, row, place.at("choices.contexts"))
        if len(texts) != 1:
            what = f"must be the one text that follows each context, got {list(texts)}"
            raise InputError(_problem(at, what, "keep one"))
        texts = texts * len(contexts)
    count = len(contexts)
    if count < 2 or not all(texts):
        what = f"must be at least 2 texts that are not empty, got {list(texts)}"
        raise InputError(_problem(at, what, "correct the template, or drop the row"))
    at = place.at("choices.right")
    right = render(choices.right, row, place=at).strip()
    if not (right.isascii() and right.isdecimal() and int(right) < count):
        what = f"must render to an index from 0 to {count - 1}, got {right!r}"
        raise InputError(_problem(at, what, "correct the template, or drop the row"))
    return RenderedChoices(contexts=contexts, texts=texts, right=int(right))


def rendered_accepted(
    task: Task, row: Row, *, place: Place = NOWHERE
) -> tuple[str, ...]:
    """Return the right answers of a question."""
    assert task.answer is not None, f"{task.name} has no answer"
    return _texts(task.answer.accepted, row, place.at("answer.accepted"))


def rendered_program(
    task: Task, row: Row, *, completion: str, place: Place = NOWHERE
) -> str:
    """Return the program that shows whether a completion is right."""
    assert task.program is not None, f"{task.name} has no program"
    names = {**row, "completion": completion}
    return render(task.program.source, names, place=place.at("program.source"))


def rendered_solution(task: Task, row: Row, *, place: Place = NOWHERE) -> str:
    """Return a completion that must pass."""
    assert task.program is not None, f"{task.name} has no program"
    return render(task.program.solution, row, place=place.at("program.solution"))


def rendered_reference(task: Task, row: Row, *, place: Place = NOWHERE) -> str | None:
    """Return the reply that another is compared with; null: there is none."""
    assert task.reply is not None, f"{task.name} has no reply"
    if task.reply.reference is None:
        return None
    return render(task.reply.reference, row, place=place.at("reply.reference"))


_EXTRA_NAMES = {"program.source": ("completion",)}
_EXPRESSION = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)


def _numbered(path: str, texts: tuple[str, ...] | str) -> list[tuple[str, str | None]]:
    if isinstance(texts, str):
        return [(path, texts)]
    return [(f"{path}.{index}", text) for index, text in enumerate(texts)]


def _texts(templates: tuple[str, ...] | str, row: Row, place: Place) -> tuple[str, ...]:
    """Render templates, or one that names a list, to texts."""
    if not isinstance(templates, str):
        parts = _numbered(place.path or "", templates)
        return tuple(
            render(text, row, place=place.at(path)) for path, text in parts if text
        )
    value = render_value(templates, row, place=place)
    values = [value] if isinstance(value, str) else value
    good = isinstance(values, list | tuple) and values
    if not good or not all(isinstance(one, str) for one in values):
        what = f"must give a list of texts, got {value!r:.200}"
        raise InputError(_problem(place, what, "name a list of texts of the row"))
    return tuple(values)


@functools.lru_cache(maxsize=1024)
def _parsed(template: str, place: Place) -> nodes.Template:
    try:
        if len(template) > MAX_TEMPLATE_CHARACTERS:
            raise TemplateError(f"is longer than {MAX_TEMPLATE_CHARACTERS} characters")
        parsed = sandbox().parse(template)
        # Unknown filters and tests show when code is made of it.
        sandbox().compile(template)
    except (TemplateError, RecursionError) as error:
        raise SpecError(_template_problem(error, place)) from None
    if refused := sandbox().refusals(parsed):
        fix = "keep to expressions, `if` and simple `for`"
        raise SpecError([_problem(place, what, fix) for what in refused])
    return parsed


@functools.lru_cache(maxsize=1024)
def _compiled(template: str, place: Place) -> Template:
    _parsed(template, place)
    return sandbox().from_string(template)


@functools.lru_cache(maxsize=1024)
def _single_expression(template: str, place: Place) -> Callable[..., Any] | None:
    """Compile a template that is one `{{ expression }}` to give its value."""
    body = _parsed(template, place).body
    match = _EXPRESSION.fullmatch(template.strip())
    if len(body) != 1 or not isinstance(body[0], nodes.Output) or not match:
        return None
    parts = body[0].nodes
    if len(parts) != 1 or isinstance(parts[0], nodes.TemplateData):
        return None
    return sandbox().compile_expression(match[1], undefined_to_none=False)


def _generated(compiled: Template, row: Row) -> str:
    pieces: list[str] = []
    length = 0
    for piece in compiled.generate(row):
        length += len(piece)
        if length > MAX_CHARACTERS:
            raise TemplateError(f"gives more than {MAX_CHARACTERS} characters")
        pieces.append(piece)
    return "".join(pieces)


def _defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined says what is missing
    return value


def _guarded(work: Callable[[], Any], template: str, place: Place) -> Any:
    """Do what depends on the row, and say of which when it fails."""
    try:
        return work()
    except TemplateError as error:
        what = f"can't be rendered: {error.message}"
    # Whatever a template does to values of types it didn't expect.
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as bad:
        what = f"can't be rendered: {type(bad).__name__}: {bad}"
    raise InputError(_problem(place, what, f"correct {template!r:.120} or the row"))


def _template_problem(error: Exception, place: Place) -> Problem:
    line = error.lineno if isinstance(error, TemplateSyntaxError) else None
    where = f" in its line {line}" if line is not None else ""
    what = f"is no template{where}: {error}"
    return _problem(place, what, "correct it; templates are Jinja")


def _problem(place: Place, what: str, fix: str) -> Problem:
    row = "" if place.row is None else f"row {place.row}: "
    return Problem(file=place.file, path=place.path, what=f"{row}{what}", fix=fix)
