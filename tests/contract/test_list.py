"""Listing: what entries say, how pages are asked for, and what it costs."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import gc
import itertools
import pickle
import statistics
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import objectfs
from objectfs.sim import Fault, S3Server
from objectfs.sim.store.blobs import MemoryBlob
from objectfs.sim.store.records import Record
from objectfs.types import NOTHING

from .conftest import BACKENDS, Make, Site
from .raw_server import RawServer, answer
from .support import python

AWKWARD = [
    "plain",
    "with space",
    "a+b",
    "a%2Bb",
    "100%",
    "&amp;",
    "<tag>&\"'",
    "line\nbreak",
    "carriage\rreturn",
    "tab\there",
    "\x01\x02\x1f",
    "\x7f",
    "é/ü/日本語",
    "\N{PILE OF POO}",
    "a//b/",
    "?query=1&x=2#frag",
    "back\\slash",
    "\ufffe\uffff",
]


def fill(sim: S3Server, count: int, bucket: str = "bucket") -> list[str]:
    """So many objects, without a request for each."""
    names = [f"data/part-{number:07}" for number in range(count)]
    blob = MemoryBlob([b"x" * 100])

    def work() -> None:
        target = sim.store.bucket(bucket)
        for name in names:
            target.set(Record(name, blob, "d41d8cd98f00b204e9800998ecf8427e", modified=1764064800.125))

    sim.run(work)
    return names


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


def keys(entries: Any) -> list[str]:
    return [entry.prefix if isinstance(entry, objectfs.Prefix) else entry.key for entry in entries]


# -- what entries say ------------------------------------------------------------------------------------------------
def test_entries_say_what_head_says(client: objectfs.Client, site: Site, key: str) -> None:
    client.put(site.bucket, f"{key}/x", b"12345", metadata={"a": "b"})
    (entry,) = client.list(site.bucket, f"{key}/")
    assert isinstance(entry, objectfs.ObjectInfo)
    head = client.head(site.bucket, f"{key}/x")
    assert (entry.bucket, entry.key, entry.size, entry.etag) == (site.bucket, f"{key}/x", 5, head.etag)
    assert entry.storage_class == "STANDARD"
    assert entry.last_modified is not None
    assert entry.last_modified.tzinfo is UTC
    assert entry.last_modified.replace(microsecond=0) == head.last_modified
    # what a listing does not say
    assert (entry.version_id, entry.content_type, entry.metadata, entry.headers) == (None, None, {}, {})


def test_entries_are_values_as_others_are(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, f"{key}/x", b"1")
    (entry,) = client.list(bucket, f"{key}/")
    (again,) = client.list(bucket, f"{key}/")
    assert isinstance(entry, objectfs.ObjectInfo)
    assert entry == again
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert copy.deepcopy(entry) == entry
    assert dataclasses.asdict(entry)["key"] == entry.key
    assert dataclasses.replace(entry, size=7).size == 7
    assert "metadata={}" in repr(entry)
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.size = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        entry.metadata["a"] = "b"  # type: ignore[index]
    assert pickle.loads(pickle.dumps(entry)).metadata == {}


@pytest.mark.parametrize(
    ("text", "micros"),
    [("2025-11-25T10:00:00.125Z", 125000), ("2025-11-25T10:00:00Z", 0), ("2025-11-25T12:00:00.5+02:00", 500000)],
)
def test_last_modified_as_the_server_has_it(connect: Make, text: str, micros: int) -> None:
    body = f"<ListBucketResult><Contents><Key>k</Key><LastModified>{text}</LastModified><Size>1</Size></Contents>"
    with RawServer(lambda _: answer(200, body=f"{body}</ListBucketResult>".encode())) as server:
        (entry,) = connect(endpoint_url=server.url).list("bucket")
    assert isinstance(entry, objectfs.ObjectInfo)
    assert entry.last_modified == datetime(2025, 11, 25, 10, 0, 0, micros, tzinfo=UTC)


def test_awkward_keys(client: objectfs.Client, site: Site, key: str) -> None:
    names = sorted((f"{key}/{name}" for name in AWKWARD), key=str.encode)
    client.put_many(site.bucket, {name: name.encode() for name in names})
    assert keys(client.list(site.bucket, f"{key}/")) == names
    for name in names:
        assert keys(client.list(site.bucket, name, limit=1)) == [name]
        assert bytes(client.get(site.bucket, name)) == name.encode()
    folders = sorted(
        {f"{key}/é/", f"{key}/a/", *(name for name in names if "/" not in name[len(key) + 1 :])}, key=str.encode
    )
    assert keys(client.list(site.bucket, f"{key}/", "/")) == folders
    assert client.delete_many(site.bucket, names) == {}


DOCUMENTS = {
    # what a server says that does not encode, and one that says so behind the entries
    "plain": (b"<Contents><Key>a+b%20c</Key><Size>1</Size></Contents>", "a+b%20c"),
    "late": (b"<Contents><Key>a+b%20c</Key><Size>1</Size></Contents><EncodingType>url</EncodingType>", "a b c"),
    "early": (b"<EncodingType>url</EncodingType><Contents><Key>a+b%20c</Key><Size>1</Size></Contents>", "a b c"),
    "entities": (
        b"<Contents><Key>&lt;&#233;&#x1F600;&amp;lt;&apos;&quot;</Key><Size>1</Size></Contents>",
        "<é😀&lt;'\"",
    ),
}


@pytest.mark.parametrize("which", DOCUMENTS)
def test_keys_are_decoded_as_the_answer_says(connect: Make, which: str) -> None:
    content, expected = DOCUMENTS[which]
    body = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' + content + b"</ListBucketResult>"
    with RawServer(lambda _: answer(200, body=body)) as server:
        assert keys(connect(endpoint_url=server.url).list("bucket")) == [expected]


@pytest.mark.parametrize(
    "page",
    [
        b"<IsTruncated>true</IsTruncated>",
        b"<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>",
    ],
    ids=["no token", "the same token"],
)
def test_a_listing_that_cannot_go_on(connect: Make, page: bytes) -> None:
    """Half a listing is no listing, and one without end neither."""
    body = b"<ListBucketResult>" + page + b"<Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>"
    with RawServer(lambda _: answer(200, body=body)) as server, pytest.raises(objectfs.errors.ServerError) as caught:
        list(connect(endpoint_url=server.url).list("bucket"))
    assert (caught.value.operation, caught.value.bucket) == ("ListObjectsV2", "bucket")


def test_owner_if_asked_for(connect: Make, sim: S3Server) -> None:
    fill(sim, 2)
    client = connect()
    assert [entry.owner for entry in client.list("bucket") if isinstance(entry, objectfs.ObjectInfo)] == [None, None]
    owners = {e.owner for e in client.list("bucket", fetch_owner=True) if isinstance(e, objectfs.ObjectInfo)}
    assert len(owners) == 1
    assert owners == {client.call("GetBucketAcl", Bucket="bucket")["Owner"]["ID"]}


def test_restore_status_if_asked_for(connect: Make) -> None:
    entries = (
        "<Contents><Key>a</Key><Size>1</Size><RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress>"
        "</RestoreStatus></Contents><Contents><Key>b</Key><Size>1</Size><RestoreStatus><IsRestoreInProgress>false"
        "</IsRestoreInProgress><RestoreExpiryDate>2026-01-02T03:04:05.000Z</RestoreExpiryDate></RestoreStatus>"
        "</Contents><Contents><Key>c</Key><Size>1</Size></Contents>"
    )
    body = f"<ListBucketResult>{entries}</ListBucketResult>".encode()
    with RawServer(lambda _: answer(200, body=body)) as server:
        found: list[Any] = list(
            connect(endpoint_url=server.url).list("bucket", optional_object_attributes=["RestoreStatus"])
        )
    assert server.asked[-1].headers["x-amz-optional-object-attributes"] == "RestoreStatus"
    until_then = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    told = [(entry.restore_in_progress, entry.restored_until) for entry in found]
    assert told == [(True, None), (False, until_then), (None, None)]


def test_restore_status_of_one(connect: Make) -> None:
    headers = [("x-amz-restore", 'ongoing-request="false", expiry-date="Fri, 02 Jan 2026 03:04:05 GMT"')]
    with RawServer(lambda _: answer(200, headers, b"x")) as server:
        info = connect(endpoint_url=server.url).head("bucket", "k")
    assert (info.restore_in_progress, info.restored_until) == (False, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


# -- pages -----------------------------------------------------------------------------------------------------------
def listings(sim: S3Server) -> int:
    return sum(request.operation in ("ListObjectsV2", "ListObjectVersions") for request in sim.requests)


def test_the_next_page_is_asked_for_while_one_is_consumed(connect: Make, sim: S3Server) -> None:
    names = fill(sim, 2500)
    iterator = iter(connect().list("bucket"))
    first = next(iterator)
    until(lambda: listings(sim) == 2)
    assert keys([first]) == names[:1]
    for _ in range(999):
        next(iterator)
    assert listings(sim) == 2  # the third one when the second page is there and wanted
    next(iterator)
    until(lambda: listings(sim) == 3)
    assert len(keys(iterator)) == 1499
    assert listings(sim) == 3


@pytest.mark.parametrize(("limit", "pages"), [(0, 0), (1, 1), (1000, 1), (1001, 2), (2500, 3), (9999, 3)])
def test_no_page_is_asked_for_that_is_not_wanted(connect: Make, sim: S3Server, limit: int, pages: int) -> None:
    fill(sim, 2500)
    assert len(list(connect().list("bucket", limit=limit))) == min(limit, 2500)
    assert listings(sim) == pages
    assert [request.query.get("max-keys") for request in sim.requests][:1] == ([str(min(limit, 1000))] if limit else [])


def test_an_abandoned_listing_cancels_what_is_on_its_way(connect: Make, sim: S3Server) -> None:
    fill(sim, 2500)
    gate = threading.Event()
    fault = sim.faults.add(Fault("ListObjectsV2", nth=2, hold=gate))
    client = connect()
    iterator = client.list("bucket")
    next(iterator)
    until(lambda: fault.hits)
    before = time.monotonic()
    del iterator
    gc.collect()
    # the connection that it had is gone, or the close would wait for the answer
    client.close()
    assert time.monotonic() - before < 5
    gate.set()
    assert listings(sim) == 2


def test_an_unfinished_first_page_is_cancelled_by_the_timeout(connect: Make, sim: S3Server) -> None:
    fill(sim, 10)
    gate = threading.Event()
    sim.faults.add(Fault("ListObjectsV2", hold=gate))
    with pytest.raises(objectfs.errors.TimeoutError):
        list(connect().list("bucket", timeout=0.2))
    gate.set()


def test_a_failure_on_a_later_page(connect: Make, sim: S3Server) -> None:
    """What came before it has been given out."""
    fill(sim, 2500)
    sim.faults.add(Fault("ListObjectsV2", nth=2, status=403, code="AccessDenied"))
    iterator = connect().list("bucket")
    assert len(list(itertools.islice(iterator, 1000))) == 1000
    with pytest.raises(objectfs.errors.AccessDeniedError):
        next(iterator)


async def test_async_listing_reads_ahead(sim: S3Server, backend: str) -> None:
    names = fill(sim, 2500)
    async with objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        backend=backend,
    ) as client:
        got = []
        async for entry in client.list("bucket"):
            if not got:
                until(lambda: listings(sim) == 2)
            got.append(entry)
        assert keys(got) == names
        async with contextlib.aclosing(client.list("bucket")) as abandoned:  # type: ignore[type-var]
            await anext(abandoned)
        assert len([entry async for entry in client.list("bucket", limit=1200)]) == 1200


# -- versions --------------------------------------------------------------------------------------------------------
def test_versions(client: objectfs.Client, site: Site, key: str) -> None:
    site.need("versioned-ids")
    name = f"{site.bucket}-v-{key[2:8]}"
    client.call("CreateBucket", Bucket=name)
    try:
        client.put(name, "old", b"before")
        client.call("PutBucketVersioning", Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        first = client.put(name, "a/b c", b"1")
        second = client.put(name, "a/b c", b"22")
        client.delete(name, "a/b c")
        client.put(name, "z+%é", b"")
        entries = list(client.list_versions(name))
        assert all(isinstance(entry, objectfs.ObjectVersion) for entry in entries)
        told: list[Any] = [
            (e.key, e.version_id, e.is_latest, e.is_delete_marker, e.size)
            for e in entries
            if not isinstance(e, objectfs.Prefix)
        ]
        assert told == [
            ("a/b c", told[0][1], True, True, 0),
            ("a/b c", second.version_id, False, False, 2),
            ("a/b c", first.version_id, False, False, 1),
            ("old", "null", True, False, 6),
            ("z+%é", told[4][1], True, False, 0),
        ]
        marker, newest = entries[0], entries[1]
        assert isinstance(marker, objectfs.ObjectVersion)
        assert isinstance(newest, objectfs.ObjectVersion)
        assert (newest.bucket, newest.etag, newest.storage_class) == (name, second.etag, "STANDARD")
        assert marker.etag is None
        assert marker.last_modified is not None
        assert marker.owner == newest.owner
        assert keys(client.list_versions(name, delimiter="/")) == ["a/", "old", "z+%é"]
        assert keys(client.list_versions(name, "o")) == ["old"]
        assert keys(client.list_versions(name, limit=2)) == ["a/b c", "a/b c"]
        # each of them can be fetched and deleted by its id
        assert bytes(client.get(name, "a/b c", version_id=first.version_id)) == b"1"
    finally:
        for entry in client.list_versions(name):
            assert isinstance(entry, objectfs.ObjectVersion)
            client.delete(name, entry.key, version_id=entry.version_id)
        assert list(client.list_versions(name)) == []
        client.call("DeleteBucket", Bucket=name)


def test_versions_over_many_pages(connect: Make, sim: S3Server) -> None:
    """Pages end in the middle of a key's history."""

    def work() -> None:
        bucket = sim.store.bucket("bucket")
        blob = MemoryBlob([b"x"])
        for number in range(3):
            bucket.set_history(
                f"k{number}",
                [
                    Record(f"k{number}", blob, "e", version_id=f"{version:032}", marker=version % 3 == 2)
                    for version in range(700)
                ],
            )

    sim.run(work)
    found = [entry for entry in connect().list_versions("bucket") if isinstance(entry, objectfs.ObjectVersion)]
    assert [(entry.key, entry.version_id, entry.is_delete_marker) for entry in found] == [
        (f"k{number}", f"{version:032}", version % 3 == 2) for number in range(3) for version in reversed(range(700))
    ]
    assert listings(sim) == 3


