"""Sizes and numbers as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["number", "parse_size"]

_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _UNITS[_letter + "ib"] = 1024**_power
    _UNITS[_letter + "i"] = 1024**_power
    _UNITS[_letter + "b"] = 1000**_power

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*\Z", re.ASCII)


def parse_size(value: int | str) -> int:
    """Bytes from a number or from text: ``256 MiB`` (1024s), ``256 MB`` (1000s), ``1.5 GiB``, ``65536``.

    ``256M`` alone is refused: it means one thing to one half of the world and another to the rest.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError(f"a size is a number or text, not {type(value).__name__}")
    if isinstance(value, int):
        if value < 0:
            raise ValueError("a size is not negative")
        return value
    match = _SIZE.match(value)
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError(f"{value!r} is not a size: write it as 65536, 256 MiB or 1.5 GB")
    return (
        int(float(match[1]) * _UNITS[match[2].lower()]) if "." in match[1] else int(match[1]) * _UNITS[match[2].lower()]
    )


def number(low: float, high: float, what: str) -> Callable[[Any], float]:
    """A converter of numbers, or text of them, from ``low`` to ``high``. It raises ValueError with that range and
    ``what`` is counted."""

    def convert(value: Any) -> float:
        try:
            found = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            found = float("nan")
        if not low <= found <= high:
            raise ValueError(f"{what} from {low:g} to {high:g}")
        return found

    return convert
