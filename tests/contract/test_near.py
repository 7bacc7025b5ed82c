"""Whether a server is near, the requests tell that had it for themselves (docs/design/0015-pace.md)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import objectfs
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp, until

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs.backends import crt_late, crt_network

BACKENDS_HERE = ["crt"]  # the sdk backend learns nothing

PART = 5 * MiB
LARGE = ramp(4 * PART)
WAIT = 0.03


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """On which an answer from near may take more than two milliseconds."""
    monkeypatch.setattr(crt_network, "FAR", 0.6 * WAIT)


@pytest.fixture
def client(sim: S3Server, connect: Make) -> objectfs.Client:
    made = connect(part_size=PART, max_attempts=3)
    made.put("bucket", "large", LARGE)
    made.put_many("bucket", {f"k{i}": b"small" for i in range(60)})
    return made


@pytest.mark.parametrize(("at_once", "first"), [(1, "GetObject"), (0, "HeadObject")])
def test_a_queue_is_not_taken_for_a_long_way(sim: S3Server, client: objectfs.Client, at_once: int, first: str) -> None:
    """From far away, HeadObject tells the size, so that all ranges begin at once."""
    late = sim.faults.add(Fault("GetObject", key="large", after=at_once, times="all", delay=WAIT))
    assert client.get("bucket", "large") == LARGE
    (pace,) = client.stats()["pace"]
    assert pace["first_byte"] > WAIT / 2
    sim.faults.remove(late)
    sim.clear_requests()
    assert client.get("bucket", "large") == LARGE
    assert sim.requests[0].operation == first


def test_a_queue_is_no_reason_to_ask_twice(sim: S3Server, client: objectfs.Client) -> None:
    assert client.get("bucket", "k0") == b"small"
    sim.faults.add(Fault("GetObject", times="all", delay=WAIT))
    for _ in range(5):  # more than a tenth of a second, after which it is looked at again
        assert list(client.get_many("bucket", [f"k{i}" for i in range(60)])) == [b"small"] * 60
    (pace,) = client.stats()["pace"]
    assert pace["late"] is None


@pytest.mark.parametrize(("distant", "heads"), [(0.0, 3), (60.0, 1)])
def test_what_is_short_is_asked_for_three_times_only_from_far_away(
    sim: S3Server, client: objectfs.Client, monkeypatch: pytest.MonkeyPatch, distant: float, heads: int
) -> None:
    monkeypatch.setattr(crt_network, "DISTANT", distant)
    monkeypatch.setattr(crt_late, "START", 60.0)
    late = sim.faults.add(Fault("GetObject", key="large", times="all", delay=WAIT))
    assert client.get("bucket", "large") == LARGE
    sim.faults.remove(late)
    answer = threading.Event()
    held = sim.faults.add(Fault("HeadObject", key="large", times="all", hold=answer))
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(client.get, "bucket", "large")
        try:
            until(lambda: held.hits == heads)
        finally:
            answer.set()
        assert result.result(30) == LARGE
    assert held.hits == heads
    (pace,) = client.stats()["pace"]
    assert pace["hedged"][0] == heads - 1
