"""A study made of entries: what runs have in common, without specs beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from evals.study.tables import DIGEST_CHARS
from ledger.documents import Stored, run_of
from ledger.repeats import pinned_bytes
from ledger.store import Ledger
from specs.canonical import digest_of
from specs.errors import InputError
from specs.experiment import Experiment
from specs.study import StudyFile
from specs.study_defaults import completed
from specs.study_loaded import Study
from specs.study_rules import digest_without_seed, name_without_seed


class _Run(NamedTuple):
    """An entry that was named."""

    digest: str
    experiment: Experiment
    name: str
    """Without the seed."""
    recipe: str
    """Digest of what repeats have in common: the spec without its seed, the data."""


def study_of_entries(
    texts: Sequence[str], ledger: Ledger
) -> tuple[Study, dict[str, str]]:
    """Return a study of some runs, and the entry of each of its experiments.

    Runs of one name and one recipe are repeats of a point. Where a name was given to
    several recipes, each is a point of its own, with a digest behind the name.

    Args:
        texts: Beginnings of digests, unique names, or `@` and tags.
        ledger: Holds them.

    Raises:
        CheckFailed: A document was changed since it was recorded.
        InputError: There is no such entry, or one is no run, or two runs have one name,
            one recipe and one seed.
    """
    stored = {one.digest: one for one in map(ledger.find, texts)}
    runs = [_run(one, ledger) for one in stored.values()]
    points: dict[tuple[str, str], list[_Run]] = {}
    for run in runs:
        points.setdefault((run.name, run.recipe), []).append(run)
    names: dict[str, str] = {}
    for repeats in points.values():
        _refuse_one_seed_twice(repeats)
        others = [run for run in runs if run not in repeats]
        names |= _names(repeats, others)
    experiments = [
        run.experiment.model_copy(update={"name": names[run.digest]}) for run in runs
    ]
    study = Study(
        path=Path(),
        file=completed(StudyFile(study=1, name="entries"), experiments),
        experiments=tuple((Path(), one) for one in experiments),
    )
    return study, {name: digest for digest, name in names.items()}


def _run(stored: Stored, ledger: Ledger) -> _Run:
    entry = run_of(stored)
    experiment = Experiment.model_validate(entry.spec)
    return _Run(
        digest=stored.digest,
        experiment=experiment,
        name=name_without_seed(experiment),
        recipe=digest_of(
            {
                "spec": digest_without_seed(experiment),
                "pinned": pinned_bytes(ledger, entry),
            }
        ),
    )


def _refuse_one_seed_twice(repeats: Sequence[_Run]) -> None:
    first: dict[int, _Run] = {}
    for run in repeats:
        seed = run.experiment.seed
        other = first.setdefault(seed, run)
        if other is not run:
            digests = f"{other.digest[:DIGEST_CHARS]} and {run.digest[:DIGEST_CHARS]}"
            raise InputError(
                f"{digests} are both {run.name} with seed {seed}",
                fix="name one of them; codemix diff compares two",
            )


def _names(repeats: Sequence[_Run], others: Sequence[_Run]) -> dict[str, str]:
    """Return digest -> name in the study: seeds are told apart by what they end in."""
    own = [run.experiment.name for run in repeats]
    name = repeats[0].name
    meant = {word for run in repeats for word in _words(run)}
    if meant & {word for run in others for word in _words(run)}:
        name += f"-{repeats[0].digest[:DIGEST_CHARS]}"
        own = [name] if len(own) == 1 else []
    if len(set(own)) < len(repeats):
        own = [f"{name}-seed-{run.experiment.seed}" for run in repeats]
    return {run.digest: one for run, one in zip(repeats, own, strict=True)}


def _words(run: _Run) -> Iterator[str]:
    """Yield what a point may be called that has this run among its repeats."""
    yield run.experiment.name
    yield run.name
    yield f"{run.name}-seed-{run.experiment.seed}"
