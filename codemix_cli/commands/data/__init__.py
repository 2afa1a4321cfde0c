"""`codemix data`: one file per command here too."""

from __future__ import annotations

import click

from codemix_cli.main import LazyGroup

COMMANDS = {
    "synth": "Make verified Python problems with solutions and tests.",
    "write": "Let a model write Python problems, and verify them.",
}


@click.group(cls=LazyGroup, table=COMMANDS, folder=__name__)
def command() -> None:
    """Make data sets that a spec can name as sources.

    What is made depends on a seed and nothing else, so that anybody can make the same
    bytes again.
    """
