"""A run that is going on, as a few lines that are drawn again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from codemix_cli.output import table
from codemix_cli.spark import has_blocks, sparkline
from codemix_cli.wording import counted, duration, scaled

if TYPE_CHECKING:
    from ledger.watching import Snapshot

STATES = {
    "running": "is going on",
    "gone": "its process is gone without a word; the same command goes on",
    "completed": "is completed",
    "failed": "failed",
    "interrupted": "was interrupted; the same command goes on",
}


def told_watch(now: Snapshot) -> str:
    """Tell all that is known of a run, in a line each."""
    state = STATES[now.state] + (f": {now.reason}" if now.reason else "")
    where = f" on {now.host}, process {now.pid}" if not now.is_over else ""
    rows = [
        ["run", f"{now.name}  {now.run}"],
        ["state", state + where],
        ["stage", _stage(now)],
        ["step", _step(now)],
        ["loss", _loss(now)],
        ["checkpoint", _checkpoint(now)],
        *(["delivered", _delivered(*one)] for one in now.delivered),
    ]
    if now.num_seams:
        rows.append(["went on", counted(now.num_seams, "time")])
    if now.entry is not None:
        rows.append(["entry", now.entry[:12]])
    return table(rows)


def told_line(now: Snapshot) -> str:
    """Tell how far a run is in one line."""
    loss = "" if now.loss is None else f"loss {float(now.loss):.4f}"
    waiting = sum(one.waiting for one in now.delivered)
    parts = [
        now.name,
        now.state,
        f"stage {now.stage}" if now.stage is not None else "",
        _step(now),
        loss,
        _pace(now),
        f"{counted(waiting, 'line')} waiting" if waiting else "",
    ]
    return "  ".join(part for part in parts if part)


def _stage(now: Snapshot) -> str:
    if now.stage is None:
        return "-"
    return f"{now.stage}, {now.stages.index(now.stage) + 1} of {len(now.stages)}"


def _step(now: Snapshot) -> str:
    share = f"{100 * now.step // now.num_steps}%"
    left = "" if now.left_seconds is None else f"  {duration(now.left_seconds)} left"
    return f"{now.step:,} of {now.num_steps:,}  {share}{left}"


def _loss(now: Snapshot) -> str:
    if now.loss is None:
        return "-"
    line = sparkline(now.curve, borders=now.borders, is_ascii=not has_blocks())
    told = f"{line}  {float(now.loss):.4f}"
    return f"{told}  {_pace(now)}" if _pace(now) else told


def _pace(now: Snapshot) -> str:
    if now.tokens_per_second is None:
        return ""
    return f"{scaled(round(now.tokens_per_second))} tokens/s"


def _checkpoint(now: Snapshot) -> str:
    if now.checkpoint_step is None:
        return "none yet"
    told = f"after {counted(now.checkpoint_step, 'step')}"
    if now.checkpoint_unix_ms is None:
        return f"{told}, taken over"
    ago = duration(max(0.0, time.time() - now.checkpoint_unix_ms / 1000))
    return f"{told}, {ago} ago"


def _delivered(uri: str, waiting: int, problem: str | None) -> str:
    told = f"{counted(waiting, 'line')} waiting" if waiting else "all"
    return f"{told}  {uri}" + (f"  {problem}" if problem else "")
