"""`codemix completion`: what teaches a shell to complete."""

from __future__ import annotations

import click

from codemix_cli.output import Command, Result

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command, example="codemix completion bash >> ~/.bashrc")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> Result:
    """Print what teaches a shell to complete what is typed.

    Commands, options, names and digests of entries, by the tab key. Add it to what the
    shell reads at its start: `~/.bashrc`, `~/.zshrc` after `compinit`, or
    `~/.config/fish/completions/codemix.fish`.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ctx.find_root().command, {}, "codemix", "_CODEMIX_COMPLETE").source()
    return Result(data={"shell": shell, "script": script}, text=script.strip())
