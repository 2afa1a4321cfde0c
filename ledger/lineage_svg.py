"""The lineage of a run as a picture: a bar of stages per run, and where runs part.

Steps go to the right. What a run trained is filled, what it took over is pale; a line
leads from the run that it parted from, at the step where it did.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from ledger.lineage import Lineage, Run, StageSpan
from specs.atomic import write_named

_LEFT = 16
_LABELS = 300
"""Width of the column of names."""
_BARS = 520
_RIGHT = 210
"""Width of the column of verdicts."""
_TOP = 52
_ROW = 46
_BAR = 18
_INDENT = 14
_CHAR = 6.6
"""Width of a character of a label."""

_STYLE = """\
:root { color-scheme: light dark; }
svg { --ink: #1f2328; --dim: #656d76; --line: #d0d7de; --own: #0969da;
  --page: #ffffff; --shown: #eef4fc; --text: #ffffff; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e6edf3; --dim: #8d96a0; --line: #3d444d; --own: #4493f8;
    --page: #0d1117; --shown: #15233a; --text: #0d1117; }
}
text { font: 12px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif;
  fill: var(--ink); }
.dim { fill: var(--dim); font-size: 11px; }
.page { fill: var(--page); }
.shown { fill: var(--shown); }
.own { fill: var(--own); }
.taken { fill: var(--own); fill-opacity: 0.18; stroke: var(--own);
  stroke-dasharray: 3 2; }
