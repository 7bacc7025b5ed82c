"""Deleting many objects at a time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make, Site
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
