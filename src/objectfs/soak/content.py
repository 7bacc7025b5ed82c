"""The content of an object follows from its key: so bytes of another object, or of another place, are found too."""

from __future__ import annotations

import random
import zlib

# Odd, and no multiple of any part size: a part in the wrong place cannot look right.
_PERIOD = 1_048_583
_block = random.Random(0).randbytes(_PERIOD)
_twice = _block + _block


class WrongBytesError(Exception):
    """What was read is not what was written."""


def fill(key: str, size: int) -> bytes:
    """The content of an object of so many bytes."""
    start = zlib.crc32(key.encode()) % _PERIOD
    first = _twice[start : start + min(size, _PERIOD)]
    if size <= _PERIOD:
        return first
    times, rest = divmod(size, _PERIOD)
    return first * times + first[:rest]


def check(key: str, size: int, data: object, start: int = 0, end: int | None = None) -> None:
    """WrongBytesError unless ``data``, of any buffer, is the content from ``start`` to ``end``."""
    wanted = fill(key, size)[start:end]
    found = bytes(data)  # type: ignore[call-overload]
    if found != wanted:
        raise WrongBytesError(_difference(key, found, wanted, start))


def _difference(key: str, found: bytes, wanted: bytes, start: int) -> str:
    if len(found) != len(wanted):
        return f"{key}: {len(found)} bytes from {start} on, not {len(wanted)}"
    place = next(place for place, (left, right) in enumerate(zip(found, wanted, strict=True)) if left != right)
    return f"{key}: another byte at {start + place} of {len(wanted)}"
