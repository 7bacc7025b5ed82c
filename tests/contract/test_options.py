"""Which requests carry which option: every verb, small and in parts, against botocore's model of S3."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pytest

import objectfs
from objectfs import errors
from objectfs.options import GROUPS, OPTIONS
from objectfs.options.table import OWN
from objectfs.sim import S3Server

from .conftest import Make
from .support import MiB, ramp

KEY = bytes(range(32))
WHEN = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
PART = 5 * MiB
LARGE = ramp(12 * MiB)

MODEL = botocore.session.get_session().get_service_model("s3")

COMMON = {"request_payer": "requester", "expected_bucket_owner": "123456789012"}
DESCRIBED = {
    "cache_control": "no-store",
    "content_disposition": "inline",
    "content_encoding": "zstd",
    "content_language": "nl",
    "content_type": "text/x-test",
    "expires": WHEN,
    "metadata": {"name": "value"},
    "tags": {"a b": "c/d", "é": ""},
    "storage_class": "STANDARD_IA",
    "website_redirect_location": "/other",
}
LOCKED = {
    "object_lock_mode": "GOVERNANCE",
    "object_lock_retain_until": WHEN,
    "object_lock_legal_hold": "OFF",
}
KMS = {
    "server_side_encryption": "aws:kms",
    "sse_kms_key_id": "alias/k",
    "sse_kms_encryption_context": {"a": "b"},
    "bucket_key_enabled": True,
}
SSE_C = {"sse_customer_key": KEY}
EVERYBODY = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'
GRANTS = {f"grant_{what}": EVERYBODY for what in ("full_control", "read", "read_acp", "write_acp")}
WRITING: dict[str, dict[str, Any]] = {
    "customer's key, acl": {**COMMON, **DESCRIBED, **SSE_C, "acl": "bucket-owner-full-control"},
    "kms, lock, condition": {**COMMON, **KMS, **LOCKED, "if_none_match": "*"},
    "grants": {**COMMON, **GRANTS},
}
READING: dict[str, Any] = {
    **COMMON,
    **SSE_C,
    "if_none_match": '"other"',
    "if_modified_since": datetime(2001, 1, 1, tzinfo=UTC),
    "if_unmodified_since": WHEN,
    "response_cache_control": "no-cache",
    "response_content_disposition": "attachment",
    "response_content_encoding": "br",
    "response_content_language": "fr",
    "response_content_type": "text/x-other",
    "response_expires": WHEN,
}
FIRST_ONLY = {"if_none_match", "if_modified_since", "if_unmodified_since"}
"""What the first answer has settled; the rest is pinned to its ETag."""


def carried(request: Any, name: str) -> bool:
    row = OPTIONS[name]
    if row.place == "query":
        return row.wire in request.query
    if row.place == "headers":
        return any(header.startswith(row.wire) for header in request.headers)
    found = request.headers.get(row.wire, "")
    if row.wire == "content-type":  # of documents there is one as well
        return "xml" not in found and bool(found)
    if row.wire == "content-encoding":  # so is botocore's own
        return bool(found.replace("aws-chunked", ""))
    return bool(found)


def belongs(request: Any, name: str) -> bool:
    """Whether S3 has that parameter for that operation."""
    return OPTIONS[name].parameter in MODEL.operation_model(request.operation).input_shape.members


def check(requests: list[Any], options: Mapping[str, Any], operations: set[str]) -> None:
    assert {request.operation for request in requests} == operations
    for request in requests:
        for name in options:
            assert carried(request, name) == belongs(request, name), (request, name)
        if "sse_customer_key" in options and belongs(request, "sse_customer_key"):
            assert request.headers["x-amz-server-side-encryption-customer-algorithm"] == "AES256"
            assert "x-amz-server-side-encryption-customer-key-md5" in request.headers


UPLOAD = {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}


@pytest.fixture
def sim() -> Iterator[S3Server]:
    """S3 takes customers' keys over TLS alone."""
    with S3Server(buckets=("bucket",), tls=True) as server:
        yield server


@pytest.fixture
def connect(sim: S3Server, connect: Make) -> Make:
    return partial(connect, verify=str(sim.ca_file))


@pytest.fixture
def locked(sim: S3Server, connect: Make) -> objectfs.Client:
    client = connect(part_size=PART)
    client.call("CreateBucket", Bucket="locked", ObjectLockEnabledForBucket=True)
    sim.requests.clear()
    return client


