"""Writing an experiment as a spec file of its own: everything resolved, no `extends`.

An experiment that goes on from a run of the ledger still names it: that is what its
first stages are.
"""

from __future__ import annotations

from pathlib import Path

from specs.atomic import write_atomically
from specs.experiment import Experiment, experiment_digest
from specs.loading import load_experiment
from specs.yaml_writer import yaml_text


def write_resolved(path: Path, experiment: Experiment, about: str) -> None:
    """Write a spec file that holds an experiment; one that does so already is kept.

    Args:
        path: The file; where the experiment goes on from a run, within its workspace.
        experiment: What it will hold.
        about: A line for people, at the top.

    Raises:
        InputError: It can't be read back.
        SpecError: The run that it goes on from is not here any more.
    """
    data = f"# {about}\n{resolved_text(experiment)}".encode()
    if not path.exists() or path.read_bytes() != data:
        write_atomically(path, data)
    digest = experiment_digest(load_experiment(path))
    assert digest == experiment_digest(experiment), f"{path} holds another experiment"


def resolved_text(experiment: Experiment) -> str:
    """Return an experiment as YAML, each value written out."""
    document = experiment.to_json()
    amends = document.pop("amends")
    if amends is not None:
        names = [stage["name"] for stage in document["stages"]]
        kept = names.index(amends["after"]) + 1
        document["stages"] = document["stages"][kept:]
        document = {"codemix": document.pop("codemix"), "extends": amends, **document}
    return yaml_text(document)
