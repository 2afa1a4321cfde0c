"""A study made of entries: what runs have in common, without specs beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ledger.documents import run_of
from ledger.store import Ledger
from specs.errors import InputError
from specs.experiment import Experiment
from specs.study import StudyFile
from specs.study_defaults import completed
from specs.study_loaded import Study


def study_of_entries(
    texts: Sequence[str], ledger: Ledger
) -> tuple[Study, dict[str, str]]:
    """Return a study of some runs, and the entry of each of its experiments.

    Args:
        texts: Beginnings of digests, unique names, or `@` and tags.
        ledger: Holds them.

    Raises:
        InputError: There is no such entry, or one is no run, or two runs have one name
            and one seed.
    """
    experiments: dict[str, Experiment] = {}
    entries: dict[str, str] = {}
    for text in texts:
        stored = ledger.find(text)
        experiment = Experiment.model_validate(run_of(stored).spec)
        name = experiment.name
        if name in entries and entries[name] != stored.digest:
            # Repeats are told apart, and told to be repeats, by the seed in the name.
            name = f"{name}-seed-{experiment.seed}"
        if entries.get(name, stored.digest) != stored.digest:
            raise InputError(
                f"{entries[name][:12]} and {stored.digest[:12]} are both {name}",
                fix="name one of them",
            )
        entries[name] = stored.digest
        experiments[name] = experiment.model_copy(update={"name": name})
    file = completed(StudyFile(study=1, name="entries"), list(experiments.values()))
    study = Study(
        path=Path(),
        file=file,
        experiments=tuple((Path(), one) for one in experiments.values()),
    )
    return study, entries
