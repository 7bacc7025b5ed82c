"""get_ranges: what is fetched together, and that nobody notices."""

from __future__ import annotations

import gc
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp

KiB = 1024
SIZE = 300 * KiB
DATA = ramp(SIZE)


@pytest.fixture
def stored(connect: Make, sim: S3Server) -> objectfs.Client:
    client = connect()
    client.put("bucket", "key", DATA)
    sim.clear_requests()
    return client


def asked(sim: S3Server) -> list[str]:
    """The ranges that were requested since the last look."""
    found = sorted(request.range or "" for request in sim.requests if request.operation == "GetObject")
    sim.clear_requests()
    return found


def plain(pairs: list[tuple[int, int]], data: bytes) -> list[bytes] | type[Exception]:
    """What get_ranges has to answer."""
    if any(start < end and start >= len(data) and start > 0 for start, end in pairs):
        return errors.InvalidRangeError
    return [data[start:end] for start, end in pairs]


def bounds() -> st.SearchStrategy[tuple[int, int]]:
    near = st.integers(0, 200)
    anywhere = st.integers(0, SIZE + 10)
    starts = st.one_of(near, anywhere, st.sampled_from([0, SIZE - 1, SIZE, SIZE + 1]))
    lengths = st.one_of(st.integers(0, 50), st.integers(0, SIZE * 2), st.sampled_from([0, 1, 2**53]))
    return st.tuples(starts, lengths).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(bounds(), max_size=8),
    coalesce=st.sampled_from([None, 0, 1, 100, 10 * KiB, 2**40]),
    empty=st.integers(0, 9).map(lambda number: number == 0),
)
def test_any_ranges(
    stored: objectfs.Client, sim: S3Server, pairs: list[tuple[int, int]], coalesce: int | None, empty: bool
) -> None:
    key, data = ("empty", b"") if empty else ("key", DATA)
    stored.put("bucket", "empty", b"")
    sim.clear_requests()
    wanted = plain(pairs, data)
    if isinstance(wanted, list):
        got = stored.get_ranges("bucket", key, pairs, coalesce=coalesce)
        assert [bytes(buffer) for buffer in got] == wanted
        for buffer in got:
            assert buffer.info is not None
            assert (buffer.info.key, buffer.info.size) == (key, len(data))
        ranges = [request.range for request in sim.requests if request.operation == "GetObject"]
        # above 64 MiB the engine asks first how much there is
        probe = any(end - start > 64 * MiB for start, end in pairs)
        if coalesce != 0 and not empty:
            sent = sum(len(DATA[slice(*edges(one))]) for one in ranges)
            union = len({byte for start, end in pairs for byte in range(start, min(end, SIZE))})
            gap = 64 * KiB if coalesce is None else coalesce
            assert sent <= union + gap * len(pairs) + probe, (
                "more was fetched than the ranges and the gaps between them"
            )
        assert len(ranges) <= len({pair for pair in pairs if pair[0] < pair[1]}) + probe
    else:
        with pytest.raises(wanted) as caught:
            stored.get_ranges("bucket", key, pairs, coalesce=coalesce)
        assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("GetObject", "bucket", key)


def edges(header: str | None) -> tuple[int, int]:
    assert header is not None
    start, _, last = header.removeprefix("bytes=").partition("-")
    return int(start), int(last) + 1


@pytest.mark.parametrize(
    ("pairs", "coalesce", "requests"),
    [
        ([(0, 10), (20, 30), (40, 50)], None, ["bytes=0-49"]),
        ([(40, 50), (0, 10), (20, 30)], None, ["bytes=0-49"]),
        ([(0, 10), (20, 30), (40, 50)], 10, ["bytes=0-49"]),
        ([(0, 10), (20, 30), (40, 50)], 9, ["bytes=0-9", "bytes=20-29", "bytes=40-49"]),
        ([(0, 10), (10, 20)], 1, ["bytes=0-19"]),
        ([(0, 10), (10, 20)], 0, ["bytes=0-9", "bytes=10-19"]),
        ([(0, 10), (5, 20)], 0, ["bytes=0-9", "bytes=5-19"]),
        ([(0, 10), (0, 10), (5, 5)], 0, ["bytes=0-9"]),
        ([(0, 100), (20, 30), (0, 100), (90, 110)], 1, ["bytes=0-109"]),
        ([(0, 1), (64 * KiB + 1, 64 * KiB + 2)], None, ["bytes=0-65537"]),
        ([(0, 1), (64 * KiB + 2, 64 * KiB + 3)], None, ["bytes=0-0", "bytes=65538-65538"]),
    ],
)
def test_requests(
    stored: objectfs.Client, sim: S3Server, pairs: list[tuple[int, int]], coalesce: int | None, requests: list[str]
) -> None:
    got = stored.get_ranges("bucket", "key", pairs, coalesce=coalesce)
    assert [bytes(buffer) for buffer in got] == [DATA[start:end] for start, end in pairs]
    assert asked(sim) == requests


