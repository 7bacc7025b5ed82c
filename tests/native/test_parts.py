"""Buffers that are parts of others."""

from __future__ import annotations

import gc
import weakref

import pytest

_native = pytest.importorskip("objectfs._native")


def test_a_part_shares_memory() -> None:
    whole = _native.Buffer(100)
    memoryview(whole)[:] = bytes(range(100))
    part = whole._slice(10, 20)
    inner = part._slice(2, 4)
    assert (bytes(part), bytes(inner)) == (bytes(range(10, 20)), bytes((12, 13)))
    memoryview(whole)[12] = 255
    assert bytes(inner) == bytes((255, 13))
    assert len(whole._slice(100, 100)) == 0


def test_a_part_keeps_its_whole_alive() -> None:
    whole = _native.Buffer(1024 * 1024)
    memoryview(whole)[:] = b"x" * len(whole)
    gone = weakref.ref(whole)
    view = memoryview(whole._slice(10, 20)._slice(2, 4))
    del whole
    gc.collect()
    assert gone() is not None
    assert bytes(view) == b"xx"
    del view
    assert gone() is None


def test_neither_is_shrunk() -> None:
    whole = _native.Buffer(100)
    part = whole._slice(10, 20)
    for buffer in (whole, part):
        with pytest.raises(BufferError):
            buffer._shrink(1)


@pytest.mark.parametrize(("start", "end"), [(0, 11), (5, 4), (11, 11)])
def test_no_part(start: int, end: int) -> None:
    part = _native.Buffer(100)._slice(10, 20)
    with pytest.raises(ValueError):
        part._slice(start, end)
    with pytest.raises(OverflowError):
        part._slice(-1, 2)
