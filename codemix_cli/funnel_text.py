"""What became of documents, as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codemix_cli.output import table
from codemix_cli.wording import counted, in_bytes, scaled

if TYPE_CHECKING:
    from runtime.data_samples import ShownDocument, ShownSteps

SHOWN_LINES = 8
SHOWN_CHARS = 84
"""Of a line of a document."""

Report = dict[str, Any]


def told_stats(report: Report) -> str:
    """Write the funnel of each source, then what is left of all."""
    sources = report["sources"]
    parts = [_funnel(name, source) for name, source in sources.items()]
    if any(not source["read"]["is_exact"] for source in sources.values()):
        parts.append(_estimated(sources))
    return "\n\n".join([*parts, _uses(report)])


def told_samples(source: str, found: ShownSteps) -> str:
    """Write documents of a step."""
    name = found.steps[0] if len(found.steps) == 1 else found.step
    head = f"{source}  {name}\n{_number(found)}, {len(found.shown)} shown"
    is_mixed = len(found.steps) > 1
    shown = [_document(one, is_mixed=is_mixed) for one in found.shown]
    return "\n\n".join([head, *shown])


def _funnel(name: str, source: Report) -> str:
    read = source["read"]
    rows = [
        [name, "documents", "bytes", "tokens", "of read", "of before"],
        ["read", *_amounts(read), "", ""],
        *(
            [step["name"], *_amounts(step), *map(_share, _shares(step))]
            for step in source["steps"]
        ),
    ]
    return table(rows, right=range(1, 6))


def _amounts(step: Report) -> list[str]:
    size, tokens = step["text_bytes"], step["tokens"]
    told = "-" if tokens is None else f"{tokens:,}"
    if not step["is_exact"]:
        told = f"~{scaled(tokens)}"
    documents = f"{step['documents']:,}"
    return [documents, "-" if size is None else in_bytes(size), told]


def _shares(step: Report) -> tuple[float | None, float | None]:
    return step["of_read"], step["of_before"]


def _share(share: float | None) -> str:
    if share is None:
        return "-"
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def _estimated(sources: Report) -> str:
    reads = [source["read"] for source in sources.values()]
    errors = [100 * read["tokens_error"] / max(read["tokens"], 1) for read in reads]
    return (
        "~ estimated: from a sample of texts (standard error of all tokens read at "
        f"most {max(errors):.2g}%), and from the beginning of those above 256 KiB"
    )


def _uses(report: Report) -> str:
    header = ["source", "train tokens", "of all", "held-out", "of the run", "needed"]
    header += ["epochs", "at most"]
    rows = []
    for name, source in report["sources"].items():
        use = source["use"]
        rows.append(
            [
                name,
                f"{use['train_tokens']:,}",
                _share(use["share_of_train_tokens"]),
                f"{use['heldout_tokens']:,}",
                _share(use["share_of_run"]),
                f"{use['tokens_needed']:,}",
                "-" if use["epochs"] is None else f"{use['epochs']:.3f}",
                f"{use['max_epochs']:g}",
            ]
        )
    return table([header, *rows], right=range(1, len(header)))


def _number(found: ShownSteps) -> str:
    if found.steps == ("corrupt",):
        return counted(found.documents, "row") + " without a document"
    read = counted(found.read, "document") + " read"
    is_all = found.documents == found.read
    return read if is_all else f"{found.documents:,} of {read}"


def _document(document: ShownDocument, *, is_mixed: bool) -> str:
    facts = [f"{document.file}:{document.number}"]
    if document.text is not None:
        facts.append(counted(document.text_bytes, "byte"))
    if document.copies > 1:
        facts.append(f"{document.copies:,} copies")
    if is_mixed:
        facts.append(document.step)
    if document.measured is not None:
        facts.append(document.measured)
    return "\n".join(["  ".join(facts), *_lines(document)])


def _lines(document: ShownDocument) -> list[str]:
    if document.text is None:
        return []
    lines = [line.expandtabs(4) for line in document.text.split("\n") if line.strip()]
    told = [
        line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 3]}..."
        for line in lines[:SHOWN_LINES]
    ]
    if len(lines) > SHOWN_LINES or document.is_cut:
        told.append("...")
    return [f"    {line}".rstrip() for line in told]
