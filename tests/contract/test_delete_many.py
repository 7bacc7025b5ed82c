"""Deleting many objects at a time."""

from __future__ import annotations

import asyncio
import itertools
import threading
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.backends import deleting
from objectfs.sim import Fault, S3Server

from .conftest import Make, Site
from .raw_server import Asked, RawServer, answer
from .test_leftovers import until
from .test_list import AWKWARD, fill


def requests(sim: S3Server, operation: str = "DeleteObjects") -> int:
    return sum(request.operation == operation for request in sim.requests)


def test_awkward_keys_and_plain_ones(client: objectfs.Client, site: Site, key: str) -> None:
    site.need("any-key")
    names = [f"{key}/{name}" for name in AWKWARD]
    client.put_many(site.bucket, dict.fromkeys(names, b"x"))
    assert client.delete_many(site.bucket, names) == {}
    assert list(client.list(site.bucket, f"{key}/")) == []


def test_a_thousand_with_each_request(connect: Make, sim: S3Server) -> None:
    names = fill(sim, 2345)
    assert connect().delete_many("bucket", iter(names)) == {}
    assert requests(sim) == 3
    assert list(connect().list("bucket")) == []
    for request in sim.requests:
        if request.operation == "DeleteObjects":
            # S3 refuses the request without one of them
            assert "content-md5" in request.headers or any(n.startswith("x-amz-checksum-") for n in request.headers)


def test_several_requests_at_a_time(connect: Make, sim: S3Server) -> None:
    names = fill(sim, 3000)
    gate = threading.Event()
    faults = [sim.faults.add(Fault("DeleteObjects", hold=gate)) for _ in range(3)]
    answers: list[Any] = []
    client = connect()
    thread = threading.Thread(target=lambda: answers.append(client.delete_many("bucket", names)))
    thread.start()
    until(lambda: all(fault.hits for fault in faults))
    gate.set()
    thread.join()
    assert answers == [{}]


def test_a_generator_is_read_as_it_is_needed(connect: Make, sim: S3Server) -> None:
    """A few thousand names are in memory, however many there are."""
    taken = 0
    most = 0

    def names() -> Iterator[str]:
        nonlocal taken, most
        for number in range(12_000):
            taken += 1
            most = max(most, taken - 1000 * requests(sim))
            yield f"none/{number}"

    assert connect().delete_many("bucket", names()) == {}
    assert requests(sim) == 12
    assert most <= 5000


def test_a_listing_is_deleted_while_it_is_listed(connect: Make, sim: S3Server) -> None:
    fill(sim, 3500)
    client = connect()
    assert (
        client.delete_many(
            "bucket", (entry.key for entry in client.list("bucket") if isinstance(entry, objectfs.ObjectInfo))
        )
        == {}
    )
    assert list(client.list("bucket")) == []


def test_a_generator_that_fails(connect: Make, sim: S3Server) -> None:
    names = fill(sim, 3000)

    def broken() -> Iterator[str]:
        yield from names
        raise ZeroDivisionError

    client = connect()
    with pytest.raises(ZeroDivisionError):
        client.delete_many("bucket", broken())
    assert client.delete_many("bucket", names) == {}


