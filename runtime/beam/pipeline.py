"""The pipeline: jobs, dealt out anew, each done by a worker process; loads Beam.

It runs in Beam's environment, which has none of our packages. A worker of Beam's may
run several threads; each has a process of `runtime.workers` of its own in our
environment, the very one that does the jobs where there is no Beam.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import create_runner

from runtime.beam.engine import FAILURE
from runtime.workers import Done, Failed, WorkerPool
from specs.atomic import write_atomically
from specs.errors import CodemixError, InputError


class DoJob(beam.DoFn):  # type: ignore[misc]
    """Does a job and writes its answer, unless that is there already."""

    def __init__(self, config: dict[str, Any]):
        """Take where jobs and answers lie, and who does them."""
        self._folder = config["folder"]
        self._module = config["module"]
        self._environ = config["environ"]
        self._python = config["python"]

    def setup(self) -> None:
        """Start the process."""
        self._pool = WorkerPool(
            self._module, num_workers=1, environ=self._environ, python=self._python
        )

    def process(self, place: int) -> Iterator[int]:
        """Do the job at a place of the list."""
        folder = Path(self._folder)
        answer = folder / "answers" / f"{place}.json"
        if not answer.exists():
            try:
                value = self._answer((folder / "jobs" / f"{place}.json").read_bytes())
            except (CodemixError, RuntimeError) as error:
                # The runner may try again elsewhere; if it gives up, this is why.
                write_atomically(folder / FAILURE, _encoded(_described(error)))
                raise
            write_atomically(answer, _encoded(value))
        yield place

    def teardown(self) -> None:
        """End the process."""
        self._pool.__exit__()

    def _answer(self, job: bytes) -> dict[str, Any]:
        for event in self._pool.run([json.loads(job)]):
            if isinstance(event, Failed):
                return {"problems": [asdict(one) for one in event.problems]}
            if isinstance(event, Done):
                return {"answer": event.answer}
        raise AssertionError("a job ends with an answer or a problem")


def main() -> NoReturn:
    """Run the pipeline of a file and end with it, or with the process that asked."""
    config = json.loads(Path(sys.argv[1]).read_bytes())
    launched: list[Any] = []
    threading.Thread(target=_watch_parent, args=(launched,), daemon=True).start()
    try:
        _run(config, launched)
    except CodemixError as error:
        failure = Path(config["folder"]) / FAILURE
        write_atomically(failure, _encoded(_described(error)))
        sys.exit(1)
    # Beam's servers have threads that nobody waits for.
    sys.stdout.flush()
    os._exit(0)


def _run(config: dict[str, Any], launched: list[Any]) -> None:
    pipeline = beam.Pipeline(_runner(config["runner"]), _options(config))
    (
        pipeline
        | "places" >> beam.Create(range(config["num_jobs"]))
        | "deal out" >> beam.Reshuffle()
        | config["module"].rpartition(".")[2] >> beam.ParDo(DoJob(config))
    )
    result = pipeline.run()
    launched.append(result)
    result.wait_until_finish()


def _runner(name: str) -> Any:
    try:
        return create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        what = str(error).splitlines()[0]
        raise InputError(
            f"Beam has no runner {name!r}: {what}",
            fix="name one of Beam's, such as DirectRunner, FlinkRunner, DataflowRunner",
        ) from None


def _options(config: dict[str, Any]) -> PipelineOptions:
    """Return the options of the user, and for this machine those that it needs.

    Raises:
        InputError: Beam does not know one.
    """
    flags = [f"--runner={config['runner']}"]
    if config["runner"].lower() in ("direct", "directrunner"):
        flags += [
            "--direct_running_mode=multi_processing",
            f"--direct_num_workers={config['num_workers']}",
            # Keeps it from Prism, a program that it would download first.
            "--allow_unsafe_triggers",
        ]
    known = beam.options.pipeline_options._BeamArgumentParser(allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(known)
    try:
        _, unknown = known.parse_known_args(config["flags"])
    except SystemExit:
        unknown = config["flags"]
    if unknown:
        names = ", ".join(flag.removeprefix("--") for flag in unknown)
        raise InputError(
            f"Beam does not take: {names}",
            fix="write its pipeline options as name=value, such as "
            "flink_master=localhost:8081",
        )
    # The last of two counts.
    return PipelineOptions([*flags, *config["flags"]])


def _watch_parent(launched: list[Any]) -> None:
    """End everything when the parent closes the pipe, or dies."""
    sys.stdin.read()
    for result in launched:
        with suppress(Exception):
            result.cancel()
    os.killpg(0, signal.SIGKILL)


def _described(error: Exception) -> dict[str, Any]:
    if isinstance(error, CodemixError):
        return {"problems": [asdict(problem) for problem in error.problems]}
    return {"crash": str(error) or traceback.format_exc()}


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()