.in { fill: var(--text); font-size: 11px; }
.in-taken { font-size: 11px; }
.axis, .edge { stroke: var(--line); fill: none; }
.edge { stroke: var(--own); stroke-width: 1.5; }
.dot { fill: var(--page); stroke: var(--own); stroke-width: 1.5; }
.gap { stroke: var(--page); stroke-width: 2; }
"""


def lineage_svg(lineage: Lineage, title: str | None = None) -> str:
    """Draw a lineage; the same lineage gives the same bytes.

    Args:
        lineage: What to draw.
        title: Above it; None: the run that it is of.
    """
    rows = list(lineage.tree())
    places = {digest: index for index, (digest, _) in enumerate(rows)}
    longest = max(run.num_steps for run in lineage.runs.values())
    width = _LEFT + _LABELS + _BARS + _RIGHT
    height = _TOP + _ROW * len(rows) + 34
    title = title or f"Lineage of {lineage.runs[lineage.shown].name}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(_description(lineage))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}"/>',
        _text(_LEFT, 24, title),
        _text(_LEFT, 40, "filled: trained by the run; pale: taken over", "dim"),
        *_axis(longest, height),
    ]
    # Lines first, so that bars lie over them.
    edges, bars, dots = [], [], []
    for index, (digest, levels) in enumerate(rows):
        top = _TOP + index * _ROW
        run = lineage.runs.get(digest)
        if digest == lineage.shown:
            box = f'y="{top}" width="{width}" height="{_ROW}"'
            edges.append(f'<rect class="shown" x="0" {box}/>')
        if run is None:
            bars += _labels(digest[:12], "not in this ledger", len(levels), top)
            continue
        for x, start in _partings(run, lineage, places, longest):
            stop = top + _ROW // 2
            edges.append(f'<path class="edge" d="M{x:.1f} {start}V{stop}"/>')
            dots.append(f'<circle class="dot" cx="{x:.1f}" cy="{start}" r="3.5"/>')
        bars += _labels(run.name, _told(run), len(levels), top)
        for stage in run.stages:
            bars += _bar(stage, longest, top)
        ended = [] if run.outcome == "completed" else [run.outcome]
        grades = dict.fromkeys(replay.grade for replay in run.replays)
        told = [*ended, *([f"replayed: {', '.join(grades)}"] if grades else [])]
        if run.evaluations:
            told.append(f"evaluated: {len(run.evaluations)}")
        if told:
            x = _x(longest, longest) + 10
            bars.append(_text(x, top + 26, "; ".join(told), "dim"))
    return "\n".join([*parts, *edges, *bars, *dots, "</svg>"]) + "\n"


def write_svg(lineage: Lineage, path: Path, title: str | None = None) -> None:
    """Draw a lineage into a file; see `lineage_svg`.

    Raises:
        InputError: It can't be written.
    """
    write_named(path, lineage_svg(lineage, title).encode())


def _x(step: int, longest: int) -> float:
    return _LEFT + _LABELS + _BARS * step / max(longest, 1)


def _axis(longest: int, height: int) -> list[str]:
    """Draw the steps at the bottom: both ends and three places between."""
    bottom = height - 26
    parts = []
    for quarter in range(5):
        step = longest * quarter // 4
        x = _x(step, longest)
        path = f"M{x:.1f} {_TOP - 4}V{bottom}"
        parts.append(f'<path class="axis" stroke-dasharray="2 4" d="{path}"/>')
        label = f"{step:,}" if quarter else "step 0"
        parts.append(_text(x, bottom + 15, label, "dim", "middle"))
    return parts


def _partings(
    run: Run, lineage: Lineage, places: dict[str, int], longest: int
) -> list[tuple[float, int]]:
    """Return where a run leaves each of those it comes from: x, and y of the other."""
    # The last stage of each counts.
    ends = {str(stage.reused_from): stage.stop_step for stage in run.reused}
    if run.fork is not None:
        ends[run.fork.entry] = run.fork.step
    first = lineage.runs.get(next(iter(run.sources), ""))
    known = first.sources if first is not None else ()
    # What the nearest one has taken over itself is seen there.
    return [
        (_x(step, longest), _TOP + places[source] * _ROW + _ROW // 2)
        for source, step in ends.items()
        if source in places and source not in known
    ]


def _bar(stage: StageSpan, longest: int, top: int) -> list[str]:
    left, right = _x(stage.start_step, longest), _x(stage.stop_step, longest)
    y = top + (_ROW - _BAR) // 2
    kind = "own" if stage.reused_from is None else "taken"
    told = f"{stage.name}: steps {stage.start_step:,} to {stage.stop_step - 1:,}"
    if stage.reused_from is not None:
        told += f", taken over from {stage.reused_from[:12]}"
    size = f'width="{max(right - left - 2, 1):.1f}" height="{_BAR}" rx="3"'
    parts = [
        f'<g><title>{escape(told)}</title><rect class="{kind}" x="{left + 1:.1f}" '
        f'y="{y}" {size}/>'
    ]
    if len(stage.name) * _CHAR + 8 <= right - left:
        style = "in" if kind == "own" else "in-taken"
        parts.append(_text(left + 7, y + 13, stage.name, style))
    return [*parts, "</g>"]


def _labels(name: str, told: str, depth: int, top: int) -> list[str]:
    x = _LEFT + depth * _INDENT
    most = int((_LABELS - depth * _INDENT - 12) / _CHAR)
    shown = name if len(name) <= most else f"{name[: most - 3]}..."
    return [_text(x, top + 21, shown), _text(x, top + 36, told, "dim")]


def _told(run: Run) -> str:
    steps = f"{run.num_steps:,} steps"
    if run.reused:
        trained = run.num_steps - run.num_reused_steps
        steps = f"{trained:,} of {steps} trained"
    return f"{run.digest[:12]}  {steps}"


def _description(lineage: Lineage) -> str:
    told = []
    for run in lineage.runs.values():
        text = f"{run.name} ({run.digest[:12]}), {run.num_steps} steps"
        if run.fork is not None:
            text += f", goes on from {run.fork.entry[:12]} after {run.fork.stage}"
        for stage in run.reused:
            text += f", takes {stage.name} over from {str(stage.reused_from)[:12]}"
        told.append(text)
    return "; ".join(told)


def _text(x: float, y: int, text: str, style: str = "", anchor: str = "") -> str:
    extra = f' class="{style}"' if style else ""
    extra += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y}"{extra}>{escape(text)}</text>'
