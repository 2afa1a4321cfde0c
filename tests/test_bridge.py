"""Stock lm-eval, given what the bridge writes, asks and scores the same."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from eval_tasks import ANSWER, rows, task

from evals.bridge import write_bridge
from evals.harness import declared_task
from evals.pinned_tasks import PinnedTask
from specs.errors import InputError
from specs.task import Task

CONTEXTS = {
    "contexts": ["{{ options[0] }} of", "{{ options[1] }} of"],
    "texts": ["{{ question }}"],
    "right": "{{ label }}",
    "delimiter": " ",
}
TASKS = [
    task(name="plain"),
    task(
        name="odd",
        choices={"texts": ["1", "[2]"], "right": "{{ label }}", "delimiter": ""},
    ),
    task(name="middle", choices=CONTEXTS),
    task(name="few", limit=4, shots={"number": 2, "joined_by": "\n--\n"}),
    task(
        name="said",
        choices=None,
        answer={**ANSWER, "max_tokens": 5, "normalise": ["articles", "lower"]},
    ),
]
ROWS = [
    {**row, "question": question}
    for row, question in zip(
        rows(6), ["2001-01-01", "7", "['a']", "{{ x }}", "caf\u00e9", "\n"], strict=True
    )
]


def theirs(folder: Path, name: str, cache: Path) -> Any:
    """The task as lm-eval itself loads it from the written folder."""
    import datasets
    from lm_eval.tasks import TaskManager

    datasets.config.HF_DATASETS_CACHE = cache
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return manager.load([name])["tasks"][name]


@pytest.fixture
def bridged(tmp_path: Path) -> Path:
    write_bridge(
        tmp_path / "bridge",
        [PinnedTask(task=one, rows=ROWS) for one in TASKS],
        exported=tmp_path / "model",
        length=128,
    )
    return tmp_path / "bridge"


@pytest.mark.parametrize("one", TASKS, ids=lambda one: one.name)
def test_lm_eval_asks_and_scores_the_same(
    bridged: Path, tmp_path: Path, one: Task
) -> None:
    loaded = theirs(bridged, f"codemix_{one.name}", tmp_path / "cache")
    loaded.build_all_requests()
    ours = declared_task(one, ROWS)
    assert [doc["id"] for doc in loaded.eval_docs] == list(ours.ids)
    found = [instance.args for instance in loaded.instances]
    if ours.generations:
        wanted = [(each.context, list(each.stop)) for each in ours.generations]
        assert [(context, how["until"]) for context, how in found] == wanted
        assert {how["max_gen_toks"] for _, how in found} == {5}
        answers: list[Any] = [
            "it is 0",
            "An it is 1",
            "X",
            "It is 3",
            "",
            " caf\u00e9 5",
        ]
    else:
        wanted = [(each.context, each.continuation) for each in ours.likelihoods]
        assert found == wanted
        answers = [(-float(index % 2), False) for index in range(len(found))]
    for instance, answer in zip(loaded.instances, answers, strict=True):
        instance.resps = [answer]
    loaded.apply_filters()
    by_question: dict[int, list[Any]] = {}
    for instance in loaded.instances:
        (filtered,) = instance.filtered_resps.values()
        by_question.setdefault(instance.doc_id, []).append(filtered)
    metric, name = (
        ("exact_match", "exact_match") if ours.generations else ("acc", "accuracy")
    )
    scored = ours.score(answers)
    assert {result.values[name] for result in scored} == {0.0, 1.0}
    for index, doc in enumerate(loaded.eval_docs):
        values = loaded.process_results(doc, by_question[index])
        assert values[metric] == scored[index].values[name]


def test_command_names_model_tasks_and_folder(tmp_path: Path) -> None:
    bridge = write_bridge(
        tmp_path / "with space",
        [PinnedTask(task=TASKS[0], rows=ROWS)],
        exported=tmp_path / "model",
        length=128,
    )
    assert shlex.split(bridge.shell) == list(bridge.command)
    assert bridge.command[:4] == ("lm_eval", "run", "--model", "hf")
    at = bridge.command.index("--model_args") + 1
    assert bridge.command[at : at + 3] == (
        f"pretrained={tmp_path / 'model'}",
        "dtype=float32",
        "max_length=128",
    )
    assert "codemix_plain" in bridge.command
    assert {path.name for path in bridge.files} == {
        "codemix_plain.parquet",
        "codemix_plain.yaml",
    }
    assert all(path.is_file() for path in bridge.files)


def test_bridge_of_the_same_questions_has_the_same_bytes(tmp_path: Path) -> None:
    one = PinnedTask(task=TASKS[3], rows=ROWS)
    first, second = (
        {
            path.name: path.read_bytes()
            for path in write_bridge(
                tmp_path / "bridge", [one], exported=tmp_path, length=128
            ).files
        }
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"program": {"source": "s", "solution": "s", "stop": ["\n"]}},
            r"tasks\.x\.program: .* without a sandbox",
        ),
        ({"reply": {}}, r"tasks\.x\.reply: lm-eval has no judge"),
        (
            {"answer": {**ANSWER, "normalise": ["lower", "articles"]}},
            r"can't compare answers after lower, articles",
        ),
        ({"answer": {**ANSWER, "normalise": ["spaces"]}}, r"after spaces"),
    ],
    ids=["program", "reply", "order", "spaces"],
)
def test_what_lm_eval_can_not_do_is_refused(
    tmp_path: Path, changes: dict[str, Any], what: str
) -> None:
    one = PinnedTask(task=task(choices=None, **changes), rows=ROWS)
    with pytest.raises(InputError, match=what):
        write_bridge(tmp_path / "bridge", [one], exported=tmp_path, length=128)
    assert not (tmp_path / "bridge").exists()
