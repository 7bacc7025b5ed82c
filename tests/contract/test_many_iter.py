"""iter_many: results as they come, bounded memory, and nothing left behind by who stops asking."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import random
import resource
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp, until

KiB = 1024

HEAD = 1000
"""Bytes of an answer's head, at most."""


@pytest.fixture
def async_client(sim: S3Server, backend: str) -> Callable[[], objectfs.AsyncClient]:
    return lambda: objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        max_attempts=1,
        backend=backend,
    )


def store(client: objectfs.Client, sim: S3Server, sizes: list[int]) -> dict[str, bytes]:
    data = {f"k{number:04}": ramp(size, number) for number, size in enumerate(sizes)}
    client.put_many("bucket", data)
    sim.clear_requests()
    return data


def quiet(sim: S3Server) -> bool:
    """Whether the server has answered all that it was asked."""
    return all(request.ended is not None for request in sim.requests)


def settled(sim: S3Server) -> None:
    """Wait until no request comes any more."""
    seen = -1
    while seen != len(sim.requests) or not quiet(sim):
        seen = len(sim.requests)
        time.sleep(0.05)


def idle(client: Any) -> bool:
    """Whether nothing runs on the client."""
    found = client.stats()
    if "operations_in_flight" in found:
        return bool(found["operations_in_flight"] == 0)
    return all(operation.done() for operation in client._core.backend()._wire._operations)


def contents(found: Any) -> dict[Any, bytes]:
    return {key: bytes(result) for key, result in found}


# -- content and order -----------------------------------------------------------------------------------------------
def test_objects_of_all_sizes(connect: Make, sim: S3Server) -> None:
    chance = random.Random(1)
    sizes = [0, 1, 64 * KiB, 64 * KiB + 1, 256 * KiB, 1 * MiB, 9 * MiB, 20 * MiB]
    sizes += [chance.choice((10, 1000, 70_000, 300_000)) for _ in range(150)]
    chance.shuffle(sizes)
    client = connect()
    data = store(client, sim, sizes)
    for how in ({}, {"ordered": True}, {"max_memory": 1 * MiB}, {"max_memory": "1 MiB", "ordered": True}):
        found = list(client.iter_many("bucket", list(data), **how))  # type: ignore[arg-type]
        assert contents(found) == data
        assert len(found) == len(data)
        if how.get("ordered"):
            assert [key for key, _ in found] == list(data)
        for key, buffer in found:
            assert isinstance(buffer, objectfs.Buffer)
            assert buffer.info is not None
            assert (buffer.info.key, buffer.info.size) == (key, len(data[key]))


def test_one_request_an_object(connect: Make, sim: S3Server) -> None:
    client = connect()
    data = store(client, sim, [1000] * 30)
    assert contents(client.iter_many("bucket", data)) == data
    assert len(sim.requests) == 30


