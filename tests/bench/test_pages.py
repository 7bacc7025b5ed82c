"""Memory that is touched before a run."""

from __future__ import annotations

import errno
import mmap
import sys
from typing import Any

import pytest

from objectfs.bench import memory, pages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell how much memory nobody uses")

MiB = 1 << 20


def resident(what: str) -> int:
    """Bytes of this process: VmRSS, or VmHWM for the most since that was forgotten."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{what}:")) * 1024


def refusing(error: int) -> Any:
    class Refusing(mmap.mmap):
        def madvise(self, option: int, *more: int) -> None:
            raise OSError(error, "refused")

    return Refusing


@pytest.mark.parametrize("old_kernel", [False, True])
def test_memory_is_touched_and_given_back(monkeypatch: pytest.MonkeyPatch, old_kernel: bool) -> None:
    if old_kernel:
        monkeypatch.setattr(mmap, "mmap", refusing(errno.EINVAL))
    memory.forget_peak()
    before = resident("VmRSS")
    if resident("VmHWM") > before + 10 * MiB:
        pytest.skip("the system does not forget the most that was resident")
    assert pages.provide(40 * MiB + 1) == pages.SHARE * 40 * MiB
    assert resident("VmHWM") - before > 100 * MiB  # all of it was there
    assert resident("VmRSS") - before < 20 * MiB  # and is gone


def test_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap, "mmap", refusing(errno.ENOMEM))
    assert pages.provide(MiB) == 0


@pytest.mark.parametrize(
    ("unused", "limit", "expected"),
    [
        (0, None, 0),
        (4 * MiB, None, 2 * MiB),
        (5000, None, 0),
        (4 * MiB, 8 * MiB, MiB),
        (4 * MiB, 1 << 40, 2 * MiB),
    ],
)
def test_never_more_than_there_is(
    monkeypatch: pytest.MonkeyPatch, unused: int, limit: int | None, expected: int
) -> None:
    monkeypatch.setattr(pages, "unused", lambda: unused)
    monkeypatch.setattr(pages, "cgroup_memory_limit", lambda: limit)
    assert pages.provide(1 << 40) == expected


def test_nothing_where_nothing_is_moved() -> None:
    assert pages.provide(0) == 0


def test_the_system_tells() -> None:
    assert pages.unused() > 10 * MiB
