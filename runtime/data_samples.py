"""Documents of one step of a source's funnel, read again to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.documents import Corrupt
from runtime.funnel import CORRUPT, Funnel, Sample, Step, first_samples
from runtime.funnel_sampler import rank_of, rank_text
from runtime.funnels import open_funnels, prepared_builder
from runtime.progress import Listener, ignore_progress
from runtime.source_reader import SourceReader
from specs.errors import InputError, Problem
from specs.lock import Lock
from specs.plan import Plan

READ = "read"
"""All documents, whatever became of them."""

MAX_TEXT_CHARS = 2000
"""Of a document that is shown."""


@dataclass(frozen=True, kw_only=True)
class ShownDocument:
    """One document."""

    step: str
    """That it ended in."""
    file: str
    number: int
    """Line or row, counted from 1."""
    text_bytes: int
    copies: int
    """Documents of the step with this very text."""
    measured: str | None
    """What decided against it."""
    text: str | None
    """The beginning; null where no text could be read."""
    is_cut: bool
    """Whether the text goes on."""


@dataclass(frozen=True, kw_only=True)
class ShownSteps:
    """Some documents of one or more steps."""

    step: str
    """As it was asked for."""
    steps: tuple[str, ...]
    """What it stands for."""
    documents: int
    """Of these steps."""
    read: int
    """Of the source."""
    shown: tuple[ShownDocument, ...]


def sample_documents(
    plan: Plan,
    lock: Lock,
    workspace: Path,
    source: str,
    step: str,
    count: int,
    progress: Listener = ignore_progress,
) -> ShownSteps:
    """Return documents of a step, the same ones every time.

    Args:
        plan: The plan.
        lock: Its lock, with stores.
        workspace: The folder that holds `.dvc/`.
        source: Name of the source.
        step: A step; the beginning of the names of several, such as `filters` or
            `filters.1`; or `read` for all.
        count: Documents to show, at most `MAX_SAMPLES` of `runtime.funnel`.
        progress: Told how far it is, where the funnel has to be made first.

    Raises:
        InputError: The source is not prepared, there is no such step, or the files no
            longer hold the documents.
    """
    builder = prepared_builder(plan, lock, workspace, source)
    funnel = open_funnels(plan, lock, workspace, [source], progress)[source]
    steps = steps_named(funnel, step)
    samples = [(one.name, sample) for one in steps for sample in one.samples]
    step_of = {(sample.file, sample.number): name for name, sample in samples}
    show = _Show(SourceReader(plan.sources[source], workspace), builder.sample_key)
    chosen = first_samples(sample for _, sample in samples)[:count]
    return ShownSteps(
        step=step,
        steps=tuple(one.name for one in steps),
        documents=sum(one.documents for one in steps),
        read=sum(one.documents for one in funnel.read),
        shown=tuple(
            show(step_of[sample.file, sample.number], sample) for sample in chosen
        ),
    )


def steps_named(funnel: Funnel, name: str) -> tuple[Step, ...]:
    """Return the steps that a name stands for.

    Raises:
        InputError: It stands for none.
    """
    if name == READ:
        return funnel.read
    wanted: tuple[Callable[[str], bool], ...] = (
        lambda one: one == name,
        lambda one: one.startswith(f"{name}."),
        lambda one: one.startswith(name),
    )
    for is_wanted in wanted:
        found = tuple(step for step in funnel.steps if is_wanted(step.name))
        if found and name:
            return found
    names = [READ, *(step.name for step in funnel.steps)]
    raise InputError(
        f"{funnel.source} has no step {name!r}", fix=f"name one of {', '.join(names)}"
    )


class _Show:
    """Reads what was sampled."""

    def __init__(self, reader: SourceReader, sample_key: int):
        self._reader = reader
        self._sample_key = sample_key

    def __call__(self, step: str, sample: Sample) -> ShownDocument:
        text = None if step == CORRUPT else self._text(sample)
        return ShownDocument(
            step=step,
            file=sample.file,
            number=sample.number,
            text_bytes=sample.text_bytes,
            copies=sample.copies,
            measured=sample.measured,
            text=text if text is None else text[:MAX_TEXT_CHARS],
            is_cut=text is not None and len(text) > MAX_TEXT_CHARS,
        )

    def _text(self, sample: Sample) -> str:
        try:
            found = self._reader.document_at(sample.file, sample.number)
        except OSError as error:
            raise _changed(sample, error.strerror or "can't be read") from None
        if found is None or isinstance(found, Corrupt):
            raise _changed(sample, "the document is no longer there")
        if rank_text(rank_of(found.text.encode(), self._sample_key)) != sample.rank:
            raise _changed(sample, "another document is there than was prepared")
        return found.text


def _changed(sample: Sample, what: str) -> InputError:
    problem = Problem(
        file=sample.file,
        line=sample.number,
        what=what,
        fix="codemix pin SPEC tells what changed; dvc checkout brings it back",
    )
    return InputError([problem])
