"""Draw a run from its entry: loss by step, and scores beside their baselines.

python bench/picture.py ENTRY docs/quickstart.svg
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from ledger.entry import Entry
from ledger.series import decode_series
from ledger.store import Ledger
from specs.workspace import find_workspace

COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52")


def main(text: str, target: Path) -> None:
    """Draw the entry that a digest or a name means."""
    ledger = Ledger.open(find_workspace(Path("any.yaml")))
    entry = ledger.find(text).entry
    assert isinstance(entry, Entry), "a replay has no curve of its own"
    # The same run gives the same bytes: no clock, no random names.
    mpl.rcParams.update({"svg.hashsalt": entry.identity, "font.size": 9})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4))
    draw_loss(left, ledger, entry)
    draw_scores(right, entry)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None, "Creator": "codemix"})


def draw_loss(axes: Any, ledger: Ledger, entry: Entry) -> None:
    """Draw the loss of every step, with a band for each stage."""
    for index, stage in enumerate(entry.stages):
        points = list(decode_series(ledger.objects.get(stage.metrics)))
        steps = [point.step for point in points]
        losses = [float(point.values["loss"]) for point in points]
        colour = COLOURS[index % 4]
        axes.axvspan(stage.start_step, stage.stop_step, color=colour, alpha=0.12, lw=0)
        axes.plot(steps, losses, color=colour, lw=1, label=stage.name)
    axes.set(xlabel="step", ylabel="training loss, nats per token")
    axes.legend(frameon=False)


def draw_scores(axes: Any, entry: Entry) -> None:
    """Draw held-out bits per byte of the end, beside what needs no network."""
    scores = {(one.step, one.suite): one.values for one in entry.scores}
    final = scores[entry.num_steps, "heldout"]
    baselines = scores[0, "baselines"]
    sources = sorted(name.split(".")[0] for name in final if name.endswith(".loss"))
    bars = {
        "unigram": [float(baselines[f"{name}.unigram"]) for name in sources],
        "gzip -9": [float(baselines[f"{name}.gzip"]) for name in sources],
        entry.name: [float(final[f"{name}.bits_per_byte"]) for name in sources],
    }
    for index, (label, values) in enumerate(bars.items()):
        places = [place + 0.27 * (index - 1) for place in range(len(sources))]
        colour = ("#c8c8c8", "#999999", COLOURS[0])[index]
        drawn = axes.bar(places, values, 0.25, color=colour, label=label)
        axes.bar_label(drawn, fmt="%.2f", fontsize=7)
    axes.set_xticks(range(len(sources)), sources)
    axes.set(ylabel="held-out bits per byte")
    axes.set_ylim(top=1.25 * max(map(max, bars.values())))
    axes.legend(frameon=False, loc="upper center", ncols=3)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
