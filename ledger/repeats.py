"""Repeats of a run with other seeds, and the band that a replay of it should lie in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ledger.documents import Stored
from ledger.entry import Entry
from ledger.floats import float_text
from ledger.seed_band import ALPHA, SeedBand, band_of
from ledger.series import decode_series
from ledger.store import Ledger
from specs.lock import Lock

LOSS = "loss"
"""The metric whose last logged value counts. The others are functions of the plan or as
noisy as a single batch."""

FREE_FIELDS = ("seed", "name", "description", "tags")
"""Fields of a resolved spec in which repeats may differ."""


def measure_band(
    ledger: Ledger, original: Stored, final: Mapping[str, str]
) -> SeedBand:
    """Measure the band and place a replay in it.

    Args:
        ledger: Holds the repeats.
        original: The entry that is replayed.
        final: The replay's final numbers, see `final_numbers`.
    """
    repeats = find_repeats(ledger, original)
    found = SeedBand(
        alpha=float_text(ALPHA),
        repeats=tuple(stored.digest for stored in repeats),
        quantities=(),
    )
    if not found.is_enough:
        return found
    assert isinstance(original.entry, Entry)
    was = final_numbers(ledger, original.entry)
    samples = [_numbers_of(ledger, stored) for stored in repeats]
    alpha = ALPHA / max(len(was), 1)
    quantities = tuple(
        band_of(
            name,
            [one.get(name) for one in samples],
            was=was[name],
            now=final.get(name),
            alpha=alpha,
        )
        for name in sorted(was)
    )
    return found.model_copy(update={"quantities": quantities})


def find_repeats(ledger: Ledger, original: Stored) -> list[Stored]:
    """Return the completed runs that differ in their seed alone, the first per seed."""
    assert isinstance(original.entry, Entry)
    wanted = pinned_bytes(ledger, original.entry)
    seen = {original.entry.spec["seed"]}
    found: list[Stored] = []
    for stored in ledger.entries():
        entry = stored.entry
        if not isinstance(entry, Entry) or entry.outcome.status != "completed":
            continue
        seed = entry.spec.get("seed")
        # The spec first: a lock is a file to read.
        if seed in seen or _but_seed(entry) != _but_seed(original.entry):
            continue
        if pinned_bytes(ledger, entry) == wanted:
            seen.add(seed)
            found.append(stored)
    return found


def pinned_bytes(ledger: Ledger, entry: Entry) -> dict[str, tuple[str, ...]]:
    """Return input -> the digests of its files: what repeats have in common besides."""
    lock = Lock.model_validate(ledger.objects.get_json(entry.lock))
    return {
        name: tuple(file.sha256 for file in locked.files)
        for name, locked in lock.inputs.items()
    }


def final_numbers(ledger: Ledger, entry: Entry) -> dict[str, str]:
    """Return the last logged loss and the scores of the final weights, as text."""
    found: dict[str, str] = {}
    for stage in entry.stages:
        for point in decode_series(ledger.objects.get(stage.metrics)):
            if LOSS in point.values:
                found[LOSS] = point.values[LOSS]
    for score in entry.scores:
        if score.step == entry.num_steps:
            found.update(final_scores(score.suite, score.values))
    return found


def final_scores(suite: str, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the names under which the scores of the final weights are compared."""
    for name, value in values.items():
        yield f"{suite} {name}", value


def _numbers_of(ledger: Ledger, stored: Stored) -> dict[str, str]:
    assert isinstance(stored.entry, Entry)
    return final_numbers(ledger, stored.entry)


def _but_seed(entry: Entry) -> dict[str, object]:
    """What repeats have in common of their specs."""
    return {
        name: value for name, value in entry.spec.items() if name not in FREE_FIELDS
    }
