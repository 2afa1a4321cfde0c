"""One benchmark task, asked of a model: texts to tokens, answers to results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evals.encoding import encode_pair, encode_prompt
from evals.harness import AskedTask, declared_task
from evals.harness_library import harness_facts
from evals.results import QuestionResult, TaskResult
from evals.scores import TextCodec
from evals.scoring import is_cut, log_likelihoods
from runtime.question_rows import Row
from runtime.scoring import GREEDY, Continuation, Prompt, ScoredModel
from runtime.scoring_shapes import scoring_shapes
from specs.canonical import digest_of
from specs.errors import InputError
from specs.task import Task, task_digest


@dataclass(frozen=True, kw_only=True)
class PreparedTask:
    """A task with everything that it asks, in tokens."""

    task: Task
    asked: AskedTask
    continuations: tuple[Continuation, ...]
    """What is answered by log-likelihoods."""
    prompts: tuple[Prompt, ...]
    """What is answered by text; `samples` of each question in a row."""
    codec: TextCodec

    def ask(self, model: ScoredModel) -> TaskResult:
        """Ask a model, and score what it says.

        Raises:
            RunError: A loss is not a finite number.
        """
        return TaskResult(
            task=self.task.name,
            fingerprint=self.fingerprint(model.length),
            main=main_metric(self.task),
            chance=self.task.chance,
            questions=self._questions(model),
        )

    def fingerprint(self, length: int) -> str:
        """Digest over all that can change the task's numbers, the weights left out.

        Args:
            length: Most tokens that the model sees at once.
        """
        return digest_of(
            {
                "task": task_digest(self.task),
                "requests": self.asked.requests_digest,
                "how": self.how(length),
            }
        )

    def how(self, length: int) -> dict[str, Any]:
        """Tell how the model is asked, beyond what the declaration says."""
        return {"harness": harness_facts(), "shapes": scoring_shapes(length)}

    def num_cut(self, length: int) -> int:
        """Count the questions that the model sees only the end of."""
        cut = {
            asked.question
            for asked, one in zip(
                self.asked.likelihoods, self.continuations, strict=True
            )
            if is_cut(one, length)
        }
        cut |= {
            asked.question
            for asked, one in zip(self.asked.generations, self.prompts, strict=True)
            if len(one.tokens) + one.max_tokens > length
        }
        return len(cut)

    def _questions(self, model: ScoredModel) -> tuple[QuestionResult, ...]:
        if self.continuations:
            found = log_likelihoods(self.continuations, model)
            return self.asked.score([(one.nats, one.is_greedy) for one in found])
        return self.asked.score(self._texts(model))

    def _texts(self, model: ScoredModel) -> list[str]:
        stops = self.asked.generations[0].stop
        answers = model.generate(
            self.prompts, sampling=GREEDY, is_done=self._stopper(stops)
        )
        return [self.codec.decode(list(tokens)) for tokens in answers]

    def _stopper(self, stops: Sequence[str]) -> Callable[[Sequence[int]], bool]:
        """Return what tells that an answer has come to one of its stop strings."""

        def is_done(tokens: Sequence[int]) -> bool:
            text = self.codec.decode(list(tokens))
            return any(stop in text for stop in stops)

        return is_done


def prepare_task(
    task: Task,
    rows: Sequence[Row],
    shots: Sequence[Row] | None,
    codec: TextCodec,
    *,
    length: int,
) -> PreparedTask:
    """Make of a task's rows what a model is asked.

    Args:
        task: The declaration.
        rows: All of its rows.
        shots: Rows of its examples; null where they are the task's own.
        codec: The model's tokenizer.
        length: Most tokens that the model sees at once.

    Raises:
        SpecError: A template is wrong.
        InputError: A row does not fit the declaration, or a continuation is longer
            than the model sees.
    """
    asked = declared_task(task, rows, shots=shots)
    continuations = []
    too_long: dict[int, int] = {}
    for one in asked.likelihoods:
        pair = encode_pair(one.context, one.continuation, codec)
        if pair.num_scored > length:
            too_long[one.question] = pair.num_scored
        border = len(pair.tokens) - pair.num_scored
        continuations.append(
            Continuation(context=pair.tokens[:border], tokens=pair.tokens[border:])
        )
    if too_long:
        first = min(too_long)
        raise InputError(
            f"{len(too_long):,} of {len(asked.ids):,} questions have a choice that the "
            f"model can't see at once: question {asked.ids[first]} has one of "
            f"{too_long[first]} tokens, the shortest sequences have {length}",
            path=f"tasks.{task.name}",
            fix="train on longer sequences, or leave the task out",
        )
    return PreparedTask(
        task=task,
        asked=asked,
        continuations=tuple(continuations),
        prompts=tuple(
            Prompt(
                name=asked.ids[one.question],
                tokens=encode_prompt(one.context, codec),
                max_tokens=one.max_tokens,
            )
            for one in asked.generations
        ),
        codec=codec,
    )


def main_metric(task: Task) -> str:
    """Return the metric that stands for a task in averages."""
    if task.choices is not None:
        return task.choices.score
    if task.program is not None:
        return f"pass@{task.program.k[0]}"
    return "exact_match" if task.answer is not None else "tokens"
