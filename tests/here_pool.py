"""Workers' jobs without worker processes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from runtime.workers import Done, Failed
from specs.errors import InputError


class HerePool:
    """Does the jobs in this process; starting one takes longer than a small scan."""

    def __init__(self, module: str, **_: object):
        self._handle = importlib.import_module(module).load()

    def __enter__(self) -> HerePool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, jobs: Sequence[Any]) -> Iterator[Done | Failed]:
        for index, job in enumerate(jobs):
            try:
                yield Done(index, self._handle(job, lambda _: None))
            except InputError as error:
                yield Failed(index, error.problems)
