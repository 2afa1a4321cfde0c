"""Evaluations where people meet them: lists, `show`, lineage, signatures, bundles."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import bundles
import pytest
from evaluated import BOOLQ, COPA, evaluate, make_run, task
from ledger_runs import hex_of
from tampering import private_key
from test_cli_commands import as_json, codemix

from codemix_cli.entry_text import told_scores
from codemix_cli.lineage_text import ASCII, told_lineage
from ledger.dsse import decode_envelope
from ledger.evaluation import results_digest
from ledger.evaluations import scores_of
from ledger.keys import trust
from ledger.lineage import lineage_of
from ledger.listing import Question, list_entries
from ledger.signing import sign_entry, signatures_of
from ledger.statement import read_statement
from ledger.store import Ledger
from ledger.verify import verify
from ledger.verify_workspace import verify_workspace
from ledger.weights import Weights
from specs.canonical import canonical_json
from specs.errors import CheckFailed, InputError


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, a second one with other weights, evaluations of both."""
    folder = tmp_path_factory.mktemp("recorded") / "workspace"
    (folder / ".dvc").mkdir(parents=True)
    run = make_run(folder)
    ledger = Ledger.open(folder)
    evaluate(ledger, run, tasks=(BOOLQ,))
    evaluate(ledger, run)
    evaluate(ledger, run, tasks=(task("boolq", 2),), answers={"boolq": (1.0, 1.0)})
    evaluate(ledger, run, step=8, tasks=(COPA,), answers={"copa": (0.125,)})
    strange = Weights(hex_of("strange"), 70, None, None)
    evaluate(ledger, run, name="copied", weights=strange)
    return folder


