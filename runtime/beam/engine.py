"""Jobs done by Apache Beam, seen from the process that wants them done.

The pipeline is launched by a process of its own, `runtime.beam.pipeline`, with an
interpreter of its own: Beam needs other versions of packages than we do. An interrupt
ends all of it. Jobs and answers are files of a folder that all machines share; a job
whose answer is there was done, however often a runner tries it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from runtime.workers import CODE_FOLDER, Done, Event, Failed
from specs.atomic import write_atomically
from specs.errors import InputError, Problem

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_CANCEL = 10.0
_LOG_TAIL_BYTES = 2000

REQUIREMENT = "apache-beam==2.77.0"
"""What its environment is made of."""

LOG = "log"
"""What Beam says; locked for as long as the pipeline is being run."""

FAILURE = "failure.json"
"""What made the pipeline fail, if it is known."""


def beam_python() -> Path:
    """Return the interpreter of Beam's environment, inside of ours."""
    return Path(sys.prefix) / "beam" / "bin" / "python"


@dataclass(frozen=True)
class BeamEngine:
    """A runner of Beam's, with its options."""

    workspace: Path
    """Every machine sees it under this path."""
    runner: str = "DirectRunner"
    options: tuple[str, ...] = ()
    """As on the command line of a pipeline, without the dashes: `name=value`."""

    def open(
        self, module: str, *, num_workers: int, environ: Mapping[str, str]
    ) -> BeamWorkers:
        """Return who launches a pipeline for each list of jobs.

        Raises:
            InputError: Beam is not installed.
        """
        interpreter = beam_python()
        if not interpreter.is_file():
            raise InputError(
                f"Apache Beam is not installed: there is no {interpreter}",
                fix=f"python3 -m venv {interpreter.parents[1]}, then "
                f"{interpreter} -m pip install '{REQUIREMENT}'; "
                "in a checkout: make setup-beam",
            )
        config = {
            "module": module,
            "environ": dict(environ),
            "python": sys.executable,
            "runner": self.runner,
            "num_workers": num_workers,
            "flags": [f"--{option}" for option in self.options],
        }
        return BeamWorkers(self.workspace / ".codemix" / "beam", config)


class BeamWorkers:
    """Launches pipelines, one after the other."""

    def __init__(self, folder: Path, config: Mapping[str, Any]):
        """Take what a pipeline needs to know.

        Args:
            folder: For jobs and answers, shared.
            config: What `runtime.beam.pipeline` reads.
        """
        self._parent = folder
        self._config = config

    def __enter__(self) -> Self:
        """Return itself; nothing runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: what `run` started has ended with it."""

    def run(self, jobs: Sequence[Any]) -> Iterator[Event]:
        """Do jobs and yield what happens, in the order in which it is seen.

        Raises:
            InputError: The pipeline could not be run.
            RuntimeError: A handler crashed; with its traceback.
        """
        if not jobs:
            return
        _sweep(self._parent)
        folder = self._parent / secrets.token_hex(8)
        for place, job in enumerate(jobs):
            write_atomically(folder / "jobs" / f"{place}.json", _encoded(job))
        config = {**self._config, "folder": str(folder), "num_jobs": len(jobs)}
        write_atomically(folder / "config.json", _encoded(config))
        (folder / "answers").mkdir()
        try:
            with _Launched(folder) as pipeline:
                yield from _events(folder, len(jobs), pipeline)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Launched:
    """The process that launches a pipeline and waits for its end."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._log = (folder / LOG).open("wb")
        # Until the last process that writes to it has ended, whoever dies first.
        fcntl.flock(self._log, fcntl.LOCK_EX)
        path = os.pathsep.join(filter(None, (str(CODE_FOLDER), _python_path())))
        # By reference, not as `__main__`: workers import what is in the pipeline.
        main = "from runtime.beam.pipeline import main; main()"
        self._process = subprocess.Popen(
            [beam_python(), "-P", "-c", main, str(folder / "config.json")],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": path},
            # With a group of its own, whatever it starts can be ended with it.
            process_group=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            # It then asks the runner to cancel; see `runtime.beam.pipeline`.
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS_TO_CANCEL)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def failure(self) -> Exception | None:
        """Return what to raise where the pipeline failed."""
        if self._process.wait() == 0:
            return None
        with suppress(FileNotFoundError):
            known = json.loads((self._folder / FAILURE).read_bytes())
            if "problems" in known:
                return InputError([Problem(**fields) for fields in known["problems"]])
            return RuntimeError(known["crash"])
        tail = (self._folder / LOG).read_bytes()[-_LOG_TAIL_BYTES:]
        text = tail.decode("utf-8", "replace").strip()
        return InputError(
            f"the pipeline failed; the end of what Beam said:\n{text}",
            fix="run the same command again: what is done is kept",
        )


def _sweep(parent: Path) -> None:
    """Delete what killed launchers left."""
    for log in parent.glob(f"*/{LOG}"):
        with suppress(OSError), log.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(log.parent, ignore_errors=True)


def _events(folder: Path, num_jobs: int, pipeline: _Launched) -> Iterator[Event]:
    seen: set[int] = set()
    while True:
        # Asked first, so that no answer can come between the last look and this.
        has_ended = pipeline.has_ended
        for place in sorted(_answered(folder) - seen):
            seen.add(place)
            yield _event(place, (folder / "answers" / f"{place}.json").read_bytes())
        if len(seen) == num_jobs:
            return
        if has_ended:
            left = num_jobs - len(seen)
            failure = pipeline.failure()
            raise failure or InputError(
                f"the pipeline ended without an answer to {left:,} of {num_jobs:,} "
                "jobs",
                file=str(folder.parent),
                fix="let every machine see the workspace under the same path",
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _answered(folder: Path) -> set[int]:
    names = os.listdir(folder / "answers")
    # Those of unfinished writes are hidden.
    return {int(name.removesuffix(".json")) for name in names if name[0] != "."}


def _event(place: int, raw: bytes) -> Event:
    value = json.loads(raw)
    if "problems" in value:
        return Failed(place, tuple(Problem(**fields) for fields in value["problems"]))
    return Done(place, value["answer"])


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def _python_path() -> str | None:
    return os.environ.get("PYTHONPATH")
