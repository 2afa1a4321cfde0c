"""Which problems of its families a set has: how hard, and how laid out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runtime.synth.draws import Draws
from runtime.synth.family import Draft, Family, UnsuitableError
from runtime.synth.grading import GRADES, difficulty
from runtime.synth.layouts import LAYOUTS
from runtime.synth.rendering import draw_style, solution_code
from specs.errors import InputError, Problem

TRIED_CORES = 20
"""Cores by which a family is judged; the same for every set."""
FEWEST_SUITABLE = 0.5
"""Share of these that must have a solution of the difficulty that is asked for."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is asked of problems beside their families; nothing means anything."""

    difficulties: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()

    def told(self) -> dict[str, list[str]]:
        """Return what is asked for, as JSON; nothing where nothing is."""
        asked = {"difficulties": self.difficulties, "layouts": self.layouts}
        return {name: list(names) for name, names in asked.items() if names}


ANY_FORM = Form()


def form_of(difficulties: Sequence[str], layouts: Sequence[str]) -> Form:
    """Return a form, in the order of our own lists.

    Raises:
        InputError: A name is of no difficulty, or of no layout.
    """
    problems = [
        Problem(what=f"no {kind} is called {name!r}", fix=_fix(name, list(known)))
        for kind, names, known in (
            ("difficulty", difficulties, GRADES),
            ("layout", layouts, LAYOUTS),
        )
        for name in names
        if name not in known
    ]
    if problems:
        raise InputError(problems)
    return Form(
        difficulties=tuple(one for one in GRADES if one in difficulties),
        layouts=tuple(one for one in sorted(LAYOUTS) if one in layouts),
    )


def fitting_families(families: Sequence[Family], form: Form) -> tuple[Family, ...]:
    """Leave out families of which few cores have the difficulty that is asked for."""
    if not form.difficulties:
        return tuple(families)
    return tuple(one for one in families if _share(one, form) >= FEWEST_SUITABLE)


def in_form(draft: Draft, form: Form) -> Draft:
    """Return a draft with those solutions that have the difficulty.

    Raises:
        UnsuitableError: None has.
    """
    if not form.difficulties:
        return draft
    kept = {
        way: code
        for way, code in draft.solutions.items()
        if _difficulty(replace(draft, solutions={way: code})) in form.difficulties
    }
    if not kept:
        raise UnsuitableError
    return replace(draft, solutions=kept)


def _share(family: Family, form: Form) -> float:
    suitable = tried = 0
    for draw in range(TRIED_CORES):
        draws = Draws(draw)
        try:
            draft = family.build(family.core(draws.below(family.size)), draws)
        except UnsuitableError:
            continue
        tried += 1
        try:
            in_form(draft, form)
        except UnsuitableError:
            continue
        suitable += 1
    return suitable / max(1, tried)


def _difficulty(draft: Draft) -> str:
    # Names and hints have no part in it.
    return difficulty(solution_code(draft, draw_style(draft, Draws(0))), draft.level)


def _fix(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
