"""`codemix validate`: is it a spec, and a sound one?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from codemix_cli.output import Command, Result, table
from codemix_cli.reading import check_evals, read_specs
from codemix_cli.wording import counted, scaled


@click.command(cls=Command, example="codemix validate specs/quickstart.yaml")
@click.argument("spec", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(spec: tuple[Path, ...]) -> Result:
    """Check spec files, every problem in one pass.

    Reads the specs and what they extend, and nothing else: no data, no network. Each
    problem is told with its line, its rule and its fix.
    """
    from specs.resolve import plan_experiment

    read = read_specs(spec)
    check_evals(read)
    found = [
        {
            "file": str(path),
            "name": experiment.name,
            "digest": (plan := plan_experiment(experiment)).spec_digest,
            "stages": len(plan.stages),
            "steps": plan.num_steps,
            "tokens": plan.num_tokens,
        }
        for path, experiment in read
    ]
    return Result(
        data={"experiments": found},
        text=table([_row(one, alone=len(found) == len(spec)) for one in found]),
        next_command=f"codemix plan {spec[0]}" if len(spec) == 1 else None,
    )


def _row(found: dict[str, Any], *, alone: bool) -> list[str]:
    # A file with a matrix has a line per variation, told apart by name.
    return [
        found["file"] if alone else f"{found['file']}  {found['name']}",
        "ok",
        f"digest {found['digest'][:8]}",
        f"{counted(found['stages'], 'stage')}, {counted(found['steps'], 'step')}, "
        f"{scaled(found['tokens'])} tokens",
    ]
