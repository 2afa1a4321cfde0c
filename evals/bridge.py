"""The same questions for stock lm-evaluation-harness, so that anybody can check scores.

Questions are written as they are asked, examples and all, with a definition per task
that only names their fields. So what lm-eval itself does with templates, few-shot
sampling and data sets plays no part; how it encodes, scores and compares, does. The
questions are parquet files: of JSON it would read texts that look like dates as dates.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.harness import AskedTask, declared_task
from evals.harness_form import NAMES
from evals.pinned_tasks import PinnedTask
from evals.rendering import Row, rendered_accepted, rendered_choices
from specs.atomic import write_atomically
from specs.errors import InputError, Problem
from specs.task import Task

PREFIX = "codemix_"
"""Before the name of each task, as lm-eval has tasks of the same names."""

ARTICLES = r"\b(?:The |the |An |A |a |an )"
"""What the step `articles` takes out, in lm-eval's terms."""

_BATCH_SIZE = 16


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """What was written."""

    files: tuple[Path, ...]
    command: tuple[str, ...]
    """Runs stock lm-eval on it."""

    @property
    def shell(self) -> str:
        """The command as one types it."""
        return shlex.join(self.command)


def write_bridge(
    folder: Path, tasks: Sequence[PinnedTask], *, exported: Path, length: int
) -> Bridge:
    """Write definitions and questions for `lm_eval --include_path`.

    Args:
        folder: Where; files of the same names are replaced.
        tasks: What is asked.
        exported: The model, from `codemix export`.
        length: Most tokens that it sees at once: those of the stage that its weights
            end, where another may have had more.

    Raises:
        InputError: A task can't be said in lm-eval's terms.
    """
    if problems := [one for each in tasks for one in _problems(each.task)]:
        raise InputError(problems)
    folder = folder.resolve()
    files = []
    for one in tasks:
        name = PREFIX + one.task.name
        data, definition = folder / f"{name}.parquet", folder / f"{name}.yaml"
        write_atomically(data, _parquet(_questions(one)))
        # JSON is YAML, and leaves nothing to the reader's types.
        text = json.dumps(_definition(one.task, data), indent=1)
        write_atomically(definition, f"{text}\n".encode("ascii"))
        files += [data, definition]
    names = ",".join(PREFIX + one.task.name for one in tasks)
    command = [
        *("lm_eval", "run", "--model", "hf"),
        *("--model_args", f"pretrained={exported.resolve()}"),
        *("dtype=float32", f"max_length={length}"),
        *("--include_path", str(folder), "--tasks", names),
        *("--batch_size", str(_BATCH_SIZE)),
        *("--log_samples", "--output_path", str(folder / "results")),
    ]
    return Bridge(files=tuple(files), command=tuple(command))


def _problems(task: Task) -> list[Problem]:
    """Say what of a task lm-eval has no words for."""
    found: list[tuple[str, str, str]] = []
    if task.program is not None:
        what = "lm-eval would run generated code without a sandbox"
        found.append(("program", what, "leave the task out"))
    if task.reply is not None:
        found.append(("reply", "lm-eval has no judge", "leave the task out"))
    if task.lm_eval is not None:
        what = "is lm-eval's own definition"
        fix = f"leave the task out, and ask lm-eval for {task.lm_eval.task}"
        found.append(("lm_eval", what, fix))
    steps = () if task.answer is None else task.answer.normalise
    if "spaces" in steps or "articles" in steps[1:]:
        what = f"lm-eval can't compare answers after {', '.join(steps)}"
        fix = "leave the task out; articles first, then lower and punctuation, can be"
        found.append(("answer.normalise", what, fix))
    return [
        Problem(path=f"tasks.{task.name}.{path}", what=what, fix=fix)
        for path, what, fix in found
    ]


def _parquet(questions: list[dict[str, Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(questions), sink)
    return bytes(sink.getvalue())


def _questions(bridged: PinnedTask) -> list[dict[str, Any]]:
    task = bridged.task
    asked = declared_task(task, bridged.rows, shots=bridged.shots)
    rows = [bridged.rows[int(one)] for one in asked.ids]
    if task.choices is None:
        return [
            {
                "id": asked.ids[one.question],
                "context": one.context,
                "accepted": list(rendered_accepted(task, rows[one.question])),
            }
            for one in asked.generations
        ]
    return [
        {"id": id_, **_choices(task, asked, index, rows[index])}
        for index, id_ in enumerate(asked.ids)
    ]


def _choices(task: Task, asked: AskedTask, index: int, row: Row) -> dict[str, Any]:
    assert task.choices is not None
    found = rendered_choices(task, row)
    contexts = [one.context for one in asked.of_question(index)]
    if task.choices.contexts is None:
        return {
            "context": contexts[0],
            "choices": list(found.texts),
            "right": found.right,
        }
    return {"contexts": contexts, "rest": found.texts[0], "right": found.right}


def _definition(task: Task, data: Path) -> dict[str, Any]:
    definition: dict[str, Any] = {
        "task": PREFIX + task.name,
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {"questions": str(data)}},
        "validation_split": "questions",
        "metadata": {"version": task.version, "data": task.data.sha256},
    }
    if task.choices is None:
        return definition | _generating(task)
    has_contexts = task.choices.contexts is not None
    metrics = ["acc"] if has_contexts else list(NAMES)
    return definition | {
        "output_type": "multiple_choice",
        "doc_to_text": "right" if has_contexts else "context",
        "doc_to_choice": "contexts" if has_contexts else "choices",
        "doc_to_target": "rest" if has_contexts else "right",
        "target_delimiter": task.choices.delimiter,
        "metric_list": [_mean(metric) for metric in metrics],
    }


def _generating(task: Task) -> dict[str, Any]:
    assert task.answer is not None
    steps = task.answer.normalise
    metric = _mean("exact_match") | {
        "ignore_case": "lower" in steps,
        "ignore_punctuation": "punctuation" in steps,
    }
    if "articles" in steps:
        metric["regexes_to_ignore"] = [ARTICLES]
    filters = [{"function": "remove_whitespace"}, {"function": "take_first"}]
    return {
        "output_type": "generate_until",
        "doc_to_text": "context",
        "doc_to_target": "accepted",
        "generation_kwargs": {
            "until": list(task.answer.stop),
            "max_gen_toks": task.answer.max_tokens,
            "do_sample": False,
        },
        "filter_list": [{"name": "answer", "filter": filters}],
        "metric_list": [metric],
    }


def _mean(metric: str) -> dict[str, Any]:
    return {"metric": metric, "aggregation": "mean", "higher_is_better": True}
