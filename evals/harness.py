"""A task with its questions: what a model is asked, and what its answers score."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.answers import cut_at_stop
from evals.harness_form import NAMES, HarnessForm
from evals.harness_library import configured_task, quiet
from evals.rendering import Row
from evals.results import QuestionResult, TaskResult
from evals.scores import NATS_PER_BIT
from evals.selection import asked_rows
from specs.canonical import digest_of
from specs.task import Task

SCORING = 1
"""Raised whenever what is computed here from the same answers changes."""

DEFAULT_MAX_TOKENS = 256
"""Of an answer to a definition of lm-eval that gives no number, as its models do it."""

LikelihoodAnswer = tuple[float, bool]
"""Log-likelihood of the continuation in nats; whether it is what greedy choice says."""


@dataclass(frozen=True, kw_only=True)
class LikelihoodRequest:
    """How likely is a continuation?"""

    question: int
    """Its question's place among the questions asked."""
    context: str
    continuation: str


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """What does the model say?"""

    question: int
    """Its question's place among the questions asked."""
    context: str
    stop: tuple[str, ...]
    """What comes from the first of them on is not part of the answer."""
    max_tokens: int


class AskedTask:
    """Questions, ready to be put to a model."""

    def __init__(
        self,
        harness: Any,
        *,
        ids: Sequence[int],
        docs: Sequence[Any],
        clusters: Sequence[str | None],
    ) -> None:
        """Use `declared_task` or `stock_task`.

        Args:
            harness: lm-eval's `ConfigurableTask`.
            ids: Index of each question's row among all rows.
            docs: The questions as lm-eval knows them.
            clusters: What each depends on.
        """
        self._harness, self._docs = harness, docs
        self._clusters = clusters
        self.ids = tuple(map(str, ids))
        """What each question is called in results."""
        with quiet():
            self._instances = [self._asked(doc) for doc in docs]

    @functools.cached_property
    def likelihoods(self) -> tuple[LikelihoodRequest, ...]:
        """What is answered by log-likelihoods: all choices of a question, in order."""
        return tuple(
            LikelihoodRequest(question=index, context=context, continuation=text)
            for index, (context, text) in self._each("loglikelihood")
        )

    @functools.cached_property
    def generations(self) -> tuple[GenerationRequest, ...]:
        """What is answered by generated text."""
        return tuple(
            GenerationRequest(
                question=index,
                context=context,
                stop=_stops(how),
                max_tokens=_max_tokens(how),
            )
            for index, (context, how) in self._each("generate_until")
        )

    def of_question(self, question: int) -> tuple[LikelihoodRequest, ...]:
        """Return the choices of one question."""
        return tuple(
            LikelihoodRequest(question=question, context=context, continuation=text)
            for context, text in (one.args for one in self._instances[question])
        )

    @property
    def requests_digest(self) -> str:
        """Digest over all that a model is asked, to the letter."""
        pairs = [
            [self.ids[r.question], r.context, r.continuation] for r in self.likelihoods
        ]
        texts = [
            [self.ids[r.question], r.context, list(r.stop), r.max_tokens]
            for r in self.generations
        ]
        return digest_of([pairs, texts])

    def score(
        self, answers: Sequence[LikelihoodAnswer] | Sequence[str]
    ) -> tuple[QuestionResult, ...]:
        """Score the answers to `likelihoods` or to `generations`.

        Args:
            answers: One for each, in their order. A text may go on beyond its stop.
        """
        flat = [one for instances in self._instances for one in instances]
        for one, answer in zip(flat, answers, strict=True):
            if isinstance(answer, str):
                answer = cut_at_stop(answer, _stops(one.args[1]))
            one.resps = [answer]
        self._harness._instances = flat
        with quiet():
            self._harness.apply_filters()
            return tuple(map(self._result, range(len(self._docs))))

    def _asked(self, doc: Any) -> list[Any]:
        task = self._harness
        context = task.fewshot_context(
            doc,
            num_fewshot=task.config.num_fewshot or 0,
            gen_prefix=task.doc_to_prefix(doc),
        )
        names = (task.config.task, None, 1)
        asked = task.construct_requests(doc=doc, ctx=context, metadata=names)
        return asked if isinstance(asked, list) else [asked]

    def _each(self, kind: str) -> Iterator[tuple[int, Any]]:
        for index, instances in enumerate(self._instances):
            for one in instances:
                if one.request_type == kind:
                    yield index, one.args

    def _result(self, index: int) -> QuestionResult:
        doc, instances = self._docs[index], self._instances[index]
        said = [one.resps[0] for one in instances]
        output: dict[str, Any] = {"texts": said}
        values = self._values(doc, instances)
        if instances[0].request_type == "loglikelihood":
            totals = [float(total) for total, _ in said]
            greedy = [bool(is_so) for _, is_so in said]
            output = {"log_likelihoods": totals, "greedy": greedy}
            right = self._right(doc)
            if right is not None:
                num_bytes = len(instances[right].args[1].encode("utf-8"))
                values["bits_per_byte"] = -totals[right] / NATS_PER_BIT / num_bytes
        return QuestionResult(
            id=self.ids[index],
            values=values,
            cluster=self._clusters[index],
            output=output,
        )

    def _values(self, doc: Any, instances: list[Any]) -> dict[str, float]:
        """Return lm-eval's metrics of a question, for each of its filters."""
        values: dict[str, float] = {}
        for number, name in enumerate(instances[0].filtered_resps):
            found = [one.filtered_resps[name] for one in instances]
            for metric, value in self._harness.process_results(doc, found).items():
                # What is averaged otherwise, such as F1, is no value of one question.
                if isinstance(value, int | float):
                    known = NAMES.get(metric, metric)
                    values[f"{known}.{name}" if number else known] = float(value)
        if self._harness.multiple_input and "accuracy" in values:
            # One text follows every context, so its length divides nothing.
            values["accuracy_per_character"] = values["accuracy"]
            values["accuracy_per_byte"] = values["accuracy"]
        return values

    def _right(self, doc: Any) -> int | None:
        """Return the index of the only right choice."""
        task = self._harness
        if task.OUTPUT_TYPE != "multiple_choice":
            return None
        right = (
            task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
        )
        if isinstance(right, str):
            right = task.doc_to_choice(doc).index(right)
        return right if isinstance(right, int) else None


