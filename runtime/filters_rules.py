"""Which documents each filter of `specs.filters` keeps, and how it says why not.

What is measured is in `runtime.filters_measures`. Shares are compared as fractions, so
a document exactly at a limit is kept on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from runtime.documents import Document
from runtime.filters_measures import (
    alphanumeric_share,
    count_domains,
    count_float_numbers,
    encoded_chars,
    licences_of,
    line_of,
    longest_line,
    mean_line_length,
)
from runtime.value_counts import text_of
from specs.filters import (
    AlphanumericFilter,
    ContainsFilter,
    DomainListFilter,
    EncodedDataFilter,
    Filter,
    FloatNumbersFilter,
    LengthFilter,
    LicenceFilter,
    LineLengthFilter,
    MeanLineLengthFilter,
    TopValuesFilter,
)


class Rule(NamedTuple):
    """One filter or condition, ready for use."""

    is_kept: Callable[[Document], bool]
    measured: Callable[[Document], str]
    """Tells people what decided against a document that is not kept; it may measure
    again what `is_kept` measured, so it is for the few that are shown."""


def build_rule(rule: Filter, chosen: Sequence[Any] = ()) -> Rule:
    """Build one filter.

    Args:
        rule: As the spec declares it.
        chosen: Values that it keeps, of one that chooses by counting.
    """
    if isinstance(rule, TopValuesFilter):
        return _top_values(rule, chosen)
    builders: dict[type[Any], Callable[[Any], Rule]] = {
        LengthFilter: _length,
        LineLengthFilter: _line_length,
        MeanLineLengthFilter: _mean_line_length,
        AlphanumericFilter: _alphanumeric,
        ContainsFilter: _contains,
        FloatNumbersFilter: _float_numbers,
        DomainListFilter: _domain_list,
        EncodedDataFilter: _encoded_data,
        LicenceFilter: _licence,
    }
    return builders[type(rule)](rule)


def fields_of(rule: Filter) -> frozenset[str]:
    """Return the columns or keys that a filter needs beside the text."""
    if isinstance(rule, LicenceFilter | TopValuesFilter):
        return frozenset({rule.field})
    return frozenset()


def _length(rule: LengthFilter) -> Rule:
    def is_kept(document: Document) -> bool:
        size = len(document.text)
        longest = size if rule.max_chars is None else rule.max_chars
        return rule.min_chars <= size <= longest

    def measured(document: Document) -> str:
        size = len(document.text)
        if size < rule.min_chars:
            return f"{size:,} characters < min_chars {rule.min_chars:,}"
        return f"{size:,} characters > max_chars {rule.max_chars:,}"

    return Rule(is_kept, measured)


def _line_length(rule: LineLengthFilter) -> Rule:
    def measured(document: Document) -> str:
        longest = longest_line(document.text)
        return f"longest line {longest:,} characters > max_chars {rule.max_chars:,}"

    return Rule(
        lambda document: longest_line(document.text) <= rule.max_chars, measured
    )


def _mean_line_length(rule: MeanLineLengthFilter) -> Rule:
    def measured(document: Document) -> str:
        mean = mean_line_length(document.text)
        return f"mean line {float(mean):,.6g} characters > max_chars {rule.max_chars:,}"

    return Rule(
        lambda document: mean_line_length(document.text) <= rule.max_chars, measured
    )


def _alphanumeric(rule: AlphanumericFilter) -> Rule:
    # The decimal number that the spec shows, not the binary fraction nearest to it.
    min_share = Fraction(repr(rule.min_share))

    def measured(document: Document) -> str:
        size = len(document.text)
        count = int(alphanumeric_share(document.text) * size)
        of_all = _part(count, size, "characters are letters or digits")
        return f"{of_all} < min_share {_percent(rule.min_share)}"

    return Rule(
        lambda document: alphanumeric_share(document.text) >= min_share, measured
    )


def _contains(rule: ContainsFilter) -> Rule:
    wanted = rule.text.casefold()

    def searched(document: Document) -> str:
        # Cut first: folding the case of a character may change how many there are.
        return document.text[: rule.within_chars].casefold()

    def measured(document: Document) -> str:
        return f"{rule.text!r} on line {line_of(wanted, searched(document)):,}"

    return Rule(lambda document: wanted not in searched(document), measured)


def _float_numbers(rule: FloatNumbersFilter) -> Rule:
    def measured(document: Document) -> str:
        count = count_float_numbers(document.text)
        return f"{count:,} float numbers > max_count {rule.max_count:,}"

    return Rule(
        lambda document: count_float_numbers(document.text) <= rule.max_count, measured
    )


def _domain_list(rule: DomainListFilter) -> Rule:
    max_share = Fraction(repr(rule.max_share))

    def is_kept(document: Document) -> bool:
        num_domains, num_items = count_domains(document.text)
        return num_items < rule.min_items or num_domains <= max_share * num_items

    def measured(document: Document) -> str:
        of_all = _part(*count_domains(document.text), "items are domains")
        return f"{of_all} > max_share {_percent(rule.max_share)}"

    return Rule(is_kept, measured)


def _encoded_data(rule: EncodedDataFilter) -> Rule:
    max_share = Fraction(repr(rule.max_share))

    def is_kept(document: Document) -> bool:
        total, longest = encoded_chars(document.text)
        size = len(document.text)
        return longest <= rule.max_run_chars and total <= max_share * size

    def measured(document: Document) -> str:
        total, longest = encoded_chars(document.text)
        if longest > rule.max_run_chars:
            limit = f"max_run_chars {rule.max_run_chars:,}"
            return f"longest run {longest:,} characters > {limit}"
        of_all = _part(total, len(document.text), "characters are encoded data")
        return f"{of_all} > max_share {_percent(rule.max_share)}"

    return Rule(is_kept, measured)


def _licence(rule: LicenceFilter) -> Rule:
    allowed = {one.casefold() for one in rule.allow}

    def is_kept(document: Document) -> bool:
        licences = licences_of(document.fields.get(rule.field))
        return bool(licences) and licences <= allowed

    def measured(document: Document) -> str:
        licences = licences_of(document.fields.get(rule.field))
        if not licences:
            return f"no licence in {rule.field!r}"
        return f"not allowed: {', '.join(sorted(licences - allowed))}"

    return Rule(is_kept, measured)


def _top_values(rule: TopValuesFilter, chosen: Sequence[Any]) -> Rule:
    kept = frozenset(map(text_of, chosen))

    def is_kept(document: Document) -> bool:
        assert kept, "what a filter keeps is counted before anything is read by it"
        text = text_of(document.fields.get(rule.field))
        return text is not None and text in kept

    def measured(document: Document) -> str:
        text = text_of(document.fields.get(rule.field))
        if text is None:
            return f"no value in {rule.field!r}"
        return f"{rule.field} is {text}, not among the {len(kept):,} most frequent"

    return Rule(is_kept, measured)


def _part(count: int, total: int, of_what: str) -> str:
    return f"{count:,} of {total:,} {of_what}, {count / total:.1%}"


def _percent(share: float) -> str:
    return f"{100 * share:.10g}%"
