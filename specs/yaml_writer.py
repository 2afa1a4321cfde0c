"""Plain values as YAML: the same values, the same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

_LONG_LINE = 10_000
"""Lines are not folded."""


def yaml_text(document: Mapping[str, Any]) -> str:
    """Return a document as YAML, its keys in their order, one value a line."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = _LONG_LINE
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    # The same list in two places is written twice.
    yaml.representer.ignore_aliases = lambda _: True
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()
