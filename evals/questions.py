"""Multiple-choice questions: a JSONL file, one question a line.

    {"prompt": "The sky is", "choices": [" blue", " made of cheese"], "answer": 0}

A choice follows the prompt as it is, so the space between them is part of the choice.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from evals.scores import TextCodec
from specs.base import Value
from specs.errors import InputError, Problem

MAX_PROBLEMS = 20
"""Bad lines that are shown; a file of another format would fill the screen."""


class Question(Value):
    """A question as its file has it."""

    prompt: str
    choices: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field()]
    answer: Annotated[int, Field(ge=0)]
    """Index of the right choice, from 0."""

    @model_validator(mode="after")
    def _answer_is_a_choice(self) -> Self:
        if len(self.choices) < 2:
            raise ValueError("choices must be at least 2")
        if self.answer >= len(self.choices):
            raise ValueError(
                f"answer must be below the number of choices = {len(self.choices)}, "
                f"got {self.answer}"
            )
        return self


@dataclass(frozen=True, kw_only=True)
class EncodedChoice:
    """A prompt with one of its choices, in tokens."""

    tokens: tuple[int, ...]
    """EOS, the prompt, the choice."""
    num_scored: int
    """Tokens of the choice, at the end."""
    num_bytes: int
    """UTF-8 bytes of the choice."""


@dataclass(frozen=True, kw_only=True)
class EncodedQuestion:
    """A question in tokens."""

    choices: tuple[EncodedChoice, ...]
    answer: int


def read_questions(path: Path, *, name: str) -> tuple[Question, ...]:
    """Read a file of questions, plain or gzipped.

    Args:
        path: Where it is.
        name: What to call it in messages.

    Raises:
        InputError: With the bad lines, or when there is no question.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"can't be read: {error}", file=name) from None
    questions: list[Question] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            questions.append(Question.model_validate(json.loads(line)))
        except ValueError as error:
            problems.append(Problem(file=name, line=number, what=_what(error)))
    if problems:
        raise InputError(problems[:MAX_PROBLEMS])
    if not questions:
        raise InputError("there is no question in it", file=name)
    return tuple(questions)


def encode_question(question: Question, tokenizer: TextCodec) -> EncodedQuestion:
    """Turn a question into tokens."""
    return EncodedQuestion(
        choices=tuple(
            _encode_choice(question.prompt, choice, tokenizer)
            for choice in question.choices
        ),
        answer=question.answer,
    )


def _encode_choice(prompt: str, choice: str, tokenizer: TextCodec) -> EncodedChoice:
    """Encode the whole text, as in training, and find where the choice begins.

    A token that spans the border belongs to the choice, such as a word with the space
    before it where the prompt ends with that space.
    """
    alone = tokenizer.encode(prompt)
    whole = tokenizer.encode(prompt + choice)
    shared = 0
    while shared < min(len(alone), len(whole)) and alone[shared] == whole[shared]:
        shared += 1
    return EncodedChoice(
        tokens=(tokenizer.eos_id, *whole),
        num_scored=len(whole) - shared,
        num_bytes=len(choice.encode("utf-8")),
    )


def _what(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return f"is not JSON: {error}"
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
