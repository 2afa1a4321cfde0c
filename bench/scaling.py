"""What every preset takes on TPU v5e slices, by the TPU compiler; no TPU is needed.

Compiles the training step of each preset for each size of slice, an hour on two cores.
Prints the tables; with --write puts them into docs/scaling.md, where the rows of other
presets stay.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.accelerators import parse_slice
from runtime.choose import DoesNotFit, Fit, choose
from runtime.compile_ahead import open_compiler
from runtime.compiled import CompiledStep, CompileJob, Refusal
from runtime.slice_report import slice_report
from specs.experiment import Experiment
from specs.left_open import LeftOpen
from specs.loading import load_experiment

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

PRESETS = {
    "debug": 512,
    "tiny": 16_384,
    "small": 32_000,
    "470m": 256_000,
    "2.8b": 256_000,
}
"""Preset -> vocabulary."""

SLICES = ("v5e-16", "v5e-32", "v5e-64", "v5e-128", "v5e-256")
TOKENS = 200_000_000_000
STUDY_CHIP_HOURS = {"470m": 4_736, "2.8b": 13_824}
"""What the study reports for `TOKENS`, on TPU v5e."""

ALL_OPEN = LeftOpen(lane=True, remat=True, gather=True)

SPEC = """\
codemix: 1
name: scaling
seed: 1
model: {{preset: {preset}}}
precision: {{compute: bfloat16}}
tokenizer: {{vocab_size: {vocab_size}, file: bpe.model}}
sources:
  text: {{uri: data/text.jsonl, field: text}}
batch: {{sequences: 512, length: 8192}}
stages:
  - name: only
    tokens: {tokens}
    mixture: {{text: 1}}
    learning_rate: {{schedule: constant, peak: 1.0e-3}}
"""


@dataclass(frozen=True)
class Row:
    """One preset on one slice."""

    preset: str
    slice_name: str
    report: dict[str, Any] | None
    """Of `slice_report`; None where it does not fit."""
    needed_bytes: int = 0
    """Of the most frugal choice, where it does not fit."""


def rows(presets: list[str]) -> Iterator[Row]:
    """Compile, and yield each row as it is done."""
    with open_compiler(tell) as compile_step:
        for preset in presets:
            experiment = experiment_of(preset)
            for name in SLICES:
                where = parse_slice(name)
                try:
                    fit = choose(experiment, ALL_OPEN, where, compile_step)
                except DoesNotFit as error:
                    needed = min(one.needed_bytes for one in error.tried)
                    yield Row(preset, name, None, needed)
                else:
                    yield Row(preset, name, report_of(fit))


def experiment_of(preset: str) -> Experiment:
    """Make the experiment of a preset, at the batch of the study."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scaling.yaml"
        vocab_size = PRESETS[preset]
        text = SPEC.format(preset=preset, vocab_size=vocab_size, tokens=TOKENS)
        path.write_text(text)
        return load_experiment(path)


def report_of(fit: Fit) -> dict[str, Any]:
    """Return the report of a fit."""
    return slice_report(fit, ALL_OPEN, None)


def tell(job: CompileJob, answer: CompiledStep | Refusal | None) -> None:
    """Show on stderr how far it is."""
    stage = job.plan.stages[job.stage]
    if answer is None:
        told = f"{job.slice_name}: {stage.lane_sequences} {stage.remat} {job.gather}"
        sys.stderr.write(f"{told} ... ")
    elif isinstance(answer, CompiledStep):
        sys.stderr.write(f"fits, {answer.seconds:.0f} s\n")
    else:
        sys.stderr.write(f"needs {gib(answer.needed_bytes)}\n")
    sys.stderr.flush()


def tables(lines: list[str]) -> str:
    """Write the tables of all rows, in Markdown."""
    limit = gib(parse_slice(SLICES[0]).chip.memory_bytes)
    header = (
        f"| preset | slice | lane, remat, gather | GiB of {limit} | sent, GiB "
        "| step | bound by | tokens/s | MFU | 200B tokens | chip-hours |"
    )
    version = importlib.metadata.version
    return "\n".join(
        [
            *(header, "|---|---|---|--:|--:|--:|---|--:|--:|--:|--:|", *lines, ""),
            *("Beside the study, chip-hours for 200B tokens:", ""),
            "| preset | slice | here | study | here / study |",
            "|---|---|--:|--:|--:|",
            *filter(None, map(compared, lines)),
            *("", f"jax {version('jax')}, libtpu {version('libtpu')}."),
        ]
    )


def compared(row: str) -> str | None:
    """Set the chip-hours of a row beside the study's, where it has any."""
    preset, name, *_, hours = (cell.strip() for cell in row.strip("|").split("|"))
    if preset not in STUDY_CHIP_HOURS or not hours:
        return None
    ours, theirs = int(hours.replace(",", "")), STUDY_CHIP_HOURS[preset]
    return f"| {preset} | {name} | {hours} | {theirs:,} | {ours / theirs:.2f} |"


def with_kept(lines: list[str], presets: list[str]) -> list[str]:
    """Return new rows, and those of other presets from the page, in order."""
    page = DOCUMENT.read_text("utf-8").split(BEGIN)[1].split(END)[0]
    first_table = page.split("Beside the study")[0].splitlines()
    kept = [
        row
        for row in first_table
        if preset_of(row) in PRESETS and preset_of(row) not in presets
    ]
    return sorted([*kept, *lines], key=lambda row: list(PRESETS).index(preset_of(row)))


def preset_of(row: str) -> str:
    """Return the first cell of a row."""
    return row.strip("| ").split(" ")[0]


def line(row: Row) -> str:
    """Write one row."""
    cells = [row.preset, row.slice_name]
    if row.report is None:
        cells += ["does not fit", f"{gib(row.needed_bytes)} or more", *[""] * 7]
        return f"| {' | '.join(cells)} |"
    (stage,) = row.report["stages"]
    choice = row.report["choice"]
    sent = sum(moved["bytes"] for moved in stage["collectives"].values())
    cells += [
        f"{choice['lane']}, {choice['remat']}, {choice['gather']}",
        gib(stage["memory"]["peak_bytes"]),
        gib(sent),
        f"{stage['step_seconds']:.3g} s",
        stage["bound"],
        f"{stage['tokens_per_second']:,.0f}",
        f"{stage['model_flops_utilisation']:.0%}",
        f"{stage['wall_seconds'] / 86_400:.1f} days",
        f"{stage['chip_hours']:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def gib(size: int) -> str:
    """Write bytes in GiB."""
    return f"{size / 1024**3:.2f}"


def main() -> None:
    """Make the tables, and print or write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/scaling.md")
    parser.add_argument("--preset", nargs="+", choices=PRESETS, default=list(PRESETS))
    arguments = parser.parse_args()
    lines = []
    for row in rows(arguments.preset):
        lines.append(line(row))
        sys.stderr.write(f"{lines[-1]}\n")
    text = tables(with_kept(lines, arguments.preset))
    print(text)
    if arguments.write:
        old = DOCUMENT.read_text("utf-8")
        before, after = old.split(BEGIN)[0], old.split(END)[1]
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
