"""What the peers of `evals.py` are asked: continuations and prompts, in tokens."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.step_sizes import Size

NUM_QUESTIONS = 200
NUM_PROMPTS = 64
MAX_TOKENS = 64
"""Tokens of an answer at most."""


@dataclass(frozen=True)
class Work:
    """Tokens below the last of the vocabulary, which is EOS."""

    continuations: list[tuple[tuple[int, ...], tuple[int, ...]]]
    """Context and continuation; those of a question in a row."""
    num_questions: int
    prompts: list[tuple[int, ...]]


def build_work(size: Size, questions: str | None) -> Work:
    """Make up what is asked, or take questions from a file.

    Args:
        size: Its vocabulary and length bound everything.
        questions: A file as the suite `choices` has them; the first 200 are asked.
    """
    made_up = _made_up(size) if questions is None else _read(size, Path(questions))
    rng = np.random.default_rng(1)
    return Work(
        continuations=[pair for question in made_up for pair in question],
        num_questions=len(made_up),
        prompts=[_text(rng, size, 30, 120) for _ in range(NUM_PROMPTS)],
    )


def eos_of(size: Size) -> int:
    """Return the token that ends documents."""
    return size.vocab_size - 1


Pairs = list[tuple[tuple[int, ...], tuple[int, ...]]]


def _made_up(size: Size) -> list[Pairs]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(NUM_QUESTIONS):
        context = _text(rng, size, 20, 100)
        found.append([(context, _text(rng, size, 4, 30)[1:]) for _ in range(4)])
    return found


def _text(
    rng: np.random.Generator, size: Size, least: int, most: int
) -> tuple[int, ...]:
    num_tokens = int(rng.integers(least, most))
    drawn: list[int] = rng.integers(0, size.vocab_size - 1, num_tokens).tolist()
    return (eos_of(size), *drawn)


def _read(size: Size, path: Path) -> list[Pairs]:
    from evals.questions import read_questions

    questions = read_questions(path, name=str(path))[:NUM_QUESTIONS]
    return [
        [
            ((eos_of(size), *_tokens(size, one.prompt)), _tokens(size, choice))
            for choice in one.choices
        ]
        for one in questions
    ]


def _tokens(size: Size, text: str) -> tuple[int, ...]:
    """Cut words into pieces of five characters: about as many as a tokenizer gives."""
    pieces = re.findall(r"\s?\S{1,5}", text)
    return tuple(zlib.crc32(x.encode()) % (size.vocab_size - 1) for x in pieces)
