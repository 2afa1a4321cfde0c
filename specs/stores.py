"""Where token stores lie, if not in the workspace."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from specs.base import SpecValue
from specs.quantities import Count
from specs.rules import broken, shown

_BUCKET = re.compile(r"^(s3|gs)://[^/\s]+(/\S*)?$")


class Stores(SpecValue):
    """A place that many machines share their token stores by. Changes no digest."""

    location: Annotated[str, Field(examples=["s3://bucket/stores"])]
    """`s3://` or `gs://`, a bucket and a path. `prepare` keeps finished stores there
    instead of in the workspace, and training reads them in place."""

    cache_bytes: Annotated[Count, Field(examples=["200G"])] = 50_000_000_000
    """Most bytes of tokens that a run keeps on this machine's disk."""

    @model_validator(mode="after")
    def _is_in_a_bucket(self) -> Self:
        if not _BUCKET.match(self.location):
            raise broken(
                f"must be s3:// or gs:// with a bucket, got {shown(self.location)}",
                "write for instance s3://bucket/stores; without `stores` they lie in "
                "the workspace",
                "location",
            )
        return self
