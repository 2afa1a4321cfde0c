"""A declared task in the terms of lm-evaluation-harness: functions for its templates.

lm-eval's own templates are not used: they turn texts that look like numbers or lists
into numbers and lists.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from evals.answers import is_accepted
from evals.harness_library import sampler_of
from evals.rendering import (
    Place,
    RenderedChoices,
    Row,
    rendered_accepted,
    rendered_choices,
    rendered_prompt,
    rendered_reference,
    rendered_solution,
)
from evals.selection import shot_rows
from specs.canonical import digest_of
from specs.errors import SpecError
from specs.task import Task

NAMES = {
    "acc": "accuracy",
    "acc_norm": "accuracy_per_character",
    "acc_bytes": "accuracy_per_byte",
}
"""lm-eval's name of a metric -> ours."""

Doc = Mapping[str, int]
"""`row`: a question; `shot`: a solved example. Each by its index."""


class HarnessForm:
    """A declaration and its rows."""

    def __init__(
        self,
        task: Task,
        rows: Sequence[Row],
        *,
        shots: Sequence[Row] | None,
        file: str | None,
    ) -> None:
        """Take a declaration and its rows.

        Args:
            task: The declaration.
            rows: All of its rows.
            shots: Rows that examples are taken from; null: the task's own.
            file: What messages call the task's file.

        Raises:
            SpecError: There are too few examples.
        """
        self._task, self._rows, self._file = task, rows, file
        self._shots = rows if shots is None else shots
        self._is_own = shots is None
        # lm-eval asks for the parts of a question one by one.
        self._choices = functools.lru_cache(maxsize=8)(self._rendered_choices)
        number = task.shots.number
        if len(self._shots) < (number + 1 if self._is_own else number):
            raise SpecError(
                f"asks for {number} examples, of {len(self._shots)} rows",
                file=file,
                path="shots.number",
                fix="ask for fewer, or take them from more rows with shots.data",
            )
        if number and task.reply is not None and task.reply.reference is None:
            raise SpecError(
                "asks for examples, and a reply without reference is no example",
                file=file,
                path="shots.number",
                fix="set reply.reference, or shots.number to 0",
            )

    def config(self) -> dict[str, Any]:
        """Return lm-eval's configuration of the task."""
        task = self._task
        config: dict[str, Any] = {
            "task": task.name,
            "doc_to_text": self._text,
            "doc_to_target": self._target,
            "fewshot_delimiter": task.shots.joined_by,
            "num_fewshot": task.shots.number,
        }
        if task.shots.number:
            sampler = sampler_of(self._examples)
            config["fewshot_config"] = {"sampler": sampler, "samples": [{"shot": 0}]}
        if task.choices is None:
            return config | self._generating()
        mean = {"aggregation": "mean", "higher_is_better": True}
        return config | {
            "output_type": "multiple_choice",
            "doc_to_choice": self._texts,
            "target_delimiter": task.choices.delimiter,
            "metric_list": [{"metric": name, **mean} for name in NAMES],
        }

    def cluster(self, row: int) -> str | None:
        """Return a short name of what a question depends on."""
        if self._task.cluster is None:
            return None
        return digest_of(self._rows[row][self._task.cluster])[:16]

    def _generating(self) -> dict[str, Any]:
        task = self._task
        way = task.answer or task.program or task.reply
        assert way is not None
        config: dict[str, Any] = {
            "output_type": "generate_until",
            # A program goes on where its prompt ends.
            "target_delimiter": "" if task.program else " ",
            "generation_kwargs": {
                "until": list(way.stop),
                "max_gen_toks": way.max_tokens,
                "do_sample": False,
            },
            "metric_list": [],
        }
        if task.answer is not None:
            steps = [{"function": "remove_whitespace"}, {"function": "take_first"}]
            config["filter_list"] = [{"name": "answer", "filter": steps}]
            config["process_results"] = self._exact_match
        if task.reply is not None:
            # How good a reply is, only a judge can say.
            config["process_results"] = _characters
        return config

    def _examples(self, doc: Doc, number: int) -> list[Doc]:
        task = self._task
        rows = shot_rows(
            doc["row"],
            number=number,
            seed=task.shots.seed,
            num_rows=len(self._shots),
            is_own=self._is_own,
        )
        return [{"shot": row} for row in rows]

    def _text(self, doc: Doc) -> str | int:
        """Return the prompt; with a context per choice, the index of the right one."""
        if self._has_contexts:
            return self._of(doc).right
        return rendered_prompt(self._task, self._row(doc), place=self._place(doc))

    def _target(self, doc: Doc) -> str | int | list[str]:
        """Return what is right, as lm-eval wants it for each kind of task."""
        task, row, place = self._task, self._row(doc), self._place(doc)
        if task.choices is not None:
            choices = self._of(doc)
            return choices.texts[0] if self._has_contexts else choices.right
        if task.answer is not None:
            return list(rendered_accepted(task, row, place=place))
        if task.program is not None:
            return rendered_solution(task, row, place=place)
        return rendered_reference(task, row, place=place) or ""

    def _texts(self, doc: Doc) -> list[str]:
        choices = self._of(doc)
        return list(choices.contexts if self._has_contexts else choices.texts)

    def _exact_match(self, doc: Doc, found: Sequence[str]) -> dict[str, float]:
        answer = self._task.answer
        assert answer is not None
        accepted = rendered_accepted(self._task, self._row(doc), place=self._place(doc))
        is_right = is_accepted(found[0], accepted, answer.normalise)
        return {"exact_match": float(is_right)}

    @property
    def _has_contexts(self) -> bool:
        return self._task.choices is not None and bool(self._task.choices.contexts)

    def _of(self, doc: Doc) -> RenderedChoices:
        return self._choices("shot" in doc, doc.get("row", doc.get("shot", 0)))

    def _rendered_choices(self, is_shot: bool, index: int) -> RenderedChoices:
        doc = {"shot" if is_shot else "row": index}
        return rendered_choices(self._task, self._row(doc), place=self._place(doc))

    def _row(self, doc: Doc) -> Row:
        return self._shots[doc["shot"]] if "shot" in doc else self._rows[doc["row"]]

    def _place(self, doc: Doc) -> Place:
        return Place(file=self._file, row=doc.get("row", doc.get("shot")))


def _characters(doc: Doc, found: Sequence[str]) -> dict[str, float]:
    return {"characters": float(len(found[0]))}
