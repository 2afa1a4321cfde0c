"""`codemix ledger tag`."""

from __future__ import annotations

import click

from codemix_cli.entry_text import told_labels
from codemix_cli.output import Command, Result
from codemix_cli.reading import entry_argument, workspace_here


class _Tag(click.ParamType[str]):
    """A tag of the ledger."""

    name = "tag"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Check it."""
        from ledger.labels import TAG_RULE, is_tag

        if not is_tag(value):
            self.fail(f"{value!r}: {TAG_RULE}", param, ctx)
        return value


@click.command(cls=Command, example="codemix ledger tag quickstart best paper/fig-2")
@entry_argument
@click.argument("tags", nargs=-1, required=True, type=_Tag())
@click.option("--remove", is_flag=True, help="Take the tags off.")
def command(entry: str, tags: tuple[str, ...], remove: bool) -> Result:
    """Put tags on an entry, or take them off.

    The entry itself never changes: tags are documents of the ledger that name it. An
    entry is found by a tag that no other has, as in `codemix ledger show @baseline`.
    """
    from ledger.labels import change_tags
    from ledger.store import Ledger

    ledger = Ledger.open(workspace_here())
    digest, labels = change_tags(ledger, entry, tags, remove=remove)
    return Result(
        data={"entry": digest, "tags": list(labels.tags)},
        text=told_labels(digest, labels.tags),
        next_command=f"codemix ledger list --tag {tags[0]}" if not remove else None,
    )
