"""All sources of a spec are scanned: any workers, any shards, killed or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from contamination_cases import Study, make_study, rows_of, task_of
from data_workspace import sentences
from here_pool import HerePool

import runtime.shards
from codemix_cli.contamination_text import told_contamination
from evals.contamination import collect
from evals.contamination.clean import clean_scores
from evals.contamination.collect import scan_sources
from evals.contamination.find import FoundQuestions
from evals.contamination.jobs import is_prepared
from evals.contamination.needles import index_questions
from evals.contamination.tally import Tally
from evals.contamination.trained import trained_tokens
from evals.contamination_of import FoundContamination
from evals.results import QuestionResult, TaskResult
from runtime.mixture import Mixture
from runtime.prepared import open_stores
from runtime.progress import Progress
from runtime.splits import Splitter
from runtime.tokenizer import load_tokenizer, tokenizer_path
from specs.errors import InputError

PLANTED = "Which river did the old ferryman cross by night, and for whom did he wait?"
ABSENT = "Which mountain did the young shepherd climb at noon, and what did he see?"
SHORT = "who painted the ceiling"
BOILERPLATE = "This text may be copied by anyone who keeps this very notice in it"
TOO_SHORT = "why not"
QUESTIONS = (PLANTED, ABSENT, SHORT, BOILERPLATE, TOO_SHORT)

TASKS = [(task_of("quiz", ["question"]), rows_of(QUESTIONS, ["styx"]))]


def documents() -> dict[str, list[str | bytes]]:
    code: list[str | bytes] = [f"{BOILERPLATE}. {text}" for text in sentences(40)]
    code[7] = f"{code[7]}\n{PLANTED.upper()} The Styx."
    text: list[str | bytes] = list(sentences(40, seed=1))
    text[3] = f"{text[3]} {SHORT.title()}? {text[3]}"
    return {"code": code, "text": text}


def find(study: Study, num_workers: int = 1) -> FoundQuestions:
    """Do what `look_for_questions` does, for a study that DVC does not know."""
    plan, lock, workspace = study.plan, study.lock, study.workspace
    scan = scan_sources(
        index_questions(TASKS),
        plan,
        lock,
        workspace,
        num_workers=num_workers,
        progress=lambda _: None,
    )
    prepared = all(is_prepared(name, lock, workspace) for name in plan.sources)
    trained = trained_tokens(plan, lock, workspace) if prepared else {}
    return FoundQuestions(tally=Tally(scan, trained), not_looked_for=())


def reports(found: FoundQuestions) -> tuple[bytes, list[bytes]]:
    return found.report().to_bytes(), [one.to_bytes() for one in found.documents()]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.shards, "MIN_SHARD_BYTES", 4000)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no processes."""
    monkeypatch.setattr(collect, "WorkerPool", HerePool)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("text"), documents(), holdout=0)


@pytest.fixture(scope="module")
def found(study: Study) -> FoundQuestions:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime.shards, "MIN_SHARD_BYTES", 4000)
        return find(study)


def test_report_tells_what_is_where(found: FoundQuestions) -> None:
    (task,) = found.report().tasks
    assert (task.questions, task.by_ngram, task.by_whole) == (5, 3, 1)
    assert task.too_short == ("4",)
    assert [one.question for one in task.overlaps if one.is_found] == ["0", "2", "3"]
    planted, short, boilerplate = task.overlaps
    assert (planted.kind, planted.longest, planted.sources) == ("ngram", 15, ("code",))
    assert (planted.evidence.file, planted.evidence.number) == ("data/code.jsonl", 8)
    assert planted.is_answer_near
    assert not planted.is_common
    assert (short.kind, short.longest, short.sources) == ("whole", 4, ("text",))
    assert not short.is_answer_near
    assert boilerplate.is_common


def test_counts_are_per_source_with_and_without_boilerplate(
    found: FoundQuestions,
) -> None:
    (task,) = found.report().tasks
    code, text, together = task.sources["code"], task.sources["text"], task.together
    assert (code.found, code.ngram, code.whole, code.common) == (2, 2, 0, 1)
    assert (text.found, text.ngram, text.whole, text.common) == (1, 0, 1, 0)
    assert (together.found, together.share, together.answer_near) == (3, 3 / 5, 1)


def test_documents_that_overlap_are_listed(found: FoundQuestions) -> None:
    listed = list(found.documents())
    assert len(listed) == 41
    beyond = [one for one in listed if not one.is_common]
    assert [(one.source, one.number) for one in beyond] == [("code", 8), ("text", 4)]
    assert beyond[0].tasks == {"quiz": ("0", "3")}
    assert beyond[0].longest == 15


def test_report_is_a_value_with_a_digest(found: FoundQuestions) -> None:
    report = found.report()
    assert type(report).model_validate_json(report.to_bytes()) == report
    assert report.digest == found.report().digest


