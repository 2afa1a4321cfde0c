"""One problem from its number: a candidate, and after its checks a document.

Problem `index` of a seed depends on the generator's version, the seed, the families
and the index, and on nothing else. Where an attempt is rejected the next one takes the
next core of the same slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime.keys import key
from runtime.synth.draws import Draws
from runtime.synth.duplicates import same_code, same_statement, shape
from runtime.synth.family import Draft, Family
from runtime.synth.form import ANY_FORM, Form, in_form
from runtime.synth.grading import difficulty
from runtime.synth.layouts import LAYOUTS, Parts, document
from runtime.synth.placement import core_number, place_of
from runtime.synth.portion import PORTION, take_portion
from runtime.synth.rendering import (
    Style,
    draw_style,
    reference_code,
    solution_code,
)
from runtime.synth.wording import Example, state

GENERATOR_VERSION = 4
"""Raised whenever the same seed would give other bytes."""
NUM_INPUTS = 40
"""Random inputs on which a solution must agree with its reference."""
NUM_MUTANTS = 20
MIN_KILL_RATE = 0.9
"""Of the mutants that some input tells from the solution."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A problem that has not been checked yet."""

    index: int
    attempt: int
    family: Family
    core: int
    draft: Draft
    style: Style
    key: int
    """Of everything that is drawn for this attempt."""

    def to_check(self) -> dict[str, Any]:
        """Return what `runtime.synth.checking.check` is given."""
        draws = Draws(key(self.key, "inputs"))
        random = [self.draft.inputs(draws) for _ in range(NUM_INPUTS)]
        edges = [repr(arguments) for arguments in self.draft.edges]
        return {
            "entry": self.style.entry,
            "solution": solution_code(self.draft, self.style),
            "reference": reference_code(self.draft),
            "inputs": [*edges, *map(repr, random)],
            "num_edges": len(edges),
            "num_mutants": NUM_MUTANTS,
            "min_kill_rate": MIN_KILL_RATE,
            "key": key(self.key, "mutants"),
        }


def candidate(
    index: int,
    attempt: int,
    *,
    seed: int,
    families: Sequence[Family],
    form: Form = ANY_FORM,
) -> Candidate:
    """Build an attempt at a problem.

    Raises:
        UnsuitableError: The core makes no sensible problem, or none of the form.
    """
    place = place_of(index, seed=seed, families=families)
    family = place.family
    number = core_number(place, attempt, seed=seed)
    own_key = key(seed, "problem", GENERATOR_VERSION, family.name, number)
    core, draws = family.core(number), Draws(key(own_key, "surface"))
    draft = family.build(core, draws)
    if core.get(PORTION) == "part":
        draft = take_portion(draft, draws)
    draft = in_form(draft, form)
    return Candidate(
        index=index,
        attempt=attempt,
        family=family,
        core=number,
        draft=draft,
        style=draw_style(draft, Draws(key(own_key, "style"))),
        key=own_key,
    )


def finished(
    chosen: Candidate, verdict: dict[str, Any], form: Form = ANY_FORM
) -> dict[str, Any]:
    """Return the document of a problem that passed.

    Args:
        chosen: The candidate.
        verdict: What `check` said of it.
        form: Of the set.
    """
    examples: list[Example] = [(one, answer) for one, answer in verdict["examples"]]
    draws = Draws(key(chosen.key, "wording"))
    statement = state(chosen.draft, chosen.style, examples, draws)
    layout = draws.choice(form.layouts or sorted(LAYOUTS))
    parts = Parts(
        draft=chosen.draft, style=chosen.style, statement=statement,
        tests=verdict["tests"],
    )  # fmt: skip
    solution = solution_code(chosen.draft, chosen.style)
    told = statement.text()
    return {
        "id": f"{chosen.family.name}-{chosen.core}",
        "index": chosen.index,
        "family": chosen.family.name,
        "topic": chosen.family.topic,
        "difficulty": difficulty(solution, chosen.draft.level),
        "layout": layout,
        "style": chosen.style.solution,
        "entry": chosen.style.entry,
        "statement": told,
        "solution": solution,
        "tests": verdict["tests"],
        "text": document(layout, parts, draws),
        "certificate": {
            "attempt": chosen.attempt,
            "core": chosen.core,
            "key": f"{chosen.key:016x}",
            "generator_version": GENERATOR_VERSION,
            "inputs_agreed": verdict["num_inputs"],
            "kill_rate": round(verdict["kill_rate"], 4),
            "mutants": verdict["mutants"],
            "mutants_alike": verdict["num_alike"],
            "python": verdict["python"],
            "sandbox": verdict["sandbox"],
            "max_steps": verdict["steps"],
            "same_code": same_code(solution),
            "same_statement": same_statement(
                told, chosen.style.entry, [param.name for param in chosen.draft.params]
            ),
            "shape": shape(solution),
        },
    }
