"""How much comes while several requests receive, and that nothing is sent twice where that is all there can be:
native/bandwidth.pyx, native/hedge.pyx."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from objectfs.backends.base import PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server
from objectfs.sim.network.profile import Profile

from .conftest import until
from .hedging import DATA, LATE, SIZE, hedged, request, start

PAUSE = 6 * LATE
"""Half-way through an answer."""


@pytest.fixture
def stored(crt: CrtBackend) -> CrtBackend:
    run(crt.put("bucket", "k", DATA, PutOptions()))
    return crt


@pytest.mark.parametrize(
    ("bandwidth", "room"),
    [
        (1e5, False),  # bytes a second: 30 kB come until one is late, and 0.6 MB are on their way
        (1e7, True),
        (0, False),  # nobody knows, and nothing is complete
    ],
)
def test_not_while_others_bring_as_much_as_the_network_can(
    stored: CrtBackend, sim: S3Server, bandwidth: float, room: bool
) -> None:
    """Two answers have begun, the third is late."""
    engine = stored.target("bucket").engine
    engine.bandwidth = bandwidth
    run(stored.put("bucket", "late", DATA, PutOptions()))
    coming = sim.faults.add(Fault("GetObject", key="k", delay=PAUSE, at=SIZE // 2, times=2))
    silent = sim.faults.add(Fault("GetObject", key="late", stall=True))
    buffers = [bytearray(SIZE) for _ in range(3)]
    requests = [request(stored, buffer, key=key) for buffer, key in zip(buffers, ["k", "k", "late"], strict=True)]
    op = start(stored, *requests, window=3)
    until(lambda: coming.hits == 2 and silent.hits)
    if room:
        until(lambda: hedged(stored) == (1, 1))
        assert not op.done()
    else:
        assert not op.wait(3 * LATE)
        assert hedged(stored) == (0, 0)
    assert op.wait(20)
    assert buffers == [DATA] * 3
    assert hedged(stored) == (1, 1)


def test_more_may_bring_more(stored: CrtBackend, sim: S3Server) -> None:
    """What two have brought is not all that eight can."""
    engine = stored.target("bucket").engine
    run(stored.put("bucket", "late", DATA, PutOptions()))
    sim.faults.add(Fault("GetObject", key="k", delay=0.4, at=SIZE // 2, times=2))
    assert start(stored, *(request(stored, bytearray(SIZE)) for _ in range(2)), window=2, late=0.0).wait(20)
    assert 0 < 2 * LATE * engine.bandwidth < 6 * SIZE  # what six bring would take too long
    coming = sim.faults.add(Fault("GetObject", key="k", delay=PAUSE, at=SIZE // 2, times=None))
    silent = sim.faults.add(Fault("GetObject", key="late", stall=True, times=None))
    op = start(stored, *(request(stored, bytearray(SIZE), key=key) for key in ["k"] * 6 + ["late"] * 2), window=8)
    until(lambda: coming.hits == 6 and silent.hits == 2)
    until(lambda: hedged(stored)[0] >= 1, seconds=PAUSE - LATE)
    op.cancel()
    assert op.wait(5)


def test_not_while_files_get_as_much_as_the_network_can(stored: CrtBackend, sim: S3Server) -> None:
    """Of what goes into a file nobody sees whether it has begun."""
    engine = stored.target("bucket").engine
    engine.bandwidth = 1e5
    coming = sim.faults.add(Fault("GetObject", key="k", delay=PAUSE, at=SIZE // 2, times=2))
    op = start(stored, *(request(stored, bytearray(SIZE)) for _ in range(2)), window=2, marks=False)
    until(lambda: coming.hits == 2)
    assert not op.wait(3 * LATE)
    assert hedged(stored) == (0, 0)
    assert op.wait(20)


def test_bandwidth_of_all_together(make: Callable[..., CrtBackend]) -> None:
    """Of what shares a link, and of what does not."""
    for profile, count, expected in (
        (Profile(total_bandwidth=8e6, latency=0.01), 4, 8e6),
        (Profile(bandwidth=4e6, latency=0.01), 4, 16e6),
        (Profile(total_bandwidth=8e6, latency=0.2, latency_p99=1.0), 4, 8e6),  # times of silence count nothing
    ):
        with S3Server(profile=profile, buckets=("bucket",), verify_signatures=False) as server:
            crt = make(server.endpoint_url)
            run(crt.put("bucket", "k", bytes(2_000_000), PutOptions()))
            engine = crt.target("bucket").engine
            assert engine.bandwidth == 0
            op = start(crt, *(request(crt, bytearray(2_000_000)) for _ in range(count)), window=count, late=0.0)
            assert op.wait(30)
            op.result()
            assert 0.7 * expected < engine.bandwidth < 1.4 * expected


def test_fewer_tell_less_of_the_bandwidth(stored: CrtBackend, sim: S3Server) -> None:
    """Two may not need all of it; as many as before do."""
    engine = stored.target("bucket").engine
    run(stored.put("bucket", "short", DATA[:1000], PutOptions()))

    def together(count: int, delay: float = 0.0, key: str = "k") -> float:
        if delay:
            sim.faults.add(Fault("GetObject", key=key, delay=delay, at=SIZE // 2, times=count))
        requests = (request(stored, bytearray(SIZE), key=key) for _ in range(count))
        assert start(stored, *requests, window=count, late=0.0).wait(20)
        found: float = engine.bandwidth
        return found

    many = together(8, 0.1)
    assert many > 4 * SIZE
    assert together(2, 0.5) == many
    assert together(3, key="short") == many  # comes at once when it comes
    assert together(1) == many
    assert 0 < together(8, 0.5) < many / 2
    assert together(2, 0.01) > many  # what has come can come
    engine.bandwidth = 1e12  # as if from another process: any tells more
    assert together(2, 0.01) < 1e12