@pytest.mark.parametrize("group", WRITING)
@pytest.mark.parametrize("large", [False, True], ids=["small", "parts"])
@pytest.mark.parametrize("verb", ["put", "stream", "put_file", "put_many"])
def test_writing(sim: S3Server, locked: objectfs.Client, tmp_path: Path, group: str, large: bool, verb: str) -> None:
    options = WRITING[group]
    data = LARGE if large else b"content"
    path = tmp_path / "file"
    path.write_bytes(data)
    verbs: dict[str, Callable[[], Any]] = {
        "put": lambda: locked.put("locked", "k", data, **options),
        "stream": lambda: locked.put("locked", "k", io.BytesIO(data), **options),
        "put_file": lambda: locked.put_file("locked", "k", path, **options),
        "put_many": lambda: locked.put_many("locked", {"k": data, "l": data}, **options),
    }
    verbs[verb]()
    # endpoints that are not AWS's own are looked at whether they have kept the tags of an upload in parts
    in_parts = UPLOAD | {"GetObjectTagging"} if "tags" in options else UPLOAD
    operations = in_parts if large else {"PutObject"}
    if large and verb == "put_many":
        operations = {request.operation for request in sim.requests}
        assert operations in (in_parts, {"PutObject"})
    check(list(sim.requests), options, operations)


def test_an_aborted_upload(sim: S3Server, connect: Make) -> None:
    client = connect(part_size=PART)

    def source() -> Any:
        yield LARGE
        raise LookupError("no more")

    with pytest.raises(LookupError):
        client.put("bucket", "k", source(), **COMMON, sse_customer_key=KEY)
    operations = {request.operation for request in sim.requests}
    assert operations - {"UploadPart"} == {"CreateMultipartUpload", "AbortMultipartUpload"}
    check(list(sim.requests), {**COMMON, **SSE_C}, operations)


@pytest.mark.parametrize("large", [False, True], ids=["small", "parts"])
@pytest.mark.parametrize("verb", ["get", "get_into", "get_file", "get_many", "get_ranges", "suffix", "open"])
def test_reading(sim: S3Server, connect: Make, tmp_path: Path, large: bool, verb: str) -> None:
    client = connect(part_size=PART)
    data = LARGE if large else b"content"
    client.put("bucket", "k", data, sse_customer_key=KEY)
    sim.requests.clear()
    target = bytearray(len(data))
    path = tmp_path / "file"

    def read_open() -> bytes:
        with client.open("bucket", "k", **READING) as file:
            return bytes(file.read())

    verbs: dict[str, Callable[[], bytes]] = {
        "get": lambda: bytes(client.get("bucket", "k", **READING)),
        "get_into": lambda: bytes(target[: client.get_into("bucket", "k", target, **READING)]),
        "get_file": lambda: path.read_bytes() if client.get_file("bucket", "k", path, **READING) else b"",
        "get_many": lambda: bytes(client.get_many("bucket", ["k"], **without(READING, "if_none_match"))[0]),
        "get_ranges": lambda: b"".join(
            bytes(part) for part in client.get_ranges("bucket", "k", [(0, 3), (3, len(data))], **READING)
        ),
        "suffix": lambda: bytes(client.get("bucket", "k", -len(data), **READING)),
        "open": read_open,
    }
    assert verbs[verb]() == data
    requests = list(sim.requests)
    assert requests
    assert {request.operation for request in requests} <= {"GetObject", "HeadObject"}
    options = without(READING, "if_none_match") if verb == "get_many" else READING
    for number, request in enumerate(requests):
        for name in options:
            if name in FIRST_ONLY and number:
                assert carried(request, name) or "if-match" in request.headers, (request, name)
            else:
                assert carried(request, name) == belongs(request, name), (request, name)


