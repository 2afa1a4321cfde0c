"""One benchmark task, asked of a model: texts to tokens, answers to results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evals.answers import cut_at_stop
from evals.encoding import encode_pair, encode_prompt
from evals.harness import AskedTask, declared_task
from evals.harness_library import harness_facts
from evals.harness_stock import asked_stock_task, stock_task
from evals.programs import check_samples, score_completions
from evals.results import QuestionResult, TaskResult
from evals.scores import TextCodec
from evals.scoring import is_cut, log_likelihoods
from runtime.question_rows import Row
from runtime.sandbox.probe import check_level
from runtime.sandbox.values import Level
from runtime.scoring import (
    GREEDY,
    Continuation,
    Prompt,
    Sampling,
    ScoredModel,
    room_for_prompt,
)
from runtime.scoring_shapes import scoring_shapes
from specs.canonical import digest_of
from specs.errors import InputError, SpecError
from specs.names import did_you_mean
from specs.task import Task, task_digest, what_counts


@dataclass(frozen=True, kw_only=True)
class PreparedTask:
    """A task with everything that it asks, in tokens."""

    task: Task
    asked: AskedTask
    continuations: tuple[Continuation, ...]
    """What is answered by log-likelihoods."""
    prompts: tuple[Prompt, ...]
    """What is answered by text: every sample of a question, then those of the next."""
    codec: TextCodec
    rows: tuple[Row, ...]
    """The questions' own rows."""
    sandbox: Level
    """The weakest that programs may run in."""

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

    def what(self) -> dict[str, Any]:
        """Tell what is asked: all that counts of the declaration, and the texts."""
        return {**what_counts(self.task), "requests": self.asked.requests_digest}

    def how(self, length: int) -> dict[str, Any]:
        """Tell how the model is asked, beyond what the declaration says."""
        how = {"harness": harness_facts(), "shapes": scoring_shapes(length)}
        if self.task.program is not None:
            how["sandbox"] = check_level(self.sandbox).facts.to_json()
        return how

    def num_cut(self, length: int) -> int:
        """Count the questions that the model sees only the end of."""
        cut = {
            asked.question
            for asked, one in zip(
                self.asked.likelihoods, self.continuations, strict=True
            )
            if is_cut(one, length)
        }
        cut_prompts = {
            one.name.partition(" ")[0]
            for one in self.prompts
            if len(one.tokens) + one.max_tokens > length
        }
        return len(cut) + len(cut_prompts)

    def _questions(self, model: ScoredModel) -> tuple[QuestionResult, ...]:
        if self.continuations:
            found = log_likelihoods(self.continuations, model)
            return self.asked.score([(one.nats, one.is_greedy) for one in found])
        texts = self._texts(model)
        way = self.task.program
        if way is None:
            return self.asked.score(texts)
        scored = score_completions(
            self.task,
            self.rows,
            [
                [cut_at_stop(text, way.stop) for text in texts[at : at + way.samples]]
                for at in range(0, len(texts), way.samples)
            ],
            ids=self.asked.ids,
            minimum=self.sandbox,
        )
        return scored.questions

    def _texts(self, model: ScoredModel) -> list[str]:
        way = self.task.program
        sampling = GREEDY
        if way is not None:
            sampling = Sampling(temperature=way.temperature, top_p=way.top_p)
        stops = self.asked.generations[0].stop
        answers = model.generate(
            self.prompts, sampling=sampling, is_done=self._stopper(stops)
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
    sandbox: Level = "bubblewrap",
) -> PreparedTask:
    """Make of a task's rows what a model is asked.

    Args:
        task: The declaration.
        rows: All of its rows.
        shots: Rows of its examples; null where they are the task's own.
        codec: The model's tokenizer.
        length: Most tokens that the model sees at once.
        sandbox: The weakest that programs may run in.

    Raises:
        SpecError: A template is wrong.
        InputError: A row does not fit the declaration, a continuation is longer than
            the model sees, or there is no sandbox.
    """
    if task.program is not None:
        check_samples(task)
        check_level(sandbox)
    asked = _asked(task, rows, shots)
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
    _check_room(task, asked, length)
    return PreparedTask(
        task=task,
        asked=asked,
        continuations=tuple(continuations),
        prompts=tuple(
            Prompt(
                name=f"{asked.ids[one.question]} {sample}",
                tokens=encode_prompt(one.context, codec),
                max_tokens=one.max_tokens,
            )
            for one in asked.generations
            for sample in range(task.program.samples if task.program else 1)
        ),
        codec=codec,
        rows=tuple(rows[int(id_)] for id_ in asked.ids),
        sandbox=sandbox,
    )


def _check_room(task: Task, asked: AskedTask, length: int) -> None:
    """Refuse answers that leave no room for a prompt, before anything is trained."""
    if not asked.generations:
        return
    try:
        room_for_prompt(length, max(one.max_tokens for one in asked.generations))
    except InputError as error:
        raise InputError(
            error.problems[0].what,
            path=f"tasks.{task.name}",
            fix="train on longer sequences, or declare the task with fewer max_tokens",
        ) from None


def _asked(task: Task, rows: Sequence[Row], shots: Sequence[Row] | None) -> AskedTask:
    if task.lm_eval is None:
        return declared_task(task, rows, shots=shots)
    stock = stock_task(task.lm_eval.task)
    if task.lm_eval.sha256 != stock.digest:
        raise InputError(
            f"lm-eval's definition of {stock.name} is not the pinned one: its digest "
            f"is {stock.digest}, the lock has {task.lm_eval.sha256}",
            path=f"tasks.{task.name}",
            fix="install the lm-eval that it was pinned with",
        )
    asked = asked_stock_task(stock, rows, limit=task.limit)
    # What its metrics are called shows in results alone; better now than after hours.
    silent = [(0.0, False)] * len(asked.likelihoods)
    known = asked.score(silent or [""] * len(asked.generations))[0].values
    if task.lm_eval.score not in known:
        raise SpecError(
            f"lm-eval's task {stock.name} has no metric {task.lm_eval.score!r}",
            path=f"tasks.{task.name}.lm_eval.score",
            fix=did_you_mean(task.lm_eval.score, sorted(known)),
        )
    return asked


def main_metric(task: Task) -> str:
    """Return the metric that stands for a task in averages."""
    if task.choices is not None:
        return task.choices.score
    if task.lm_eval is not None:
        return task.lm_eval.score
    if task.program is not None:
        return f"pass@{task.program.k[0]}"
    return "exact_match" if task.answer is not None else "characters"
