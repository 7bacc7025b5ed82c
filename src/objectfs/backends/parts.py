"""How large the parts of a multipart upload are, on both backends."""

from __future__ import annotations

__all__ = ["GROWTH", "MAX_PARTS", "stream_part_size", "whole_part_size"]

MAX_PARTS = 10_000
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

LARGEST = 5 * 1024**3
"""Bytes of a part; the same page."""

GROWTH = 900
"""Parts of a stream of unknown length double in size after so many: 10,000 of them, beginning with 5 MiB, then hold
more than the 5 TiB that an object may have. With 8 MiB nothing grows before 7.5 GB."""


def whole_part_size(length: int, least: int) -> int:
    """Bytes of each part of a content of known length."""
    return max(least, -(-length // MAX_PARTS))


def stream_part_size(number: int, least: int) -> int:
    """Bytes of the part of that number (from 1) of a stream of unknown length."""
    return min(least << ((number - 1) // GROWTH), max(least, LARGEST))
