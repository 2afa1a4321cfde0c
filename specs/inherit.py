"""`extends:`, one spec built on another.

Mappings are merged key by key at every depth; anything else, lists too, is replaced.
A mixture is one value, for its weights mean nothing without each other, and so is
`model` where the file names a preset. A null takes away an inherited source, mixture
or matrix. What a file is called, and its version, are its own. The first of a chain may
go on from a run of the ledger instead; see `specs.amend`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from specs.amend import after_prefix, continued, files_never_write
from specs.document import Document
from specs.errors import InputError, SpecError
from specs.names import did_you_mean, mapping
from specs.rules import Place, shown
from specs.upgrade import upgraded
from specs.yaml_reader import read_document

MAX_FILES = 16
"""Files in a chain of `extends`."""

NOT_INHERITED = frozenset({"codemix", "name", "description", "tags"})


def read_with_parents(path: Path) -> tuple[Document, set[Place]]:
    """Read a spec and every spec that it extends.

    Returns:
        The merged document, without `extends`; and the places of the sources and
        mixtures in it that the file itself does not write.

    Raises:
        InputError: The file is missing.
        SpecError: Not YAML, an unknown version, or a parent that is missing, outside
            of the workspace or an heir of its own; or a run that can't be gone on from.
    """
    own = document = upgraded(read_document(path))
    parents: list[Document] = []
    chain = [path]
    while "extends" in document.value and not _goes_on(document):
        parent_path = _parent_path(chain, document)
        document = _read_parent(parent_path, document)
        chain.append(parent_path)
        parents.append(document)
    problems = [one for file in (own, *parents) for one in files_never_write(file)]
    if problems:
        raise SpecError(problems)
    merged = parents.pop() if parents else own
    for heir in [*reversed(parents), *([own] if merged is not own else [])]:
        merged = _merged(merged, heir)
    if _goes_on(document):
        base = continued(path, document)
        merged = _merged(base, after_prefix(base, merged))
    inherited: set[Place] = {
        (group, name)
        for group in ("sources", "mixtures")
        for name in mapping(merged.value.get(group))
        if name not in mapping(own.value.get(group))
    }
    return merged.without("extends"), inherited


def _goes_on(document: Document) -> bool:
    return isinstance(document.value.get("extends"), dict)


def _parent_path(chain: list[Path], document: Document) -> Path:
    """Return the file that the last of a chain extends."""
    path = chain[-1]
    extends = document.value["extends"]

    def refuse(what: str, fix: str) -> SpecError:
        return SpecError(document.problem(("extends",), what, fix))

    if not isinstance(extends, str) or not extends:
        fix = "write extends: OTHER.yaml, or extends: {entry: DIGEST, after: STAGE}"
        raise refuse("must name a file or a run", fix)
    parent = Path(os.path.normpath(path.parent / extends))
    bounds = _bounds(path)
    if Path(extends).is_absolute() or bounds not in parent.resolve().parents:
        what = f"must stay inside the workspace, got {shown(extends)}"
        raise refuse(what, "name a file by its way from this one")
    if parent.resolve() in [one.resolve() for one in chain]:
        circle = " -> ".join(str(one) for one in [*chain, parent])
        raise refuse(f"specs extend each other in a circle: {circle}", "break it")
    if len(chain) >= MAX_FILES:
        what = f"a chain of more than {MAX_FILES} files: "
        files = " -> ".join(str(one) for one in [*chain, parent])
        raise refuse(f"{what}{files}", "shorten it")
    return parent


def _bounds(path: Path) -> Path:
    """Return the folder that no parent may lie outside of."""
    folders = path.resolve().parents
    for folder in folders:
        if (folder / ".dvc").is_dir() or (folder / ".git").exists():
            return folder
    return folders[0]


def _read_parent(path: Path, heir: Document) -> Document:
    try:
        document = upgraded(read_document(path))
    except InputError as error:
        what = f"{error.problems[0].file}: {error.problems[0].what}"
        fix = "check the path; it counts from the folder of this file"
        raise SpecError(heir.problem(("extends",), what, fix)) from None
    if "codemix" not in document.value:
        fix = "begin every file with `codemix: 1`"
        raise SpecError(document.problem(("codemix",), "is required", fix))
    return document


def _merged(parent: Document, heir: Document) -> Document:
    replaced: set[Place] = set()
    kept = {key: parent.value[key] for key in parent.value if key not in NOT_INHERITED}
    _refuse_vain_removals(kept, heir)
    value = _merged_values(kept, heir.value, (), replaced)
    marks = {
        place: mark
        for place, mark in parent.marks.items()
        if place[:1] not in {(key,) for key in NOT_INHERITED}
        and not any(place[:depth] in replaced for depth in range(len(place) + 1))
    }
    return Document(value, marks | heir.marks)


def _refuse_vain_removals(parent: dict[str, Any], heir: Document) -> None:
    """Refuse a null for a source, a mixture or a matrix that is not inherited."""
    problems = [
        heir.problem(
            (group, name),
            f"takes away an inherited {group.removesuffix('s')}, but there is none",
            did_you_mean(name, list(mapping(parent.get(group)))),
        )
        for group in ("sources", "mixtures")
        for name, value in mapping(heir.value.get(group)).items()
        if value is None and name not in mapping(parent.get(group))
    ]
    if "matrix" not in parent and heir.value.get("matrix", ...) is None:
        what = "takes away an inherited matrix, but there is none"
        problems.append(heir.problem(("matrix",), what, "delete it"))
    if problems:
        raise SpecError(problems)


def _merged_values(
    old: dict[str, Any], new: dict[str, Any], place: Place, replaced: set[Place]
) -> dict[str, Any]:
    result = dict(old)
    for key, value in new.items():
        here = (*place, key)
        before = old.get(key)
        if key in old and value is None and _may_be_taken_away(here):
            del result[key]
        elif (
            isinstance(before, dict)
            and isinstance(value, dict)
            and not _is_one_value(here, value)
        ):
            result[key] = _merged_values(before, value, here, replaced)
        else:
            result[key] = value
            replaced.add(here)
    return result


def _may_be_taken_away(place: Place) -> bool:
    """Tell a place where null takes away what is inherited."""
    return place == ("matrix",) or place[:-1] in (("sources",), ("mixtures",))


def _is_one_value(place: Place, value: dict[str, Any]) -> bool:
    """Tell a mapping that is replaced whole."""
    is_mixture = place[-1] == "mixture" or place[:-1] == ("mixtures",)
    is_mixture |= place[-2:] == ("subsets", "weights")
    return is_mixture or (place == ("model",) and "preset" in value)
