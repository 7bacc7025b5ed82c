"""Sizes of parts: S3's limits hold whatever the length."""

from __future__ import annotations

import pytest

from objectfs.backends.parts import GROWTH, MAX_PARTS, stream_part_size, whole_part_size

MiB = 1024 * 1024
TiB = 1024**4


@pytest.mark.parametrize("least", [5 * MiB, 8 * MiB, 64 * MiB, 5 * 1024**3])
def test_a_stream_of_any_length_fits(least: int) -> None:
    sizes = [stream_part_size(number, least) for number in range(1, MAX_PARTS + 1)]
    assert sum(sizes) >= 5 * TiB
    assert sizes[:GROWTH] == [least] * GROWTH
    assert sizes == sorted(sizes)
    assert max(sizes) <= 5 * 1024**3


@pytest.mark.parametrize("length", [0, 1, 80_000 * MiB, 80_000 * MiB + 1, 5 * TiB])
def test_a_known_length_fits(length: int) -> None:
    size = whole_part_size(length, 8 * MiB)
    assert size >= 8 * MiB
    assert -(-length // size) <= MAX_PARTS
