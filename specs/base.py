"""The base of every value that crosses a border between packages."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from specs.canonical import canonical_json, digest_of


class Value(BaseModel):
    """A frozen, typed, JSON-serialisable value with a digest."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
        populate_by_name=True,
    )

    def to_json(self) -> dict[str, Any]:
        """Return the value as plain JSON types."""
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """Return the canonical JSON of the value."""
        return canonical_json(self.to_json())

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON, 64 hex digits."""
        return digest_of(self.to_json())


class SpecValue(Value):
    """A value of the spec language, where nothing is converted: "3" is no number."""

    # Only the key `not` is in the language, not Python's way to write it.
    model_config = ConfigDict(strict=True, populate_by_name=False)
