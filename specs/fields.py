"""Which keys a spec has at a place, read off the types."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from specs.experiment import Experiment
from specs.rules import Place

ONLY_IN_FILES = ("extends", "matrix")
"""Keys at the top of a file that are gone once it is resolved."""

NEVER_IN_FILES = ("amends", "pinned_as")
"""Keys of a resolved spec that no file writes."""


def model_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """Return the model whose keys stand at a place; None where names are free.

    Args:
        model: The type of the whole document.
        place: As pydantic reports it, with the tag of a union's member in it.
    """
    found: Any = model
    for part in place:
        found = _inside(found, part)
        if found is None:
            return None
    return next(iter(_models(found)), None)


def known_keys(model: type[BaseModel]) -> list[str]:
    """Return the keys of a model as a spec writes them."""
    own = [field.alias or name for name, field in model.model_fields.items()]
    if model is Experiment:
        own += ONLY_IN_FILES
    return [key for key in own if key not in NEVER_IN_FILES]


def tags_at(annotation: Any) -> dict[str, type[BaseModel]]:
    """Return the members of a tagged union by their tags.

    The tag is the one field of a member that has a single possible word.
    """
    return {
        get_args(field.annotation)[0]: model
        for model in _models(annotation)
        for name, field in model.model_fields.items()
        if name in ("filter", "schedule") and get_origin(field.annotation) is Literal
    }


def _inside(annotation: Any, part: str | int) -> Any:
    """Return the type one step further down, None where there is none."""
    tagged = tags_at(annotation)
    if part in tagged and len(tagged) > 1:
        return tagged[str(part)]
    for member in _members(annotation):
        origin = get_origin(member)
        if origin in (tuple, list) and isinstance(part, int):
            return get_args(member)[0]
        if origin is dict:
            return get_args(member)[1]
        if isinstance(member, type) and issubclass(member, BaseModel):
            for name, field in member.model_fields.items():
                if part in (name, field.alias):
                    return field.annotation
    return None


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [
        member
        for member in _members(annotation)
        if isinstance(member, type) and issubclass(member, BaseModel)
    ]


def _members(annotation: Any) -> list[Any]:
    """Take off what is wrapped around types, and open unions."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [one for arg in get_args(annotation) for one in _members(arg)]
    return [annotation]