def without(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def test_head(sim: S3Server, connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", b"content", sse_customer_key=KEY)
    sim.requests.clear()
    options = {**READING, "checksum_mode": "ENABLED"}
    assert client.head("bucket", "k", **options).headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert client.exists("bucket", "k", **options)
    check(list(sim.requests), options, {"HeadObject"})


def test_deleting(sim: S3Server, connect: Make) -> None:
    client = connect()
    # the last key can stand in no XML document, and goes with a request of its own
    client.put_many("bucket", {"a": b"", "b": b"", "c\1": b""})
    sim.requests.clear()
    options = {**COMMON, "bypass_governance_retention": True}
    client.delete("bucket", "a", **options)
    assert client.delete_many("bucket", ["b", "c\1"], **options) == {}
    check(list(sim.requests), options, {"DeleteObject", "DeleteObjects"})
    sim.requests.clear()
    with pytest.raises(errors.UnsupportedError):  # the embedded server has no such devices, and looks here alone
        client.delete("bucket", "b", mfa="serial 123456")
    client.delete_many("bucket", ["b"], mfa="serial 123456")
    check(list(sim.requests), {"mfa": ""}, {"DeleteObject", "DeleteObjects"})
    sim.requests.clear()
    client.put("bucket", "a", b"")
    with pytest.raises(errors.PreconditionFailedError):
        client.delete("bucket", "a", if_match='"other"')
    assert sim.requests[-1].headers["if-match"] == '"other"'


def test_listing(sim: S3Server, connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", b"")
    sim.requests.clear()
    options = {**COMMON, "optional_object_attributes": ["RestoreStatus"], "fetch_owner": True}
    assert len(list(client.list("bucket", **options))) == 1
    check(list(sim.requests), options, {"ListObjectsV2"})


def test_listing_versions(sim: S3Server, connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", b"")
    sim.requests.clear()
    options = {**COMMON, "optional_object_attributes": ["RestoreStatus"]}
    found = client.list_versions("bucket", "k", headers={"x-test": "1"}, **options)
    assert [entry.key for entry in found if isinstance(entry, objectfs.ObjectVersion)] == ["k"]
    check(list(sim.requests), options, {"ListObjectVersions"})
    assert [request.headers["x-test"] for request in sim.requests] == ["1"]
    with pytest.raises(TypeError, match="fetch_owner"):
        client.list_versions("bucket", fetch_owner=True)  # type: ignore[call-overload]


def test_every_option_is_sent_by_some_test() -> None:
    """Or the tests above would say nothing of one that was added."""
    tried = {
        *(name for options in WRITING.values() for name in options),
        *READING,
        *("checksum_mode", "bypass_governance_retention", "mfa", "optional_object_attributes", "fetch_owner"),
        *("version_id", "if_match", "part_number"),  # test_conditions, test_parts_of_objects
    }
    of_directory_buckets = {"if_match_last_modified_time", "if_match_size"}
    assert set().union(*GROUPS.values()) - OWN - of_directory_buckets == tried


def test_the_key_is_the_customers(connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", b"content", sse_customer_key=KEY)
    assert bytes(client.get("bucket", "k", sse_customer_key=base64.b64encode(KEY).decode())) == b"content"
    with pytest.raises(errors.ObjectFSError) as caught:
        client.get("bucket", "k", sse_customer_key=bytes(32))
    assert caught.value.status in (400, 403)
    with pytest.raises(errors.InvalidRequestError):
        client.get("bucket", "k")


def test_parts_of_objects(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    """By number, whatever their size; one request each where they fit into two of the client's parts."""
    writer, client = connect(part_size=6 * MiB), connect(part_size=PART)
    data = ramp(13 * MiB)
    writer.put("bucket", "k", data)
    parts = [data[: 6 * MiB], data[6 * MiB : 12 * MiB], data[12 * MiB :]]
    sim.requests.clear()
    path = tmp_path / "file"
    for number, part in enumerate(parts, start=1):
        got = client.get("bucket", "k", part_number=number)
        assert bytes(got) == part
        assert got.info is not None
        assert got.info.size == len(data)
        target = bytearray(len(part))
        assert client.get_into("bucket", "k", target, part_number=number) == len(part)
        assert target == part
        with pytest.raises(errors.BufferTooSmallError):
            client.get_into("bucket", "k", bytearray(len(part) - 1), part_number=number)
        client.get_file("bucket", "k", path, part_number=number)
        assert path.read_bytes() == part
        assert client.head("bucket", "k", part_number=number).headers["content-length"] == str(len(part))
    assert all(request.query["partNumber"] for request in sim.requests)
    with pytest.raises(errors.ObjectFSError):
        client.get("bucket", "k", part_number=4)
    client.put("bucket", "one", b"content")
    assert bytes(client.get("bucket", "one", part_number=1)) == b"content"


def test_parts_larger_than_the_clients(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    data = ramp(25 * MiB)
    connect(part_size=12 * MiB).put("bucket", "k", data)
    client = connect(part_size=PART)
    path = tmp_path / "file"
    for number, part in ((1, data[: 12 * MiB]), (2, data[12 * MiB : 24 * MiB]), (3, data[24 * MiB :])):
        assert bytes(client.get("bucket", "k", part_number=number)) == part
        client.get_file("bucket", "k", path, part_number=number)
        assert path.read_bytes() == part


async def test_the_async_client(sim: S3Server, backend: str) -> None:
    settings: dict[str, Any] = {"endpoint_url": sim.endpoint_url, "verify": sim.ca_file, "region": "us-east-1"}
    who = {"access_key_id": "test", "secret_access_key": "testtest"}
    async with objectfs.AsyncClient(backend=backend, part_size=PART, **settings, **who) as client:
        for data in (b"content", LARGE):
            sim.requests.clear()
            await client.put("bucket", "k", data, **COMMON, **SSE_C, tags={"a": "b"})
            assert bytes(await client.get("bucket", "k", **COMMON, **SSE_C)) == data
            assert await client.exists("bucket", "k", **COMMON, **SSE_C)
            await client.delete("bucket", "k", **COMMON)
            options = {**COMMON, **SSE_C, "tags": {}}
            check(list(sim.requests), options, {request.operation for request in sim.requests})
        with pytest.raises(errors.ChecksumError):
            await client.put("bucket", "k", LARGE, expected_checksum=f"sha256:{bytes(32).hex()}")
        with pytest.raises(TypeError):
            await client.get("bucket", "k", version="1")  # type: ignore[call-arg]
