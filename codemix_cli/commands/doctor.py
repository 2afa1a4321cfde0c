"""`codemix doctor`: what is installed here, and what is wrong with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from codemix_cli.output import Command, Result, table


@click.command(cls=Command, example="codemix doctor --devices")
@click.option("--devices", is_flag=True, help="Start jax and name its devices.")
def command(devices: bool) -> Result:
    """Say what is installed here, and what is wrong with it.

    Looks at versions, at the workspace of the current folder and at its disk. Put what
    it prints into every report of a bug.
    """
    from runtime.doctor import examine

    findings = examine(Path.cwd(), devices=devices)
    rows = []
    for one in findings:
        fix = f"  fix: {one.fix}" if one.fix else ""
        rows.append([one.name, "ok" if one.ok else "BAD", one.found + fix])
    return Result(
        data={"findings": [dataclasses.asdict(one) for one in findings]},
        text=table(rows),
        ok=all(one.ok for one in findings),
    )
