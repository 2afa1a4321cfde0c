"""Before hours are spent: the best grade that a replay on this machine can hope for."""

from __future__ import annotations

from ledger.differences import Difference
from ledger.entry import Entry
from ledger.recorder import RunFacts
from ledger.verdict import Attainable

_PLATFORM = ("devices.platform", "devices.kind")


def attainable(
    original: Entry, facts: RunFacts, differences: tuple[Difference, ...]
) -> Attainable:
    """Say which grade is the best to hope for, and why.

    Args:
        original: The entry to replay.
        facts: Of this machine, its canary among them.
        differences: Between the two.
    """
    unclaimed = not_claimed(original, differences)
    if original.determinism == "fast":
        return Attainable(grade="EQUIVALENT", why=unclaimed)
    paths = {one.path for one in differences}
    if paths & set(_PLATFORM):
        why = "other devices than the original's round in their own way"
        return Attainable(grade="CONSISTENT", why=why)
    if "plan" in paths or "numerics" in paths:
        why = "this codemix computes in another way than the one that made the entry"
        return Attainable(grade="EQUIVALENT", why=why)
    if original.canary is None or facts.canary is None:
        why = "nothing says that it is not: one of the two has no canary"
        return Attainable(grade="EXACT", why=why)
    if original.canary != facts.canary:
        why = "the canary differs: this machine does not round like the original's"
        return Attainable(grade="EQUIVALENT", why=why)
    if unclaimed:
        return Attainable(grade="EQUIVALENT", why=unclaimed)
    why = "the canary is the original's: this machine rounds like it, as far as told"
    return Attainable(grade="EXACT", why=why)


def not_claimed(original: Entry, differences: tuple[Difference, ...]) -> str:
    """Say why equal bits are more than the original claims; empty where they aren't."""
    if original.determinism == "fast":
        return "the original claims `fast`: data order and no bits"
    is_elsewhere = any(
        one.path.startswith("devices.")
        or one.path == "environment.cpu.num_usable_cores"
        for one in differences
    )
    if original.determinism == "same-topology" and is_elsewhere:
        return "the original claims its bits on the same devices only"
    return ""
