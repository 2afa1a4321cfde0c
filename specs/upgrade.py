"""Older versions of the spec language, brought up to this one step by step.

A file is upgraded when it is read, before anything else looks at it, so the rest of
codemix knows one version only. Each step is a pure function from a whole document of
one version to the next, and is never changed once a version was released.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from specs.document import Document
from specs.errors import SpecError
from specs.experiment import SPEC_VERSION

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]

UPGRADES: Mapping[int, Upgrade] = {}
"""Version -> the function that takes a document of it to the next version."""


def upgraded(document: Document) -> Document:
    """Bring a document to the current version; one without a version is left alone.

    Values keep their lines as long as an upgrade leaves them where they were.

    Raises:
        SpecError: The version is newer than this codemix, or too old.
    """
    value = document.value
    version = value.get("codemix")
    if type(version) is not int:
        return document
    oldest = min(UPGRADES, default=SPEC_VERSION)
    if not oldest <= version <= SPEC_VERSION:
        known = f"version {SPEC_VERSION}"
        if oldest < SPEC_VERSION:
            known = f"versions {oldest} to {SPEC_VERSION}"
        newer = version > SPEC_VERSION
        what = f"version {version} of the spec language, this codemix reads {known}"
        fix = f"write the spec in version {SPEC_VERSION}"
        fix = f"update codemix, or {fix}" if newer else fix
        raise SpecError(document.problem(("codemix",), what, fix))
    while version < SPEC_VERSION:
        value = {**UPGRADES[version](value), "codemix": version + 1}
        version += 1
    return Document(value, document.marks)
