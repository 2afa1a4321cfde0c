"""Rules about names: what a spec refers to must be there, once, and not in a circle.

These look at plain values and pass over what has a wrong shape, so that a wrong name is
reported in the same pass as a wrong number elsewhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from specs.rules import Broken, Place

MAX_NESTING = 16
"""Mixtures within mixtures; more is a mistake."""


def name_rules(document: Mapping[str, Any]) -> list[Broken]:
    """Return the broken rules about names in a spec, whatever else is wrong with it."""
    return [
        *_shared_names(document),
        *_unknown_names(document),
        *_unknown_sources(document),
        *_circles(mapping(document.get("mixtures"))),
        *_stage_names(document),
        *_hand_overs(document),
    ]


def mixture_places(document: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    """Yield every mixture of a spec and its place."""
    train = mapping(mapping(document.get("tokenizer")).get("train"))
    if "mixture" in train:
        yield ("tokenizer", "train", "mixture"), train["mixture"]
    for name, mixture in mapping(document.get("mixtures")).items():
        yield ("mixtures", name), mixture
    for index, stage in enumerate(_stages(document)):
        yield ("stages", index, "mixture"), stage.get("mixture")


def unused_names(document: Mapping[str, Any]) -> list[Place]:
    """Return the places of sources and mixtures that nothing draws from."""
    mixtures = mapping(document.get("mixtures"))
    reached: set[str] = set()
    waiting = [
        name
        for place, mixture in mixture_places(document)
        if place[0] != "mixtures"
        for name in mapping(mixture)
    ]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(mapping(mixtures.get(name)))
    return [
        (group, name)
        for group in ("sources", "mixtures")
        for name in mapping(document.get(group))
        if name not in reached
    ]


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a word was probably meant to be."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1)
    return close[0] if close else None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and nothing in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Word the fix for an unknown word."""
    close = suggestion(word, known)
    if close is not None:
        return f"did you mean {close!r}?"
    return f"known: {', '.join(sorted(known))}" if known else "there are none"


def _stages(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    stages = document.get("stages")
    if not isinstance(stages, (list, tuple)):
        return []
    return [mapping(stage) for stage in stages]


def _shared_names(document: Mapping[str, Any]) -> Iterator[Broken]:
    sources = mapping(document.get("sources"))
    for name in mapping(document.get("mixtures")):
        if name in sources:
            what = "a source has the same name"
            yield Broken(what, "rename one of them", ("mixtures", name))


def _unknown_names(document: Mapping[str, Any]) -> Iterator[Broken]:
    known = [
        *mapping(document.get("sources")),
        *mapping(document.get("mixtures")),
    ]
    for place, mixture in mixture_places(document):
        for name in mapping(mixture):
            if name not in known:
                fix = did_you_mean(name, known)
                what = f"unknown source or mixture {name!r}"
                yield Broken(what, fix, (*place, name))


def _unknown_sources(document: Mapping[str, Any]) -> Iterator[Broken]:
    """Yield the sources that are deduplicated and not there."""
    known = list(mapping(document.get("sources")))
    listed = mapping(document.get("deduplicate")).get("sources")
    for index, name in enumerate(listed if isinstance(listed, (list, tuple)) else ()):
        if isinstance(name, str) and name not in known:
            place: Place = ("deduplicate", "sources", index)
            fix = did_you_mean(name, known)
            yield Broken(f"unknown source {name!r}", fix, place)


def _circles(mixtures: Mapping[str, Any]) -> Iterator[Broken]:
    """Yield each circle of mixtures, then what is nested too deep."""
    inner = {
        name: [part for part in mapping(mixture) if part in mixtures]
        for name, mixture in mixtures.items()
    }
    while True:
        try:
            order = list(TopologicalSorter(inner).static_order())
            break
        except CycleError as error:
            # Each name in the circle is nested in the next one; told from the outside.
            circle = list(reversed(error.args[1]))
            yield Broken(
                f"mixtures go in a circle: {' -> '.join(circle)}",
                f"take one of them out of {circle[0]!r}",
                ("mixtures", circle[0]),
            )
            inner[circle[0]] = []
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[part] for part in inner[name]), default=0)
        if depth[name] == MAX_NESTING + 1:
            what = f"mixtures are nested more than {MAX_NESTING} deep"
            yield Broken(what, "flatten them", ("mixtures", name))


def _stage_names(document: Mapping[str, Any]) -> Iterator[Broken]:
    first: dict[Any, int] = {}
    for index, stage in enumerate(_stages(document)):
        name = stage.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            what = f"must be unique, {name!r} is also stages.{first[name]}"
            yield Broken(what, "rename one of them", ("stages", index, "name"))
        first.setdefault(name, index)


def _hand_overs(document: Mapping[str, Any]) -> Iterator[Broken]:
    """Yield what the first stage takes over, and later stages leave unsaid."""
    for index, stage in enumerate(_stages(document)):
        place: Place = ("stages", index)
        optimizer = stage.get("optimizer")
        if index == 0:
            if optimizer == "keep":
                what = "the first stage has no optimizer state to keep"
                yield Broken(what, "delete it", (*place, "optimizer"))
            rate = mapping(stage.get("learning_rate"))
            for key in ("peak", "warmup_from"):
                if rate.get(key) == "previous":
                    what = "the first stage has no previous learning rate"
                    fix = "write a number"
                    yield Broken(what, fix, (*place, "learning_rate", key))
        elif stage and optimizer is None:
            yield Broken(
                "is required in every stage but the first",
                "add 'optimizer: keep' or 'optimizer: reset'",
                (*place, "optimizer"),
            )
