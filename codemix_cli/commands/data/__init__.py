"""`codemix data`: one file per command here too."""

from __future__ import annotations

import click

from codemix_cli.main import LazyGroup

COMMANDS = {
    "stats": "Tell what every condition and filter dropped, and what is left.",
    "sample": "Show documents of a source that were dropped by a step, or kept.",
    "synth": "Make verified Python problems with solutions and tests.",
    "write": "Let a model write Python problems, and verify them.",
}


@click.group(cls=LazyGroup, table=COMMANDS, folder=__name__)
def command() -> None:
    """Look at the data of a spec, and make data sets.

    Of a prepared spec: how many documents each filter dropped, and which. What `synth`
    makes depends on a seed and nothing else, so that anybody can make the same bytes
    again.
    """
