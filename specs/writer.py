"""The language of writer files: which model writes problems, and how it is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from specs.base import SpecValue
from specs.endpoint import OF_THE_WAY_THERE, Address
from specs.quantities import Whole
from specs.task import TaskName


class WriterEndpoint(Address):
    """A model that writes, behind an address."""

    max_tokens: Whole = 4096
    """Tokens of its answer at most."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.8
    """Of its sampling; at 0 it would repeat itself."""


class Prices(SpecValue):
    """What a million tokens cost, in the currency of the bill."""

    prompt: Annotated[float, Field(ge=0)]
    """Of what it is asked."""

    completion: Annotated[float, Field(ge=0)]
    """Of what it answers."""


class Writer(SpecValue):
    """Who writes problems."""

    codemix_writer: Literal[1]
    """Version of this language."""

    name: TaskName
    """What the data card calls it."""

    description: str = ""
    """For people."""

    endpoint: WriterEndpoint
    """Where it is asked."""

    prices: Prices | None = None
    """For the cost in the data card; null: tokens are counted, and no cost."""

    def identity(self) -> dict[str, Any]:
        """Return what of this file decides what is asked."""
        fields = self.endpoint.to_json()
        for name in OF_THE_WAY_THERE:
            del fields[name]
        return fields