def test_in_a_program_with_a_thousand_descriptors(connect: Make, sim: S3Server) -> None:
    """Beyond 1,023 select() knows none."""
    client = connect()
    data = store(client, sim, [1000] * 30)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 1200 if hard == resource.RLIM_INFINITY else min(1200, hard)
    if limit < 1100:
        pytest.skip("nobody may open so many here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
    opened = []
    try:
        while not opened or opened[-1] < 1030:
            opened.append(os.dup(0))
        assert contents(client.iter_many("bucket", data)) == data
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ranges(connect: Make, sim: S3Server) -> None:
    client = connect()
    data = store(client, sim, [1000, 2 * MiB])
    items = [
        ("k0000", 10, 20),
        ("k0001", MiB, None),
        "k0000",
        ("k0001", None, 5),
        ("k0001", 7, 7),
        ("k0000", 990, 5000),
    ]
    found = dict(client.iter_many("bucket", items, ordered=True))
    assert list(found) == items
    for item, buffer in found.items():
        key, start, end = (item, None, None) if isinstance(item, str) else item
        assert bytes(buffer) == data[key][start:end]  # type: ignore[arg-type]
    ((_, error),) = client.iter_many("bucket", [("k0000", 1000, 1001)], on_error="return")
    assert isinstance(error, errors.InvalidRangeError)


def test_as_they_complete_or_in_order(connect: Make, sim: S3Server) -> None:
    client = connect()
    data = store(client, sim, [10] * 8)
    gate = threading.Event()
    sim.faults.add(Fault(operation="GetObject", key="k0000", hold=gate, times="all"))
    found = client.iter_many("bucket", data)
    others = [next(found)[0] for _ in range(7)]
    assert sorted(others) == list(data)[1:]
    gate.set()
    assert next(found)[0] == "k0000"
    assert next(found, None) is None
    gate.clear()
    found = client.iter_many("bucket", data, ordered=True)
    threading.Timer(0.1, gate.set).start()
    assert [key for key, _ in found] == list(data)


def test_nothing(connect: Make) -> None:
    client = connect()
    assert list(client.iter_many("bucket", [])) == []
    client.iter_many("bucket", ["a"])  # never begun


# -- bounds ----------------------------------------------------------------------------------------------------------
def test_backpressure(connect: Make, sim: S3Server) -> None:
    client = connect()
    store(client, sim, [100])
    asked = 0

    def endless() -> Iterator[str]:
        nonlocal asked
        while True:
            asked += 1
            yield "k0000"

    found = client.iter_many("bucket", endless(), max_in_flight=5)
    for taken in range(1, 30):
        next(found)
        assert asked <= taken + 11  # on their way, arrived, and one that waits for its turn
    settled(sim)
    before = len(sim.requests)
    assert before <= 29 + 10
    time.sleep(0.1)
    assert len(sim.requests) == before
    found.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("ordered", [False, True])
def test_memory_is_bounded(connect: Make, sim: S3Server, ordered: bool) -> None:
    """By what the server has sent and nobody has taken, at each step."""
    client = connect()
    chance = random.Random(2)
    data = store(client, sim, [200_000] * 40 + [chance.choice((1000, 50_000, 200_000)) for _ in range(160)])
    limit = 2 * MiB
    found = client.iter_many("bucket", data, max_memory=limit, ordered=ordered)
    taken = number = 0
    for key, buffer in found:
        taken += len(buffer)  # type: ignore[arg-type]
        assert bytes(buffer) == data[key]  # type: ignore[arg-type]
        number += 1
        if number % 20 == 1:
            settled(sim)
            last = {request.key: request for request in sim.requests}
            kept = list(sim.requests) if "zero-copy" in client.backend.capabilities else list(last.values())
            # sdk lets go of what is longer than it was lent memory for, and asks again
            sent = sum(request.sent - HEAD for request in kept)
            assert sent - taken <= limit
    assert number == 200


def test_an_object_larger_than_the_memory(connect: Make, sim: S3Server) -> None:
    client = connect()
    data = store(client, sim, [10, 5 * MiB, 10, 10 * MiB, 10, 9 * MiB, 10])
    for ordered in (False, True):
        found = client.iter_many("bucket", data, max_memory=256 * KiB, max_in_flight=4, ordered=ordered)
        assert contents(found) == data


def test_a_straggler_holds_up_only_so_much(connect: Make, sim: S3Server) -> None:
    """In order, what has arrived behind it is bounded in number too."""
    client = connect()
    store(client, sim, [0] * 2)
    gate = threading.Event()
    sim.faults.add(Fault(operation="GetObject", key="k0000", hold=gate))
    keys = itertools.chain(["k0000"], itertools.repeat("k0001"))
    found = client.iter_many("bucket", keys, ordered=True, max_in_flight=4)
    threading.Timer(0.3, gate.set).start()
    assert next(found)[0] == "k0000"
    assert len({request.key for request in sim.requests}) == 2
    assert len([request for request in sim.requests if request.operation == "GetObject"]) <= 8 + 4
    found.close()  # type: ignore[attr-defined]


# -- errors ----------------------------------------------------------------------------------------------------------
def test_errors_by_key(connect: Make, sim: S3Server) -> None:
    client = connect()
    data = store(client, sim, [10] * 5)
    keys = ["missing", *data, ("gone", 0, 5)]
    found = dict(client.iter_many("bucket", keys, on_error="return"))
    assert set(found) == set(keys)
    for key in ("missing", ("gone", 0, 5)):
        error = found[key]
        assert isinstance(error, errors.NotFoundError)
        assert (error.operation, error.bucket) == ("GetObject", "bucket")
        assert error.key == (key if isinstance(key, str) else key[0])
    assert {key: bytes(found[key]) for key in data} == data  # type: ignore[arg-type]
    with pytest.raises(errors.NotFoundError) as caught:
        list(client.iter_many("bucket", keys))
    assert caught.value.key in ("missing", "gone")
    until(lambda: idle(client))


def test_the_first_failure_cancels_the_rest(connect: Make, sim: S3Server) -> None:
    client = connect()
    data = store(client, sim, [10] * 4)
    gate = threading.Event()
    sim.faults.add(Fault(operation="GetObject", key_glob="k*", hold=gate, times="all"))
    try:
        before = time.monotonic()
        with pytest.raises(errors.NotFoundError):
            list(client.iter_many("bucket", [*data, "missing"]))
        assert time.monotonic() - before < 2
        until(lambda: idle(client))
    finally:
        gate.set()


def test_bad_keys_come_in_their_turn(connect: Make, sim: S3Server) -> None:
    client = connect()
    data = store(client, sim, [10] * 3)
    kinds: list[tuple[Any, type[Exception]]] = [
        (None, TypeError),
        (5, TypeError),
        (b"bytes", TypeError),
        ("", errors.InvalidRequestError),
        (("k0000", 5), TypeError),
        (("k0000", -5, None), errors.InvalidRequestError),
        (("k0000", 5, 3), errors.InvalidRequestError),
        (("k0000", "1", None), TypeError),
    ]
    for wrong, kind in kinds:
        found = client.iter_many("bucket", [*data, wrong], on_error="return")
        assert contents(next(found) for _ in data) == data
        with pytest.raises(kind):
            next(found)

    def broken() -> Iterator[str]:
        yield "k0000"
        raise KeyError("mine")

    found = client.iter_many("bucket", broken())
    assert next(found)[0] == "k0000"
    with pytest.raises(KeyError, match="mine"):
        next(found)


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"max_in_flight": 0}, ValueError),
        ({"max_in_flight": 1.5}, TypeError),
        ({"max_in_flight": True}, TypeError),
        ({"max_memory": 0}, ValueError),
        ({"max_memory": "much"}, ValueError),
        ({"max_memory": 1.5}, TypeError),
        ({"on_error": "ignore"}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"version_id": "1"}, TypeError),
        ({"keys": "text"}, TypeError),
        ({"keys": 5}, TypeError),
    ],
)
def test_arguments(connect: Make, how: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        connect().iter_many("bucket", **{"keys": ["a"], **how})


def test_options(connect: Make, sim: S3Server) -> None:
    client = connect()
    store(client, sim, [10, 3 * MiB])
    found = list(client.iter_many("bucket", ["k0000", "k0001"], headers={"x-amz-meta-mine": "1"}, checksum="off"))
    assert len(found) == 2
    assert {request.headers.get("x-amz-meta-mine") for request in sim.requests} <= {"1", None}
    assert "1" in {request.headers.get("x-amz-meta-mine") for request in sim.requests}


# -- who stops asking ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["close", "drop", "throw"])
def test_abandoned(connect: Make, sim: S3Server, how: str) -> None:
    client = connect()
    data = store(client, sim, [10] * 20)
    gate = threading.Event()
    sim.faults.add(Fault(operation="GetObject", hold=gate, after=1, times="all"))
    try:
        found: Any = client.iter_many("bucket", itertools.cycle(data), max_in_flight=4)
        next(found)
        assert not idle(client)
        before = time.monotonic()
        if how == "close":
            found.close()
        elif how == "throw":
            with pytest.raises(KeyboardInterrupt):
                found.throw(KeyboardInterrupt)
        del found
        gc.collect()
        assert time.monotonic() - before < 1
        until(lambda: idle(client))
    finally:
        gate.set()
    assert bytes(client.get("bucket", "k0000")) == data["k0000"]


def test_timeout(connect: Make, sim: S3Server) -> None:
    client = connect()
    store(client, sim, [10] * 3)
    gate = threading.Event()
    sim.faults.add(Fault(operation="GetObject", hold=gate, times="all"))
    try:
        with pytest.raises(errors.TimeoutError) as caught:
            next(client.iter_many("bucket", ["k0000"], timeout=0.2))
        assert caught.value.bucket == "bucket"
        until(lambda: idle(client))
    finally:
        gate.set()


def test_client_closed_meanwhile(connect: Make, sim: S3Server) -> None:
    client = connect()
    data = store(client, sim, [10] * 3)
    gate = threading.Event()
    sim.faults.add(Fault(operation="GetObject", hold=gate, after=1, times="all"))
    found = client.iter_many("bucket", itertools.cycle(data), on_error="return")
    next(found)
    threading.Timer(0.1, client.close).start()
    with pytest.raises((errors.ClosedError, errors.CancelledError)):
        for _ in found:
            pass
    gate.set()


# -- asyncio ---------------------------------------------------------------------------------------------------------
async def test_async(connect: Make, sim: S3Server, async_client: Callable[[], objectfs.AsyncClient]) -> None:
    data = store(connect(), sim, [0, 10, 70_000, 3 * MiB, 20 * MiB] * 6)
    async with async_client() as client:
        for how in ({}, {"ordered": True}, {"max_memory": MiB, "max_in_flight": 3}):
            found = [pair async for pair in client.iter_many("bucket", list(data), **how)]  # type: ignore[arg-type]
            assert contents(found) == data
            assert len(found) == len(data)
        with pytest.raises(errors.NotFoundError) as caught:
            async for _ in client.iter_many("bucket", [*data, "missing"]):
                pass
        assert caught.value.key == "missing"
        results = {key: result async for key, result in client.iter_many("bucket", ["missing"], on_error="return")}
        assert isinstance(results["missing"], errors.NotFoundError)
        with pytest.raises(TypeError):
            async for _ in client.iter_many("bucket", [None]):
                pass
        with pytest.raises(TypeError):
            client.iter_many("bucket", "text")


async def test_async_keys(connect: Make, sim: S3Server, async_client: Callable[[], objectfs.AsyncClient]) -> None:
    """Keys that come of results: each is asked for without waiting for the next."""
    data = store(connect(), sim, [10] * 40)
    async with async_client() as client:
        listed = (entry.key async for entry in client.list("bucket"))  # type: ignore[union-attr]
        assert contents([pair async for pair in client.iter_many("bucket", listed)]) == data

        todo: asyncio.Queue[str | None] = asyncio.Queue()
        await todo.put("k0000")

        async def keys() -> AsyncIterator[str]:
            while (key := await todo.get()) is not None:
                yield key

        seen = []
        async for key, _ in client.iter_many("bucket", keys(), max_in_flight=4):
            seen.append(key)
            await todo.put(f"k{len(seen):04}" if len(seen) < 40 else None)
        assert seen == list(data)

        async def broken() -> AsyncIterator[Any]:
            yield "k0000"
            raise KeyError("mine")

        found = client.iter_many("bucket", broken())
        assert (await anext(found))[0] == "k0000"
        with pytest.raises(KeyError, match="mine"):
            await anext(found)


@pytest.mark.parametrize("how", ["aclose", "cancel"])
async def test_async_abandoned(
    connect: Make, sim: S3Server, async_client: Callable[[], objectfs.AsyncClient], how: str
) -> None:
    data = store(connect(), sim, [10] * 5)
    gate = threading.Event()
    sim.faults.add(Fault(operation="GetObject", hold=gate, after=1, times="all"))
    waiting = asyncio.Event()
    ended = asyncio.Event()

    async def keys() -> AsyncIterator[str]:
        try:
            for key in data:
                yield key
            waiting.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def consume(client: objectfs.AsyncClient) -> None:
        async with contextlib.aclosing(client.iter_many("bucket", keys())) as found:  # type: ignore[type-var]
            async for _ in found:
                if how == "aclose":
                    return

    try:
        async with async_client() as client:
            before = time.monotonic()
            task = asyncio.ensure_future(consume(client))
            if how == "cancel":
                await waiting.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                await task
            assert time.monotonic() - before < 2
            assert ended.is_set()
            await asyncio.to_thread(until, lambda: idle(client))
            gate.set()
            assert bytes(await client.get("bucket", "k0000")) == data["k0000"]
        assert asyncio.all_tasks() == {asyncio.current_task()}
    finally:
        gate.set()
