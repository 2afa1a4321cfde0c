"""A verdict of the ledger as text on a screen."""

from __future__ import annotations

from typing import Any

from codemix_cli.output import table

Json = dict[str, Any]

CLIPPED_CHARS = 24


def told_verdict(digest: str, verdict: Json) -> str:
    """Tell what a replay found.

    Args:
        digest: Of the verdict.
        verdict: As plain JSON; verdicts of earlier versions lack the later fields.
    """
    rows = [
        ["replay", f"{verdict['name']}  {digest[:12]}"],
        ["of entry", verdict["original"][:12]],
        ["verdict", verdict["grade"]],
        ["found", verdict["what"]],
        *(["", detail] for detail in verdict.get("details", ())),
        *(
            [kind, f"{compared['same']:,} of {compared['total']:,} the same"]
            for kind, compared in verdict["compared"].items()
            if compared is not None
        ),
    ]
    parts = [table(rows), _band(verdict.get("band")), _audit(verdict.get("audit"))]
    differences = [_difference(one) for one in verdict["differences"]]
    if differences:
        parts.append("differences from the original\n" + "\n".join(differences))
    return "\n\n".join(part for part in parts if part)


def _band(band: Json | None) -> str:
    if band is None:
        return ""
    count = len(band["repeats"])
    title = f"repeats with other seeds: {count}, alpha {band['alpha']}"
    if not band["quantities"]:
        return title
    rows = [["final number", "was", "is", "low", "high", "width"]]
    for one in band["quantities"]:
        numbers = [_number(one[name]) for name in ("was", "now", "low", "high")]
        width = f"{float(one['relative_width']):.2%}"
        rows.append([one["name"], *numbers, width])
    return f"{title}\n{table(rows, right=range(1, 6))}"


def _audit(audit: Json | None) -> str:
    if audit is None:
        return ""
    given = "given" if audit["is_seed_given"] else "drawn"
    unreachable = audit["total_steps"] - audit["reachable_steps"]
    lines = [
        f"audit  seed {audit['seed']} ({given})",
        *(
            f"  steps {one['start_step']:,}-{one['stop_step'] - 1:,}"
            + ("  up to a recorded checkpoint" if one["is_to_checkpoint"] else "")
            for one in audit["windows"]
        ),
        f"  {len(audit['windows'])} of {audit['num_possible']} possible windows; "
        f"the run has {audit['num_segments']} segments",
        f"  {unreachable:,} of {audit['total_steps']:,} steps could not be chosen: no "
        "checkpoint at hand, or too far after one",
        *(
            f"  {count} altered windows are missed with probability {float(chance):.3g}"
            for count, chance in sorted(
                audit["missed"].items(), key=lambda one: int(one[0])
            )
        ),
        "  between the chosen windows recorded weights are chained, not recomputed",
    ]
    return "\n".join(lines)


def _difference(one: Json) -> str:
    was, now = _clipped(one["was"]), _clipped(one["now"])
    return f"  {one['rank']:<10}  {one['path']}: was {was}, is {now}"


def _clipped(value: str | None) -> str:
    # Lists of processor features fill a screen; the verdict has them whole.
    if value is None:
        return "absent"
    return value if len(value) <= CLIPPED_CHARS else f"{value[:CLIPPED_CHARS]}..."


def _number(text: str | None) -> str:
    # For people; the verdict has every digit.
    return "-" if text is None else f"{float(text):.6g}"
