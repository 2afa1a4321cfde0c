"""`codemix schema`: the spec language for editors and other programs."""

from __future__ import annotations

import json

import click

from codemix_cli.output import Command, Result


@click.command(cls=Command, example="codemix schema > experiment.schema.json")
@click.argument(
    "language", type=click.Choice(["experiment", "study"]), default="experiment"
)
def command(language: str) -> Result:
    """Print the JSON Schema of the spec language.

    An editor that is given it completes keys and marks mistakes; another program can
    check what it writes. The rules between fields are those of `codemix validate`. With
    `study` it is that of a study.yaml.
    """
    from specs.schema import schema_path, study_schema_path

    path = study_schema_path() if language == "study" else schema_path()
    text = path.read_text("utf-8")
    return Result(data={"schema": json.loads(text)}, text=text.rstrip("\n"))
