"""codemix, where a test decides at which step a run is held.

A test asks for it with `hold`. The run that has recorded the step then goes no further:
it says so, and waits until it is asked to stop, or is killed. Each is asked for once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

MOST_SECONDS = 1500


def program(folder: Path) -> tuple[str, ...]:
    """Return what starts it, in place of codemix; holds are asked for in the folder."""
    return (sys.executable, "-P", __file__, str(folder))


def hold(folder: Path, name: str, step: int) -> None:
    """Ask that a run of the spec `name` be held once it has recorded a step."""
    _asked(folder, name, step).touch()


def held(folder: Path, name: str, step: int) -> int | None:
    """Return the process of the run that has come there, and waits or did."""
    path = _held(_asked(folder, name, step))
    return int(path.read_text()) if path.exists() else None


def _asked(folder: Path, name: str, step: int) -> Path:
    return folder / f"{name}-{step}.asked"


def _held(asked: Path) -> Path:
    return asked.with_suffix(".held")


def _main(folder: Path, arguments: list[str]) -> None:
    from codemix_cli.main import cli
    from ledger.recorder import StepRecord
    from ledger.run_recorder import RunRecorder

    names = [Path(one).stem for one in arguments if one.endswith(".yaml")]
    record_step = RunRecorder.step

    def step(recorder: RunRecorder, record: StepRecord) -> None:
        record_step(recorder, record)
        for name in names:
            asked = _asked(folder, name, record.step)
            if asked.exists():
                asked.write_text(str(os.getpid()))
                asked.rename(_held(asked))
                _wait_to_be_stopped()

    RunRecorder.step = step  # type: ignore[method-assign]
    cli(arguments, prog_name="codemix")


def _wait_to_be_stopped() -> None:
    """Wait until the run has taken note of a SIGTERM: it listens to no second one."""
    deadline = time.monotonic() + MOST_SECONDS
    while signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        assert time.monotonic() < deadline, "nobody has stopped this run"
        time.sleep(0.02)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2:])
