"""What pydantic found wrong, told the way codemix tells it.

Where, what and fix; an unknown key beside a missing one is one mistake, not two; the
tags that pydantic puts into the place of a union's member are taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from specs.document import Document
from specs.errors import Problem
from specs.experiment import Experiment
from specs.fields import known_keys, model_at
from specs.names import mapping, name_rules, suggestion
from specs.rules import Broken, BrokenRules, Place

_SHOWN = 60
"""Characters of a value that a message shows."""

_NAME_RULE = "must be lower-case letters, digits and underscores, a letter first"


def problems_of(error: ValidationError, document: Document) -> list[Problem]:
    """Turn validation errors into problems, each with file, line, rule, value, fix."""
    details = error.errors(include_url=False)
    rules: list[Broken] = []
    missing = [one["loc"] for one in details if one["type"] == "missing"]
    extra = [one["loc"] for one in details if one["type"] == "extra_forbidden"]
    meant = _meant_keys(extra, missing, document.value)
    for one in details:
        if one["type"] == "missing" and one["loc"] in meant.values():
            continue
        rules.extend(_rules_of(one, document.value, meant.get(one["loc"])))
    if any(one["loc"] for one in details):
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
        )
        if part == "[key]" or (is_tag and place[-1:] != [part]):
            continue
        place.append(part)
        value = _inside(value, part)
    return tuple(place)


def shown(value: Any) -> str:
    """Write a value as a message shows it: briefly."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _inside(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (LookupError, TypeError):
        return None


def _meant_keys(
    extra: list[Place], missing: list[Place], value: Mapping[str, Any]
) -> dict[Place, Place]:
    """Pair each unknown key with the known key it was probably meant to be."""
    meant: dict[Place, Place] = {}
    for loc in extra:
        parent = loc[:-1]
        absent = [str(other[-1]) for other in missing if other[:-1] == parent]
        model = model_at(Experiment, parent)
        present = mapping(_value_at(plain_place(parent, value), value))
        free = [key for key in known_keys(model) if key not in present] if model else []
        close = suggestion(str(loc[-1]), absent) or suggestion(str(loc[-1]), free)
        if close is not None:
            meant[loc] = (*parent, close)
    return meant


def _value_at(place: Place, value: Any) -> Any:
    for part in place:
        value = _inside(value, part)
    return value


def _rules_of(one: ErrorDetails, value: Any, meant: Place | None) -> list[Broken]:
    """Turn one validation error into rules; ours may carry several."""
    loc = one["loc"]
    place = plain_place(loc, value)
    cause = one.get("ctx", {}).get("error")
    if isinstance(cause, BrokenRules):
        return [Broken(r.what, r.fix, (*place, *r.place)) for r in cause.broken]
    if one["type"] == "missing":
        return [Broken("is required", f"add '{place[-1]}:'", place)]
    if one["type"] == "extra_forbidden":
        return [Broken("unknown key", _fix_of_extra(loc, meant), place)]
    if loc[-1:] == ("[key]",):
        return [Broken(_NAME_RULE, "rename it", place)]
    if one["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return [_tag_rule(one, place)]
    what, fix = _WORDING.get(one["type"], _other)(one)
    return [Broken(what, fix, place)]


def _fix_of_extra(loc: Place, meant: Place | None) -> str:
    if meant is not None:
        return f"did you mean {str(meant[-1])!r}?"
    model: type[BaseModel] | None = model_at(Experiment, loc[:-1])
    keys = known_keys(model) if model is not None else []
    return f"delete it; known keys: {', '.join(keys)}"


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


def _bound(words: str, key: str) -> Callable[[ErrorDetails], tuple[str, str]]:
    def word(one: ErrorDetails) -> tuple[str, str]:
        bound = one["ctx"][key]
        bound = int(bound) if float(bound).is_integer() else bound
        limit = f"{words} {bound}"
        return f"must be {limit}, got {shown(one['input'])}", f"use a number {limit}"

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
    "greater_than": _bound("above", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("below", "lt"),
    "less_than_equal": _bound("at most", "le"),
    "string_pattern_mismatch": _pattern,
    "string_too_short": _of_type("longer", "write something"),
    "string_too_long": _of_type("shorter", "shorten it"),
}
