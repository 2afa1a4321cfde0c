"""A search: trials one after the other, each an experiment of its study like others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from evals.search.proposing import propose
from evals.search.trials import Trial, best_of, space_of, trials_in
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
from specs.study_loaded import Study

Listen = Callable[[str], AbstractContextManager[StudyListeners]]
"""Shows a trial; it is given a line about it."""


@dataclass(frozen=True, kw_only=True)
class SearchEnded:
    """What a search came to."""

    study: Study
    search: Search
    trials: tuple[Trial, ...]
    """All that the ledger has of it, in the order of their shares."""
    failed: StudyEnded | None = None
    """The trial that failed; those after it were not begun."""
    is_exhausted: bool = False
    """Whether nothing was found that is still to try."""

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

    What is tried is decided by the ledger alone, so after any end the same trial is
    proposed again, and its run goes on.

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
    for number in range(1, num_trials + 1):
        trials = trials_in(study, search, ledger, lock)
        tried = {one.shares: one.objective for one in trials}
        shares = propose(space, search.seed, tried, score.better)
        if shares is None:
            return SearchEnded(
                study=study, search=search, trials=tuple(trials), is_exhausted=True
            )
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
        if not ended.is_good:
            return SearchEnded(
                study=study, search=search, trials=tuple(trials), failed=ended
            )
    trials = trials_in(study, search, ledger, lock)
    return SearchEnded(study=study, search=search, trials=tuple(trials))


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
