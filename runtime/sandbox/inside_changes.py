"""What a candidate did to the tests' own lists and maps, done to them here too.

Runs inside the sandbox, on the standard library alone.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CHANGEABLE = (list, tuple, dict, set, bytearray)


def change(old: Any, new: Any) -> None:
    """Make what the tests hold equal to what became of it there, in place."""
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        pairs = list(zip(old, new, strict=False))
        merged = [_changed(*pair) for pair in pairs] + list(new[len(pairs) :])
        if isinstance(old, list):
            old[:] = merged
    elif isinstance(old, dict) and isinstance(new, dict):
        both = {key: _changed(old[key], new[key]) for key in new if key in old}
        items = {**new, **both}
        old.clear()
        old.update(items)
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray) and isinstance(new, bytearray):
        old[:] = new


def _changed(old: Any, new: Any) -> Any:
    if type(old) is not type(new) or not isinstance(old, _CHANGEABLE):
        return new
    change(old, new)
    return new if isinstance(old, tuple) else old
