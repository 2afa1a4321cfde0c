"""lm-eval's own definitions, on rows of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.harness_stock import asked_stock_task, read_stock_task, stock_task
from evals.selection import asked_rows
from specs.errors import InputError, SpecError

PIQA = {"goal": "To sit", "sol1": "Use it.", "sol2": "Eat it.", "label": 1}


def define(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


MINE = """\
task: mine
output_type: multiple_choice
doc_to_text: "{{q}}"
doc_to_choice: ["a", "b"]
doc_to_target: label
"""


def test_definition_says_which_fields_it_needs() -> None:
    stock = stock_task("piqa")
    assert stock.fields == ("goal", "label", "sol1", "sol2")
    assert stock.functions == ()
    assert stock_task("copa").functions == tuple(
        f"doc_to_{part}" for part in ("text", "choice", "target")
    )


def test_digest_covers_what_is_included_and_the_modules_beside(tmp_path: Path) -> None:
    base = define(tmp_path, MINE, "base.yaml")
    path = define(tmp_path, "include: base.yaml\ntask: mine2\n")
    module = define(tmp_path, "x = 1\n", "utils.py")
    before = read_stock_task("mine2", path)
    assert sorted(before.files) == ["base.yaml", "mine.yaml", "utils.py"]
    for file in (base, path, module):
        text = file.read_text("utf-8")
        file.write_text(text + "# changed\n", "utf-8")
        assert read_stock_task("mine2", path).digest != before.digest
        file.write_text(text, "utf-8")
    assert read_stock_task("mine2", path).digest == before.digest


def test_digest_does_not_depend_on_where_it_is_installed(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    first, second = (read_stock_task("mine", define(one, MINE)) for one in folders)
    assert first.digest == second.digest


def test_limit_asks_the_questions_that_a_declared_task_asks(tmp_path: Path) -> None:
    rows = [{"q": f"q{index}", "label": 0} for index in range(20)]
    stock = read_stock_task("mine", define(tmp_path, MINE))
    asked = asked_stock_task(stock, rows, limit=4)
    assert asked.ids == tuple(map(str, asked_rows(20, 4)))
    assert [one.context for one in asked.likelihoods[::2]] == [
        f"q{id_}" for id_ in asked.ids
    ]


def test_row_keeps_its_number_where_lm_eval_drops_others(tmp_path: Path) -> None:
    define(
        tmp_path,
        "def odd(docs):\n    return docs.filter(lambda doc: doc['label'])\n",
        "utils.py",
    )
    path = define(tmp_path, MINE + "process_docs: !function utils.odd\n")
    rows = [{"q": f"q{index}", "label": index % 2} for index in range(6)]
    asked = asked_stock_task(read_stock_task("mine", path), rows)
    assert asked.ids == ("1", "3", "5")


def test_several_filters_give_several_values(tmp_path: Path) -> None:
    text = """\
task: mine
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "{{a}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 9}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
filter_list:
  - {name: strict, filter: [{function: take_first}]}
  - {name: loose, filter: [{function: remove_whitespace}, {function: take_first}]}
"""
    stock = read_stock_task("mine", define(tmp_path, text))
    asked = asked_stock_task(stock, [{"q": "x", "a": "yes"}])
    assert asked.generations[0].max_tokens == 9
    (found,) = asked.score([" yes\nno"])
    assert found.values == {"exact_match": 0.0, "exact_match.loose": 1.0}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("humaneval", "without a sandbox"),
        ("wikitext", "perplexity"),
        ("gsm8k", "5 examples from data that is not pinned"),
        ("piqua", "defines no task 'piqua'\n  fix: did you mean 'piqa'"),
    ],
)
def test_task_that_can_not_be_asked_is_refused(name: str, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        stock_task(name)


def test_rows_of_another_form_are_refused() -> None:
    rows = [{key: value for key, value in PIQA.items() if key != "sol2"}]
    with pytest.raises(InputError, match=r"'piqa' does not work on these rows") as got:
        asked_stock_task(stock_task("piqa"), rows)
    assert "with goal, label, sol1, sol2" in str(got.value)
