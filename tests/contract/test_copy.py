"""Copies at the server: whole and in parts, what they keep, and what becomes of those that fail."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make, Site
from .support import MiB, ramp
from .test_leftovers import interrupt_when, interrupts, needs_signals, pending, until  # noqa: F401 - a fixture
from .test_list import AWKWARD

PARTS = {"multipart_threshold": 5 * MiB, "part_size": "5 MiB"}
"""A copy of more than 5 MiB is made in parts of 5 MiB."""

HEADERS: dict[str, Any] = {
    "content_type": "text/x-test",
    "cache_control": "max-age=60",
    "content_disposition": 'attachment; filename="x"',
    "content_encoding": "identity",
    "content_language": "de",
    "expires": datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC),
    "metadata": {"colour": "blue", "empty-not": "x y"},
    "tags": {"team": "a+b=c", "with space": "@ /:"},
}
KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")

big = ramp(12 * MiB)


def tags(client: objectfs.Client, bucket: str, key: str) -> dict[str, str]:
    answer = client.call("GetObjectTagging", Bucket=bucket, Key=key)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def operations(sim: S3Server) -> list[str]:
    return [str(request.operation) for request in sim.requests]


SIZES = pytest.mark.parametrize("data", [b"", b"small", big], ids=["empty", "whole", "parts"])


@SIZES
def test_everything_is_kept(client: objectfs.Client, site: Site, key: str, data: bytes) -> None:
    site.need("tags")
    client.put(site.bucket, f"{key}/a", data, **HEADERS)
    seen: list[int] = []
    result = client.copy(site.bucket, f"{key}/a", site.bucket, f"{key}/b", progress=seen.append, **PARTS)
    before, after = client.head(site.bucket, f"{key}/a"), client.head(site.bucket, f"{key}/b")
    assert bytes(client.get(site.bucket, f"{key}/b")) == data
    if site.has("complete-etag"):
        assert result.etag == after.etag
    assert after.metadata == before.metadata == HEADERS["metadata"]
    assert {name: after.headers.get(name) for name in KEPT} == {name: before.headers.get(name) for name in KEPT}
    assert after.content_type == "text/x-test"
    assert tags(client, site.bucket, f"{key}/b") == HEADERS["tags"]
    assert seen[-1] == len(data)
    assert seen == sorted(seen)


@SIZES
def test_metadata_is_kept_where_there_are_no_tags(client: objectfs.Client, site: Site, key: str, data: bytes) -> None:
    """A server that knows no tags (Swift) has none to be kept."""
    client.put(site.bucket, f"{key}/a", data, metadata={"a": "b"}, content_type="text/x-test")
    client.copy(site.bucket, f"{key}/a", site.bucket, f"{key}/b", **PARTS)
    after = client.head(site.bucket, f"{key}/b")
    assert (after.size, after.metadata, after.content_type) == (len(data), {"a": "b"}, "text/x-test")
    assert bytes(client.get(site.bucket, f"{key}/b")) == data


@SIZES
def test_what_is_given_replaces_only_that(client: objectfs.Client, site: Site, key: str, data: bytes) -> None:
    site.need("tags")
    source, target = f"{key}/a", f"{key}/b"
    client.put(site.bucket, source, data, **HEADERS)

    def copied(**options: Any) -> tuple[str | None, Any, str | None, dict[str, str]]:
        client.copy(site.bucket, source, site.bucket, target, **PARTS, **options)
        info = client.head(site.bucket, target)
        return info.content_type, info.metadata, info.headers.get("cache-control"), tags(client, site.bucket, target)

    old, new = HEADERS["metadata"], {"other": "1"}
    assert copied(content_type="text/new") == ("text/new", old, "max-age=60", HEADERS["tags"])
    assert copied(metadata=new) == ("text/x-test", new, "max-age=60", HEADERS["tags"])
    assert copied(tags={"a": "b"}) == ("text/x-test", old, "max-age=60", {"a": "b"})
    assert copied(tags={}, metadata={}) == ("text/x-test", {}, "max-age=60", {})
    assert copied(cache_control="no-store", tags={"x": ""}) == ("text/x-test", old, "no-store", {"x": ""})
    assert bytes(client.get(site.bucket, target)) == data


def test_onto_itself(client: objectfs.Client, site: Site, key: str) -> None:
    """Which is how metadata is changed."""
    client.put(site.bucket, key, b"data", metadata={"a": "1"}, content_type="text/plain")
    with pytest.raises(errors.InvalidRequestError):
        client.copy(site.bucket, key, site.bucket, key)
    client.copy(site.bucket, key, site.bucket, key, metadata={"a": "2"})
    info = client.head(site.bucket, key)
    assert (info.metadata, info.content_type, info.size) == ({"a": "2"}, "text/plain", 4)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names(client: objectfs.Client, site: Site, key: str, name: str) -> None:
    """Of the source, which stands in a header, and of the destination."""
    if "\n" in name or "\r" in name or "\x01" in name or "\ufffe" in name:
        site.need("any-key")
    client.put(site.bucket, f"{key}/{name}", name.encode())
    client.copy(site.bucket, f"{key}/{name}", site.bucket, f"{key}/to/{name}")
    assert bytes(client.get(site.bucket, f"{key}/to/{name}")) == name.encode()


def test_awkward_names_in_parts(connect: Make, sim: S3Server) -> None:
    client = connect()
    name = "a b+c?versionId=d%2Be/é&<>\"'#"
    client.put("bucket", name, big)
    client.copy("bucket", name, "bucket", f"to/{name}", **PARTS)
    assert bytes(client.get("bucket", f"to/{name}")) == big
    sources = {r.headers["x-amz-copy-source"] for r in sim.requests if r.operation == "UploadPartCopy"}
    assert sources == {"bucket/a%20b%2Bc%3FversionId%3Dd%252Be/%C3%A9%26%3C%3E%22%27%23"}


@SIZES
def test_versions_and_buckets(client: objectfs.Client, site: Site, key: str, data: bytes) -> None:
    site.need("versioned-ids")
    name = f"{site.bucket}-c-{key[2:8]}"
    client.call("CreateBucket", Bucket=name)
    try:
        client.call("PutBucketVersioning", Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        old = client.put(name, "a+b c", data)
        client.put(name, "a+b c", b"newer")
        client.copy(name, "a+b c", site.bucket, key, src_version_id=old.version_id, **PARTS)
        assert bytes(client.get(site.bucket, key)) == data
        back = client.copy(site.bucket, key, name, "back", **PARTS)
        if site.has("copy-version-id"):
            assert back.version_id == client.head(name, "back").version_id
            assert back.version_id is not None
        with pytest.raises(errors.NotFoundError):
            client.copy(name, "nothing", site.bucket, key)
    finally:
        for entry in client.list_versions(name):
            assert isinstance(entry, objectfs.ObjectVersion)
            client.delete(name, entry.key, version_id=entry.version_id)
        client.call("DeleteBucket", Bucket=name)


@pytest.mark.parametrize("data", [b"small", big], ids=["whole", "parts"])
def test_conditions_on_the_source(client: objectfs.Client, bucket: str, key: str, data: bytes) -> None:
    etag = client.put(bucket, f"{key}/a", data).etag or client.head(bucket, f"{key}/a").etag
    now = datetime.now(UTC)

    def copied(**options: Any) -> bool:
        try:
            client.copy(bucket, f"{key}/a", bucket, f"{key}/b", **PARTS, **options)
        except errors.ObjectChangedError:
            raise
        except errors.PreconditionFailedError:
            return False
        return True

    assert copied(src_if_match=etag)
    assert not copied(src_if_match='"another"')
    assert copied(src_if_none_match='"another"')
    assert not copied(src_if_none_match=etag)
    assert copied(src_if_unmodified_since=now + timedelta(hours=1))
    assert not copied(src_if_unmodified_since=now - timedelta(hours=1))
    assert copied(src_if_modified_since=now - timedelta(hours=1))


@pytest.mark.parametrize("data", [b"small", big], ids=["whole", "parts"])
def test_conditions_on_the_destination(connect: Make, sim: S3Server, data: bytes) -> None:
    client = connect()
    client.put("bucket", "a", data)
    client.copy("bucket", "a", "bucket", "b", if_none_match="*", **PARTS)
    with pytest.raises(errors.PreconditionFailedError) as caught:
        client.copy("bucket", "a", "bucket", "b", if_none_match="*", **PARTS)
    assert not isinstance(caught.value, errors.ObjectChangedError)
    assert (caught.value.bucket, caught.value.key) == ("bucket", "b")
    client.copy("bucket", "a", "bucket", "b", if_match=client.head("bucket", "b").etag, **PARTS)
    with pytest.raises(errors.PreconditionFailedError):
        client.copy("bucket", "a", "bucket", "b", if_match='"another"', **PARTS)
    assert pending(sim) == []


@pytest.mark.parametrize("data", [b"small", big], ids=["whole", "parts"])
def test_customer_keys_and_storage_class(connect: Make, data: bytes) -> None:
    with S3Server(buckets=("bucket",), tls=True) as sim:
        client = connect(endpoint_url=sim.endpoint_url, verify=sim.ca_file)
        one, other = os.urandom(32), os.urandom(32)
        client.put("bucket", "a", data, sse_customer_key=one, metadata={"a": "b"})
        options: dict[str, Any] = {"storage_class": "STANDARD_IA", "sse_customer_key": other, **PARTS}
        client.copy("bucket", "a", "bucket", "b", src_sse_customer_key=one, **options)
        assert bytes(client.get("bucket", "b", sse_customer_key=other)) == data
        info = client.head("bucket", "b", sse_customer_key=other)
        assert (info.storage_class, info.metadata) == ("STANDARD_IA", {"a": "b"})
        with pytest.raises(errors.ObjectFSError):
            client.copy("bucket", "a", "bucket", "c", **PARTS)
        client.copy("bucket", "a", "bucket", "plain", src_sse_customer_key=one, **PARTS)
        assert bytes(client.get("bucket", "plain")) == data
        assert client.call("ListMultipartUploads", Bucket="bucket").get("Uploads", []) == []
        client.close()


@pytest.mark.parametrize("data", [b"small", big], ids=["whole", "parts"])
def test_the_checksum_that_was_asked_for(connect: Make, data: bytes) -> None:
    client = connect()
    client.put("bucket", "a", data)
    result = client.copy("bucket", "a", "bucket", "b", checksum="SHA256", **PARTS)
    assert result.checksum is not None
    assert result.checksum[0] == "SHA256"
    head = client.head("bucket", "b", checksum_mode="ENABLED")
    assert head.headers["x-amz-checksum-sha256"] == result.checksum[1]


# -- large ones ------------------------------------------------------------------------------------------------------
def test_parts_are_copied_side_by_side(connect: Make, sim: S3Server) -> None:
    client = connect()
    client.put("bucket", "a", big)
    gate = threading.Event()
    faults = [sim.faults.add(Fault("UploadPartCopy", part_number=number, hold=gate)) for number in (1, 2, 3)]
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(client.copy("bucket", "a", "bucket", "b", **PARTS)))
    thread.start()
    until(lambda: all(fault.hits for fault in faults))
    gate.set()
    thread.join()
    assert bytes(client.get("bucket", "b")) == big
    ranges = {r.headers["x-amz-copy-source-range"] for r in sim.requests if r.operation == "UploadPartCopy"}
    assert ranges == {"bytes=0-5242879", "bytes=5242880-10485759", "bytes=10485760-12582911"}


def test_what_is_asked_for(connect: Make, sim: S3Server) -> None:
    """No part where one request will do, and no request twice."""
    client = connect()
    client.put("bucket", "a", big)
    sim.clear_requests()
    client.copy("bucket", "a", "bucket", "b")
    assert operations(sim) == ["HeadObject", "CopyObject"]
    sim.clear_requests()
    client.copy("bucket", "a", "bucket", "b", tags={"given": "1"}, **PARTS)
    assert sorted(operations(sim)) == sorted(
        ["HeadObject", "CreateMultipartUpload", *["UploadPartCopy"] * 3, "CompleteMultipartUpload", "GetObjectTagging"]
    )


@pytest.mark.parametrize("how", [PARTS, {"content_type": "a/b"}], ids=["parts", "whole"])
def test_a_server_that_loses_tags(connect: Make, sim: S3Server, how: dict[str, Any]) -> None:
    """As Ceph does, where they come with CreateMultipartUpload or metadata is replaced."""
    client = connect()
    client.put("bucket", "a", big, tags={"a": "1 2", "b": ""})
    lost = b"<Tagging><TagSet/></Tagging>"
    sim.faults.add(Fault("GetObjectTagging", key="b", status=200, body=lost))
    client.copy("bucket", "a", "bucket", "b", **how)
    assert operations(sim)[-1] == "PutObjectTagging"
    assert tags(client, "bucket", "b") == {"a": "1 2", "b": ""}
    sim.faults.add(Fault("GetObjectTagging", key="c", status=200, body=lost))
    sim.faults.add(Fault("PutObjectTagging", status=403, code="AccessDenied"))
    with pytest.raises(errors.AccessDeniedError, match="has not got its tags"):
        client.copy("bucket", "a", "bucket", "c", **how)


def test_tags_that_may_not_be_read(connect: Make, sim: S3Server) -> None:
    client = connect()
    client.put("bucket", "a", big, tags={"secret": "1"})
    sim.faults.add(Fault("GetObjectTagging", times=None, status=403, code="AccessDenied"))
    with pytest.raises(errors.AccessDeniedError) as caught:
        client.copy("bucket", "a", "bucket", "b", **PARTS)
    error = caught.value
    assert (error.operation, error.bucket, error.key) == ("GetObjectTagging", "bucket", "a")
    assert "s3:GetObjectTagging" in str(error)
    assert "tags={}" in str(error)
    assert not client.exists("bucket", "b")
    client.copy("bucket", "a", "bucket", "b", tags={}, **PARTS)
    assert client.head("bucket", "b").size == len(big)


@pytest.mark.parametrize("again", [0, 2])
def test_the_source_changes_meanwhile(connect: Make, sim: S3Server, again: int) -> None:
    """Each part names the ETag of what was there in the beginning: there is no mixture."""
    client = connect(max_connections=4)
    client.put("bucket", "a", big)
    gate = threading.Event()
    fault = sim.faults.add(Fault("CreateMultipartUpload", hold=gate))
    caught: list[BaseException] = []

    def work() -> None:
        try:
            client.copy("bucket", "a", "bucket", "b", **PARTS)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: fault.hits)
    with_other = connect()
    with_other.put("bucket", "a", ramp(12 * MiB, 7 + again))
    gate.set()
    thread.join()
    (error,) = caught
    assert isinstance(error, errors.ObjectChangedError)
    assert "s3://bucket/a" in str(error)
    assert not client.exists("bucket", "b")
    assert pending(sim) == []


def test_the_source_changes_before_its_headers_are_sent_again(connect: Make, sim: S3Server) -> None:
    """What HeadObject said belongs to the object that it saw."""
    client = connect()
    client.put("bucket", "a", b"before", metadata={"of": "before"})
    gate = threading.Event()
    fault = sim.faults.add(Fault("HeadObject", hold=gate))
    caught: list[BaseException] = []

    def work() -> None:
        try:
            client.copy("bucket", "a", "bucket", "b", content_type="text/x")
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: fault.hits)
    connect().put("bucket", "a", b"after")
    gate.set()
    thread.join()
    if caught:  # the answer had been made before the object was replaced
        assert isinstance(caught[0], errors.ObjectChangedError)
    else:
        assert client.head("bucket", "b").metadata == {}


# -- failures --------------------------------------------------------------------------------------------------------
DOCUMENT = b'<?xml version="1.0"?>\n<Error><Code>%s</Code><Message>in the end</Message></Error>'


@pytest.mark.parametrize(
    ("operation", "how"),
    [
        ("CopyObject", {}),
        ("UploadPartCopy", PARTS),
        ("CompleteMultipartUpload", PARTS),
    ],
)
def test_errors_under_status_200(connect: Make, sim: S3Server, operation: str, how: dict[str, Any]) -> None:
    client = connect(max_attempts=3)
    client.put("bucket", "a", big)
    sim.faults.add(Fault(operation, status=200, body=DOCUMENT % b"AccessDenied"))
    with pytest.raises(errors.AccessDeniedError) as caught:
        client.copy("bucket", "a", "bucket", "b", **how)
    assert (caught.value.operation, caught.value.code, caught.value.status) == (operation, "AccessDenied", 200)
    assert pending(sim) == [] or operation == "CompleteMultipartUpload"
    # what is worth another attempt gets one
    sim.faults.clear()
    fault = sim.faults.add(Fault(operation, status=200, body=DOCUMENT % b"InternalError"))
    client.copy("bucket", "a", "bucket", "c", **how)
    assert fault.hits == 1
    assert bytes(client.get("bucket", "c")) == big
    sim.faults.clear()
    sim.faults.add(Fault(operation, times=None, status=200, body=b"<html>a proxy's</html>"))
    with pytest.raises(errors.ServerError):
        client.copy("bucket", "a", "bucket", "d", **how)


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"])
def test_what_fails_leaves_no_upload(connect: Make, sim: S3Server, operation: str) -> None:
    client = connect()
    client.put("bucket", "a", big)
    sim.faults.add(Fault(operation, status=403, code="AccessDenied"))
    with pytest.raises(errors.AccessDeniedError) as caught:
        client.copy("bucket", "a", "bucket", "b", **PARTS)
    assert (caught.value.operation, caught.value.bucket, caught.value.key) == (operation, "bucket", "b")
    assert "s3://bucket/a" in str(caught.value)
    until(lambda: pending(sim) == [])
    assert not client.exists("bucket", "b")


@pytest.mark.parametrize("operation", ["HeadObject", "CopyObject", "CreateMultipartUpload", "UploadPartCopy"])
def test_the_timeout_leaves_no_upload(connect: Make, sim: S3Server, operation: str) -> None:
    client = connect()
    client.put("bucket", "a", big)
    gate = threading.Event()
    sim.faults.add(Fault(operation, hold=gate))
    with pytest.raises(errors.TimeoutError):
        client.copy("bucket", "a", "bucket", "b", timeout=0.3, **({} if operation == "CopyObject" else PARTS))
    gate.set()
    until(lambda: pending(sim) == [])
    assert operation == "CopyObject" or not client.exists("bucket", "b")


@needs_signals
@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPartCopy"])
def test_ctrl_c_leaves_no_upload(connect: Make, sim: S3Server, operation: str) -> None:
    """Also while the upload's id is on its way: see test_leftovers.py."""
    client = connect()
    client.put("bucket", "a", big)
    gate = threading.Event()
    fault = sim.faults.add(Fault(operation, hold=gate))
    sender = interrupt_when(fault, [])
    with pytest.raises(KeyboardInterrupt):
        client.copy("bucket", "a", "bucket", "b", **PARTS)
    sender.join()
    gate.set()
    until(lambda: pending(sim) == [])
    assert not client.exists("bucket", "b")


