"""All families, in the order of their topics' files."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from runtime.synth.families import (
    aggregates,
    alignments,
    arrays,
    bits,
    calendar,
    counting,
    digits,
    graphs,
    grids,
    intervals,
    islands,
    layout,
    ledgers,
    machines,
    pairs,
    parsing,
    positions,
    shapes,
    strings,
    timesheets,
    trees,
    units,
    words,
)
from runtime.synth.family import Family
from specs.errors import InputError, Problem

FAMILIES: tuple[Family, ...] = (
    *aggregates.FAMILIES,
    *alignments.FAMILIES,
    *arrays.FAMILIES,
    *bits.FAMILIES,
    *calendar.FAMILIES,
    *timesheets.FAMILIES,
    *counting.FAMILIES,
    *digits.FAMILIES,
    *graphs.FAMILIES,
    *grids.FAMILIES,
    *intervals.FAMILIES,
    *islands.FAMILIES,
    *layout.FAMILIES,
    *ledgers.FAMILIES,
    *machines.FAMILIES,
    *pairs.FAMILIES,
    *parsing.FAMILIES,
    *positions.FAMILIES,
    *shapes.FAMILIES,
    *strings.FAMILIES,
    *trees.FAMILIES,
    *units.FAMILIES,
    *words.FAMILIES,
)


def chosen_families(names: Sequence[str]) -> tuple[Family, ...]:
    """Return the families of some names, or all for none, in the catalogue's order.

    Raises:
        InputError: A name is of no family.
    """
    known = {family.name: family for family in FAMILIES}
    problems = [
        Problem(what=f"no family is called {name!r}", fix=_fix(name, list(known)))
        for name in names
        if name not in known
    ]
    if problems:
        raise InputError(problems)
    return tuple(one for one in FAMILIES if not names or one.name in names)


def _fix(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
