"""The data part of a spec: sources, their filters, the tokenizer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from specs.base import SpecValue
from specs.filters import Filter
from specs.quantities import Count, Location, Locations, Share
from specs.readers import NotebookReader, Reader
from specs.rules import broken

Scalar = str | int | float | bool
Scalars = Annotated[list[Scalar], Field(json_schema_extra={"minItems": 1})]
MAX_NAME = 64
"""Characters."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=MAX_NAME)]
"""A name in a spec: lower-case letters, digits and underscores."""


def check_weight(value: Any) -> Any:
    """Say of a zero what to do instead."""
    if value == 0 and not isinstance(value, bool):
        raise broken("must be above 0, got 0", "leave out what gets nothing")
    return value


def check_weights(weights: dict[str, float]) -> dict[str, float]:
    """Refuse a mixture of nothing."""
    if not weights:
        raise broken("must name at least one source", "write {SOURCE: WEIGHT, ...}")
    return weights


Weight = Annotated[float, Field(gt=0), BeforeValidator(check_weight)]
Weights = Annotated[
    dict[Name, Weight],
    AfterValidator(check_weights),
    Field(json_schema_extra={"minProperties": 1}, examples=[{"text": 50, "code": 50}]),
]
"""Source or mixture name -> weight: its share of tokens, relative to the others."""


class Not(SpecValue):
    """A condition turned round."""

    not_: Annotated[Scalar | Scalars, Field(alias="not")]
    """Documents with this value, or one of these values, are left out."""


def check_condition(value: Any) -> Any:
    """Refuse what no condition of `where` can be, in one message."""
    wanted = value
    if isinstance(value, dict) and list(value) == ["not"]:
        wanted = value["not"]
    elif isinstance(value, Not):
        wanted = value.not_
    values = wanted if isinstance(wanted, list) else [wanted]
    if values and all(isinstance(one, (str, int, float, bool)) for one in values):
        return value
    raise broken(
        "must be a value, a list of values, or {not: ...}",
        "write for instance python, [python, java] or {not: python}",
    )


Condition = Annotated[Scalar | Scalars | Not, BeforeValidator(check_condition)]
"""What another field of a document must be."""


def _is_absent(value: Any) -> bool:
    """Tell a key that came later than version 1: left out where it says nothing."""
    return value is None


class Subsets(SpecValue):
    """Parts of a source by the value of a field, each a source with a weight.

    The source `web` with the values `python` and `c#` becomes the sources `web_python`
    and `web_csharp`, and a mixture of them that is called `web`.
    """

    field: Annotated[str, Field(min_length=1, examples=["lang"])]
    """Column or key that tells the parts; `a.b` is the field b within a."""

    weights: Annotated[
        dict[str, Weight],
        AfterValidator(check_weights),
        Field(json_schema_extra={"minProperties": 1}),
        Field(examples=[{"python": 20, "java": 15}]),
    ]
    """Value -> its share of the source's tokens, relative to the others. Documents with
    other values are left out."""


