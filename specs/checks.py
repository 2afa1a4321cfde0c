"""Rules across the fields of an experiment that need arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from specs.names import mapping, name_rules, unused_names
from specs.rules import Broken, Place
from specs.schedule import planned_rate
from specs.stage_sizes import stage_batch, stage_sequences, stage_steps
from specs.stages import Constant, Stage, WarmupStableDecay

if TYPE_CHECKING:
    from specs.experiment import Experiment

LIMIT = 2**31
"""Steps, and sequences of a stage, stay below this, so that 64 bits hold products."""


def experiment_rules(experiment: Experiment) -> list[Broken]:
    """Return the broken rules of an experiment whose fields are all valid."""
    document = experiment.to_json()
    names = name_rules(document)
    if names:
        # Arithmetic on unknown sources or circular mixtures means nothing.
        return names
    return [
        *_undivided(experiment),
        *_unused(document),
        *_lengths(experiment),
        *_sizes(experiment),
        *_rates(experiment),
        *_tensor_shares(experiment),
    ]


def _undivided(experiment: Experiment) -> Iterator[Broken]:
    """Yield subsets that nobody wrote out: only files may have them."""
    for name, source in experiment.sources.items():
        if source.subsets is not None:
            fix = "load it from a file, or write out its sources and mixture"
            what = "is for spec files, not for a resolved spec"
            yield Broken(what, fix, ("sources", name, "subsets"))


def _unused(document: dict[str, object]) -> Iterator[Broken]:
    unused = set(unused_names(document))
    parts: dict[str, set[Place]] = {}
    listed: dict[Place, Place] = {}
    for name, source in mapping(document.get("sources")).items():
        if "pinned_as" in source:
            whole = source["pinned_as"]
            parts.setdefault(whole, set()).add(("sources", name))
            listed["sources", name] = ("mixtures", whole, name)
    for whole, places in parts.items():
        # Subsets are told together where none is used, and else one by one.
        unused -= {("mixtures", whole)} if places - unused else places
    for place in unused_names(document):
        if place in unused:
            fix = "delete it, or give it a weight in the mixture of a stage"
            yield Broken("is used by no stage", fix, listed.get(place, place))


def _lengths(experiment: Experiment) -> Iterator[Broken]:
    """Yield lengths that don't divide the longest: tokens are shuffled in its units."""
    lengths = [stage_batch(experiment, stage).length for stage in experiment.stages]
    longest = max(lengths)
    told: set[Place] = set()
    for index, (stage, length) in enumerate(
        zip(experiment.stages, lengths, strict=True)
    ):
        own: Place = ("stages", index) if stage.batch else ()
        place = (*own, "batch", "length")
        if longest % length and place not in told:
            told.add(place)
            below = next(n for n in range(length, 0, -1) if longest % n == 0)
            yield Broken(
                f"must divide the longest length of any stage = {longest}, "
                f"got {length}",
                f"use {below}" if below > 1 else "change the longest",
                place,
            )


def _tensor_shares(experiment: Experiment) -> Iterator[Broken]:
    """Yield sizes that tensor parallelism can't share out evenly."""
    degree = experiment.parallel.tensor
    model = experiment.model
    shared = {
        ("model", "heads"): model.heads,
        ("model", "kv_heads"): model.kv_heads,
        ("model", "ffn_width"): model.ffn_width,
        ("tokenizer", "vocab_size"): experiment.tokenizer.vocab_size,
    }
    for place, size in shared.items():
        if size % degree:
            fix = (
                f"use {size // degree * degree or degree}, or a smaller parallel.tensor"
            )
            what = f"must be a multiple of parallel.tensor = {degree}, got {size}"
            yield Broken(what, fix, place)


def _sizes(experiment: Experiment) -> Iterator[Broken]:
    total_steps = 0
    is_told = False
    for index, stage in enumerate(experiment.stages):
        batch = stage_batch(experiment, stage)
        num_steps = stage_steps(experiment, stage)
        total_steps += num_steps
        place: Place = ("stages", index)
        if num_steps == 0:
            tokens = batch.sequences * batch.length
            yield Broken(
                f"must be at least one step of {batch.sequences} x {batch.length} = "
                f"{tokens} tokens, got {stage.tokens}",
                f"set tokens to {tokens} or more, or delete the stage",
                (*place, "tokens"),
            )
        elif num_steps * batch.sequences >= LIMIT:
            is_told = True
            what = "must come to fewer than 2**31 sequences, got "
            fix = "split the stage"
            yield Broken(
                f"{what}{num_steps * batch.sequences}", fix, (*place, "tokens")
            )
        else:
            yield from _starved_sources(experiment, stage, place)
    if total_steps >= LIMIT and not is_told:
        what = f"must come to fewer than 2**31 steps, got {total_steps}"
        yield Broken(what, "use a larger batch", ("stages",))


def _starved_sources(
    experiment: Experiment, stage: Stage, place: Place
) -> Iterator[Broken]:
    sequences = stage_sequences(experiment, stage)
    for name, count in sequences.items():
        if count == 0:
            yield Broken(
                f"source {name!r} has weight but gets none of the stage's "
                f"{sum(sequences.values())} sequences",
                "raise its weight, make the stage longer, or leave it out",
                (*place, "mixture"),
            )


def _rates(experiment: Experiment) -> Iterator[Broken]:
    """Yield schedules that don't fit their stage or don't go where they should."""
    previous: str | None = None
    for index, stage in enumerate(experiment.stages):
        place: Place = ("stages", index, "learning_rate")
        num_steps = stage_steps(experiment, stage)
        if num_steps:
            yield from _schedule_fits(stage, num_steps, place)
        rate = planned_rate(stage.learning_rate, num_steps, previous)
        peak = Decimal(rate.peak)
        if peak == 0:
            what = "must be above 0, but the stage before ends at 0"
            yield Broken(what, "write a number", (*place, "peak"))
        elif Decimal(rate.final) > peak:
            what = f"must be at most peak = {rate.peak}, got {rate.final}"
            yield Broken(what, "swap peak and final", (*place, "final"))
        if Decimal(rate.warmup_from) > peak > 0:
            what = f"must be at most peak = {rate.peak}, got {rate.warmup_from}"
            yield Broken(what, "a warm-up rises", (*place, "warmup_from"))
        elif rate.warmup_steps == 0 and Decimal(rate.warmup_from) != 0:
            what = "has no use without warmup_steps"
            yield Broken(
                what, "add warmup_steps, or delete it", (*place, "warmup_from")
            )
        previous = rate.final


def _schedule_fits(stage: Stage, num_steps: int, place: Place) -> Iterator[Broken]:
    rate = stage.learning_rate
    if isinstance(rate, WarmupStableDecay):
        room = num_steps - rate.warmup_steps
        if rate.decay_steps > room:
            yield Broken(
                f"must fit into the stage's {num_steps} steps beside "
                f"{rate.warmup_steps} of warm-up, got {rate.decay_steps}",
                f"use {room} or less" if room > 0 else "shorten the warm-up",
                (*place, "decay_steps"),
            )
        return
    most = num_steps if isinstance(rate, Constant) else num_steps - 1
    if rate.warmup_steps > most:
        yield Broken(
            f"must be at most {most} in a stage of {num_steps} steps, "
            f"got {rate.warmup_steps}",
            f"use {most} or less, or make the stage longer",
            (*place, "warmup_steps"),
        )
