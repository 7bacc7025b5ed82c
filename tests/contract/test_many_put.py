"""put_many: mappings and pairs, errors by key, what is under way bounded."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp, until
from .test_many_iter import async_client, idle  # noqa: F401 - a fixture


def stored(client: objectfs.Client, keys: Any) -> dict[str, bytes]:
    return {key: bytes(buffer) for key, buffer in client.iter_many("bucket", keys)}  # type: ignore[arg-type]


DATA = {f"k{number:03}": ramp(size, number) for number, size in enumerate([0, 1, 1000, 20 * MiB, *range(100, 130)])}


@pytest.mark.parametrize("form", ["mapping", "pairs", "generator"])
@pytest.mark.parametrize("on_error", ["raise", "return"])
def test_content(connect: Make, form: str, on_error: Any) -> None:
    client = connect()
    given: Any = {
        "mapping": DATA,
        "pairs": list(DATA.items()),
        "generator": (pair for pair in DATA.items()),
    }[form]
    moved: list[int] = []
    results = client.put_many("bucket", given, on_error=on_error, progress=moved.append, metadata={"mine": "1"})
    assert set(results) == set(DATA)
    assert all(result.etag for result in results.values())
    assert stored(client, DATA) == DATA
    assert client.head("bucket", "k003").metadata == {"mine": "1"}
    assert moved == sorted(moved)
    assert 0 <= moved[-1] - sum(map(len, DATA.values())) < 10_000  # crt counts the answers' documents too


@pytest.mark.parametrize("pairs", [False, True])
def test_errors_by_key(connect: Make, sim: S3Server, pairs: bool) -> None:
    client = connect()
    client.put("bucket", "there", b"old")
    data = {"a": b"a", "there": b"new", "large": ramp(20 * MiB), "b": b"b"}
    sim.faults.add(Fault(operation="PutObject", key="b", status=403, code="AccessDenied", times="all"))
    sim.faults.add(Fault(operation="UploadPart", key="large", status=403, code="AccessDenied", times="all"))
    given: Any = data.items() if pairs else data
    results = client.put_many("bucket", given, on_error="return", if_none_match="*")
    assert set(results) == set(data)
    assert isinstance(results["a"], objectfs.PutResult)
    for key, kind in (
        ("there", errors.PreconditionFailedError),
        ("large", errors.AccessDeniedError),
        ("b", errors.AccessDeniedError),
    ):
        assert isinstance(results[key], kind)
        assert (results[key].bucket, results[key].key) == ("bucket", key)
    assert bytes(client.get("bucket", "there")) == b"old"
    assert not client.exists("bucket", "large")
    assert client.call("ListMultipartUploads", Bucket="bucket").get("Uploads", []) == []
    with pytest.raises((errors.PreconditionFailedError, errors.AccessDeniedError)) as caught:
        client.put_many("bucket", given, if_none_match="*")
    assert caught.value.key in data
    until(lambda: idle(client))
    assert client.call("ListMultipartUploads", Bucket="bucket").get("Uploads", []) == []


def test_a_generator_is_not_read_ahead(connect: Make, sim: S3Server) -> None:
    """Its data is under way or stored, but for one piece."""
    client = connect()
    piece = bytes(8 * MiB)
    given = most = 0

    def pairs() -> Iterator[tuple[str, bytes]]:
        nonlocal given, most
        for number in range(40):
            done = sum(request.operation == "PutObject" and request.answered is not None for request in sim.requests)
            most = max(most, given - done)
            given += 1
            yield f"k{number}", piece

    assert len(client.put_many("bucket", pairs())) == 40
    assert most <= 128 // 8 + 1


def test_what_cannot_be_stored(connect: Make) -> None:
    client = connect()
    cases: list[tuple[Any, type[Exception]]] = [
        ("text", TypeError),
        (5, TypeError),
        ([5], TypeError),
        ([("a", b"", b"")], TypeError),
        ([("a", "text")], TypeError),
        ([(5, b"")], TypeError),
        ([("", b"")], errors.InvalidRequestError),
        ([("a", b"1"), ("a", b"2")], errors.InvalidRequestError),
        ({"": b""}, errors.InvalidRequestError),
        ({"a": 5}, TypeError),
    ]
    for wrong, kind in cases:
        for on_error in ("raise", "return"):
            with pytest.raises(kind):
                client.put_many("bucket", wrong, on_error=on_error)  # type: ignore[arg-type]
    with pytest.raises(errors.InvalidRequestError):
        client.put_many("bucket", {}, on_error="ignore")  # type: ignore[arg-type]
    assert client.put_many("bucket", []) == {}
    assert client.put_many("bucket", {}, on_error="return") == {}


def test_timeout_leaves_nothing(connect: Make, sim: S3Server) -> None:
    client = connect()
    gate = threading.Event()
    sim.faults.add(Fault(operation="UploadPart", hold=gate, times="all"))
    sim.faults.add(Fault(operation="PutObject", hold=gate, times="all"))
    try:
        before = time.monotonic()
        with pytest.raises(errors.TimeoutError):
            client.put_many("bucket", [("large", bytes(20 * MiB)), ("small", b"1")], timeout=0.3)
        assert time.monotonic() - before < 3
    finally:
        gate.set()
    until(lambda: idle(client))
    until(lambda: not client.call("ListMultipartUploads", Bucket="bucket").get("Uploads"))
    assert not client.exists("bucket", "large")


async def test_async(sim: S3Server, async_client: Callable[[], objectfs.AsyncClient]) -> None:  # noqa: F811
    async with async_client() as client:
        results = await client.put_many("bucket", DATA.items(), on_error="return")
        assert set(results) == set(DATA)
        assert {key: bytes(got) async for key, got in client.iter_many("bucket", DATA)} == DATA  # type: ignore[arg-type]
        gate = threading.Event()
        sim.faults.add(Fault(operation="UploadPart", hold=gate, times="all"))
        try:
            task = asyncio.ensure_future(client.put_many("bucket", [("large", bytes(20 * MiB)), ("small", b"1")]))
            await asyncio.to_thread(until, lambda: any(one.operation == "UploadPart" for one in sim.requests[-3:]))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        finally:
            gate.set()
        await asyncio.to_thread(until, lambda: idle(client))
        answer = await client.call("ListMultipartUploads", Bucket="bucket")
        assert answer.get("Uploads", []) == []
