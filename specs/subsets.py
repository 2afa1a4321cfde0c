"""`subsets:`, one body of files as several sources with weights.

A source `web` with `subsets: {field: lang, weights: {python: 20, c#: 8}}` is written
out before anything else looks at it: as the sources `web_python` and `web_csharp`, each
with one more condition in its `where`, and the mixture `web` of them. They share the
files, which are pinned once, as `sources.web`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from specs.data import MAX_NAME, Subsets
from specs.document import Document
from specs.errors import Problem
from specs.names import mapping
from specs.rules import Broken, Place, shown

_SPOKEN = {"+": "p", "#": "sharp"}
_OWN_SOURCE = "give it a source of its own, with `where`"


@dataclass(frozen=True)
class _Divided:
    """A source that has subsets."""

    name: str
    source: dict[str, Any]
    field: str
    weights: dict[str, float]

    def parts(self) -> dict[str, str]:
        """Return value -> the name of its source."""
        return {value: part_name(self.name, value) for value in self.weights}

    def source_of(self, value: str) -> dict[str, Any]:
        """Return the source of one value."""
        kept = {key: one for key, one in self.source.items() if key != "subsets"}
        where = {**mapping(kept.get("where")), self.field: value}
        return {**kept, "where": where, "pinned_as": self.name}


def part_name(source: str, value: str) -> str:
    """Return the name of the source of one value.

    >>> part_name("web", "c-sharp"), part_name("web", "C++"), part_name("web", "c#")
    ('web_c_sharp', 'web_cpp', 'web_csharp')
    """
    spoken = "".join(_SPOKEN.get(one, one) for one in value.lower())
    return f"{source}_{re.sub('[^a-z0-9]+', '_', spoken).strip('_')}"


def with_subsets(document: Document) -> tuple[Document, list[Problem]]:
    """Write out the subsets of all sources.

    Returns:
        The document without `subsets`, whose problems are still told by what the file
        writes; and what is wrong with subsets. Those of a wrong shape are left as they
        are, for the validation of everything else to tell.
    """
    problems: list[Problem] = []
    for divided in list(_divided(document)):
        rules = list(_broken(divided, document))
        problems += [
            document.problem(rule.place, rule.what, rule.fix) for rule in rules
        ]
        document = _plain(document, divided) if rules else _written(document, divided)
    return document, problems


def _divided(document: Document) -> Iterator[_Divided]:
    for name, source in mapping(document.value.get("sources")).items():
        if not isinstance(source, dict) or source.get("subsets") is None:
            continue
        # What is wrong with these is told elsewhere.
        if not isinstance(source.get("where", {}), dict):
            continue
        if name in mapping(document.value.get("mixtures")):
            continue
        try:
            subsets = Subsets.model_validate(source["subsets"])
        except ValidationError:
            continue
        yield _Divided(name, source, subsets.field, dict(source["subsets"]["weights"]))


def _broken(divided: _Divided, document: Document) -> Iterator[Broken]:
    """Yield what keeps the subsets of a source from being written out."""
    place: Place = ("sources", divided.name, "subsets")
    field = divided.field
    if field in mapping(divided.source.get("where")):
        what = f"the condition on {shown(field)} is that of the subsets"
        yield Broken(what, "delete it", ("sources", divided.name, "where", field))
    for index, rule in enumerate(divided.source.get("filters") or ()):
        if (mapping(rule).get("filter"), mapping(rule).get("field")) == (
            "top_values",
            field,
        ):
            what = f"each subset has one value of {shown(field)} only"
            where = ("sources", divided.name, "filters", index)
            yield Broken(what, "delete the filter, or the subsets", where)
    taken = {
        name: f"the {group.removesuffix('s')} {name!r}"
        for group in ("sources", "mixtures")
        for name in mapping(document.value.get(group))
    }
    for value, name in divided.parts().items():
        wrong = None
        if name == f"{divided.name}_":
            wrong = f"{shown(value)} makes no name of a source: no letter or digit"
        elif len(name) > MAX_NAME:
            wrong = f"makes a name of more than {MAX_NAME} characters: {name}"
        elif name in taken:
            wrong = f"{shown(value)} would be called {name!r} like {taken[name]}"
        taken[name] = f"the subset {shown(value)}"
        if wrong is not None:
            yield Broken(wrong, _OWN_SOURCE, (*place, "weights", value))


def _plain(document: Document, divided: _Divided) -> Document:
    """Return the document as if the source had no subsets."""
    source = {key: one for key, one in divided.source.items() if key != "subsets"}
    sources = {**document.value["sources"], divided.name: source}
    return replace(document, value={**document.value, "sources": sources})


def _written(document: Document, divided: _Divided) -> Document:
    """Return the document with the subsets of one source written out."""
    parts = divided.parts()
    sources: dict[str, Any] = {}
    for name, source in document.value["sources"].items():
        if name == divided.name:
            sources |= {parts[value]: divided.source_of(value) for value in parts}
        else:
            sources[name] = source
    mixture = {parts[value]: weight for value, weight in divided.weights.items()}
    mixtures = {**mapping(document.value.get("mixtures")), divided.name: mixture}
    value = {**document.value, "sources": sources, "mixtures": mixtures}
    return _with_deduplicated(
        replace(
            document,
            value=value,
            origins={**document.origins, **_origins(divided, parts)},
        ),
        divided.name,
        list(parts.values()),
    )


def _origins(divided: _Divided, parts: dict[str, str]) -> dict[Place, Place]:
    """Return place in the written-out document -> where the file has it."""
    source: Place = ("sources", divided.name)
    subsets: Place = (*source, "subsets")
    origins: dict[Place, Place] = {("mixtures", divided.name): source}
    for value, name in parts.items():
        weight = (*subsets, "weights", value)
        origins[("sources", name)] = source
        origins[("sources", name, "where", divided.field)] = weight
        origins[("mixtures", divided.name, name)] = weight
        if "where" not in divided.source:
            origins[("sources", name, "where")] = subsets
    return origins


def _with_deduplicated(document: Document, name: str, parts: list[str]) -> Document:
    """Put the subsets where the list of what is deduplicated names their source."""
    declared = document.value.get("deduplicate")
    listed = declared.get("sources") if isinstance(declared, dict) else None
    if not isinstance(declared, dict) or not isinstance(listed, list):
        return document
    place: Place = ("deduplicate", "sources")
    found: list[Any] = []
    origins: dict[Place, Place] = {}
    for index, one in enumerate(listed):
        for part in parts if one == name else [one]:
            origins[(*place, len(found))] = document.written((*place, index))
            found.append(part)
    value = {**document.value, "deduplicate": {**declared, "sources": found}}
    return replace(document, value=value, origins={**document.origins, **origins})