# -- buckets ---------------------------------------------------------------------------------------------------------
def test_buckets(client: objectfs.Client, site: Site, key: str) -> None:
    stem = f"{site.bucket}-b{key[2:8]}"
    names = [f"{stem}-{number}" for number in range(3)]
    for name in names:
        client.call("CreateBucket", Bucket=name)
    try:
        found = list(client.list_buckets(stem))
        assert [each.name for each in found] == names
        assert all(each.created is not None and each.created.utcoffset() is not None for each in found)
        assert {site.bucket, *names} <= {each.name for each in client.list_buckets()}
        assert [each.name for each in client.list_buckets(stem, limit=2)] == names[:2]
        assert list(client.list_buckets(f"{stem}-none")) == []
    finally:
        for name in names:
            client.call("DeleteBucket", Bucket=name)


async def test_buckets_over_many_pages(sim: S3Server, backend: str) -> None:
    names = sorted({"bucket", *(f"b{number:04}" for number in range(1100))})
    for name in names:
        if name != "bucket":
            sim.create_bucket(name)
    async with objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        backend=backend,
    ) as client:
        assert [each.name async for each in client.list_buckets()] == names
    assert [request.operation for request in sim.requests] == ["ListBuckets"] * 2


def test_buckets_that_may_not_be_listed(connect: Make, sim: S3Server) -> None:
    sim.faults.add(Fault("ListBuckets", status=403, code="AccessDenied"))
    with pytest.raises(objectfs.errors.AccessDeniedError) as caught:
        list(connect().list_buckets())
    assert (caught.value.operation, caught.value.bucket) == ("ListBuckets", None)
    with pytest.raises(TypeError):
        connect().list_buckets(limit="3")  # type: ignore[arg-type]


