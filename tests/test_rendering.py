"""Templates arrange what a row holds, and can do nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest
from eval_tasks import task
from hypothesis import given
from hypothesis import strategies as st

from evals.rendering import (
    Place,
    render,
    render_value,
    rendered_accepted,
    rendered_choices,
    rendered_program,
    rendered_prompt,
    rendered_reference,
    rendered_solution,
    template_problems,
)
from specs.errors import InputError, SpecError

ROW = {"question": "Why?", "options": ["so", "because"], "label": 1}


def test_text_of_a_template_is_kept_to_the_byte() -> None:
    assert render("a  {{ x }}\n\n", {"x": " b "}) == "a   b \n\n"
    assert render("{{ x }}", {"x": "<&>"}) == "<&>"


@given(st.lists(st.text() | st.integers()), st.text())
def test_single_expression_gives_the_value_itself(values: Any, text: str) -> None:
    row = {"xs": values, "x": text}
    assert render_value("{{ xs }}", row) == values
    assert render_value("{{- [x, xs] -}}", row) == [text, values]
    assert render_value("{{ x }}{{ x }}", row) == text + text


def test_text_that_looks_like_code_stays_text() -> None:
    row = {"x": "{{ 1 + 1 }}", "xs": ["['a']", "{% if %}"]}
    assert render_value("{{ x }}", row) == "{{ 1 + 1 }}"
    assert render_value("{{ xs }}", row) == ["['a']", "{% if %}"]


def test_loop_knows_where_it_is() -> None:
    template = "{% for x in xs %}{{ loop.index }}{{ x }}{% endfor %}"
    assert render(template, {"xs": ["a", "b"]}) == "1a2b"


@pytest.mark.parametrize(
    "template",
    [
        "{{ x.__class__ }}",
        "{{ x['__class__'] }}",
        "{{ x.upper.__self__ }}",
        "{{ x | attr('upper') }}",
        "{{ x.format(1) }}",
        "{{ xs.append(1) }}",
        "{{ xs.pop() }}",
        "{{ d.update({}) }}",
        "{{ range(9) }}",
        "{{ cycler }}",
        "{{ lipsum() }}",
        "{{ xs | random }}",
        "{% set y = x %}{{ y }}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% for a in xs %}{% for b in xs %}{{ b }}{% endfor %}{% endfor %}",
        "{% for a in xs recursive %}{{ loop(a) }}{% endfor %}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ x * 1000000000 }}",
        "{{ xs * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ x | center(1000000000) }}",
        "{{ 1 | round(1000000000, 'ceil') }}",
        "{{ long.replace('', long.replace('', long)) }}",
        "{{ long | replace('', long) | replace('', long) }}",
        "{{ longs | join(long) }}",
        "{{ long.join(longs) }}",
        "{% for c in long %}{{ long }}{% endfor %}",
        "{{ " + "(" * 5000 + "x" + ")" * 5000 + " }}",
        "x" * 20_001,
        "{{ x",
        "{{ y }}",
        "{{ d.y }}",
        "{{ x | nope }}",
        "{{ x is nope }}",
        "{{ x + 1 }}",
        "{{ 1 / 0 }}",
    ],
)
def test_template_that_is_more_than_a_template_is_refused(template: str) -> None:
    long = "a" * 3000
    row = {"x": "a", "xs": ["a"], "d": {}, "long": long, "longs": [long] * 2000}
    start = time.monotonic()
    for way in (render, render_value):
        with pytest.raises((SpecError, InputError), match=r"fix: "):
            way(template, row)
    assert time.monotonic() - start < 5


def test_message_names_file_field_row_and_fix() -> None:
    place = Place(file="tasks/x.yaml", row=12)
    with pytest.raises(InputError, match=r"row 12") as caught:
        rendered_prompt(task(), {}, place=place)
    (problem,) = caught.value.problems
    assert (problem.file, problem.path) == ("tasks/x.yaml", "prompt")
    assert problem.what == "row 12: can't be rendered: 'question' is undefined"
    assert problem.fix is not None


def test_choices_share_the_prompt() -> None:
    found = rendered_choices(task(), ROW)
    assert found.contexts == ("Q: Why?\nA:",) * 2
    assert found.texts == ("so", "because")
    assert found.right == 1


def test_choice_in_the_middle_has_a_context_each_and_one_text() -> None:
    choices = {
        "texts": ["{{ question }}"],
        "contexts": ["A {{ options[0] }}", "A {{ options[1] }}"],
        "right": "{{ label - 1 }}",
    }
    found = rendered_choices(task(choices=choices), ROW)
    assert found.contexts == ("A so", "A because")
    assert found.texts == ("Why?", "Why?")
    assert found.right == 0


@pytest.mark.parametrize("label", [2, -1, "so", True, None, 1.0, "", "\u0661"])
def test_right_choice_that_is_no_index_is_refused(label: Any) -> None:
    with pytest.raises(InputError, match=r"choices\.right: row 3: .* from 0 to 1"):
        rendered_choices(task(), {**ROW, "label": label}, place=Place(row=3))


@pytest.mark.parametrize("options", [[], ["so"], ["so", ""], ["so", 1], {"a": 1}, 3])
def test_choices_that_are_not_two_texts_are_refused(options: Any) -> None:
    with pytest.raises(InputError, match=r"choices\.texts: row 3: "):
        rendered_choices(task(), {**ROW, "options": options}, place=Place(row=3))


def test_accepted_answers_are_a_list_or_the_only_one() -> None:
    several = task(choices=None, answer={"accepted": "{{ options }}", "stop": ["\n"]})
    only = task(choices=None, answer={"accepted": "{{ options[0] }}", "stop": ["\n"]})
    assert rendered_accepted(several, ROW) == ("so", "because")
    assert rendered_accepted(only, ROW) == ("so",)


def test_program_is_made_with_what_was_generated() -> None:
    program = {
        "source": "{{ question }}|{{ completion }}",
        "solution": "{{ options[0] }}",
        "stop": ["\n"],
    }
    one = task(choices=None, program=program)
    assert rendered_program(one, ROW, completion="{{ x }}") == "Why?|{{ x }}"
    assert rendered_solution(one, ROW) == "so"


def test_reply_may_have_a_reference() -> None:
    assert rendered_reference(task(choices=None, reply={}), ROW) is None
    reply = {"reference": "{{ options[1] }}"}
    assert rendered_reference(task(choices=None, reply=reply), ROW) == "because"


def test_problems_of_templates_show_without_rows() -> None:
    bad = task(prompt="{{ nope }}", choices={"texts": ["{{", "b"], "right": "{{ l }}"})
    found = template_problems(bad, file="t.yaml")
    places = [(one.file, one.path) for one in found]
    assert places == [
        ("t.yaml", "prompt"),
        ("t.yaml", "choices.texts.0"),
        ("t.yaml", "choices.right"),
    ]
    assert "'nope' is no field of the data" in found[0].what
    assert template_problems(task()) == []
    program = {"source": "{{ completion }}", "solution": "s", "stop": ["\n"]}
    assert template_problems(task(choices=None, program=program)) == []
