"""What `codemix diff` found, as text."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from codemix_cli.diff_table_text import or_absent, told_table
from codemix_cli.output import table
from codemix_cli.wording import counted, scaled

if TYPE_CHECKING:
    from ledger.compare import Compared, Comparison
    from ledger.paired import Interval
    from ledger.result_diff import Parting, ResultDiff
    from specs.consequences import Pair, SpecDiff, StageChange

SHOWN_DIFFERENCES = 12
SHOWN_TENSORS = 3

_MEANINGS = {
    "identity": "changes the weights",
    "scores": "changes the scores, not the weights",
    "execution": "changes cost or cadence alone",
    "words": "for people",
}


def told_comparison(
    found: Comparison, elsewhere: Container[tuple[str, str]] = ()
) -> str:
    """Tell how two operands differ, or several, in a table.

    Args:
        found: What was found.
        elsewhere: Stage and suite of scores that are told elsewhere.
    """
    if len(found.others) > 1:
        return told_table(found)
    other = found.others[0]
    header = table([["was", found.first.label], ["now", other.operand.label]])
    if other.is_same and not other.spec.changes:
        return f"{header}\n\nno differences that count"
    parts = [header, _told_changes(other.spec)]
    if any(change.kind == "identity" for change in other.spec.changes):
        parts += [_told_stages(other.spec), _told_numbers(other.spec)]
        parts += [_told_sources(other.spec), _told_rates(other.spec)]
    if other.results is not None:
        parts.append(_told_results(other, other.results, elsewhere))
    return "\n\n".join(part for part in parts if part)


def _told_changes(spec: SpecDiff) -> str:
    if not spec.changes:
        return "the specs are the same"
    lines = []
    for kind, meaning in _MEANINGS.items():
        changes = [one for one in spec.changes if one.kind == kind]
        if changes:
            lines.append(f"{meaning}")
            lines += [
                f"  {one.path}: {or_absent(one.was)} -> {or_absent(one.now)}"
                for one in changes
            ]
    return "\n".join(lines)


def _told_stages(spec: SpecDiff) -> str:
    rows = [["stage", "steps", "tokens", "mean rate", "weights at its end"]]
    for stage in spec.stages:
        rows.append(
            [
                _stage_name(stage),
                _told_pair(stage.steps),
                _told_pair(stage.tokens, is_scaled=True),
                _told_pair(stage.mean_rate),
                _fate(stage),
            ]
        )
    told = table(rows)
    why = "pinned bytes" if spec.by_bytes else "what the specs say, nothing pinned"
    kept = counted(spec.num_kept, "leading stage")
    return f"{told}\n{kept} can be taken over, going by {why}"


def _stage_name(stage: StageChange) -> str:
    if stage.was is None or stage.now is None or stage.was == stage.now:
        return stage.was or stage.now or ""
    return f"{stage.was} -> {stage.now}"


def _fate(stage: StageChange) -> str:
    if stage.now is None:
        return "gone"
    if stage.was is None and not stage.is_kept:
        return "new"
    return "the same" if stage.is_kept else "other"


def _told_pair(pair: Pair, *, is_scaled: bool = False) -> str:
    def told(value: float | None) -> str:
        if value is None:
            return "-"
        if isinstance(value, int):
            return scaled(value) if is_scaled else f"{value:,}"
        return f"{value:.4g}"

    if pair.is_same:
        return told(pair.was)
    return f"{told(pair.was)} -> {told(pair.now)}"


_NUMBERS = {
    "num_parameters": "parameters",
    "num_steps": "steps",
    "num_tokens": "tokens",
    "training_flops": "FLOPs",
    "checkpoint_bytes": "checkpoint bytes",
}


def _told_numbers(spec: SpecDiff) -> str:
    rows = []
    for name, word in _NUMBERS.items():
        pair = spec.numbers[name]
        if not pair.is_same and pair.was and pair.now is not None:
            share = f"{100 * (pair.now / pair.was - 1):+.3g}%"
            rows.append([word, _told_pair(pair, is_scaled=True), share])
    return table(rows) if rows else ""


def _told_sources(spec: SpecDiff) -> str:
    rows = [["source", "stage", "sequences"]]
    for stage in spec.stages:
        for name, pair in stage.sequences.items():
            if not pair.is_same:
                rows.append([name, _stage_name(stage), _told_pair(pair)])
    parts = [table(rows)] if len(rows) > 1 else []
    used = [["source", "tokens of it", "epochs"]]
    for name, source in spec.sources.items():
        if not source.tokens.is_same or not source.epochs.is_same:
            is_known = source.epochs.was is not None or source.epochs.now is not None
            epochs = _told_pair(source.epochs) if is_known else "unknown until prepared"
            used.append([name, _told_pair(source.tokens, is_scaled=True), epochs])
    parts += [table(used)] if len(used) > 1 else []
    return "\n\n".join(parts)


def _told_rates(spec: SpecDiff) -> str:
    if spec.first_rate_step is None:
        return ""
    return f"learning rates differ from step {spec.first_rate_step:,} on"


def _told_results(
    other: Compared, results: ResultDiff, elsewhere: Container[tuple[str, str]]
) -> str:
    parts = [_told_parting(other, results)]
    rows = [["metric", "stage", "was", "now", "now - was, 95%", "differs from"]]
    rows += [
        [
            one.name,
            one.stage,
            _number(one.was),
            _number(one.now),
            _told_interval(one.difference),
            "-" if one.first_step is None else f"step {one.first_step:,}",
        ]
        for one in results.metrics
    ]
    parts += [table(rows, right=[2, 3])] if len(rows) > 1 else []
    rows = [["score", "stage", "was", "now", "now - was, 95%"]]
    rows += [
        [
            f"{one.suite}/{one.name}",
            one.stage,
            _number(one.was),
            _number(one.now),
            _told_interval(one.difference),
        ]
        for one in results.scores
        if (one.stage, one.suite) not in elsewhere
    ]
    parts += [table(rows, right=[2, 3])] if len(rows) > 1 else []
    parts.append(_told_inputs(results))
    return "\n\n".join(part for part in parts if part)


def _told_parting(other: Compared, results: ResultDiff) -> str:
    parting = results.parting
    if parting is None:
        return f"outputs are the same at every one of {results.num_equal_steps:,} steps"
    told = f"outputs are the same until step {parting.step:,}, where "
    told += _what_parted(parting)
    suspect = _suspect(other, results)
    return f"{told}\nfirst suspect: {suspect}" if suspect else told


def _what_parted(parting: Parting) -> str:
    if parting.channel == "length":
        return "one of the runs ends"
    if parting.channel == "batch":
        return "the batch is another one: the data or its order"
    told = "the same batch gives other weights"
    if not parting.tensors:
        return told
    shown = ", ".join(parting.tensors[:SHOWN_TENSORS])
    more = len(parting.tensors) - SHOWN_TENSORS
    rest = f" and {more} more" if more > 0 else ""
    return f"{told}: {shown}{rest} of {counted(parting.num_tensors, 'tensor')}"


def _suspect(other: Compared, results: ResultDiff) -> str:
    """What was asked for comes before what it ran on."""
    for change in other.spec.changes:
        if change.kind == "identity":
            was, now = or_absent(change.was), or_absent(change.now)
            return f"{change.path}: {was} -> {now}"
    for difference in results.differences:
        if difference.rank != "incidental":
            return str(difference)
    return ""


def _told_inputs(results: ResultDiff) -> str:
    found = results.differences
    if not found:
        return "code, machine and data are the same"
    lines = [f"  {one.rank:<10}  {one}" for one in found[:SHOWN_DIFFERENCES]]
    if len(found) > SHOWN_DIFFERENCES:
        lines.append(f"  and {len(found) - SHOWN_DIFFERENCES} more, see --json")
    return "\n".join(["code, machine and data differ, first suspect first", *lines])


def _number(text: str) -> str:
    return f"{float(text):.5g}"


def _told_interval(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    told = f"{interval.mean:+.3g}"
    if interval.low is None or interval.high is None:
        return f"{told} (too few to say)"
    return f"{told} ({interval.low:+.3g} to {interval.high:+.3g})"
