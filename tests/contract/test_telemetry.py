"""What a client tells of its requests: histograms in ``stats()``, and traces."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server
from objectfs.telemetry import PHASES, RequestRecord, Trace

MiB = 1024 * 1024
EVERYWHERE = {"send", "first_byte", "receive", "total"}

Make = Callable[..., objectfs.Client]


def eventually(condition: Callable[[], Any]) -> None:
    """The engine counts an attempt when it has delivered it, which its caller may not wait for."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def collect(trace: Trace, n: int) -> list[RequestRecord]:
    found: list[RequestRecord] = []

    def enough() -> bool:
        found.extend(trace.drain())
        return len(found) >= n

    eventually(enough)
    return found


def test_histograms(connect: Make, backend: str) -> None:
    client = connect()
    assert client.stats()["operations"] == {}
    assert client.stats()["latency"] == {}
    for i in range(20):
        client.put("bucket", f"k{i}", b"x" * 100)
    client.get_many("bucket", [f"k{i}" for i in range(20)])
    with pytest.raises(errors.NotFoundError):
        client.get("bucket", "nothing")
    eventually(lambda: client.stats()["operations"]["GetObject"]["attempts"] == 21)
    stats = client.stats()
    assert stats["operations"]["PutObject"] == {"attempts": 20, "failed": 0}
    assert stats["operations"]["GetObject"] == {"attempts": 21, "failed": 1}
    latency = stats["latency"]
    assert latency.keys() >= EVERYWHERE | {"connection"}
    assert ("signing" in latency) is (backend == "crt")
    assert latency.keys() <= set(PHASES)
    total = latency["total"]
    assert total["count"] == 41
    assert sum(count for _, count in total["buckets"]) == 41
    assert 0 < total["p50"] <= total["p90"] <= total["p99"] <= total["max"] <= total["sum"]
    for name in EVERYWHERE - {"total"}:
        assert latency[name]["count"] <= 41
        assert latency[name]["sum"] <= total["sum"]


def test_a_retry_is_two_attempts(connect: Make, sim: S3Server) -> None:
    client = connect(max_attempts=3)
    sim.faults.add(Fault("GetObject", times=1, status=503, code="SlowDown"))
    client.put("bucket", "key", b"x")
    with client.trace() as trace:
        assert bytes(client.get("bucket", "key")) == b"x"
        first, second = collect(trace, 2)
    assert (first.operation, first.status, first.attempt) == ("GetObject", 503, 1)
    assert first.error
    assert (second.attempt, second.error) == (2, None)
    assert second.retry_delay is not None
    assert second.retry_delay > 0
    assert second.started >= first.started
    assert client.stats()["operations"]["GetObject"] == {"attempts": 2, "failed": 1}
    assert client.stats()["latency"]["retry_delay"]["count"] == 1


def test_a_record(connect: Make, backend: str, sim: S3Server) -> None:
    client = connect()
    before = time.time()
    with client.trace() as trace:
        client.put("bucket", "a key", b"x")
        (record,) = collect(trace, 1)
    assert record.operation == "PutObject"
    assert record.path == "/bucket/a%20key"
    assert record.host.partition(":")[0] == "127.0.0.1"
    assert record.address == "127.0.0.1"
    assert record.request_id
    assert record.connection_id
    assert before - 1 <= record.started <= time.time() + 1
    assert record.total
    assert record.total > 0
    for phase in EVERYWHERE - {"total"}:
        value = getattr(record, phase)
        assert 0 <= value <= record.total, phase
    assert (record.signing is not None) is (backend == "crt")


def test_parts(connect: Make, backend: str) -> None:
    client = connect(part_size=5 * MiB, memory_limit="512 MiB")
    with client.trace() as trace:
        client.put("bucket", "large", bytes(12 * MiB))
        client.get_into("bucket", "large", bytearray(12 * MiB))
        records = collect(trace, 8 if backend == "crt" else 6)
    operations = [record.operation for record in records]
    assert operations.count("UploadPart") == 3
    assert "CreateMultipartUpload" in operations
    assert "CompleteMultipartUpload" in operations
    assert {record.part_number for record in records if record.operation == "UploadPart"} == {1, 2, 3}
    assert {record.part_number for record in records if record.operation != "UploadPart"} == {None}
    if backend == "crt":
        ranges = {record.range for record in records if record.operation == "GetObject"}
        assert None not in ranges
        assert min(first for first, _ in ranges) == 0


def test_nothing_is_kept_where_nobody_traces(connect: Make) -> None:
    client = connect()
    client.put("bucket", "key", b"x")
    with client.trace() as trace:
        assert trace.drain() == []
        client.head("bucket", "key")
        assert [record.operation for record in collect(trace, 1)] == ["HeadObject"]
    client.head("bucket", "key")
    eventually(lambda: client.stats()["operations"]["HeadObject"]["attempts"] == 2)
    assert trace.drain() == []


def test_the_oldest_are_dropped_and_counted(connect: Make) -> None:
    client = connect()
    client.put("bucket", "key", b"x")
    with client.trace(capacity=3) as trace:
        for _ in range(10):
            client.get("bucket", "key")
        eventually(lambda: client.stats()["operations"]["GetObject"]["attempts"] == 10)
        records = []

        def all_told() -> bool:
            records.extend(trace.drain())
            return len(records) + trace.lost == 10

        eventually(all_told)
        assert trace.lost >= 6  # the last attempt may have been counted and not yet recorded at the first look


def test_a_callback_and_an_iterator_get_the_same(connect: Make) -> None:
    client = connect()
    told: list[RequestRecord] = []
    iterated: list[RequestRecord] = []
    client.trace(told.append)
    trace = client.trace()
    thread = threading.Thread(target=lambda: iterated.extend(trace))
    thread.start()
    for i in range(5):
        client.put("bucket", f"k{i}", b"x")
    eventually(lambda: len(told) == 5 and len(iterated) == 5)
    client.close()
    thread.join(30)
    assert not thread.is_alive(), "the end of the client ends its traces"
    assert told == iterated


def test_a_callback_that_fails_ends_its_trace_only(connect: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = connect()
    called = threading.Event()

    def fail(record: RequestRecord) -> None:
        called.set()
        raise RuntimeError("of the callback")

    failing = client.trace(fail)
    with client.trace() as other:
        client.put("bucket", "key", b"x")
        assert called.wait(30)
        eventually(lambda: any("the trace ends" in record.message for record in caplog.records))
        client.put("bucket", "key", b"y")
        assert len(collect(other, 2)) == 2
    failing.close()


@pytest.mark.parametrize("capacity", [0, -1, 10_000_000])
def test_what_a_capacity_may_be(connect: Make, capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        connect().trace(capacity=capacity)


async def test_of_an_async_client(sim: S3Server, backend: str) -> None:
    async with objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        backend=backend,
    ) as client:
        with client.trace() as trace:
            await client.put("bucket", "key", b"x")
            assert [record.operation for record in collect(trace, 1)] == ["PutObject"]


@pytest.mark.parametrize("given", [{"capacity": "10"}, {"capacity": 1.5}, {"capacity": True}, {"callback": 5}])
def test_what_else_is_no_trace(connect: Make, given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(given))):
        connect().trace(**given)
