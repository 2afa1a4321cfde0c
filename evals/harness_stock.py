"""Tasks that lm-evaluation-harness defines, on questions that are pinned here.

Of a stock task its definition is taken: prompt, choices, filters, metrics. Where it
gets its data is left out: the rows are handed in. A definition has no digest of its own
and may change without a new version, so it is pinned by the bytes of its files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment

from evals.harness import AskedTask
from evals.harness_library import (
    configured_task,
    quiet,
    stock_config,
    stock_files,
)
from evals.rendering import Row
from evals.selection import asked_rows
from specs.canonical import digest_of
from specs.errors import InputError, SpecError
from specs.names import did_you_mean
from specs.task import Task, TaskData
from specs.task_ways import Stock

ROW = "codemix_row"
"""Added to each row, to find it again after lm-eval's own processing."""

_TEMPLATES = ("doc_to_text", "doc_to_choice", "doc_to_target")
_INCLUDE = re.compile(r"^include:\s*[\"']?([^\"'#\n]+?)[\"']?\s*$", re.MULTILINE)
_FUNCTION = re.compile(r"!function\s+[\"']?([\w./-]+)\.\w+")


@dataclass(frozen=True, kw_only=True)
class StockTask:
    """A definition of lm-eval."""

    name: str
    path: Path
    files: Mapping[str, str]
    """Each file it is made of, from the folder of the first -> SHA-256 of its bytes."""
    config: Mapping[str, Any]
    """As its files have it; functions by name."""

    @property
    def digest(self) -> str:
        """Digest over the bytes of its files, wherever they are installed."""
        return digest_of(dict(self.files))

    @property
    def functions(self) -> tuple[str, ...]:
        """What of it is code, so that the fields it needs can't be known."""
        keys = (*_TEMPLATES, "process_docs", "process_results")
        return tuple(key for key in keys if _is_function(self.config.get(key)))

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that its templates name, sorted; functions may need more."""
        found: set[str] = set()
        for key in _TEMPLATES:
            template = self.config.get(key)
            if isinstance(template, str) and not _is_function(template):
                found |= _names_in(template)
        return tuple(sorted(found))


def stock_task(name: str) -> StockTask:
    """Look a definition up.

    Args:
        name: What lm-eval calls it.

    Raises:
        SpecError: There is none of that name, or it can't be asked here.
    """
    path = stock_files().get(name)
    if path is None:
        fix = did_you_mean(name, sorted(stock_files()))
        raise SpecError(f"lm-eval defines no task {name!r}", fix=fix)
    return read_stock_task(name, path)


def with_definition(task: Task) -> Task:
    """Pin the definition of lm-eval that a task takes its questions' form from.

    Raises:
        SpecError: It is not the one that the task declares.
    """
    assert task.lm_eval is not None
    stock = stock_task(task.lm_eval.task)
    if task.lm_eval.sha256 not in (None, stock.digest):
        raise SpecError(
            f"lm-eval's definition of {stock.name} that is installed has the digest "
            f"{stock.digest}, the task declares {task.lm_eval.sha256}",
            path=f"tasks.{task.name}.lm_eval.sha256",
            fix="install the lm-eval that it was declared with, or declare this digest "
            "and raise the task's version",
        )
    pinned = task.lm_eval.model_copy(update={"sha256": stock.digest})
    return task.model_copy(update={"lm_eval": pinned})


def task_of(stock: StockTask) -> Task:
    """Declare a definition as a task, where the definition alone says enough.

    Its questions lie in `benchmarks/lm-eval/NAME.jsonl`, in the form of its data set.

    Raises:
        SpecError: Parts of it are code, so the fields that it reads are unknown.
    """
    if stock.functions:
        raise SpecError(
            f"lm-eval's task {stock.name!r} computes {', '.join(stock.functions)} in "
            "code, so its name does not tell which fields of a row it reads",
            fix="write a task file with lm_eval and data.fields; see docs/tasks.md",
        )
    config = stock.config
    split = config.get("test_split") or config.get("validation_split") or "unnamed"
    parts = [config.get("dataset_path"), config.get("dataset_name"), split]
    is_choice = config.get("output_type") == "multiple_choice"
    return Task(
        codemix_task=1,
        name=re.sub(r"[^a-z0-9_-]", "_", f"lm_eval_{stock.name.lower()}")[:64],
        version=1,
        data=TaskData(
            file=f"benchmarks/lm-eval/{stock.name}.jsonl",
            published=" ".join(str(part) for part in parts if part),
            split=str(split),
            licence="that of the data set; lm-eval's definition does not say",
            fields=stock.fields,
        ),
        lm_eval=Stock(
            task=stock.name, score="accuracy" if is_choice else "exact_match"
        ),
    )


def read_stock_task(name: str, path: Path) -> StockTask:
    """Read a definition from its file; as `stock_task`."""
    config = stock_config(path, with_functions=False)
    kind = config.get("output_type", "generate_until")
    what = None
    if config.get("unsafe_code"):
        what = "runs generated code without a sandbox"
    elif kind == "loglikelihood_rolling":
        what = "measures perplexity of documents, which the suite heldout does"
    elif "class" in config:
        what = "is a program of its own, not a definition"
    elif (config.get("generation_kwargs") or {}).get("do_sample"):
        what = "draws its answers"
    elif config.get("num_fewshot") and not _has_fixed_shots(config):
        what = f"takes {config['num_fewshot']} examples from data that is not pinned"
    if what is not None:
        fix = "declare a task of your own for it; see docs/tasks.md"
        raise SpecError(f"lm-eval's task {name!r} {what}", fix=fix)
    files = {
        Path(os.path.relpath(one, path.parent)).as_posix(): _sha256(one)
        for one in sorted(set(_files_of(path)))
    }
    return StockTask(name=name, path=path, files=files, config=config)


def asked_stock_task(
    stock: StockTask, rows: Sequence[Row], *, limit: int | None = None
) -> AskedTask:
    """Make what a definition asks of pinned rows.

    Args:
        stock: The definition. Its functions are imported, and run.
        rows: All questions, in the form of the data set that it was written for.
        limit: Questions asked at most, chosen as for declared tasks.

    Raises:
        InputError: It does not work on these rows.
    """
    config = stock_config(stock.path, with_functions=True)
    for key in ("tag", "group", "dataset_path", "dataset_name", "test_split"):
        config.pop(key, None)
    numbered = [{**row, ROW: index} for index, row in enumerate(rows)]
    try:
        harness = configured_task({**config, "task": stock.name}, numbered)
        with quiet():
            docs = list(harness.eval_docs)
            chosen = [docs[index] for index in asked_rows(len(docs), limit)]
            return AskedTask(
                harness,
                ids=[doc[ROW] for doc in chosen],
                docs=chosen,
                clusters=[None] * len(chosen),
            )
    # Its code may fail in any way on rows of another form.
    except Exception as error:  # noqa: BLE001
        what = f"lm-eval's task {stock.name!r} does not work on these rows"
        needs = ", ".join(stock.fields) or "other fields"
        raise InputError(
            f"{what}: {type(error).__name__}: {error}",
            fix=f"give rows as its data set has them, with {needs}",
        ) from None


def _files_of(path: Path) -> Iterator[Path]:
    """Yield a definition, what it includes, and the modules beside them."""
    text = path.read_text("utf-8")
    yield path
    yield from path.parent.glob("*.py")
    for module in _FUNCTION.findall(text):
        yield (path.parent / f"{module}.py").resolve()
    for included in _INCLUDE.findall(text):
        yield from _files_of((path.parent / included).resolve())


def _is_function(value: Any) -> bool:
    """Whether a value of a definition is the name of a function, as it is read here."""
    if not isinstance(value, str) or not os.path.isabs(value):
        return False
    return Path(value.rpartition(".")[0] + ".py").is_file()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _has_fixed_shots(config: Mapping[str, Any]) -> bool:
    shots = config.get("fewshot_config") or {}
    return isinstance(shots, Mapping) and isinstance(shots.get("samples"), list)


def _names_in(template: str) -> set[str]:
    if template.isidentifier():
        return {template}
    try:
        return meta.find_undeclared_variables(SandboxedEnvironment().parse(template))
    except TemplateError:
        return set()
