"""Benchmark tasks asked of models without weights: what is asked, what is scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eval_fakes import EOS, ByteCodec

from evals.benchmarks import PreparedBenchmarks, prepare_benchmarks
from evals.results import result_in
from evals.scores import Score
from evals.statistics.asked import Refusal, first_difference
from ledger.task_results import task_result_problems
from runtime.scoring import Continuation, ContinuationLosses, Prompt, Sampling
from specs.benchmarks import Asked, Benchmarks
from specs.errors import InputError
from specs.task import Task

COLOURS = [
    {"thing": "sky", "right": 0, "page": "a"},
    {"thing": "grass", "right": 1, "page": "a"},
    {"thing": "sea", "right": 0, "page": "b"},
    {"thing": "leaf", "right": 1, "page": "c"},
]
CAPITALS = [
    {"land": "France", "capitals": ["Paris"]},
    {"land": "Bolivia", "capitals": ["Sucre", "La Paz"]},
]
SUMS = [{"name": "add", "sign": "+"}, {"name": "sub", "sign": "-"}]


def task(name: str, fields: list[str], **way: Any) -> Task:
    return Task.model_validate(
        {
            "codemix_task": 1,
            "name": name,
            "version": 1,
            "data": {
                "file": f"benchmarks/{name}.jsonl",
                "split": "test",
                "licence": "CC0-1.0",
                "fields": fields,
            },
            **way,
        }
    )


COLOUR = task(
    "colour",
    ["thing", "right", "page"],
    prompt="Colour of {{ thing }}:",
    choices={"texts": ["blue", "green"], "right": "{{ right }}"},
    chance=0.5,
    cluster="page",
)
CAPITAL = task(
    "capital",
    ["land", "capitals"],
    prompt="Capital of {{ land }}:",
    answer={"accepted": "{{ capitals }}", "stop": ["\n"], "normalise": ["lower"]},
)
SUM = task(
    "sum",
    ["name", "sign"],
    prompt="def {{ name }}(a, b):",
    program={
        "source": "def {{ name }}(a, b):{{ completion }}\n"
        "assert {{ name }}(5, 3) == 5 {{ sign }} 3\n",
        "solution": " return a {{ sign }} b",
        "stop": ["\ndef"],
        "max_tokens": 32,
        "samples": 2,
        "k": [1, 2],
    },
)


@dataclass
class Parrot:
    """A model that says what it was taught; every other continuation costs more."""

    says: dict[str, str]
    length: int = 256
    rows: int = 1
    eos_id: int = EOS
    asked: list[Prompt] = field(default_factory=list)

    def losses(self, tokens: Any) -> Any:
        raise AssertionError("no window is scored")

    def continuations(
        self, requests: Sequence[Continuation]
    ) -> list[ContinuationLosses]:
        return [self._cost(one) for one in requests]

    def _cost(self, request: Continuation) -> ContinuationLosses:
        is_known = self.says[text(request.context)] == text(request.tokens)
        count = len(request.tokens)
        losses = np.full(count, 0.5 if is_known else 2.0, np.float32)
        return ContinuationLosses(losses=losses, is_greedy=np.full(count, is_known))

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        sampling: Sampling,
        is_done: Callable[[Sequence[int]], bool],
    ) -> list[tuple[int, ...]]:
        self.asked += prompts
        said = [self.says[text(one.tokens)] for one in prompts]
        return [tuple(ByteCodec().encode(one)) for one in said]


def text(tokens: Sequence[int]) -> str:
    assert tokens[0] == EOS or EOS not in tokens
    return ByteCodec().decode([one for one in tokens if one != EOS])


def prepared(
    folder: Path, pairs: list[tuple[Task, list[dict[str, Any]]]], *asked: Asked
) -> PreparedBenchmarks:
    files = {}
    for one, rows in pairs:
        path = folder / f"{one.name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files[f"tasks.{one.name}"] = path
    benchmarks = Benchmarks(tasks={one.name: one for one, _ in pairs}, asked=asked)
    return prepare_benchmarks(benchmarks, files, ByteCodec(), length=256)


def asked(item: int, suite: str | None, *tasks: str) -> Asked:
    return Asked(item=item, suite=suite, version=1, tasks=tasks)


def by_suite(scores: list[Score]) -> dict[str, dict[str, float]]:
    return {score.suite: score.values for score in scores}


KNOWS = Parrot(
    says={
        "Colour of sky:": " blue",
        "Colour of grass:": " green",
        "Colour of sea:": " green",
        "Colour of leaf:": " green",
        "Capital of France:": " paris\nCapital of Peru: Lima",
        "Capital of Bolivia:": " Santa Cruz",
        "def add(a, b):": " return a + b\ndef more(): pass",
        "def sub(a, b):": " return a + b",
    }
)


def test_choices_are_scored_with_their_errors_and_averaged(tmp_path: Path):
    tasks = prepared(
        tmp_path,
        [(COLOUR, COLOURS), (CAPITAL, CAPITALS)],
        asked(0, "both", "colour", "capital"),
    )
    scores = by_suite(tasks.score(KNOWS, [0]))
    assert scores["colour"]["accuracy"] == 0.75
    # Two questions of one page count as one cluster.
    assert scores["colour"]["accuracy_standard_error"] != pytest.approx(
        (0.75 * 0.25 / 3) ** 0.5
    )
    assert scores["capital"]["exact_match"] == 0.5
    assert scores["both"]["average"] == (0.75 + 0.5) / 2
    assert scores["both"]["above_chance"] == (0.5 + 0.5) / 2


def test_only_what_is_due_is_asked(tmp_path: Path):
    tasks = prepared(
        tmp_path,
        [(COLOUR, COLOURS), (CAPITAL, CAPITALS)],
        asked(0, None, "colour"),
        asked(2, "quick", "capital"),
    )
    assert list(by_suite(tasks.score(KNOWS, [0, 1]))) == ["colour"]
    assert list(by_suite(tasks.score(KNOWS, [2]))) == ["capital", "quick"]
    assert tasks.score(KNOWS, [1]) == []


def test_the_detail_of_a_score_gives_the_score(tmp_path: Path):
    tasks = prepared(tmp_path, [(COLOUR, COLOURS)], asked(0, None, "colour"))
    (score,) = tasks.score(KNOWS, [0])
    values = {name: repr(value) for name, value in score.values.items()}
    problems = task_result_problems(
        score.detail,
        task="colour",
        fingerprint=score.detail["fingerprint"],
        values=values,
    )
    assert list(problems) == []
    assert score.detail["prompts_cut"] == 0
    assert score.detail["how"]["harness"].keys() == {"lm_eval"}


def test_results_say_how_they_were_asked(tmp_path: Path):
    def difference(one: Task, length: int) -> Refusal | None:
        details = [
            prepared(tmp_path, [(each, COLOURS)], asked(0, None, "colour"))
            .score(Parrot(says=KNOWS.says, length=each_length), [0])[0]
            .detail
            for each, each_length in ((COLOUR, 256), (one, length))
        ]
        was, now = map(result_in, details)
        return first_difference(was, now, (details[0]["asked"], details[1]["asked"]))

    # Of another version it may be any question; in other shapes it is the same one.
    other = difference(COLOUR.model_copy(update={"version": 2}), 256)
    assert other is not None
    assert (other.field, other.was, other.now) == ("version", "1", "2")
    assert difference(COLOUR, 128) is None


def test_programs_run_once_per_sample_and_give_pass_at_k(tmp_path: Path):
    model = Parrot(says=KNOWS.says)
    tasks = prepared(tmp_path, [(SUM, SUMS)], asked(0, "code", "sum"))
    scores = by_suite(tasks.score(model, [0]))
    assert scores["sum"]["pass@1"] == scores["sum"]["pass@2"] == 0.5
    assert [prompt.name for prompt in model.asked] == ["0 0", "0 1", "1 0", "1 1"]


def fingerprint(folder: Path, one: Task, rows: list[dict[str, Any]]) -> str:
    tasks = prepared(folder, [(one, rows)], asked(0, None, one.name))
    return tasks.tasks[one.name].fingerprint(256)


def test_the_fingerprint_sees_all_that_can_change_a_number(tmp_path: Path):
    before = fingerprint(tmp_path, COLOUR, COLOURS)
    assert fingerprint(tmp_path, COLOUR, COLOURS) == before
    changed = [
        COLOUR.model_copy(update={"prompt": "Colour of a {{ thing }}:"}),
        COLOUR.model_copy(update={"version": 2}),
        COLOUR.model_copy(update={"limit": 2}),
    ]
    found = {fingerprint(tmp_path, one, COLOURS) for one in changed}
    found.add(fingerprint(tmp_path, COLOUR, COLOURS[::-1]))
    tasks = prepared(tmp_path, [(COLOUR, COLOURS)], asked(0, None, "colour"))
    found.add(tasks.tasks["colour"].fingerprint(128))
    assert len(found | {before}) == 6


def test_choices_that_the_model_can_not_see_are_refused_once_per_task(tmp_path: Path):
    long = COLOUR.model_copy(
        update={"prompt": "{{ thing }}", "name": "long"},
    )
    rows = [{**row, "thing": "x"} for row in COLOURS]
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    benchmarks = Benchmarks(tasks={"long": long}, asked=(asked(0, None, "long"),))
    with pytest.raises(InputError, match="4 of 4 questions") as caught:
        prepare_benchmarks(benchmarks, {"tasks.long": path}, ByteCodec(), length=4)
    assert len(caught.value.problems) == 1


def test_answers_that_leave_no_room_for_a_prompt_are_refused(tmp_path: Path):
    path = tmp_path / "capital.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in CAPITALS))
    benchmarks = Benchmarks(tasks={"capital": CAPITAL})
    files = {"tasks.capital": path}
    with pytest.raises(InputError, match="answers may have 32 tokens") as caught:
        prepare_benchmarks(benchmarks, files, ByteCodec(), length=32)
    assert caught.value.problems[0].path == "tasks.capital"


def test_what_is_wrong_with_a_row_is_told_with_its_task(tmp_path: Path):
    wrong = COLOUR.model_copy(update={"name": "wrong"})
    wrong = wrong.model_copy(
        update={"choices": COLOUR.choices.model_copy(update={"right": "7"})}
    )
    with pytest.raises(InputError, match="must render to an index") as caught:
        prepared(tmp_path, [(wrong, COLOURS)], asked(0, None, "wrong"))
    assert caught.value.problems[0].path == "tasks.wrong.choices.right"
