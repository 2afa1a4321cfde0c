"""What MLflow is told of an evaluation, and what it should hold: rows of its run.

An evaluation's numbers become metrics of the MLflow run of the entry that it is about,
at the step of its weights, and at the time when it was recorded; its document and
objects become files of that run. A tag with its digest comes last, so a run that has
the tag has all of it. An evaluation of weights that no entry has stays in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ledger.evaluation import Evaluation, StoredEvaluation
from ledger.facts import ObjectRef
from ledger.mirror import Files, MetricPoint, metric_key, score_points
from ledger.mirror_expected import ExpectedRun, exactly
from ledger.objects import ObjectStore


def evaluation_tag(digest: str) -> str:
    """Name the tag that says that all of an evaluation is there.

    >>> evaluation_tag("ab" * 32)
    'codemix.evaluation.abababababababab'
    """
    return f"codemix.evaluation.{digest[:16]}"


def file_name(name: str) -> str:
    """Make a name of a file of the name of a score or an extra.

    A ledger may be of strangers: no name leads out of its folder.

    >>> file_name("boolq"), file_name("../../x")
    ('boolq.json', '.._.._x.d0d63abe.json')
    """
    return f"{metric_key(name.replace('/', chr(0)))}.json"


def evaluation_points(entry: Evaluation) -> list[MetricPoint]:
    """Return its numbers as MLflow takes them."""
    return [
        point
        for score in entry.scores
        for point in score_points({**score.to_json(), "unix_ms": entry.unix_ms})
    ]


def evaluation_files(
    stored: StoredEvaluation, data: bytes, objects: ObjectStore
) -> Files:
    """Name every file of an evaluation as MLflow keeps it.

    Args:
        stored: The evaluation.
        data: Its stored bytes.
        objects: Where the rest is.
    """
    files = {name: objects.get(ref) for name, ref in _refs(stored).items()}
    return {_document(stored): data, **files}


def with_evaluations(
    expected: ExpectedRun,
    evaluations: Sequence[StoredEvaluation],
    is_delivered: Callable[[str], bool],
) -> tuple[ExpectedRun, list[str]]:
    """Add evaluations to what the MLflow run of a recording must and may hold.

    Args:
        expected: Without them.
        evaluations: Of the recording's entries.
        is_delivered: Whether all of an evaluation, by digest, must be there.

    Returns:
        What must and may be there now, and which evaluations may be missing.
    """
    notes = []
    for one in evaluations:
        points = [exactly(point) for point in evaluation_points(one.entry)]
        refs = {name: ref.sha256 for name, ref in _refs(one).items()}
        files = {_document(one): one.digest, **refs}
        if is_delivered(one.digest):
            expected = replace(
                expected,
                required=[*expected.required, *points],
                files={**expected.files, **files},
                tags={**expected.tags, evaluation_tag(one.digest): one.digest},
            )
        else:
            # It may be on its way.
            expected = replace(
                expected,
                allowed=[*expected.allowed, *points],
                other_files=expected.other_files | set(files),
            )
            short = one.digest[:12]
            notes.append(
                f"evaluation {short} is not in MLflow yet: codemix ledger sync"
            )
    return expected, notes


def _document(stored: StoredEvaluation) -> str:
    return f"{_folder(stored)}/entry.json"


def _refs(stored: StoredEvaluation) -> dict[str, ObjectRef]:
    folder, entry = _folder(stored), stored.entry
    refs = {
        f"{folder}/scores/{file_name(score.suite)}": score.detail
        for score in entry.scores
        if score.detail is not None
    }
    kept = {
        f"{folder}/extras/{file_name(one.name)}": one.content for one in entry.extras
    }
    return {**refs, **kept}


def _folder(stored: StoredEvaluation) -> str:
    return f"evaluations/{stored.digest[:16]}"