@pytest.fixture
def workspace(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recorded workspace that is the current folder."""
    copied = Path(shutil.copytree(recorded, tmp_path / "workspace"))
    monkeypatch.chdir(copied)
    return copied


@pytest.fixture
def ledger(workspace: Path) -> Ledger:
    return Ledger.open(workspace)


def digests(ledger: Ledger) -> list[str]:
    return [line.digest for line in ledger.log()]


def test_show_tells_the_latest_score_of_each_task_beside_its_standard_error(ledger):
    _, first, second, third, within, _ = digests(ledger)
    found = as_json("ledger", "show", "made-up")["evaluations"]
    assert [one["digest"] for one in found["documents"]] == [
        *(first, second, third, within)
    ]
    assert [
        (one["step"], one["task"], one["version"], one["source"], one["others"])
        for one in found["scores"]
    ] == [
        (8, "copa", 1, within, 0),
        (8, "quick", None, within, 0),
        (12, "boolq", 1, second, 1),
        (12, "boolq", 2, third, 0),
        (12, "copa", 1, second, 0),
        (12, "quick", None, third, 2),
    ]
    assert (found["disagreements"], found["problem"]) == ([], None)
    lines = codemix("ledger", "show", "made-up").stdout.splitlines()
    [told] = [line for line in lines if line.startswith("boolq v1")]
    assert told.split() == [
        *("boolq", "v1", "accuracy", "12", "0.6667", "+-", "0.2500"),
        *(BOOLQ.fingerprint[:12], second[:12], "and", "1", "before", "it"),
    ]
    assert "shapes" in "\n".join(lines)


def test_show_says_where_a_promise_is_broken(ledger):
    run = digests(ledger)[0]
    answers = {"boolq": (1.0, 1.0, 1.0)}
    second = evaluate(ledger, run, tasks=(BOOLQ,), answers=answers)
    [told] = as_json("ledger", "show", "made-up")["evaluations"]["disagreements"]
    assert (told["task"], told["question"]) == ("boolq", "1")
    assert (told["first"], told["second"]) == (digests(ledger)[1], second.digest)
    shown = " ".join(codemix("ledger", "show", "made-up").stdout.split())
    assert "DISAGREEMENT: boolq of the same weights" in shown
    assert "question 1: accuracy is 0 and 1" in shown


def test_a_damaged_result_hides_nothing_else(ledger):
    run = digests(ledger)[0]
    broken = evaluate(ledger, run, tasks=(BOOLQ,), said="b")
    ledger.objects.path(broken.entry.scores[0].detail.sha256).unlink()
    shown = codemix("ledger", "show", "made-up")
    assert shown.exit_code == 0
    assert "evaluations: an object of the ledger is missing" in shown.stdout
    assert "balanced" in shown.stdout


def test_an_evaluation_can_be_shown_tagged_and_noted(ledger):
    second, strange = digests(ledger)[2], digests(ledger)[5]
    assert codemix("ledger", "tag", second[:12], "table-2").exit_code == 0
    shown = codemix("ledger", "show", "@table-2").stdout
    for text in ("boolq v1", "0.6667 +- 0.2500", "quick v1", "shapes", "table-2"):
        assert text in shown
    shown = codemix("ledger", "show", strange[:12]).stdout
    assert "no entry had these weights" in shown
    failed = codemix("reproduce", strange[:12])
    assert failed.exit_code == 4
    assert "is an evaluation, not a run" in failed.stderr


def test_lists_have_later_scores_of_the_final_weights(ledger):
    columns = "name,boolq/accuracy,copa/accuracy,heldout/text.bits_per_byte,evaluations"
    [row] = as_json("ledger", "list", "--columns", columns)["entries"]
    # The newer version came later; what was scored within the run is no final score.
    assert row["columns"] == {
        "name": "made-up",
        "boolq/accuracy": 1.0,
        "copa/accuracy": 0.325,
        "heldout/text.bits_per_byte": 2.0 / 12,
        "evaluations": 3,
    }
    assert as_json("ledger", "list", "--where", "copa/accuracy > 0.4")["entries"] == []
    [row] = as_json("ledger", "list", "--where", "copa/accuracy > 0.3")["entries"]
    assert row["name"] == "made-up"
    shown = codemix("ledger", "list", "--kind", "evaluation").stdout
    assert "boolq copa" in shown
    assert shown.count("evaluation") == 5
    found = list_entries(ledger.folder, Question(kinds=("evaluation",)))
    assert [one.row.num_steps for one in found] == [12, 12, 12, 8, 70]


def test_lineage_has_the_evaluations_of_a_run(ledger):
    lineage = lineage_of(ledger, "made-up")
    edges = [one for one in lineage.to_json()["edges"] if one["kind"] == "evaluation"]
    assert [(one["to"], one["step"]) for one in edges] == [
        *zip(digests(ledger)[1:5], (12, 12, 12, 8), strict=True)
    ]
    told = [line.split() for line in told_lineage(lineage, ASCII).splitlines()]
    second, last = digests(ledger)[2], digests(ledger)[4]
    assert told[2][:2] == ["|-", "evaluation"]
    names = ["boolq", "copa", "quick", "shapes"]
    assert told[2][2:] == [second[:12], "after", "12", *names]
    assert told[4] == ["`-", "evaluation", last[:12], "after", "8", *names[1:]]


def test_scores_of_a_run_are_told_with_their_standard_errors():
    values = {"accuracy": "0.5", "accuracy_standard_error": "0.125", "loss": "2"}
    told = told_scores([{"suite": "boolq", "step": 3, "values": values}])
    assert told.splitlines()[1:] == [
        "accuracy  0.5000 +- 0.1250",
        "loss                2.0000",
    ]


def test_tasks_that_were_scored_after_the_same_steps_share_a_table():
    def one(suite: str, step: int, **values: str) -> dict[str, Any]:
        return {"suite": suite, "step": step, "values": values}

    exact = {"accuracy": "0.5", "accuracy_standard_error": "0.125"}
    told = told_scores(
        [
            *(one("heldout", step, loss="2") for step in (3, 5)),
            *(one("boolq", step, **exact) for step in (3, 5)),
            *(one("copa", step, **exact) for step in (3, 5)),
            one("late", 5, **exact),
        ]
    )
    assert [line.split()[:3] for line in told.split("\n\n")] == [
        ["heldout", "after", "3"],
        ["scores", "after", "3"],
        ["late", "after", "5"],
    ]
    assert told.split("\n\n")[1].splitlines()[1:] == [
        "boolq accuracy  0.5000 +- 0.1250  0.5000 +- 0.1250",
        "copa accuracy   0.5000 +- 0.1250  0.5000 +- 0.1250",
    ]


def test_a_signature_covers_weights_results_and_extras(ledger, workspace):
    key = private_key("ana")
    trust(workspace, str(key.public), None)
    second = digests(ledger)[2]
    sign_entry(ledger, second, key)
    trusted = {key.public.keyid: key.public}
    [signature] = signatures_of(ledger, second, trusted)
    assert signature.problem is None
    checked = verify(ledger, trusted=trusted)
    assert (checked.problems, checked.num_signatures) == ((), 1)
    lacking = verify(ledger, trusted=trusted, signatures_required=True).problems
    assert [one.what.split()[0] for one in lacking] == ["run", *["evaluation"] * 4]
    envelope = ledger.objects.get(ledger.read(digests(ledger)[-1]).envelope)
    assert set(read_statement(decode_envelope(envelope).payload)) == {
        *("entry", "log", "weights/text", "results/boolq", "results/copa"),
        "extra/shapes",
    }


def test_an_evaluation_is_signed_where_a_key_is_given(ledger, workspace):
    key = private_key("ana")
    trust(workspace, str(key.public), None)
    done = evaluate(ledger, digests(ledger)[0], said="c", key=key)
    [line] = [line for line in ledger.log() if line.kind == "attestation"]
    assert ledger.read(line.digest).subject == done.digest
    assert verify_workspace(workspace, with_mlflow=False).problems == ()


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    folder = tmp_path_factory.mktemp("bundled")
    workspace = folder / "workspace"
    run = bundles.make_recorded(workspace)
    ledger = Ledger.open(workspace)
    evaluate(ledger, run)
    evaluate(ledger, run, weights=Weights(hex_of("strange"), 70, None, None))
    bundle = folder / "a.crate.zip"
    bundles.export(workspace, run, bundle)
    return workspace, run, bundle


def test_a_bundle_carries_the_evaluations_of_its_run(bundled, tmp_path):
    workspace, run, bundle = bundled
    taken = tmp_path / "study"
    bundles.take(bundle, taken)
    ledger = Ledger.open(taken)
    # Of weights that no entry has, it is not said whose they are.
    assert [line.kind for line in ledger.log()] == ["run", "evaluation", "annotation"]
    assert bundles.findings(taken) == ()
    here, there = scores_of(Ledger.open(workspace), run), scores_of(ledger, run)
    assert here == there
    assert ledger.objects.get_json(there["copa"].score.detail)["task"] == "copa"


def test_a_bundle_with_a_forged_evaluation_is_refused(bundled, tmp_path):
    def change(files: bundles.Files) -> None:
        [name] = [
            name
            for name, data in files.items()
            if name.startswith("ledger/entries/") and b'"kind":"evaluation"' in data
        ]
        document = json.loads(files.pop(name))
        document["scores"][0]["values"]["accuracy"] = "0.75"
        document["scores"][2]["values"]["average"] = "0.5375"
        document["results"] = results_digest(document)
        data = canonical_json(document)
        digest = hashlib.sha256(data).hexdigest()
        files[f"ledger/entries/{digest}.json"] = data
        order = files["ledger/order.jsonl"]
        was = Path(name).stem.encode()
        files["ledger/order.jsonl"] = order.replace(was, digest.encode())

    forged = bundles.forge(bundled[2], tmp_path / "forged.crate.zip", change)
    with pytest.raises(CheckFailed, match=r"boolq/accuracy is 0\.75, its questions"):
        bundles.take(forged, tmp_path / "study")


def test_unknown_runs_have_no_later_scores(ledger):
    with pytest.raises(InputError, match="not a run"):
        scores_of(ledger, digests(ledger)[1])