def test_a_request_of_many_ranges_is_bounded(connect: Make, sim: S3Server) -> None:
    client = connect()
    data = ramp(20 * MiB)
    client.put("bucket", "key", data)
    sim.clear_requests()
    pairs = [(start, start + 10) for start in range(0, 20 * MiB - 10, 60 * KiB)]
    got = client.get_ranges("bucket", "key", pairs)
    assert [bytes(buffer) for buffer in got] == [data[start:end] for start, end in pairs]
    lengths = [end - start for start, end in map(edges, asked(sim))]
    assert len(lengths) == 3
    assert max(lengths) <= 8 * MiB
    # what overlaps goes together at any length
    got = client.get_ranges("bucket", "key", [(0, 7 * MiB), (6 * MiB, 13 * MiB), (12 * MiB, 19 * MiB)])
    assert [len(buffer) for buffer in got] == [7 * MiB] * 3
    assert memoryview(got[1]) == memoryview(data)[6 * MiB : 13 * MiB]
    assert sum(end - start for start, end in map(edges, asked(sim))) == 19 * MiB


def test_slices_are_buffers(stored: objectfs.Client, backend: str) -> None:
    first, second, third = stored.get_ranges("bucket", "key", [(0, 100), (50, 150), (200, 300)])
    assert isinstance(second, objectfs.Buffer)
    view = memoryview(second)
    assert (view.format, view.ndim, view.nbytes) == ("B", 1, 100)
    assert len(second) == 100
    assert (second[0], bytes(second[10:20])) == (DATA[50], DATA[60:70])
    assert list(second)[:3] == list(DATA[50:53])
    assert second == DATA[50:150]
    assert second != first
    again = pickle.loads(pickle.dumps(second))
    assert bytes(again) == DATA[50:150]
    if "zero-copy" in stored.backend.capabilities:
        memoryview(first)[50] = 255  # type: ignore[index]
        assert second[0] == 255, "memory of its own"
    # a part outlives its whole, and the client
    del first, second, third, again
    gc.collect()
    stored.close()
    assert bytes(view) == (b"\xff" if "zero-copy" in stored.backend.capabilities else DATA[50:51]) + DATA[51:150]


def test_replaced_meanwhile(stored: objectfs.Client, sim: S3Server) -> None:
    sim.faults.add(Fault(operation="GetObject", nth=2, replace=b"x" * SIZE))
    with pytest.raises(errors.ObjectChangedError):
        stored.get_ranges("bucket", "key", [(0, 10), (200 * KiB, 201 * KiB), (290 * KiB, 291 * KiB)])


@pytest.mark.parametrize(("value", "kind"), [(-1, ValueError), (1.5, TypeError), ("1", TypeError), (True, TypeError)])
def test_coalesce_is_checked(stored: objectfs.Client, value: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="coalesce"):
        stored.get_ranges("bucket", "key", [(0, 1)], coalesce=value)


async def test_async(sim: S3Server, backend: str) -> None:
    async with objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url, access_key_id="test", secret_access_key="testtest", backend=backend
    ) as client:
        await client.put("bucket", "key", DATA)
        sim.clear_requests()
        got = await client.get_ranges("bucket", "key", [(5, 9), (0, 3)])
        assert [bytes(buffer) for buffer in got] == [DATA[5:9], DATA[:3]]
        assert asked(sim) == ["bytes=0-8"]
        got = await client.get_ranges("bucket", "key", [(5, 9), (0, 3)], coalesce=0)
        assert [bytes(buffer) for buffer in got] == [DATA[5:9], DATA[:3]]
        assert asked(sim) == ["bytes=0-2", "bytes=5-8"]
