"""`codemix ledger list`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from codemix_cli.list_text import listed_json, told_list
from codemix_cli.output import Command, Result
from codemix_cli.progress import open_meter
from codemix_cli.reading import workspace_here
from specs.errors import InputError

SILENT_DOCUMENTS = 200
"""Reading so many takes no time worth a bar."""


WHEN = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])


class _Where(click.ParamType[object]):
    """A condition, see `ledger.conditions`."""

    name = "condition"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Parse it."""
        from ledger.conditions import parse_condition

        try:
            return parse_condition(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


@click.command(
    cls=Command,
    example="codemix ledger list --where 'spec.seed = 17' --columns digest,name,loss",
)
@click.option("--name", "names", multiple=True, metavar="GLOB", help="Such as 'ab*'.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="All that are given.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["run", "replay", "evaluation", "annotation", "attestation"]),
    help="Runs and replays by default.",
)
@click.option("--status", multiple=True, metavar="STATUS", help="How a run ended.")
@click.option("--grade", multiple=True, metavar="GRADE", help="Of a replay.")
@click.option("--since", type=WHEN, metavar="DATE", help="In UTC, this included.")
@click.option("--until", type=WHEN, metavar="DATE", help="In UTC, this excluded.")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    type=_Where(),
    metavar="CONDITION",
    help="Such as 'heldout/text.loss < 4.5'; all that are given.",
)
@click.option("--columns", metavar="A,B,C", help="Instead of the usual ones.")
@click.option("--sort", metavar="COLUMN", help="Instead of the order of arrival.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="The last ones to arrive, or the first ones if sorted.",
)
def command(
    names: tuple[str, ...],
    tags: tuple[str, ...],
    kinds: tuple[str, ...],
    status: tuple[str, ...],
    grade: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    conditions: tuple[object, ...],
    columns: str | None,
    sort: str | None,
    reverse: bool,
    limit: int | None,
) -> Result:
    """List the entries, in order of arrival.

    Columns are digest, name, kind, recorded, result, steps, seconds, seed, weights, of,
    identity, evaluations, tags and note; any last metric or score (loss,
    heldout/text.loss); any place in the resolved spec (spec.model.width). Conditions
    compare them with a value by < <= = != >= or >.
    """
    from ledger.listing import USUAL_KINDS, Question, list_entries

    question = Question(
        names=names,
        tags=tags,
        kinds=kinds or USUAL_KINDS,
        results=(*status, *grade),
        since_ms=_unix_ms(since),
        until_ms=_unix_ms(until),
        conditions=conditions,  # type: ignore[arg-type]
        columns=tuple(filter(None, map(str.strip, (columns or "").split(",")))),
        sort=sort,
        reverse=reverse,
        limit=limit,
    )
    folder = workspace_here() / ".codemix" / "ledger"
    with open_meter() as meter:

        def progress(done: int, total: int) -> None:
            if total >= SILENT_DOCUMENTS:
                meter.show("index", done, total, "of the ledger, once")

        found = list_entries(folder, question, progress)
    is_json = click.get_current_context().meta["codemix.json"]
    is_asked = question != Question()
    nothing = "no entry is like that" if is_asked else "no entries yet"
    return Result(
        # Thousands of them, and only one kind of reader.
        data={"entries": [listed_json(one) for one in found] if is_json else []},
        text=told_list(found, question.columns) if found else nothing,
        next_command=(
            f"codemix ledger show {found[-1].row.digest[:12]}" if found else None
        ),
    )


def _unix_ms(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)
