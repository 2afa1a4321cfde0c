"""Whatever is changed in evaluations, in results or in what is kept beside is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from evaluated import evaluate, make_run
from ledger_runs import hex_of
from tampering import private_key, restored
from test_tampering import (
    Case,
    chained,
    check_all,
    file_cases,
    in_file,
    log_cases,
    rewrite,
)

from ledger.evaluation import Evaluation, results_digest
from ledger.head import Head, head_of
from ledger.keys import PublicKey, read_trusted, trust
from ledger.log import read_raw_lines
from ledger.objects import references
from ledger.signing import sign_entry
from ledger.store import Ledger
from ledger.verify import verify
from ledger.weights import Weights
from specs.canonical import canonical_json

Document = dict[str, Any]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """A run, evaluations of it after two steps and of strange weights, a signature."""
    workspace = tmp_path_factory.mktemp("evaluated")
    key = private_key("ana")
    trust(workspace, str(key.public), None)
    run = make_run(workspace)
    ledger = Ledger.open(workspace)
    evaluate(ledger, run)
    evaluate(ledger, run, step=4)
    strange = Weights(hex_of("strange"), 70, None, None)
    evaluate(ledger, run, name="copied", weights=strange)
    sign_entry(ledger, ledger.log()[2].digest, key)
    return ledger


@pytest.fixture(scope="module")
def trusted(ledger: Ledger) -> dict[str, PublicKey]:
    return read_trusted(ledger.folder.parents[1])


@pytest.fixture(scope="module")
def head(ledger: Ledger) -> Head:
    return head_of(read_raw_lines(ledger.folder))


def evaluations(ledger: Ledger) -> list[Path]:
    lines = ledger.log()
    return [ledger.entry_path(one.digest) for one in lines if one.kind == "evaluation"]


def objects_of(ledger: Ledger) -> list[Path]:
    found = {
        ref.sha256
        for path in evaluations(ledger)
        for ref in references(json.loads(path.read_bytes()))
    }
    return sorted(ledger.objects.path(sha256) for sha256 in found)


def test_the_untouched_ledger_gives_no_alarm(ledger, trusted, head):
    checked = verify(ledger, trusted=trusted, since=head)
    assert checked.problems == checked.notes == ()
    assert (checked.num_entries, checked.num_signatures) == (5, 1)


def test_every_change_of_a_document_is_named(ledger, trusted):
    def copy_of(path: Path) -> Path:
        return path.with_name(f"{hex_of('copy', path.name)}.json")

    cases = file_cases(evaluations(ledger), copy_of)
    check_all(ledger, cases, trusted, None, at_least=30)


def test_every_change_of_results_and_extras_is_named(ledger, trusted):
    def copy_of(path: Path) -> Path:
        return path.with_name(path.name[:2] + hex_of("copy", path.name)[2:])

    paths = objects_of(ledger)
    # Two results of tasks and the shapes; they are the same after all steps.
    assert len(paths) == 3
    check_all(ledger, file_cases(paths, copy_of), trusted, None, at_least=30)


def bit_cases(path: Path, every: int) -> Iterator[Case]:
    data = path.read_bytes()
    for bit in range(0, len(data) * 8, every):
        at, mask = bit // 8, 1 << bit % 8
        changed = data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]

        def tamper(changed: bytes = changed) -> None:
            path.write_bytes(changed)

        yield Case(f"bit {bit} of {path.name[:12]}", (path,), tamper, in_file(path))


def test_a_bit_anywhere_is_named(ledger, trusted):
    paths = [evaluations(ledger)[0], objects_of(ledger)[0]]
    cases = [case for path in paths for case in bit_cases(path, every=193)]
    check_all(ledger, iter(cases), trusted, None, at_least=100)


@pytest.mark.slow
def test_one_bit_in_seven_is_named(ledger, trusted):
    paths = [evaluations(ledger)[0], *objects_of(ledger)]
    cases = [case for path in paths for case in bit_cases(path, every=7)]
    check_all(ledger, iter(cases), trusted, None, at_least=3_000)


def test_every_change_of_the_log_is_named(ledger, trusted, head):
    check_all(ledger, log_cases(ledger), trusted, head, at_least=50)


def forged(
    ledger: Ledger, path: Path, change: Callable[[Document], object], *, results: bool
) -> list[str]:
    """Change a document and make digest, log and chain anew; return what is wrong."""
    document = json.loads(path.read_bytes())
    change(document)
    if results:
        document["results"] = results_digest(document)
    data = canonical_json(document)
    digest = hashlib.sha256(data).hexdigest()
    now = ledger.entry_path(digest)
    assert now != path, "the change changes nothing"
    with restored(path, now, ledger.log_path):
        path.unlink()
        now.write_bytes(data)
        lines = [
            one.replace(path.stem.encode(), digest.encode())
            for one in read_raw_lines(ledger.folder)
        ]
        rewrite(ledger, chained(lines))
        return [one.what for one in verify(ledger).problems if one.file == str(now)] + [
            one.what for one in verify(ledger).problems if one.kind == "object"
        ]


def set_at(*places: str | int, value: object) -> Callable[[Document], object]:
    def change(document: Document) -> None:
        inner: Any = document
        for place in places[:-1]:
            inner = inner[place]
        inner[places[-1]] = value

    return change


def rewire(name: str) -> Callable[[Document], object]:
    """Let a score have the results of the other one."""

    def change(document: Document) -> None:
        first, second, _ = document["scores"]
        first[name] = second[name]

    return change


def twice(name: str) -> Callable[[Document], object]:
    return lambda document: document[name].append(document[name][0])


FORGERIES: dict[str, tuple[Callable[[Document], object], str]] = {
    "weights": (set_at("weights_digest", value=hex_of("x")), "has other weights"),
    "step": (set_at("step", value=8), "has other weights after step 8"),
    "no step": (set_at("step", value=7), "knows no weights after step 7"),
    "stage": (set_at("stage", value="balanced"), "has other weights"),
    "subject": (set_at("subject", value=hex_of("x")), "does not hold whole"),
    "no subject": (set_at("subject", value=None), "names a stage and no entry"),
    "no stage": (set_at("stage", value=None), "names an entry and no stage"),
    "name": (set_at("name", value="other"), "by the name 'other'"),
    "fingerprint": (
        set_at("tasks", 0, "fingerprint", value=hex_of("x")),
        "another fingerprint",
    ),
    "task": (set_at("tasks", 0, "name", value="x"), "task x has no results"),
    "a mean": (
        set_at("scores", 0, "values", "accuracy", value="0.75"),
        "boolq/accuracy is 0.75, its questions give 0.6666666666666666",
    ),
    "a last digit": (
        set_at("scores", 0, "values", "accuracy", value="0.6666666666666667"),
        "its questions give 0.6666666666666666",
    ),
    "no mean": (set_at("scores", 0, "values", value={}), "boolq/accuracy is None"),
    "no number": (
        set_at("scores", 0, "values", "accuracy_standard_error", value="x"),
        "is 'x', which is no number",
    ),
    "results of another": (rewire("detail"), "those of task 'copa'"),
    "no results": (
        set_at("scores", 0, "detail", value=None),
        "no results per question",
    ),
    "a score's step": (set_at("scores", 0, "step", value=8), "of another step"),
    "an average": (
        set_at("scores", 2, "values", "average", value="0.5"),
        "quick/average is 0.5, its tasks give 0.49583333333333335",
    ),
    "huge numbers": (
        lambda document: [
            one["values"].update(accuracy="1.7e308") for one in document["scores"]
        ],
        "quick/average is 0.49583333333333335, its tasks give none",
    ),
    "what stands for it": (
        set_at("tasks", 0, "main", value="loss"),
        "accuracy stands for boolq in its results, loss where it was asked",
    ),
    "a suite": (set_at("suites", 0, "tasks", 0, value="x"), "task x, which was not"),
    "a score twice": (twice("scores"), "score boolq twice"),
    "a task twice": (twice("tasks"), "task boolq twice"),
    "an extra twice": (twice("extras"), "extra shapes twice"),
    "a size": (set_at("extras", 0, "content", "bytes", value=1), "it has 1 bytes"),
    "a field": (set_at("more", value=1), "another codemix wrote this entry: "),
}


@pytest.mark.parametrize(("change", "what"), FORGERIES.values(), ids=list(FORGERIES))
def test_a_forged_document_with_all_digests_made_anew_is_named(ledger, change, what):
    path = evaluations(ledger)[0]
    found = forged(ledger, path, change, results=True)
    assert any(what in one for one in found), found


def leaves(place: tuple[str | int, ...], value: object) -> Iterator[tuple[Any, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    if not isinstance(value, dict | list):
        yield place
    for key, inner in items:
        yield from leaves((*place, key), inner)


def test_the_digest_of_results_holds_every_number_and_name(ledger):
    """Whoever forgets it in a forgery is named, whatever else was changed."""
    path = evaluations(ledger)[0]
    document = json.loads(path.read_bytes())
    names = ("suites", "tasks", "scores", "extras", "weights_digest", "step")
    places = [
        place
        for place in leaves((), {name: document[name] for name in names})
        # How an extra was had is no part of what was found; the average has no detail,
        # and any other value would be no document.
        if place[-1] not in ("mode", "detail")
    ]
    assert len(places) == 34
    for place in places:
        value: Any = document
        for one in place:
            value = value[one]
        other = value + 1 if isinstance(value, int) else hex_of(value)
        found = forged(ledger, path, set_at(*place, value=other), results=False)
        assert "the digest of its results is not that of its results" in found, place


def test_forged_results_of_a_question_are_named_by_the_mean(ledger):
    path = evaluations(ledger)[0]

    def change(document: Document) -> None:
        ref = document["scores"][1]["detail"]
        detail = json.loads(ledger.objects.path(ref["sha256"]).read_bytes())
        detail["questions"][0]["values"]["accuracy"] = 0.5
        document["scores"][1]["detail"] = ledger.objects.put_json(detail).to_json()

    found = forged(ledger, path, change, results=True)
    assert any("copa/accuracy is 0.325" in one for one in found)


@pytest.mark.parametrize(
    "detail",
    [
        {"questions": [{}], "fingerprint": "x"},
        {"questions": ["x"], "fingerprint": "x"},
        {"questions": [{"id": 1, "values": {"accuracy": "x"}}], "fingerprint": "x"},
        {"questions": [{"id": [], "values": []}], "fingerprint": "x"},
        {"questions": "x"},
        [],
        7,
    ],
    ids=str,
)
def test_results_of_any_other_form_are_named_and_break_nothing(ledger, detail):
    path = evaluations(ledger)[0]

    def change(document: Document) -> None:
        ref = ledger.objects.put_json(detail)
        document["scores"][1]["detail"] = ref.to_json()

    assert forged(ledger, path, change, results=True)


def test_a_signature_names_what_only_a_head_would(ledger, trusted):
    """A standard error is not computed again: the signature on the document is."""
    [path] = [one for one in evaluations(ledger) if one.stem == ledger.log()[2].digest]
    entry = ledger.read(path.stem)
    assert isinstance(entry, Evaluation)
    with restored(path, ledger.log_path):
        document = json.loads(path.read_bytes())
        document["scores"][0]["values"]["accuracy_standard_error"] = "0.01"
        document["results"] = results_digest(document)
        data = canonical_json(document)
        digest = hashlib.sha256(data).hexdigest()
        now = ledger.entry_path(digest)
        with restored(now):
            path.unlink()
            now.write_bytes(data)
            lines = [
                one.replace(path.stem.encode(), digest.encode())
                for one in read_raw_lines(ledger.folder)
            ]
            rewrite(ledger, chained(lines))
            found = verify(ledger, trusted=trusted).problems
    assert {one.kind for one in found} == {"signature", "entry"}
