"""A trial that fails is told, and the search goes on without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ledger_runs import lock
from test_search import STUDY, found, record, space, study_in

from codemix_cli.search_table import told_search
from evals.search import searching
from evals.search.proposing import propose
from evals.search.searching import SearchEnded, run_search
from ledger.recorder import Outcome
from runtime.study.running import StudyListeners
from specs.study_loaded import Study

FAILED = Outcome(status="failed", reason="loss is not finite after step 3")
NOTHING = None
"""Fails before its run has begun, and leaves no entry."""

Ends = Sequence[float | Outcome | None]
"""What trials come to, one after the other: a loss, or how they fail."""


class Searches:
    """A workspace in which trials come to what a test says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / ".dvc").mkdir(parents=True)
        self.folder, self.study = folder, study_in(folder / "study", STUDY)
        self.names: list[str] = []
        """Of all trials that were run."""
        self._monkeypatch = monkeypatch

    def search(self, num_trials: int, *ends: float | Outcome | None) -> SearchEnded:
        left = list(ends)

        def run_study(study: Study, **_: Any) -> Any:
            ((_path, experiment),) = study.experiments
            self.names.append(experiment.name)
            end = left.pop(0)
            shares = space(self.study).shares_of(experiment.name)
            assert shares is not None
            if isinstance(end, Outcome):
                record(self.study, self.folder, shares, 0.0, end)
            elif end is not None:
                record(self.study, self.folder, shares, end)
            return SimpleNamespace(is_good=isinstance(end, float), name=self.names[-1])

        self._monkeypatch.setattr(searching, "run_study", run_study)
        self._monkeypatch.setattr(searching, "_lock_of_base", lambda *_: lock())
        ended = run_search(
            self.study, num_trials, declare=lambda _: {}, program=(), options=(),
            listen=_listen,
        )  # fmt: skip
        assert not left, "trials that were not run"
        return ended


@contextmanager
def _listen(line: str) -> Iterator[StudyListeners]:
    assert line
    yield StudyListeners()


@pytest.fixture
def searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searches:
    return Searches(tmp_path / "workspace", monkeypatch)


def test_a_search_goes_on_after_a_trial_that_fails(
    searches: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = searches.search(5, 2.5, FAILED, FAILED, FAILED, 1.5)
    assert ended.failed is None
    assert [one.objective for one in ended.trials] in ([2.5, 1.5], [1.5, 2.5])
    assert len({*searches.names}) == 5
    assert {one.name for one in ended.failures} == {*searches.names[1:4]}
    told = ended.to_json()
    assert told["failed"] is None
    assert {one["reason"] for one in told["failures"]} == {FAILED.reason}
    assert all("shares" not in one for one in told["failures"])

    # The same ledger, call by call: what is proposed is a function of it.
    again = Searches(tmp_path / "again", monkeypatch)
    for end in (2.5, FAILED, FAILED, FAILED, 1.5):
        again.search(1, end)
    assert again.names == searches.names
    # What has failed counts: the next proposal is drawn anew.
    assert searches.study.file.search is not None
    args = (space(searches.study), searches.study.file.search.seed)
    others = {one.shares: one.objective for one in ended.trials}
    following = propose(*args, ended.tried, "lower")
    assert following not in ended.tried
    assert following != propose(*args, others, "lower")


def test_trials_that_fail_from_the_start_end_the_search(searches: Searches) -> None:
    ended = searches.search(5, FAILED, FAILED)
    assert ended.failed is not None
    assert ended.failed.name == searches.names[1]  # type: ignore[attr-defined]
    assert not ended.trials
    # The next call goes on after them.
    ended = searches.search(2, FAILED, 1.0)
    assert ended.failed is None
    assert len({*searches.names}) == 4
    assert len(ended.failures) == 3
    # A call whose only trial fails has failed.
    assert searches.search(1, FAILED).failed is not None


def test_what_fails_without_an_entry_ends_the_search_and_is_tried_again(
    searches: Searches,
) -> None:
    ended = searches.search(5, 1.0, NOTHING)
    assert ended.failed is not None
    assert not ended.failures
    assert searches.search(1, 2.0).failed is None
    assert searches.names[2] == searches.names[1]


def test_a_trial_that_failed_and_was_run_again_counts(searches: Searches) -> None:
    (failed,) = searches.search(2, 1.0, FAILED).failures
    record(searches.study, searches.folder, failed.shares, 0.5)
    ended = searches.search(1, 2.0)
    assert not ended.failures
    assert ended.best is not None
    assert ended.best.name == failed.name
    assert found(searches.study, searches.folder)[failed.shares] == 0.5


def test_failed_trials_are_told_with_their_reason(searches: Searches) -> None:
    ended = searches.search(2, 2.5, FAILED)
    (failed,) = ended.failures
    *_, row, _, summary = told_search(ended).splitlines()
    assert row.split()[0] == failed.name
    assert row.endswith(f"failed  {failed.entry[:12]}  {FAILED.reason}")
    assert summary == "1 trial in the ledger, 1 failed and not tried again"
