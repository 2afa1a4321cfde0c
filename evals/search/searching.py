"""A search: trials one after the other, each an experiment of its study like others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from evals.search.proposing import propose
from evals.search.trials import (
    FailedTrial,
    Trial,
    best_of,
    failures_in,
    space_of,
    trials_in,
)
from ledger.store import Ledger
from runtime.benchmarks import Declare
from runtime.folder_lock import sole_user
from runtime.study.places import spec_of, study_folder
from runtime.study.ready import ready_study, workspace_of
from runtime.study.running import StudyEnded, StudyListeners, run_study
from specs.costs import check_epochs
from specs.errors import InputError
from specs.experiment import Experiment
from specs.loading import lock_path, save_lock
from specs.lock import Lock
from specs.resolve import plan_experiment
from specs.search import Search
from specs.search_space import Shares
from specs.study_loaded import Study

MOST_FAILED_AT_START = 2
"""So many trials of a call that fail before one succeeds fail for a reason of all."""

Listen = Callable[[str], AbstractContextManager[StudyListeners]]
"""Shows a trial; it is given a line about it."""


@dataclass(frozen=True, kw_only=True)
class SearchEnded:
    """What a search came to."""

    study: Study
    search: Search
    trials: tuple[Trial, ...]
    """All that the ledger has of it, in the order of their shares."""
    failures: tuple[FailedTrial, ...] = ()
    """Those that the ledger has as failed; they are not tried again."""
    failed: StudyEnded | None = None
    """The trial whose failure is that of the search; None: it has ended well."""
    is_exhausted: bool = False
    """Whether nothing was found that is still to try."""

    @property
    def tried(self) -> dict[Shares, float]:
        """Shares -> what they came to, of all that are not tried again."""
        failed = {one.shares: math.nan for one in self.failures}
        return failed | {one.shares: one.objective for one in self.trials}

    @property
    def best(self) -> Trial | None:
        """The best so far."""
        score = self.study.scores[self.search.objective.score]
        return best_of(self.trials, higher=score.better == "higher")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "name": self.study.name,
            "search": self.search.to_json(),
            "trials": [one.to_json() for one in self.trials],
            "best": self.best.to_json() if self.best else None,
            "failures": [one.to_json() for one in self.failures],
            "failed": self.failed.to_json() if self.failed else None,
            "exhausted": self.is_exhausted,
        }


def run_search(
    study: Study,
    num_trials: int,
    *,
    declare: Declare,
    program: Sequence[str],
    options: Sequence[str],
    listen: Listen,
) -> SearchEnded:
    """Run the next trials of a study's search.

    What is tried is decided by the ledger alone, so after a kill the same trial is
    proposed again, and its run goes on. One that the ledger has as failed is not
    proposed again, and the search goes on with the next.

    Args:
        study: With a search.
        num_trials: That are run now.
        declare: Tells the benchmarks that an experiment asks for.
        program: Starts codemix, in place of the first word of a command.
        options: Added to every `codemix run`.
        listen: Shows each trial.

    Raises:
        SpecError: Some mixture of the search goes through a source too often.
        InputError: The study has no search; data is not as needed; a run lacks the
            score; or the study is being run by another process.
        Preempted: Stopped by SIGTERM; the state of the run is saved.
        KeyboardInterrupt: Stopped by Ctrl-C; likewise.
    """
    search = study.file.search
    if search is None:
        fix = "add search: {experiment, objective, weights}; see docs/search.md"
        raise InputError("the study has no search", file=str(study.path), fix=fix)
    space, score = space_of(study, search), study.scores[search.objective.score]
    workspace = workspace_of(study)
    with listen(f"search of {study.name}, from {search.experiment}") as listeners:
        lock = _lock_of_base(_only(study, search, space.base), declare, listeners)
    for corner in space.corners():
        check_epochs(plan_experiment(space.experiment(corner)), lock)
    ledger = Ledger(workspace / ".codemix" / "ledger")
    is_proven = is_exhausted = False
    failed: list[StudyEnded] = []
    """Of this call, as long as none has succeeded."""
    for number in range(1, num_trials + 1):
        tried = _look(study, search, ledger, lock).tried
        shares = propose(space, search.seed, tried, score.better)
        if shares is None:
            is_exhausted = True
            break
        trial = space.experiment(shares)
        own = lock_path(spec_of(study_folder(workspace, study.name), trial.name))
        if not own.exists():
            # All trials are of the same bytes.
            save_lock(lock, own)
        with listen(f"trial {number} of {num_trials}: {trial.name}") as listeners:
            ended = run_study(
                _only(study, search, trial),
                declare=declare,
                program=program,
                options=options,
                listeners=listeners,
            )
        if ended.is_good:
            is_proven = True
            failed.clear()
            continue
        if not is_proven:
            failed.append(ended)
        now = _look(study, search, ledger, lock)
        if shares not in now.tried:
            # Without an entry it would be proposed again, and for ever.
            return replace(now, failed=ended)
        if len(failed) == MOST_FAILED_AT_START:
            break
    return replace(
        _look(study, search, ledger, lock),
        failed=failed[-1] if failed else None,
        is_exhausted=is_exhausted,
    )


def _look(study: Study, search: Search, ledger: Ledger, lock: Lock) -> SearchEnded:
    """Return what the ledger has of a search."""
    return SearchEnded(
        study=study,
        search=search,
        trials=tuple(trials_in(study, search, ledger, lock)),
        failures=tuple(failures_in(study, search, ledger, lock)),
    )


def _only(study: Study, search: Search, experiment: Experiment) -> Study:
    """Return the study with one experiment, of the file of the one that is varied."""
    (path,) = [path for path, one in study.experiments if one.name == search.experiment]
    return replace(study, experiments=((path, experiment),))


def _lock_of_base(study: Study, declare: Declare, listeners: StudyListeners) -> Lock:
    """Pin and prepare the experiment that is varied."""
    folder = study_folder(workspace_of(study), study.name)
    with sole_user(folder, "study"):
        ready = ready_study(study, declare, listeners.progress)
    (lock,) = ready.locks.values()
    return lock