class Source(SpecValue):
    """One body of documents."""

    uri: Annotated[Locations, Field(examples=["data/*.jsonl.zst"])]
    """A file, a directory or a glob relative to the workspace; an http(s) address; or a
    file or glob under hf://datasets/ORG/NAME@REVISION/, s3://BUCKET/ or gs://BUCKET/;
    or a list of these, each file in one of them."""

    format: Literal["auto", "text", "jsonl", "parquet", "arrow", "notebook"] = "auto"
    """`auto` goes by the file name: .jsonl (.gz, .zst) one document a line, .parquet
    and .arrow one document a row, .ipynb a notebook; prose, markup and source code such
    as .txt .md .html .json .py .java are text (a file is a document)."""

    field: Annotated[str, Field(min_length=1)] = "text"
    """Column or key that holds the document; unused by the formats `text` and
    `notebook`, and by readers that have columns of their own."""

    reader: Annotated[
        Reader | None,
        Field(exclude_if=_is_absent, examples=[{"kind": "commit"}]),
    ] = None
    """How a row with parts becomes one text; null: the text is the field alone. Files
    of the format `notebook` are read by {kind: notebook} without being told."""

    where: Annotated[
        dict[str, Condition],
        Field(examples=[{"lang": ["python", "java"], "licence": {"not": "none"}}]),
    ] = {}
    """Only documents whose other fields have this value, or one of these values; `a.b`
    is the field b within a."""

    filters: Annotated[
        tuple[Filter, ...],
        Field(strict=False, examples=[[{"filter": "length", "min_chars": 200}]]),
    ] = ()
    """Applied in order; the first that objects drops the document."""

    holdout: Annotated[Share, Field(examples=["0.1%"])] = 0.001
    """Share of documents never trained on, chosen by the hash of their text."""

    max_epochs: Annotated[float, Field(gt=0)] = 1.0
    """Most times the source may be gone through; more is refused by `plan`."""

    on_corrupt: Literal["error", "skip"] = "error"
    """What to do with a line or row that can't be read; `skip` counts them."""

    subsets: Annotated[Subsets | None, Field(exclude_if=_is_absent)] = None
    """Parts with weights of their own; null: the source is one. Written out as sources
    and a mixture in the resolved spec."""

    pinned_as: Annotated[Name | None, Field(exclude_if=_is_absent)] = None
    """The source that this is a subset of, whose files it shares: set by `subsets`,
    never written in a file."""

    def inputs(self, name: str) -> dict[str, str]:
        """Return the keys of the source's inputs in a lock, and where each is.

        Args:
            name: Of the source.
        """
        key = f"sources.{self.pinned_as or name}"
        if isinstance(self.uri, str):
            return {key: self.uri}
        return {f"{key}.{index}": uri for index, uri in enumerate(self.uri)}

    @model_validator(mode="after")
    def _text_has_no_fields(self) -> Self:
        if self.format in ("text", "notebook") and self.where:
            what = f"documents of the format {self.format} have no fields to go by"
            raise broken(what, "delete it, or use another format", "where")
        for index, rule in enumerate(self.filters):
            if self.format in ("text", "notebook") and rule.filter == "top_values":
                what = f"documents of the format {self.format} have no fields to count"
                raise broken(what, "delete it", "filters", index)
        return self

    @model_validator(mode="after")
    def _reader_has_what_it_reads(self) -> Self:
        reader = self.reader
        if reader is None:
            return self
        reads_one_text = isinstance(reader, NotebookReader) and reader.rows == "ipynb"
        if self.format in ("text", "notebook") and not reads_one_text:
            what = f"needs columns, and the format {self.format} has none"
            raise broken(what, "set 'format' to jsonl, parquet or arrow", "reader")
        if self.field != "text" and not reads_one_text:
            what = f"is not used by a reader of kind {reader.kind}, got {self.field!r}"
            raise broken(what, "delete it, or the reader", "field")
        return self


class TokenizerTraining(SpecValue):
    """How to train a SentencePiece BPE tokenizer with byte fallback."""

    mixture: Weights
    """Sources or mixtures to sample from; weights are shares of bytes."""

    sample_bytes: Annotated[Count, Field(examples=["10M"])] = 10_000_000
    """Bytes of text to learn from, taken from the training split."""


def _one_origin_in_schema(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema what `_one_origin` does."""
    schema["oneOf"] = [
        {"properties": {"file": {"type": "string"}}, "required": ["file"]},
        {"properties": {"train": {"type": "object"}}, "required": ["train"]},
    ]


class Tokenizer(SpecValue):
    """A SentencePiece model: loaded from a file, or trained."""

    model_config = ConfigDict(json_schema_extra=_one_origin_in_schema)

    vocab_size: Annotated[int, Field(ge=300, lt=2**31, examples=[32000])]
    """Pieces, the 256 byte pieces included; also the rows of the embedding table."""

    file: Annotated[Location, Field(examples=["tokenizers/bpe.model"])] | None = None
    """A SentencePiece `.model` file, relative to the workspace or http(s)."""

    train: TokenizerTraining | None = None
    """Train one instead."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.file is None) == (self.train is None):
            given = "neither" if self.file is None else "both"
            raise broken(
                f"must have exactly one of 'file' and 'train', got {given}",
                "name a file to load, or train one with {mixture: {SOURCE: WEIGHT}}",
            )
        return self
