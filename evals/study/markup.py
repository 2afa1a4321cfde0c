"""Pieces of a page's markup: tables, links to entries, numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from evals.study.tables import DIGEST_CHARS

MINUS = "\N{MINUS SIGN}"
"""As wide as a plus, and read aloud, which a hyphen often is not."""


class Markup(str):
    """Text that is markup already."""


def number(text: str) -> str:
    """Return a number with signs as in print."""
    return text.replace("-", MINUS)


def anchor(digest: str) -> Markup:
    """Return a digest as the place that others link to."""
    short = digest[:DIGEST_CHARS]
    return Markup(f'<code id="e-{short}" title="{digest}">{short}</code>')


def link(digest: str) -> Markup:
    """Return a digest that links to its place."""
    short = digest[:DIGEST_CHARS]
    return Markup(f'<a href="#e-{short}"><code>{short}</code></a>')


def figure(name: str, caption: str, svg: str) -> Markup:
    """Return a figure, named by its caption; a caption alone is no name to browsers.

    Args:
        name: Unique in the page.
        caption: Text, or markup.
        svg: What is drawn.
    """
    told = caption if isinstance(caption, Markup) else escape(caption)
    return Markup(
        f'<figure aria-labelledby="{name}"><figcaption id="{name}">{told}</figcaption>'
        f"{svg}</figure>"
    )


def table(
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str,
    *,
    kind: str = "",
    row_marks: Mapping[int, str] | None = None,
) -> Markup:
    """Return a table; the first cell of a row names it.

    Args:
        name: Unique in the page.
        header: Of the columns.
        rows: Text, or markup.
        caption: Says what is shown.
        kind: Classes of the table.
        row_marks: Index of a row -> its attributes.
    """
    marks = row_marks or {}
    head = "".join(
        f'<th scope="col" role="columnheader">{escape(one)}</th>' for one in header
    )
    lines = "".join(
        f'<tr role="row"{marks.get(index, "")}>{"".join(_cells(row, header))}</tr>'
        for index, row in enumerate(rows)
    )
    # Reached by the keyboard, since it may have to be scrolled. Roles are written out:
    # where a narrow screen stacks cells, a browser may take them for no table.
    return Markup(
        '<div class="wide" tabindex="0" role="region" '
        f'aria-labelledby="{name}-caption">'
        f'<table role="table" class="{kind}">'
        f'<caption id="{name}-caption"><span>{escape(caption)}</span></caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{lines}</tbody></table></div>'
    )


def _cells(row: Sequence[str], header: Sequence[str]) -> Iterator[str]:
    for index, one in enumerate(row):
        content = one if isinstance(one, Markup) else escape(one)
        if index:
            label = escape(header[index])
            yield f'<td role="cell" data-label="{label}">{content}</td>'
        else:
            yield f'<th scope="row" role="rowheader">{content}</th>'
