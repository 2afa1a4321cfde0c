"""What the model sees at a step, for people: every row with its origin and its text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from runtime.mixture import BatchOrder
from runtime.token_rows import TokenReader
from specs.base import Value


class ShownPiece(Value):
    """A part of a row that comes from one document."""

    file: str
    """Relative to the workspace."""
    number: int
    """Line or row in that file, counted from 1; 1 where the file is the document."""
    first_token: int
    """Where the piece begins, counted in tokens within its document."""
    stop_token: int
    """Where it ends, one past its last token."""
    document_tokens: int
    """Tokens of the whole document, EOS included."""
    text: str
    """The piece, decoded; characters cut in the middle show as U+FFFD."""


class ShownRow(Value):
    """One row of a step."""

    row: int
    lane: int
    source: str
    epoch: int
    """How often the source has been gone through before."""
    start_token: int
    """First token, counted in the source's token store."""
    stop_token: int
    pieces: tuple[ShownPiece, ...]


class Document(Protocol):
    """Where a document is in a store, and where it came from."""

    @property
    def file(self) -> str:
        """Relative to the workspace."""
        ...

    @property
    def number(self) -> int:
        """Line or row in that file, counted from 1."""
        ...

    @property
    def start_token(self) -> int:
        """First token."""
        ...

    @property
    def stop_token(self) -> int:
        """One past the last token, which is EOS."""
        ...


class DocumentReader(TokenReader, Protocol):
    """A split whose tokens lead back to documents."""

    def document_at(self, token: int) -> Document:
        """Return the document that a token belongs to."""
        ...


class Decoder(Protocol):
    """A tokenizer, backwards."""

    @property
    def eos_id(self) -> int:
        """The token that ends every document."""
        ...

    def decode(self, tokens: list[int]) -> str:
        """Join tokens into a text."""
        ...


def show_rows(
    order: BatchOrder,
    stores: Mapping[str, DocumentReader],
    decoder: Decoder,
    *,
    lane_sequences: int,
    rows: Sequence[int] | None = None,
) -> list[ShownRow]:
    """Return the rows of a step as people want to see them.

    Args:
        order: All rows of the step.
        stores: Source name -> its training split.
        decoder: The experiment's tokenizer.
        lane_sequences: Rows per lane.
        rows: Which rows; all if left out.
    """
    shown: list[ShownRow] = []
    for row in range(len(order)) if rows is None else rows:
        source = order.sources[int(order.source_index[row])]
        start = int(order.start_token[row])
        stop = start + order.sequence_length
        shown.append(
            ShownRow(
                row=row,
                lane=row // lane_sequences,
                source=source,
                epoch=int(order.epoch[row]),
                start_token=start,
                stop_token=stop,
                pieces=tuple(_pieces(stores[source], decoder, start, stop)),
            )
        )
    return shown


def _pieces(
    store: DocumentReader, decoder: Decoder, start: int, stop: int
) -> Iterator[ShownPiece]:
    while start < stop:
        document = store.document_at(start)
        piece_stop = min(stop, document.stop_token)
        tokens = store.read(start, piece_stop - start).tolist()
        yield ShownPiece(
            file=document.file,
            number=document.number,
            first_token=start - document.start_token,
            stop_token=piece_stop - document.start_token,
            document_tokens=document.stop_token - document.start_token,
            text=decoder.decode([token for token in tokens if token != decoder.eos_id]),
        )
        start = piece_stop
