"""What pydantic found wrong, told the way codemix tells it.

Where, what and fix; an unknown key beside a missing one is one mistake, not two; the
tags that pydantic puts into the place of a union's member are taken out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from specs.document import Document
from specs.errors import Problem
from specs.experiment import Experiment
from specs.fields import known_keys, model_at
from specs.model import PRESETS, Model
from specs.names import name_rules, suggestion
from specs.rules import Broken, BrokenRules, Place, shown

_NAME_RULE = "must be lower-case letters, digits and underscores, a letter first"


def problems_of(
    error: ValidationError, document: Document, model: type[BaseModel] = Experiment
) -> list[Problem]:
    """Turn validation errors into problems, each with file, line, rule, value, fix.

    Args:
        error: What pydantic found.
        document: What it looked at.
        model: The type of the whole document.
    """
    details = error.errors(include_url=False)
    rules: list[Broken] = []
    missing = [one["loc"] for one in details if one["type"] == "missing"]
    extra = [one["loc"] for one in details if one["type"] == "extra_forbidden"]
    meant = _meant_keys(extra, missing, document, model)
    for one in details:
        if one["type"] == "missing" and one["loc"] in meant.values():
            continue
        rules.extend(_rules_of(one, document.value, model, meant.get(one["loc"])))
    if model is Experiment and any(one["loc"] for one in details):
        # The rules across fields had no valid fields to look at; names can be checked.
        told = {rule.place for rule in rules} | set(meant.values())
        names = name_rules(document.value)
        rules.extend(rule for rule in names if rule.place not in told)
    return in_order([document.problem(r.place, r.what, r.fix) for r in rules])


def in_order(problems: list[Problem]) -> list[Problem]:
    """Sort problems by file and line, keep one of several equal ones."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda one: (one.file or "", one.line or 0))


def plain_place(loc: Place, value: Any) -> Place:
    """Take out of pydantic's place what is not in the document."""
    place: list[str | int] = []
    for part in loc:
        is_tag = isinstance(value, Mapping) and part in (
            value.get("filter"),
            value.get("schedule"),
            value.get("kind"),
        )
        if part == "[key]" or (is_tag and place[-1:] != [part]):
            continue
        place.append(part)
        value = _inside(value, part)
    return tuple(place)