def test_versions(client: objectfs.Client, site: Site, key: str) -> None:
    site.need("versioned-ids")
    name = f"{site.bucket}-d-{key[2:8]}"
    client.call("CreateBucket", Bucket=name)
    client.call("PutBucketVersioning", Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    first = client.put(name, "k", b"1").version_id
    client.put(name, "k", b"2")
    client.put(name, "odd\x01", b"3")
    try:
        assert client.delete_many(name, [("k", first)]) == {}
        assert bytes(client.get(name, "k")) == b"2"
        assert client.delete_many(name, ["k", ("odd\x01", None)]) == {}
        with pytest.raises(errors.NotFoundError):
            client.get(name, "k")
        markers = [entry for entry in client.list_versions(name) if isinstance(entry, objectfs.ObjectVersion)]
        assert [entry.is_delete_marker for entry in markers] == [True, False, True, False]
    finally:
        every = [(entry.key, entry.version_id) for entry in client.list_versions(name)]  # type: ignore[union-attr]
        assert client.delete_many(name, every) == {}
        assert list(client.list_versions(name)) == []
        client.call("DeleteBucket", Bucket=name)


def test_failures_by_key(connect: Make, sim: S3Server) -> None:
    document = b"""<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <Error><Key>a&lt;b</Key><Code>AccessDenied</Code><Message>no</Message></Error>
        <Error><Key>c</Key><VersionId>v1</VersionId><Code>InternalError</Code><Message>oops</Message></Error>
        <Error><Key>cr&#13;lf</Key><Code>SlowDown</Code><Message>later</Message></Error></DeleteResult>"""
    sim.faults.add(Fault("DeleteObjects", status=200, body=document))
    sim.faults.add(Fault("DeleteObject", key="x\x01", status=403, code="AccessDenied", times=None))
    failures = connect().delete_many("bucket", ["a<b", ("c", "v1"), "cr\rlf", "x\x01", "fine"])
    assert {item: type(error) for item, error in failures.items()} == {
        "a<b": errors.AccessDeniedError,
        ("c", "v1"): errors.ServerError,
        "cr\rlf": errors.ThrottledError,
        "x\x01": errors.AccessDeniedError,
    }
    denied = failures["a<b"]
    assert isinstance(denied, errors.AccessDeniedError)
    assert (denied.operation, denied.bucket, denied.key, denied.code) == (
        "DeleteObjects",
        "bucket",
        "a<b",
        "AccessDenied",
    )
    assert "no" in str(denied)


class Busy:
    """Answers DeleteObjects with 200, and of each key with the codes that are planned for it, one after the other."""

    def __init__(self, plan: dict[str, list[str]]) -> None:
        self.plan = plan
        self.asked: list[list[str]] = []

    def __call__(self, asked: Asked) -> bytes:
        wanted = [str(each.findtext("{*}Key")) for each in ET.fromstring(asked.body).findall("{*}Object")]
        self.asked.append(wanted)
        found = "".join(
            f"<Error><Key>{key}</Key><Code>{self.plan[key].pop(0)}</Code><Message>m</Message></Error>"
            for key in wanted
            if self.plan.get(key)
        )
        return answer(200, body=f"<DeleteResult>{found}</DeleteResult>".encode())


def test_what_s3_was_too_busy_for_is_asked_for_again(connect: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that, as often as a request is; what is refused for good is not."""
    waits: list[int] = []
    monkeypatch.setattr(deleting, "backoff", lambda attempt: waits.append(attempt) or 0.01)
    plan = {
        "once": ["SlowDown"],
        "twice": ["InternalError", "ServiceUnavailable"],
        "always": ["SlowDown"] * 9,
        "refused": ["AccessDenied"],
        "never": ["NotImplemented"],
        "later": ["SlowDown", "AccessDenied"],
    }
    busy = Busy({key: list(codes) for key, codes in plan.items()})
    with RawServer(busy) as server:
        client = connect(endpoint_url=server.url, max_attempts=3, checksum="off")
        failures = client.delete_many("bucket", [*plan, "fine"])
        told = {key: (type(error), getattr(error, "code", None)) for key, error in failures.items()}
        assert told == {
            "always": (errors.ThrottledError, "SlowDown"),
            "refused": (errors.AccessDeniedError, "AccessDenied"),
            "never": (errors.UnsupportedError, "NotImplemented"),
            "later": (errors.AccessDeniedError, "AccessDenied"),
        }
        assert busy.asked == [[*plan, "fine"], ["once", "twice", "always", "later"], ["twice", "always"]]
        assert waits == [1, 2]
        busy.plan = {"k": ["InternalError"] * 9}
        assert {type(error) for error in connect(endpoint_url=server.url).delete_many("bucket", ["k"]).values()} == {
            errors.ServerError
        }
        assert len(busy.asked) == 4  # max_attempts=1


async def test_a_pause_keeps_no_loop_waiting(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ends with the task that waits for it."""
    paused = asyncio.Event()

    def backoff(attempt: int) -> float:
        paused.set()
        return 60.0

    monkeypatch.setattr(deleting, "backoff", backoff)
    with RawServer(Busy({"k": ["SlowDown"] * 9})) as server:
        async with objectfs.AsyncClient(
            endpoint_url=server.url, access_key_id="test", secret_access_key="testtest", backend=backend
        ) as client:
            task = asyncio.create_task(client.delete_many("bucket", ["k"]))
            await asyncio.wait_for(paused.wait(), 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 10)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.delete_many("bucket", ["k"], timeout=0.2), 10)


def test_the_pauses_grow() -> None:
    for attempt, most in ((1, 1.0), (2, 2.0), (5, 16.0), (9, deleting.BACKOFF_CAP)):
        drawn = [deleting.backoff(attempt) for _ in range(200)]
        assert 0 <= min(drawn) < most / 2 < max(drawn) <= most


def test_a_request_that_fails_as_a_whole(connect: Make, sim: S3Server) -> None:
    names = fill(sim, 3000)
    sim.faults.add(Fault("DeleteObjects", nth=2, status=403, code="AccessDenied"))
    with pytest.raises(errors.AccessDeniedError) as caught:
        connect().delete_many("bucket", names)
    assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("DeleteObjects", "bucket", None)


def test_wrong_keys_are_named(connect: Make, sim: S3Server) -> None:
    client = connect()
    for wrong in ("bucket", b"key"):
        with pytest.raises(TypeError):
            client.delete_many("bucket", wrong)  # type: ignore[arg-type]
    for item in (7, ("k",), ("k", 7), ("k", "v", "w"), None, [("k", "v")]):
        with pytest.raises(TypeError):
            client.delete_many("bucket", [item])  # type: ignore[type-var]
    with pytest.raises(errors.InvalidRequestError, match="empty"):
        client.delete_many("bucket", [""])
    with pytest.raises(errors.InvalidRequestError, match="surrogates"):
        client.delete_many("bucket", ["\udcff"])
    assert requests(sim) == 0
    assert client.delete_many("bucket", []) == {}
    assert requests(sim) == 0


async def test_async_iterables(sim: S3Server, backend: str) -> None:
    names = fill(sim, 4500)

    async def each() -> AsyncIterator[str]:
        for name in names:
            yield name

    async with objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        backend=backend,
    ) as client:
        assert await client.delete_many("bucket", each()) == {}
        assert [entry async for entry in client.list("bucket")] == []
        fill(sim, 1500)
        assert await client.delete_many("bucket", (e.key async for e in client.list("bucket"))) == {}  # type: ignore[union-attr]
        fill(sim, 10)
        assert await client.delete_many("bucket", itertools.islice(names, 10)) == {}
        assert [entry async for entry in client.list("bucket")] == []
