"""Starts a program on a node with Slurm's notices held back until it can take them.

    python -P -S -m runtime.study.slurm_start ARGUMENTS OF PYTHON...

A notice ends a process that has no handler for it. submitit has one once it is loaded,
which takes seconds on a busy file system; a signal that is blocked waits, and what is
blocked stays so in the program that a process becomes. `RunJob` lets it through.
"""

import os
import signal
import sys

NOTICES = (signal.SIGUSR1, signal.SIGUSR2)
"""What submitit has Slurm send before a job's end; its users may choose which."""

if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, NOTICES)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
