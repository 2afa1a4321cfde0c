"""Numbers as people read them."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Write a number with its noun.

    >>> counted(1, "step"), counted(1010, "step")
    ('1 step', '1,010 steps')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def scaled(count: int) -> str:
    """Write a large number with one decimal and K, M, B or T, powers of 1000.

    >>> scaled(999), scaled(132_400_000), scaled(999_999)
    ('999', '132.4M', '1.0M')
    """
    return _in_units(count, ["", "K", "M", "B", "T"], 1000)


def in_bytes(count: int) -> str:
    """Write a size in powers of 1024.

    >>> in_bytes(1000), in_bytes(3 * 1024**3)
    ('1000 B', '3.0 GiB')
    """
    return _in_units(count, [" B", " KiB", " MiB", " GiB", " TiB"], 1024)


def duration(seconds: float) -> str:
    """Write a time span with its two largest units.

    >>> duration(3.2), duration(75), duration(7260)
    ('3s', '1m 15s', '2h 01m')
    """
    whole = round(seconds)
    minutes, left_seconds = divmod(whole, 60)
    hours, left_minutes = divmod(minutes, 60)
    days, left_hours = divmod(hours, 24)
    if days:
        return f"{days}d {left_hours:02}h"
    if hours:
        return f"{hours}h {left_minutes:02}m"
    return f"{minutes}m {left_seconds:02}s" if minutes else f"{whole}s"


def _in_units(count: int, units: list[str], base: int) -> str:
    if count < base:
        return f"{count}{units[0]}"
    power = 1
    # A number that rounds up to the next unit is written in it: 1.0M, never 1000.0K.
    while power < len(units) - 1 and round(count / base**power, 1) >= base:
        power += 1
    return f"{count / base**power:.1f}{units[power]}"
