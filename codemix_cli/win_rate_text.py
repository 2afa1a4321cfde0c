"""Win-rates for people: as the study prints them, then what to hold against them."""

from __future__ import annotations

from typing import Any

from codemix_cli.output import table

Json = dict[str, Any]


def told_win_rate(found: Json) -> str:
    """Tell a win-rate.

    Args:
        found: JSON of `evals.judging.win_rate.WinRate`.
    """
    prompts = sum(found[name] for name in ("wins", "losses", "ties"))
    counts = [
        [name, str(found[name]), f"{found[name] / prompts:.1%}"]
        for name in ("losses", "wins", "ties")
    ]
    title = f"{found['a']} against {found['b']}"
    parts = [
        table([[title, "prompts", "share"], *counts], right=[1, 2]),
        table([["", "rate", "95% interval"], *_rates(found)], right=[1]),
        table(_facts(found)),
    ]
    if len({one["model"] for one in found["served"]}) > 1:
        parts.append(
            "DRIFT: several models answered for the judge's name; see `served by`"
        )
    return "\n\n".join(parts)


def _rates(found: Json) -> list[list[str]]:
    rows = []
    for label, rate in (
        ("win-rate", found["win_rate"]),
        ("length-controlled", found["length_controlled"]),
    ):
        if rate is None:
            rows.append([label, "-", "one side is longer every time"])
        else:
            interval = f"{rate['low']:.1%} to {rate['high']:.1%}"
            rows.append([label, f"{rate['value']:.1%}", interval])
    return rows


def _facts(found: Json) -> list[list[str]]:
    lengths = [found[f"mean_characters_{side}"] for side in "ab"]
    total = sum(found[name] for name in ("wins", "losses", "ties", "invalid"))
    served = ", ".join(
        f"{one['model'] or 'nobody named'} ({one['judgements']:,} judgements)"
        for one in found["served"]
    )
    facts = [
        ["task", f"{found['task']} {found['task_fingerprint'][:12]}"],
        ["judge", f"{found['judge']} {found['judge_fingerprint'][:12]}"],
        ["served by", served],
        ["first preferred", f"{found['first_preferred']:.1%}; 50% without bias"],
        ["characters", f"{lengths[0]:,.0f} and {lengths[1]:,.0f} a reply"],
        ["without verdict", f"{found['invalid']} of {total} prompts"],
    ]
    return [fact for fact in facts if fact[1]]