async def test_async_copies_and_their_cancel(sim: S3Server, backend: str) -> None:
    async with objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        backend=backend,
    ) as client:
        await client.put("bucket", "a", big, metadata={"k": "v"})
        seen: list[int] = []
        result = await client.copy("bucket", "a", "bucket", "b", progress=seen.append, **PARTS)
        assert bytes(await client.get("bucket", "b")) == big
        info = await client.head("bucket", "b")
        assert (info.etag, info.metadata) == (result.etag, {"k": "v"})
        assert seen[-1] == len(big)
        gate = threading.Event()
        fault = sim.faults.add(Fault("UploadPartCopy", times=None, hold=gate))
        task = asyncio.ensure_future(client.copy("bucket", "a", "bucket", "c", **PARTS))
        await asyncio.to_thread(until, lambda: fault.hits)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        assert not await client.exists("bucket", "c")
    assert pending(sim) == []


WRONG: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"multipart_threshold": "6 GiB"}, errors.InvalidRequestError),
    ({"multipart_threshold": 0}, errors.InvalidRequestError),
    ({"multipart_threshold": 1.5}, TypeError),
    ({"part_size": 1024}, errors.InvalidRequestError),
    ({"part_size": "many"}, errors.InvalidRequestError),
    ({"src_version_id": 7}, TypeError),
    ({"src_sse_customer_key": b"short"}, errors.InvalidRequestError),
    ({"if_none_match": '"etag"'}, errors.InvalidRequestError),
    ({"colour": "blue"}, TypeError),
    ({"metadata": {"a": 1}}, TypeError),
    ({"timeout": -1}, errors.InvalidRequestError),
]


@pytest.mark.parametrize(("options", "kind"), WRONG)
def test_wrong_arguments(connect: Make, sim: S3Server, options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        connect().copy("bucket", "a", "bucket", "b", **options)
    assert operations(sim) == []


@pytest.mark.parametrize(
    "names", [("", "a", "bucket", "b"), ("bucket", "", "bucket", "b"), ("bucket", "a", "bucket", "")]
)
def test_wrong_names(connect: Make, names: tuple[str, str, str, str]) -> None:
    with pytest.raises(errors.InvalidRequestError):
        connect().copy(*names)
