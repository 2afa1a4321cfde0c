"""Small tasks and rows to try evaluations on."""

from __future__ import annotations

from typing import Any

from specs.task import Task

CHOICES = {"texts": "{{ options }}", "right": "{{ label }}"}
ANSWER = {"accepted": "{{ options }}", "stop": ["\n", "."]}


def task(**changes: Any) -> Task:
    """A task with two choices; `choices=None` to ask otherwise."""
    base: dict[str, Any] = {
        "codemix_task": 1,
        "name": "x",
        "version": 1,
        "data": {
            "file": "benchmarks/x.jsonl",
            "split": "validation",
            "licence": "CC0",
            "fields": ["question", "options", "label"],
        },
        "prompt": "Q: {{ question }}\nA:",
        "choices": CHOICES,
    }
    return Task.model_validate({**base, **changes})


def rows(number: int) -> list[dict[str, Any]]:
    """Questions that differ, each with two options."""
    return [
        {
            "question": f"what is {index}",
            "options": [f"it is {index}", f"caf\u00e9 {index}"],
            "label": index % 2,
        }
        for index in range(number)
    ]