SHOWN = """\
source read from documents bytes trained on
code text 40 12.0K -
task source questions N too short found share common answer near
quiz all 5 8 1 3 60.00% 1 1
code 2 40.00% 1 1
quiz 2 4 text data/text.jsonl:4 who painted the ceiling
score all not found not found or common found too short
quiz exact_match 40.00 +- 24.49 (5) 100.00 (1) 100.00 +- 0.00 (2) \
0.00 +- 0.00 (2) 0.00 (1)
"""


def test_report_is_told_with_evidence_and_scores(found: FoundQuestions) -> None:
    report = found.report()
    result = TaskResult(
        task="quiz",
        fingerprint="f",
        main="exact_match",
        chance=0.0,
        questions=tuple(
            QuestionResult(
                id=str(n), values={"exact_match": float(n % 2)}, cluster=None, output={}
            )
            for n in range(5)
        ),
    )
    told = FoundContamination(
        subject=None,
        step=None,
        report=report,
        scores=(clean_scores(result, report.tasks[0]),),
    )
    shown = told_contamination(told.to_json())
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    for line in SHOWN.splitlines():
        assert line in lines


def test_several_workers_and_other_shards_give_equal_bytes(
    tmp_path: Path, found: FoundQuestions, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = make_study(tmp_path, documents(), holdout=0)
    monkeypatch.setattr(runtime.shards, "MIN_SHARD_BYTES", 1500)
    several = find(again, num_workers=3)
    num_shards = [len(source.jobs) for source in several.tally.scan.sources]
    assert num_shards > [len(source.jobs) for source in found.tally.scan.sources]
    assert reports(several) == reports(found)


@pytest.mark.usefixtures("here")
def test_token_store_gives_what_text_gives(study: Study, found: FoundQuestions) -> None:
    stored = find(study.prepared())
    report = stored.report()
    assert {one.read_from for one in report.sources.values()} == {"tokens"}
    assert report.tasks == found.report().tasks
    assert list(stored.documents()) == list(found.documents())


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import runtime.shards
runtime.shards.MIN_SHARD_BYTES = 4000
from pathlib import Path
from contamination_cases import make_study
from evals.contamination.collect import scan_sources
from evals.contamination.needles import index_questions
from test_contamination_sources import TASKS, documents

def kill(progress):
    if list(Path(sys.argv[2]).glob(".codemix/contamination/*/????????*.json")):
        os.kill(os.getpid(), signal.SIGKILL)

study = make_study(Path(sys.argv[2]), documents(), holdout=0)
scan_sources(index_questions(TASKS), study.plan, study.lock, study.workspace,
             num_workers=1, progress=kill)
"""


def test_killed_scan_goes_on_where_it_was(
    tmp_path: Path, found: FoundQuestions
) -> None:
    command = [sys.executable, "-c", KILLED, os.path.dirname(__file__), str(tmp_path)]
    killed = subprocess.run(command, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    kept = set(tmp_path.glob(".codemix/contamination/*/????????*.json"))
    times = {path: path.stat().st_mtime_ns for path in kept}
    again = make_study(tmp_path, documents(), holdout=0)
    finished = find(again)
    jobs = [job for source in finished.tally.scan.sources for job in source.jobs]
    assert 0 < len(kept) < len(jobs)
    # What was finished is not touched again.
    assert times == {path: path.stat().st_mtime_ns for path in kept}
    assert reports(finished) == reports(found)


@pytest.mark.usefixtures("here")
def test_damaged_findings_are_made_again(tmp_path: Path, found: FoundQuestions) -> None:
    study = make_study(tmp_path, documents(), holdout=0)
    first = reports(find(study))
    for path in tmp_path.glob(".codemix/contamination/*/????????*.json"):
        path.write_bytes(path.read_bytes().replace(b"ferryman", b"boatman_"))
    assert reports(find(study)) == first == reports(found)


def test_finished_scan_is_read_and_not_repeated(
    study: Study, found: FoundQuestions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(collect, "WorkerPool", refuse)
    assert reports(find(study)) == reports(found)


@pytest.mark.usefixtures("here")
def test_heldout_documents_are_not_counted(tmp_path: Path) -> None:
    splitter = Splitter(holdout="0.5", reserve="0.5")
    planted = [f"{PLANTED} {number}" for number in range(20)]
    heldout = [text for text in planted if splitter.split_of(text.encode()) != "train"]
    trained = [text for text in planted if text not in heldout]
    assert heldout
    assert trained
    alone = find(make_study(tmp_path / "a", {"code": [*heldout]}, holdout=0.5))
    assert alone.report().sources["code"].documents == 0
    assert alone.report().tasks[0].together.found == 0
    both = find(make_study(tmp_path / "b", {"code": [*planted]}, holdout=0.5))
    assert len(list(both.documents())) == len(trained)


BAD_LINE = b'{"text": "bad \xff byte"}'


@pytest.mark.usefixtures("here")
def test_bad_utf8_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"code": ["fine", BAD_LINE]}, holdout=0)
    with pytest.raises(InputError, match=r"data/code\.jsonl:2: .*UTF-8"):
        find(study)


@pytest.mark.usefixtures("here")
def test_bad_utf8_is_counted_where_the_source_skips_it(tmp_path: Path) -> None:
    texts: list[str | bytes] = [BAD_LINE, PLANTED]
    study = make_study(tmp_path, {"code": texts}, holdout=0, on_corrupt="skip")
    report = find(study).report()
    assert report.sources["code"].corrupt == 1
    assert report.tasks[0].overlaps[0].evidence.number == 2


@pytest.mark.usefixtures("here")
def test_empty_source_has_no_overlap(tmp_path: Path) -> None:
    report = find(make_study(tmp_path, {"code": []}, holdout=0)).report()
    assert report.sources["code"].documents == 0
    assert report.tasks[0].together.share == 0


@pytest.mark.usefixtures("here")
def test_documents_that_the_plan_never_reads_are_not_counted(tmp_path: Path) -> None:
    # The plan reads 4,096 tokens of many more: some copies are read, and some not.
    texts = [f"{PLANTED} {text}" for text in sentences(150, num_words=60)]
    study = make_study(tmp_path, {"code": [*texts]}, holdout=0).prepared()
    found = find(study)
    share = found.report().sources["code"].trained_share
    assert share is not None
    assert 0 < share < 0.4
    assert 0 < len(list(found.documents())) < 150


def test_document_is_trained_on_if_any_row_holds_a_token_of_it(
    tmp_path: Path,
) -> None:
    rate = {"schedule": "constant", "peak": 0.001}
    stage = {"mixture": {"code": 1}, "learning_rate": rate, "tokens": 240}
    long = {"batch": {"sequences": 2, "length": 24, "lane": 1}, "optimizer": "keep"}
    study = make_study(
        tmp_path,
        {"code": [text[:24] for text in sentences(300)]},
        stages=[{**stage, "name": "short"}, {**stage, **long, "name": "long"}],
        holdout=0,
    ).prepared()
    plan = study.plan
    store = open_stores(plan, study.lock, study.workspace, "train")["code"]
    mixture = Mixture(plan, {"code": store.num_tokens})
    seen: set[int] = set()
    for step in range(plan.num_steps):
        rows = mixture.at(step)
        for start in rows.start_token.tolist():
            # The last token of a row has the one behind it as its label.
            seen.update(range(start, start + rows.sequence_length + 1))
    trained = trained_tokens(plan, study.lock, study.workspace)["code"]
    shards = store.manifest.splits["train"].shards
    places = [(s, n) for s, one in enumerate(shards) for n in range(one.num_documents)]
    told = [trained.has_document(*place) for place in places]
    wanted = [
        not seen.isdisjoint(range(document.start_token, document.stop_token))
        for document in store.documents
    ]
    assert len(shards) > 1
    assert 0 < sum(wanted) < len(wanted)
    assert told == wanted


@pytest.mark.usefixtures("here")
def test_progress_ends_at_all_bytes(tmp_path: Path) -> None:
    told: list[Progress] = []
    study = make_study(tmp_path, documents(), holdout=0)
    scan_sources(
        index_questions(TASKS),
        study.plan,
        study.lock,
        study.workspace,
        num_workers=1,
        progress=told.append,
    )
    done: Sequence[int] = [one.done_bytes for one in told]
    assert done == sorted(done)
    assert told[-1].done_bytes == told[-1].total_bytes > 0


@pytest.mark.usefixtures("here")
def test_evidence_is_the_longest_match_then_the_first_document(tmp_path: Path) -> None:
    part = PLANTED.replace("old", "young")
    sources: dict[str, list[str | bytes]] = {
        "code": [part, f"well, {part}"],
        "text": ["none", part, PLANTED, PLANTED],
    }
    (task,) = find(make_study(tmp_path, sources, holdout=0)).report().tasks
    (overlap,) = task.overlaps
    assert (overlap.longest, overlap.sources) == (15, ("code", "text"))
    assert (overlap.evidence.source, overlap.evidence.number) == ("text", 3)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("copies", [10, 11])
def test_words_are_common_in_more_than_ten_documents(
    tmp_path: Path, copies: int
) -> None:
    # Documents are counted over all sources.
    sources: dict[str, list[str | bytes]] = {
        "code": [f"{PLANTED} {number}" for number in range(copies - 1)],
        "text": [f"{PLANTED} {PLANTED}"],
    }
    (task,) = find(make_study(tmp_path, sources, holdout=0)).report().tasks
    assert task.overlaps[0].is_common == (copies > 10)
    assert task.sources["text"].common == (copies > 10)


def test_pieces_of_tokens_are_the_text(study: Study) -> None:
    lock = study.prepared().lock
    assert lock.tokenizer_sha256 is not None
    tokenizer = load_tokenizer(tokenizer_path(study.workspace, lock.tokenizer_sha256))
    pieces = tokenizer.piece_bytes()
    text = "  caf\u00e9 \u4e2d\n\tdef x_1():  <s> "
    tokens = [*tokenizer.encode(text), tokenizer.eos_id]
    assert b"".join(pieces[token] for token in tokens).decode() == text
