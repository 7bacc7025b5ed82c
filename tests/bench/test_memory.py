"""The memory of a run."""

from __future__ import annotations

import mmap
import sys
from typing import Any

import pytest

from objectfs.bench import memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell how much memory it has")

MiB = 1 << 20


@pytest.mark.parametrize("old_kernel", [False, True])
def test_memory_is_touched_and_given_back(monkeypatch: pytest.MonkeyPatch, old_kernel: bool) -> None:
    if old_kernel:

        class Old(mmap.mmap):
            def madvise(self, option: int, *more: int) -> None:
                raise OSError(22, "Invalid argument")

        monkeypatch.setattr(mmap, "mmap", Old)
    memory.forget_peak()
    before = memory.peak_rss()
    assert memory.provide(40 * MiB + 1) == memory.SHARE * 40 * MiB
    assert memory.peak_rss() - before > 100 * MiB  # all of it was there
    memory.forget_peak()
    assert memory.peak_rss() - before < 20 * MiB  # and is gone


@pytest.mark.parametrize(("there", "expected"), [(None, 0), (0, 0), (4 * MiB, 2 * MiB), (5000, 0)])
def test_never_more_than_half(monkeypatch: pytest.MonkeyPatch, there: Any, expected: int) -> None:
    monkeypatch.setattr(memory, "available", lambda: there)
    assert memory.provide(1 << 40) == expected


def test_nothing_where_nothing_is_moved() -> None:
    assert memory.provide(0) == 0


def test_the_system_tells() -> None:
    found = memory.available()
    assert found is not None
    assert found > 100 * MiB
