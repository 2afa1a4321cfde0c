"""Where a run came to a point of a study, and why it did not."""

from __future__ import annotations

from evals.study.measured import Missing
from ledger.entry import Entry, StageFacts
from specs.study_loaded import StudyPoint


def stage_end(digest: str, entry: Entry, point: StudyPoint) -> StageFacts | Missing:
    """Return the stage whose end a point is, or say that the run did not come to it.

    Args:
        digest: Of the entry.
        entry: Of one of the point's experiments.
        point: The point.
    """
    # By its place: what a stage is called decides nothing.
    stages = entry.stages[point.stage_index :]
    if stages and stages[0].weights_digest is not None:
        return stages[0]
    steps = f"{entry.num_steps:,} steps" if entry.num_steps != 1 else "1 step"
    what = f"{digest[:12]} stopped after {steps}, before the end of {point.stage}"
    return Missing(why=what)
