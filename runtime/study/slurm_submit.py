"""Hands jobs to Slurm, through submitit."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runtime.study.processes import python_path
from runtime.study.slurm_job import RunJob
from runtime.study.slurm_options import OPTION, SlurmOptions
from specs.errors import InputError, Problem

_MANY = 10**6
"""Times that a job may come to its limit and go on; each one takes it further."""

_START = "runtime.study.slurm_start"
"""Starts submitit there; without `site`, so that there are few moments before it."""

_PROGRAMS = ("sbatch", "scancel", "squeue", "srun")


class Submitter:
    """Submits jobs to the cluster that this machine belongs to."""

    def __init__(self, options: SlurmOptions) -> None:
        """Take what is said of the cluster.

        Raises:
            InputError: submitit or Slurm is not installed here.
        """
        problems = []
        if find_spec("submitit") is None:
            fix = "install it: pip install 'codemix[slurm]'"
            problems.append(Problem(what="submitit is not installed", fix=fix))
        missing = [name for name in _PROGRAMS if shutil.which(name) is None]
        if missing:
            what = f"Slurm is not installed here: no {', '.join(missing)}"
            fix = "run it where jobs are submitted: on a login node of the cluster"
            problems.append(Problem(what=what, fix=fix))
        if problems:
            raise InputError(problems)
        self.options = options

    def submit(
        self,
        name: str,
        command: Sequence[str],
        comment: str,
        after: Sequence[str],
        folder: Path,
    ) -> str:
        """Submit a command; return Slurm's number of it.

        Args:
            name: What it is called in the queue.
            command: What is run.
            comment: What it is found by.
            after: Numbers of the jobs that have to end well before.
            folder: For its script and its log.

        Raises:
            InputError: Slurm refuses it.
        """
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError

        executor = SlurmExecutor(
            folder=folder,
            max_num_timeout=_MANY,
            # A workspace may hold folders of the same names as our packages.
            python=f"{shlex.quote(sys.executable)} -P -S -m {_START} -P",
        )
        # A cluster may have it that jobs don't go back into the queue.
        extra: dict[str, Any] = {"requeue": True, **self.options.parameters}
        if after:
            extra["dependency"] = "afterok:" + ":".join(after)
            extra["kill-on-invalid-dep"] = "yes"
        executor.update_parameters(
            job_name=name,
            time=self.options.minutes,
            comment=comment,
            stderr_to_stdout=True,
            # A job that comes back adds to its log.
            srun_args=["--open-mode=append"],
            setup=[f"export PYTHONPATH={shlex.quote(python_path())}"],
            additional_parameters=extra,
        )
        try:
            return str(executor.submit(RunJob(command)).job_id)
        except FailedJobError as error:
            told = str(error).strip().splitlines()
            what = f"Slurm refuses {name}: {told[-1] if told else 'no reason given'}"
            fix = f"correct {OPTION}; its names are sbatch's long options"
            raise InputError(what, fix=fix) from None


def log_of(folder: Path, id: str) -> Path:
    """Return the file that the output of a job's first task goes to."""
    return folder / f"{id}_0_log.out"