def _inside(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (LookupError, TypeError):
        return None


def _meant_keys(
    extra: list[Place],
    missing: list[Place],
    document: Document,
    top: type[BaseModel],
) -> dict[Place, Place]:
    """Pair each unknown key with the known key it was probably meant to be."""
    meant: dict[Place, Place] = {}
    for loc in extra:
        parent = loc[:-1]
        absent = [str(other[-1]) for other in missing if other[:-1] == parent]
        model = model_at(top, parent)
        # What a parent file says may be said again; the same file says it once.
        place = plain_place(loc, document.value)
        file = document.mark_at(place).file
        free = [
            key
            for key in (known_keys(model) if model is not None else [])
            if (mark := document.marks.get((*place[:-1], key))) is None
            or mark.file != file
        ]
        close = suggestion(str(loc[-1]), absent) or suggestion(str(loc[-1]), free)
        if close is not None:
            meant[loc] = (*parent, close)
    return meant


def _rules_of(
    one: ErrorDetails, value: Any, top: type[BaseModel], meant: Place | None
) -> list[Broken]:
    """Turn one validation error into rules; ours may carry several."""
    loc = one["loc"]
    place = plain_place(loc, value)
    cause = one.get("ctx", {}).get("error")
    if isinstance(cause, BrokenRules):
        return [Broken(r.what, r.fix, (*place, *r.place)) for r in cause.broken]
    if one["type"] == "missing":
        return [Broken("is required", _fix_of_missing(loc, top), place)]
    if one["type"] == "extra_forbidden":
        return [Broken("unknown key", _fix_of_extra(loc, top, meant), place)]
    if loc[-1:] == ("[key]",):
        return [Broken(f"{_NAME_RULE}, got {shown(one['input'])}", "rename it", place)]
    if one["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return [_tag_rule(one, place)]
    what, fix = _WORDING.get(one["type"], _other)(one)
    return [Broken(what, fix, place)]


def _fix_of_extra(loc: Place, top: type[BaseModel], meant: Place | None) -> str:
    if meant is not None:
        return f"did you mean {str(meant[-1])!r}?"
    model = model_at(top, loc[:-1])
    keys = known_keys(model) if model is not None else []
    close = suggestion(str(loc[-1]), keys)
    if close is not None:
        return f"did you mean {close!r}, which is there already?"
    return f"delete it; known keys: {', '.join(keys)}"


def _fix_of_missing(loc: Place, top: type[BaseModel]) -> str:
    model = model_at(top, loc[:-1])
    if model is Model and loc[-1] in PRESETS["debug"]:
        return f"add '{loc[-1]}:', or name a preset: {', '.join(PRESETS)}"
    key = str(loc[-1])
    fields = model.model_fields if model is not None else {}
    examples = fields[key].examples if key in fields else None
    return f"add '{key}: {json.dumps(examples[0])}'" if examples else f"add '{key}:'"


def _tag_rule(one: ErrorDetails, place: Place) -> Broken:
    context = one["ctx"]
    key = str(context["discriminator"]).strip("'")
    place = (*place, key)
    if one["type"] == "union_tag_not_found":
        return Broken("is required", f"add '{key}:'", place)
    known = [word.strip("' ") for word in str(context["expected_tags"]).split(",")]
    close = suggestion(str(context["tag"]), known)
    fix = f"did you mean {close!r}?" if close else f"known: {', '.join(known)}"
    return Broken(f"unknown {key} {context['tag']!r}", fix, place)


def _literal(one: ErrorDetails) -> tuple[str, str]:
    expected = str(one["ctx"]["expected"]).replace(" or ", ", ")
    known = [word.strip("' ") for word in expected.split(",")]
    close = suggestion(str(one["input"]), known)
    got = f", got {shown(one['input'])}"
    if len(known) == 1:
        return f"must be {known[0]}{got}", f"write {known[0]}"
    fix = f"did you mean {close!r}?" if close else f"use one of {', '.join(known)}"
    return f"must be one of {', '.join(known)}{got}", fix


def _of_type(wanted: str, fix: str) -> Callable[[ErrorDetails], tuple[str, str]]:
    def word(one: ErrorDetails) -> tuple[str, str]:
        return f"must be {wanted}, got {shown(one['input'])}", fix

    return word


def _whole(one: ErrorDetails) -> tuple[str, str]:
    fix = "write a whole number"
    text = one["input"]
    if isinstance(text, str) and text.replace("_", "").isdigit():
        fix = f"write it as {text.replace('_', '')}, without quotes or underscores"
    return f"must be a whole number, got {shown(text)}", fix


def _bound(words: str, key: str, fix: str) -> Callable[[ErrorDetails], tuple[str, str]]:
    def word(one: ErrorDetails) -> tuple[str, str]:
        bound = one["ctx"][key]
        bound = int(bound) if float(bound).is_integer() else bound
        what = f"must be {words} {bound}, got {shown(one['input'])}"
        return what, f"use {fix.format(bound)}"

    return word


def _pattern(one: ErrorDetails) -> tuple[str, str]:
    letters = "must be lower-case letters, digits"
    dotted = " and . _ -, a letter or digit first"
    known = {
        "^[a-z][a-z0-9_]*$": _NAME_RULE,
        "^[a-z0-9][a-z0-9._-]*$": letters + dotted,
        "^[a-z][a-z0-9_-]*$": f"{letters}, _ and -, a letter first",
    }
    return f"{known[one['ctx']['pattern']]}, got {shown(one['input'])}", "rename it"


def _too_long(one: ErrorDetails) -> tuple[str, str]:
    most = one["ctx"]["max_length"]
    what = f"must have at most {most} characters, got {len(one['input'])}"
    return what, "shorten it"


def _other(one: ErrorDetails) -> tuple[str, None]:
    message = one["msg"][:1].lower() + one["msg"][1:]
    return f"{message}, got {shown(one['input'])}", None


_MAPPING = _of_type("a mapping", "write it as `key: value` lines")
_LIST = _of_type("a list", "write it as lines that begin with a dash, or in [ ]")
_NUMBER = _of_type("a number", "write a number such as 0.1 or 3.0e-4")
_TEXT = _of_type("text", "put quotes around it")

_WORDING: dict[str, Callable[[ErrorDetails], tuple[str, str | None]]] = {
    "literal_error": _literal,
    "int_type": _whole,
    "int_from_float": _whole,
    "float_type": _NUMBER,
    "bool_type": _of_type("true or false", "write true or false"),
    "string_type": _TEXT,
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "greater_than": _bound("above", "gt", "a number above {}"),
    "greater_than_equal": _bound("at least", "ge", "{} or more"),
    "less_than": _bound("below", "lt", "a number below {}"),
    "less_than_equal": _bound("at most", "le", "{} or less"),
    "string_pattern_mismatch": _pattern,
    "string_too_short": lambda _: ("must not be empty", "write something"),
    "string_too_long": _too_long,
}