# -- what it costs ---------------------------------------------------------------------------------------------------
MEASURE = """
    import resource, sys
    kind, url, backend = sys.argv[1:]
    def cpu():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "testtest", "region_name": "us-east-1"}
    count = 0
    if kind == "boto":
        import botocore.session
        core = botocore.session.Session()
        core.set_credentials("test", "testtest")
        client = core.create_client("s3", endpoint_url=url, region_name="us-east-1")
        client.list_objects_v2(Bucket="bucket", MaxKeys=1)
        before = cpu()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket="bucket"):
            for entry in page["Contents"]:
                count += 1
    else:
        import objectfs
        client = objectfs.Client(
            endpoint_url=url, access_key_id="test", secret_access_key="testtest", region="us-east-1", backend=backend)
        next(iter(client.list("bucket", limit=1)))
        before = cpu()
        for entry in client.list("bucket"):
            count += 1
    print(count, cpu() - before)
"""


@pytest.mark.skipif("crt" not in BACKENDS, reason="it is the engine that lists natively")
def test_it_costs_a_fraction_of_what_botocore_takes(sim: S3Server) -> None:
    """By the CPU of a process of its own, medians of runs taken in turn: other programs slow down both alike. It is
    some 30 times less; asserted is what an accident in the fast path would not reach."""
    pytest.importorskip("resource")
    size = 20_000
    fill(sim, size)

    def measured(kind: str) -> float:
        run = python(MEASURE, kind, sim.endpoint_url, "crt")
        assert run.returncode == 0, run.stderr
        count, seconds = run.stdout.split()
        assert int(count) == size
        return float(seconds)

    ours, theirs = [], []
    for _ in range(3):
        ours.append(measured("ours"))
        theirs.append(measured("boto"))
    assert statistics.median(theirs) >= 5 * statistics.median(ours), (ours, theirs)


def test_memory_is_flat(connect: Make, sim: S3Server) -> None:
    """There are never more entries than those of two pages. Each refers twice to what none of them has."""
    fill(sim, 6000)
    before = sys.getrefcount(NOTHING)
    most = 0
    for _ in connect().list("bucket"):
        most = max(most, sys.getrefcount(NOTHING) - before)
    assert 2 * 1000 <= most <= 2 * 2001
    assert sys.getrefcount(NOTHING) <= before + 2