def declared_task(
    task: Task,
    rows: Sequence[Row],
    *,
    shots: Sequence[Row] | None = None,
    file: str | None = None,
) -> AskedTask:
    """Make what a declaration asks of its rows.

    Args:
        task: The declaration.
        rows: All of its rows; `limit` chooses among them.
        shots: Rows of `shots.data`; null where the task's own are used.
        file: What messages call the task's file.

    Raises:
        SpecError: A template is wrong, or there are too few examples.
        InputError: A row does not fit.
    """
    asked = asked_rows(len(rows), task.limit)
    form = HarnessForm(task, rows, shots=shots, file=file)
    # Arrow makes all rows one type, and would change some; so only their numbers go in.
    docs = [{"row": index} for index in asked]
    return AskedTask(
        configured_task(form.config(), docs),
        ids=asked,
        docs=docs,
        clusters=[form.cluster(index) for index in asked],
    )


def task_result(
    task: Task, questions: Sequence[QuestionResult], *, fingerprint: str
) -> TaskResult:
    """Put the scored questions of a declaration together."""
    main = "exact_match" if task.choices is None else task.choices.score
    return TaskResult(
        task=task.name,
        fingerprint=fingerprint,
        main=main,
        chance=task.chance,
        questions=tuple(questions),
    )


def _stops(how: Mapping[str, Any]) -> tuple[str, ...]:
    until = how["until"]
    return (until,) if isinstance(until, str) else tuple(until)


def _max_tokens(how: Mapping[str, Any]) -> int:
    """Return the most tokens of an answer, under any of lm-eval's names for it."""
    names = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
    given = (how[name] for name in names if how.get(name) is not None)
    return int(next(given, DEFAULT_MAX_TOKENS))
