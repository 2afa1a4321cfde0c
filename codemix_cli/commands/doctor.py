"""`codemix doctor`: what is here, and what is missing to run a spec."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from codemix_cli.output import Command, Result, table


@click.command(cls=Command, example="codemix doctor specs/quickstart.yaml")
@click.argument("spec", type=click.Path(path_type=Path), required=False)
@click.option("--devices", is_flag=True, help="Start jax and name its devices.")
def command(spec: Path | None, devices: bool) -> Result:
    """Say what is here, and what is missing to run a spec.

    Looks at versions, variables, memory, disk, the compile cache, the sandbox, and
    whether DVC and MLflow can be reached; with a spec also at devices, and at whether
    its lanes, its memory, its checkpoints and its sources fit this machine. Put what it
    prints into every report of a bug.
    """
    from runtime.doctor import examine

    findings = examine(Path.cwd(), spec=spec, devices=devices)
    rows = []
    for one in findings:
        fix = f"  fix: {one.fix}" if one.fix else ""
        rows.append([one.name, "ok" if one.ok else "BAD", one.found + fix])
    return Result(
        data={"findings": [dataclasses.asdict(one) for one in findings]},
        text=table(rows),
        ok=all(one.ok for one in findings),
    )
