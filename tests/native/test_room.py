"""Memory for the objects of a batch: chosen by what the batch before, or its first objects, have shown."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from objectfs import _native
from objectfs.backends import crt_late, crt_network, machine
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.crt_batch import Room
from objectfs.backends.drive import run

KiB = 1024
MiB = 1024 * KiB


def read(backend: CrtBackend, sizes: list[int]) -> Room:
    """Read objects of these sizes twice, the second time in the memory that the first has shown to suit them."""
    source = random.Random(3).randbytes(max(sizes))
    for number, size in enumerate(sizes):
        run(backend.put("bucket", f"{number}", source[:size], PutOptions()))
    keys = [f"{number}" for number in range(len(sizes))]
    for _ in range(2):
        found = run(backend.get_many("bucket", keys, "raise", GetOptions()))
        assert [bytes(item) for item in found] == [source[:size] for size in sizes]
    room = backend.target("bucket").engine.paces.batch[1]
    assert isinstance(room, Room)
    return room


@pytest.mark.parametrize(
    ("sizes", "room"),
    [
        ([MiB] * 40, Room(MiB)),
        ([4 * KiB] * 40, Room()),
        ([10 * KiB, 900 * KiB, 5 * MiB, 300 * KiB] * 10, Room(5 * MiB, sparse=True)),
        ([KiB] * 99 + [3 * MiB], Room()),  # memory for 3 MiB a hundred times would cost more
        ([8 * MiB] + [KiB] * 60, Room()),  # though it is among the first few
        ([KiB] * 18 + [17 * MiB] * 2 + [MiB] * 20, Room(16 * MiB, sparse=True)),  # the rest of two comes afterwards
        ([0] * 20 + [2 * MiB] * 20, Room(2 * MiB)),
    ],
    ids=["alike", "small", "mixed", "one large", "a large one first", "beyond two parts", "empty ones"],
)
def test_memory_that_suits_them(
    make: Callable[..., CrtBackend], monkeypatch: pytest.MonkeyPatch, sizes: list[int], room: Room
) -> None:
    monkeypatch.setattr(crt_network.Network, "far", False)  # whatever it sees here
    monkeypatch.setattr(crt_late, "late", lambda *_, **__: 0.0)
    assert read(make(), sizes) == room


def test_not_where_the_addresses_are_too_many(make: Callable[..., CrtBackend], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_available", lambda: 64 * MiB)
    assert read(make(), [10 * KiB, 900 * KiB, 5 * MiB, 300 * KiB] * 10) == Room()


def test_collected_where_there_are_no_addresses(
    make: Callable[..., CrtBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _native.Buffer

    def few(size: int = 0, sparse: bool = False, keep: bool = False) -> Any:
        if sparse:
            raise MemoryError
        return made(size, keep=keep)

    monkeypatch.setattr(crt_network.Network, "far", True)
    monkeypatch.setattr(_native, "Buffer", few)
    assert read(make(), [10 * KiB, 900 * KiB, 5 * MiB, 300 * KiB] * 10).sparse  # wanted, and not to be had


def test_memory_that_is_kept_is_given_back_for_sparse_memory(
    make: Callable[..., CrtBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is malloc's, which does not know what is kept: both together would be twice what is needed, of pages that
    the system has to get and to clear."""
    monkeypatch.setattr(crt_network.Network, "far", False)
    monkeypatch.setattr(crt_late, "late", lambda *_, **__: 0.0)
    backend = make()
    large = bytes(17 * MiB)
    for number, size in enumerate([KiB] * 18 + [17 * MiB] * 2 + [MiB] * 20):
        run(backend.put("bucket", f"{number}", large[:size], PutOptions()))
    keys = [f"{number}" for number in range(40)]
    found = run(backend.get_many("bucket", keys, "raise", GetOptions()))
    assert backend.target("bucket").engine.paces.batch[1].sparse
    del found
    if not _native.kept_bytes():
        pytest.skip("with a sanitizer, or OBJECTFS_DEBUG, nothing is kept")
    seen: list[int] = []
    buffer = backend.buffer
    monkeypatch.setattr(backend, "buffer", lambda *args: seen.append(_native.kept_bytes()) or buffer(*args))
    run(backend.get_many("bucket", keys, "raise", GetOptions()))
    assert seen[0] == 0
