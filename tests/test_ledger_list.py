"""Finding entries: filters, conditions, columns, order; tags and notes."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import ledger_runs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_architecture import HEAVY, loaded_by
from test_cli_commands import as_json, codemix

from ledger.conditions import Condition, parse_condition
from ledger.listing import Question, list_entries
from ledger.recorder import Outcome
from ledger.replay import ReplayRecorder
from ledger.run_recorder import RunRecorder
from ledger.store import Ledger
from specs.errors import InputError

NAMES = ["alpha", "alpha-2", "beta"]


ODD = ["nan", "inf", "-0.0"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with seeds 17, 18, 19 and losses 1, 2, 3, and a replay of the first."""
    folder = tmp_path_factory.mktemp("recorded") / "workspace"
    (folder / ".dvc").mkdir(parents=True)
    ledger = Ledger.open(folder)
    run = ledger_runs.play(RunRecorder(ledger, folder / "run"))
    for number, name in enumerate(NAMES):
        values = {"text.loss": repr(number + 1.0), "text.odd": ODD[number]}
        scores = [one.model_copy(update={"values": values}) for one in run.scores]
        spec = {**run.spec, "seed": 17 + number}
        update = {"name": name, "scores": tuple(scores), "spec": spec}
        if name == "beta":
            update["outcome"] = Outcome(status="failed", reason="out of luck")
        ledger.append(run.model_copy(update=update))
    ledger_runs.play(ReplayRecorder(ledger.find("made-up"), ledger))
    return folder


