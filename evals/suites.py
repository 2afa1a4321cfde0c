"""The suites that a spec can ask for: checked first, prepared once, scored often."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath

from evals.catalogue import check_names
from evals.choices import check_questions, score_choices
from evals.heldout import (
    DEFAULT_MAX_TOKENS,
    HeldoutSample,
    sample_heldout,
    score_heldout,
)
from evals.questions import EncodedQuestion, encode_question, read_questions
from evals.scores import Score, SplitStore, TextCodec
from runtime.scoring import ScoredModel
from specs.errors import Problem, SpecError
from specs.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class PreparedEvals:
    """Everything that is scored, read and checked before training begins."""

    heldout: Mapping[str, HeldoutSample]
    """Source name -> what is scored of it; empty where nothing asks for it."""
    heldout_items: frozenset[int]
    """Items of the spec's evals that ask for held-out loss."""
    questions: Mapping[str, tuple[int, tuple[EncodedQuestion, ...]]]
    """Suite name in the scores -> the item that asks for it, and its questions."""


def check_suites(experiment: Experiment) -> None:
    """Refuse what there is nothing to score with.

    Raises:
        SpecError: A suite or task is unknown, or there is nothing held out for it.
    """
    problems = check_names(experiment)
    for index, evaluation in enumerate(experiment.evals):
        if evaluation.suite == "heldout" and not heldout_sources(experiment):
            what = "no source holds out any documents to score"
            fix = "set holdout of a source above 0"
            path = f"evals.{index}.suite"
            problems.append(Problem(path=path, what=what, fix=fix))
    if problems:
        raise SpecError(problems)


def heldout_sources(experiment: Experiment) -> tuple[str, ...]:
    """Return the sources that hold documents out, sorted."""
    sources = sorted(experiment.sources.items())
    return tuple(name for name, source in sources if Fraction(source.holdout) > 0)


def prepare_evals(
    experiment: Experiment,
    *,
    heldout: Mapping[str, SplitStore],
    tokenizer: TextCodec,
    question_files: Mapping[int, Path],
    shortest_length: int,
    max_heldout_tokens: int = DEFAULT_MAX_TOKENS,
) -> PreparedEvals:
    """Read all that is going to be scored, so that mistakes show before training.

    Args:
        experiment: Passed `check_suites`.
        heldout: Source name -> held-out split, of `heldout_sources` at least.
        tokenizer: The experiment's.
        question_files: Index in `evals` -> pinned file of a suite `choices`.
        shortest_length: The shortest sequence length of any stage.
        max_heldout_tokens: See `sample_heldout`.

    Raises:
        InputError: A file of questions is wrong, or a source holds nothing out.
    """
    questions: dict[str, tuple[int, tuple[EncodedQuestion, ...]]] = {}
    for index, evaluation in enumerate(experiment.evals):
        if evaluation.suite != "choices":
            continue
        assert evaluation.file is not None
        read = read_questions(question_files[index], name=evaluation.file)
        encoded = tuple(encode_question(one, tokenizer) for one in read)
        check_questions(encoded, shortest_length, name=evaluation.file)
        name = _suite_name(evaluation.file)
        name = f"{name}.{index}" if name in questions else name
        questions[name] = (index, encoded)
    heldout_items = frozenset(
        item for item, one in enumerate(experiment.evals) if one.suite == "heldout"
    )
    wanted: dict[str, SplitStore] = {}
    if heldout_items:
        wanted = {name: heldout[name] for name in heldout_sources(experiment)}
    return PreparedEvals(
        heldout=sample_heldout(wanted, max_tokens=max_heldout_tokens),
        heldout_items=heldout_items,
        questions=questions,
    )


def evaluate(
    prepared: PreparedEvals, model: ScoredModel, items: Collection[int]
) -> list[Score]:
    """Score one set of weights with what some items of the spec's evals ask for."""
    scores: list[Score] = []
    if prepared.heldout_items.intersection(items):
        scores.append(score_heldout(prepared.heldout, model))
    for name, (item, questions) in sorted(prepared.questions.items()):
        if item in items:
            score = score_choices(questions, model)
            scores.append(score.model_copy(update={"suite": name}))
    return scores


def _suite_name(file: str) -> str:
    """Name questions after their file.

    >>> _suite_name("benchmarks/copa.jsonl.gz")
    'choices.copa'
    """
    stem = PurePosixPath(file).name.partition(".")[0]
    return "choices." + re.sub(r"[^A-Za-z0-9_-]", "_", stem)
