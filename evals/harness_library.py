"""The one file that imports lm-evaluation-harness, and what is taken of it.

It is used as a library, behind declarations that are pinned: it puts solved examples
and a question together, says which continuations are compared, filters and scores
answers, and has definitions of tasks. Its data sets, caches, clocks and models are left
out. Importing it takes seconds, so nothing does until it is called.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_TASK_NAME = re.compile(rb"^task:[ \t]*[\"']?([A-Za-z0-9_.+-]+)[\"']?[ \t]*\r?$", re.M)


def harness_facts() -> dict[str, str]:
    """Return what of the library can change a number and stands in no declaration."""
    return {"lm_eval": importlib.metadata.version("lm_eval")}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's remarks about its own defaults off the terminal."""
    logger = logging.getLogger("lm_eval")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def configured_task(
    config: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> Any:
    """Build a task of the library from its configuration, on rows of ours.

    Args:
        config: Names no data set; its scored split is ignored.
        rows: All questions.

    Returns:
        A `ConfigurableTask`, with `questions` as the only split.
    """
    from datasets import Dataset, disable_progress_bars
    from lm_eval.api.task import ConfigurableTask

    disable_progress_bars()
    data = {"questions": Dataset.from_list([dict(row) for row in rows])}
    splits = {"training_split": None, "validation_split": "questions"}
    with quiet():
        return ConfigurableTask(
            config={
                **config,
                **splits,
                "test_split": None,
                "fewshot_split": None,
                "custom_dataset": lambda **_: data,
                "dataset_kwargs": None,
            }
        )


def sampler_of(choose: Callable[[Any, int], list[Any]]) -> type:
    """Return a class by which the library takes solved examples.

    Args:
        choose: Question, number -> examples.
    """
    from lm_eval.api.samplers import ContextSampler

    class Chosen(ContextSampler):  # type: ignore[misc]
        def sample(self, n: int, eval_doc: Any = None, **_: Any) -> list[Any]:
            return choose(eval_doc, n)

    return Chosen


@functools.cache
def stock_files() -> Mapping[str, Path]:
    """Return the name of each task that the library defines -> its YAML file.

    Its own index parses all of 14,000 files first, which takes half a minute.
    """
    import lm_eval.tasks

    found: dict[str, Path] = {}
    for path in sorted(Path(lm_eval.tasks.__file__).parent.glob("**/*.yaml")):
        # A group has a list there; of equal names the library takes the first.
        if match := _TASK_NAME.search(path.read_bytes()):
            found.setdefault(match[1].decode(), path)
    return found


def stock_config(path: Path, *, with_functions: bool) -> dict[str, Any]:
    """Read a definition with all that it includes.

    Args:
        path: Its file.
        with_functions: Import the functions that it names, which runs their modules.
    """
    from lm_eval.tasks._yaml_loader import load_yaml

    with quiet():
        return dict(load_yaml(path, resolve_func=with_functions))
