"""The CRC of a range, computed as its bytes come: native/running.c."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from objectfs import _native
from objectfs.backends.base import PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server

SIZE = 3_000_000
DATA = bytes(range(1, 251)) * (SIZE // 250)
ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME"]


@pytest.fixture
def crt(make: Callable[..., CrtBackend]) -> CrtBackend:
    if _native.debug_running_bytes() is None:
        pytest.skip("the C libraries are shared ones, or this is no ELF: the CRC is computed afterwards")
    backend = make(max_attempts=3)
    run(backend.put("bucket", "k", DATA, PutOptions()))
    return backend


def fetch(crt: CrtBackend, *ranges: tuple[Any, int, str], **more: Any) -> list[Any]:
    """Each into memory, from a place on; the responses."""
    target = crt.target("bucket")
    requests = [
        _native.Request(
            b"GetObject",
            b"GET",
            target.path("k"),
            target.native,
            target.headers({"Range": f"bytes={start}-{start + len(recv) - 1}"}),
            recv=recv,
            crc=algorithm,
            **more,
        )
        for recv, start, algorithm in ranges
    ]
    op = target.engine.start(requests)
    assert op.wait(60)
    return list(op.result())


def computed() -> int:
    count = _native.debug_running_bytes()
    assert count is not None
    return count


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_along(crt: CrtBackend, algorithm: str) -> None:
    buffer = bytearray(SIZE - 777)
    before = computed()
    (response,) = fetch(crt, (buffer, 777, algorithm))
    assert buffer == DATA[777:]
    assert response.crc == _native.crc(algorithm, buffer)
    assert computed() - before == len(buffer)


def test_fewer_bytes_than_there_is_room_for(crt: CrtBackend) -> None:
    buffer = bytearray(SIZE)
    (response,) = fetch(crt, (buffer, 1000, "CRC64NVME"))
    assert response.received == SIZE - 1000
    assert response.crc == _native.crc("CRC64NVME", DATA[1000:])


def test_a_range_that_breaks_off_begins_again(crt: CrtBackend, sim: S3Server) -> None:
    fault = sim.faults.add(Fault("GetObject", key="k", reset=True, at=SIZE // 2))
    buffer = bytearray(SIZE)
    before = computed()
    (response,) = fetch(crt, (buffer, 0, "CRC32"))
    assert fault.hits == 1
    assert buffer == DATA
    assert response.crc == _native.crc("CRC32", DATA)
    assert computed() - before > SIZE  # what came of the first answer, too


def test_parts_of_a_request(crt: CrtBackend) -> None:
    """The C library makes ranges of it, which come in any order, not all to its beginning: computed afterwards."""
    buffer = bytearray(SIZE)
    (response,) = fetch(crt, (buffer, 0, "CRC32C"), part_size=400_000)
    assert buffer == DATA
    assert response.crc == _native.crc("CRC32C", DATA)


def test_many_side_by_side(crt: CrtBackend) -> None:
    size = 2000
    ranges = [(bytearray(size), at * 1000, ALGORITHMS[at % 3]) for at in range(1400)]
    responses = fetch(crt, *ranges)
    for (buffer, start, algorithm), response in zip(ranges, responses, strict=True):
        assert buffer == DATA[start : start + size]
        assert response.crc == _native.crc(algorithm, buffer)


def test_a_refused_range_leaves_no_place_behind(crt: CrtBackend, sim: S3Server) -> None:
    for _ in range(2):
        sim.faults.add(Fault("GetObject", key="k", status=403, code="AccessDenied", times=300))
        responses = fetch(crt, *[(bytearray(1000), 0, "CRC32")] * 300)
        assert {response.status for response in responses} == {403}
    buffer = bytearray(SIZE)
    before = computed()
    fetch(crt, (buffer, 0, "CRC32"))
    assert computed() - before == SIZE