@pytest.fixture
def workspace(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recorded workspace that is the current folder."""
    copied = Path(shutil.copytree(recorded, tmp_path / "workspace"))
    monkeypatch.chdir(copied)
    return copied


def names(*arguments: str) -> list[str]:
    return [one["name"] for one in as_json("ledger", "list", *arguments)["entries"]]


def test_filters_narrow_the_list(workspace):
    assert names() == ["made-up", *NAMES, "made-up"]
    assert names("--kind", "run") == ["made-up", *NAMES]
    assert names("--kind", "replay") == ["made-up"]
    assert names("--kind", "annotation") == []
    assert names("--name", "alpha*") == ["alpha", "alpha-2"]
    assert names("--name", "alpha", "--name", "b?ta") == ["alpha", "beta"]
    assert names("--status", "failed") == ["beta"]
    assert names("--status", "FAILED", "--grade", "incomplete") == ["beta"]
    assert names("--since", "2100-01-01") == []
    assert names("--until", "2100-01-01") == names()
    assert names("--since", "2001-01-01", "--until", "2001-01-02T10:00") == []


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("heldout/text.loss<2.5", ["alpha", "alpha-2"]),
        ("heldout/text.loss >= 3", ["beta"]),
        ("heldout/text.loss = 2", ["alpha-2"]),
        ("heldout/text.loss != 2.0", ["alpha", "beta"]),
        ("heldout/text.odd = nan", ["alpha"]),
        ("heldout/text.odd > 1e300", ["alpha-2"]),
        ("heldout/text.odd = 0", ["beta"]),
        ("spec.seed = 18", ["alpha-2"]),
        ("seed > 17", ["alpha-2", "beta"]),
        ("spec.model.width = 8", ["made-up", *NAMES]),
        ("spec.stages.1.name = text", ["made-up", *NAMES]),
        ("spec.stages.1.name != text", []),
        ("spec.sources.text.uri = 'data/*.txt'", ["made-up", *NAMES]),
        ("name = beta", ["beta"]),
        ("result = failed", ["beta"]),
        ("steps = 12", ["made-up", *NAMES, "made-up"]),
        ("seed = null", ["made-up"]),
        ("seed != null", ["made-up", *NAMES]),
        ("loss < 1", ["made-up", *NAMES]),
    ],
)
def test_condition_keeps_exactly_what_meets_it(workspace, condition, expected):
    assert names("--where", condition) == expected


def test_conditions_hold_all_at_once(workspace):
    assert names("--where", "seed > 17", "--where", "heldout/text.loss < 3") == [
        "alpha-2"
    ]


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("loss", "is a column, one of < <= = != >= >"),
        ("loss <", "is a column, one of"),
        ("< 3", "is a column, one of"),
        ("loss < small", "only a number is more or less"),
        ("loss < true", "only a number is more or less"),
        ("name = 'a", "end it with '"),
        ("name = a=b", "in quotes"),
        ("name = 'a'b'", "other kind of quotes"),
    ],
)
def test_a_bad_condition_is_a_usage_error_that_says_why(workspace, condition, told):
    shown = codemix("ledger", "list", "--where", condition)
    assert shown.exit_code == 2
    assert told in " ".join(shown.stderr.split())
    assert "Traceback" not in shown.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--columns", "digset"], "did you mean 'digest'?"),
        (["--sort", "los"], "did you mean 'loss'?"),
        (["--where", "heldout/text.los < 3"], "did you mean 'heldout/text.loss'?"),
        (["--columns", "spec.model.widht"], "did you mean 'spec.model.width'?"),
        (["--columns", "zzz"], "or a number: heldout/text.bits_per_byte"),
        (["--status", "complete"], "did you mean 'completed'?"),
        (["--where", "exit() = 1"], "no entry has a column 'exit()'"),
        (["--grade", "exakt"], "did you mean 'exact'?"),
    ],
)
def test_an_unknown_name_is_told_what_is_near(workspace, arguments, told):
    shown = codemix("ledger", "list", *arguments)
    assert shown.exit_code == 4
    assert told in shown.stderr


def test_a_known_grade_that_nobody_got_is_no_error(workspace):
    shown = codemix("ledger", "list", "--grade", "DIVERGED")
    assert (shown.exit_code, shown.stdout) == (0, "no entry is like that\n")


def test_columns_are_what_was_asked_for(workspace):
    columns = "name,seed,heldout/text.loss,spec.model.width,tags"
    shown = codemix("ledger", "list", "--columns", columns, "--kind", "run")
    lines = shown.stdout.splitlines()
    assert lines[0].split() == columns.split(",")
    assert lines[1].split() == ["made-up", "17", "-", "8"]
    assert lines[2].split() == ["alpha", "17", "1", "8"]
    told = as_json("ledger", "list", "--columns", "name,heldout/text.odd")["entries"]
    assert [one["columns"]["heldout/text.odd"] for one in told[:4]] == [
        None,
        "nan",
        "inf",
        0.0,
    ]
    assert told[1]["scores"]["heldout/text.odd"] == "nan"
    assert told[1]["original"] is None
    assert told[4]["original"] == told[0]["digest"]


def test_order_is_arrival_or_a_column_and_what_has_none_comes_last(workspace):
    arrival = ["made-up", *NAMES, "made-up"]
    assert names("--reverse") == arrival[::-1]
    assert names("--limit", "2") == ["beta", "made-up"]
    assert names("--limit", "2", "--reverse") == ["made-up", "beta"]
    by_loss = ["--sort", "heldout/text.loss"]
    assert names(*by_loss) == [*NAMES, "made-up", "made-up"]
    assert names(*by_loss, "--reverse") == [*NAMES[::-1], "made-up", "made-up"]
    assert names(*by_loss, "--reverse", "--limit", "1") == ["beta"]
    assert names("--sort", "name") == [*NAMES, "made-up", "made-up"]


def test_an_empty_ledger_says_so(tmp_path, monkeypatch):
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    assert codemix("ledger", "list").stdout == "no entries yet\n"
    shown = codemix("ledger", "list", "--where", "spec.seed = 3")
    assert (shown.exit_code, shown.stdout) == (0, "no entry is like that\n")
    assert not (tmp_path / ".codemix").exists(), "reading makes nothing"


def test_tags_and_notes_are_shown_and_found(workspace):
    assert names("--where", "tags != ''") == []
    shown = codemix("ledger", "tag", "alpha", "best", "paper/fig=2")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[0].endswith("  best paper/fig=2")
    assert codemix("ledger", "tag", "beta", "best").exit_code == 0
    assert codemix("ledger", "note", "alpha", "spike at step 3").exit_code == 0
    assert names("--tag", "best") == ["alpha", "beta"]
    assert names("--tag", "best", "--tag", "paper/fig=2") == ["alpha"]
    assert "tags" in codemix("ledger", "list").stdout.splitlines()[0]
    shown = codemix("ledger", "show", "@paper/fig=2")
    assert "best paper/fig=2" in shown.stdout
    assert "spike at step 3" in shown.stdout
    told = as_json("ledger", "show", "@paper/fig=2")
    assert told["entry"]["name"] == "alpha"
    assert (told["tags"], told["notes"][0]["text"]) == (
        ["best", "paper/fig=2"],
        "spike at step 3",
    )
    shown = codemix("ledger", "show", "@best")
    assert (shown.exit_code, "means 2 entries" in shown.stderr) == (4, True)
    shown = codemix("ledger", "show", "@bets")
    assert (shown.exit_code, "did you mean '@best'?" in shown.stderr) == (4, True)
    codemix("ledger", "tag", "beta", "best", "--remove")
    assert as_json("ledger", "show", "@best")["entry"]["name"] == "alpha"
    shown = codemix("ledger", "tag", "beta", "best", "--remove")
    assert (shown.exit_code, "has no tag 'best'" in shown.stderr) == (4, True)
    [annotation, *_] = as_json("ledger", "list", "--kind", "annotation")["entries"]
    shown = codemix("ledger", "show", annotation["digest"][:12])
    assert "paper/fig=2" in shown.stdout
    shown = codemix("ledger", "tag", annotation["digest"][:12], "x")
    assert (shown.exit_code, "takes no tags" in shown.stderr) == (4, True)


@pytest.mark.parametrize("tag", ["Best", "a b", "", "_a", "x" * 65, "caf\u00e9"])
def test_a_bad_tag_is_a_usage_error_with_the_rule(workspace, tag):
    before = (workspace / ".codemix/ledger/log.jsonl").read_bytes()
    shown = codemix("ledger", "tag", "alpha", "good", tag)
    assert shown.exit_code == 2
    assert "at most 64 characters" in " ".join(shown.stderr.split())
    assert (workspace / ".codemix/ledger/log.jsonl").read_bytes() == before


def test_an_empty_note_is_refused(workspace):
    assert codemix("ledger", "note", "alpha", "  ").exit_code == 4


def test_a_crash_between_an_entry_and_its_line_is_mended_by_listing(workspace):
    path = workspace / ".codemix/ledger/log.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert names() == ["made-up", *NAMES, "made-up"]


def test_a_list_that_is_indexed_loads_no_document_type(workspace):
    names()
    loaded = loaded_by(
        f"import os; os.chdir({str(workspace)!r})\n"
        "from codemix_cli.main import cli\n"
        "cli(['ledger', 'list', '--where', 'spec.seed = 17', '-q'], "
        "standalone_mode=False)"
    )
    assert not loaded & {*HEAVY, "pydantic", "numpy"}


TEXTS = st.text(st.characters(codec="ascii", exclude_characters="'"), max_size=20)


@given(
    st.one_of(
        st.floats(), st.integers(), TEXTS.map(lambda text: f"{text}"), st.booleans()
    ),
    st.sampled_from(["<", "<=", "=", "!=", ">=", ">"]),
    st.sampled_from(["", " ", "  "]),
)
def test_every_value_can_be_written_and_means_itself(value, sign, blank):
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number and sign not in {"=", "!="}:
        return
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value).lower()
    text = {"infinity": "inf", "-infinity": "-inf"}.get(text, text)
    condition = parse_condition(f"a/b.c{blank}{sign}{blank}{text}")
    assert (condition.column, condition.operator) == ("a/b.c", sign)
    assert condition.value == value or math.isnan(value)
    is_nan = is_number and math.isnan(value)
    assert condition.is_met_by(value) is (
        sign == "=" or (sign in {"<=", ">="} and not is_nan)
    )
    assert Condition("a", "=", value).is_met_by(None) is False


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        condition: Any = parse_condition(text)
    except InputError as error:
        assert error.problems[0].fix  # noqa: PT017
    else:
        assert condition.is_met_by(None) in {True, False}


def test_a_question_about_no_ledger_finds_nothing(tmp_path):
    assert list_entries(tmp_path / ".codemix" / "ledger", Question()) == []
