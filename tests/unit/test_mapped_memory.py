"""Memory with mappings of its own: as other memory, and the system's again when it is dropped."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from objectfs.backends import memory

MiB = 1024 * 1024

DROPPED = """
import os
from objectfs.backends.memory import mapped_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

block = b"x" * (1 << 20)
grown = []
for _ in range(3):  # malloc gives the first one back, and keeps those after it
    before = resident()
    part = mapped_memory(8 << 20)
    with memoryview(part) as view:
        for start in range(0, len(part), len(block)):
            view[start : start + len(block)] = block
    filled = resident()
    del part
    grown.append((filled - before, resident() - before))
print(min(filled for filled, _ in grown) >> 20, max(left for _, left in grown) >> 20)
"""


@pytest.mark.parametrize("size", [0, 1, MiB - 1, MiB, 5 * MiB + 3])
def test_it_is_zeroed_memory_of_that_size(size: int) -> None:
    part = memory.mapped_memory(size)
    assert len(part) == size
    with memoryview(part) as view:
        assert not any(view)
        view[size // 2 :] = b"x" * (size - size // 2)
        assert bytes(view[:size]) == bytes(size // 2) + b"x" * (size - size // 2)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells how much of a process is resident")
def test_what_is_dropped_is_the_systems_again() -> None:
    done = subprocess.run([sys.executable, "-c", DROPPED], check=True, capture_output=True, encoding="utf-8")
    filled, left = map(int, done.stdout.split())
    assert filled >= 7
    assert left <= 1


@pytest.mark.skipif(not hasattr(mmap, "MAP_ANONYMOUS"), reason="parts have no mappings of their own here")
def test_none_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(memory.mmap, "mmap", refuse)
    with pytest.raises(MemoryError, match="no memory for 5242880 bytes"):
        memory.mapped_memory(5 * MiB)
