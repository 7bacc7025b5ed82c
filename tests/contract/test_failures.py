"""The error table: the same failure, the same class and the same fields, whatever the backend."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make, Site
from .support import MiB, check, ramp

# -- what a server answers ----------------------------------------------------------------------------------------


def test_missing_key(client: objectfs.Client, bucket: str, key: str) -> None:
    with pytest.raises(errors.NotFoundError) as caught:
        client.get(bucket, key)
    check(caught.value, "GetObject", bucket, key, 404)
    assert caught.value.code == "NoSuchKey"
    assert isinstance(caught.value, FileNotFoundError)
    assert not caught.value.retryable
    with pytest.raises(errors.NotFoundError) as caught:
        client.head(bucket, key)
    check(caught.value, "HeadObject", bucket, key, 404)
    with pytest.raises(errors.NotFoundError):
        client.get_into(bucket, key, bytearray(1))
    assert not client.exists(bucket, key)


def test_missing_bucket(client: objectfs.Client, key: str) -> None:
    bucket = "no-such-bucket-of-objectfs"
    with pytest.raises(errors.BucketNotFoundError) as caught:
        client.get(bucket, key)
    check(caught.value, "GetObject", bucket, key, 404)
    assert caught.value.code == "NoSuchBucket"
    with pytest.raises(errors.BucketNotFoundError) as caught:
        client.put(bucket, key, b"x")
    check(caught.value, "PutObject", bucket, key, 404)
    with pytest.raises(errors.BucketNotFoundError) as caught:
        list(client.list(bucket))
    check(caught.value, "ListObjectsV2", bucket, None, 404)
    with pytest.raises(errors.BucketNotFoundError):
        client.call("GetBucketLocation", Bucket=bucket)


def test_bad_signature(site: Site, backend: str, key: str) -> None:
    with objectfs.Client(**site.settings(backend=backend, secret_access_key="wrong" * 4)) as client:
        for verb in (lambda: client.get(site.bucket, key), lambda: client.put(site.bucket, key, b"x")):
            with pytest.raises(errors.AccessDeniedError) as caught:
                verb()
            assert (caught.value.status, caught.value.code) == (403, "SignatureDoesNotMatch")
            assert isinstance(caught.value, PermissionError)
        with pytest.raises(errors.AccessDeniedError):
            client.head(site.bucket, key)
        with pytest.raises(errors.AccessDeniedError):
            client.exists(site.bucket, key)


def test_unknown_access_key(sim: S3Server, connect: Make) -> None:
    client = connect(access_key_id="nobody", secret_access_key="x")
    with pytest.raises(errors.CredentialsError) as caught:
        client.get("bucket", "k")
    check(caught.value, "GetObject", "bucket", "k", 403)
    assert caught.value.code == "InvalidAccessKeyId"


def test_anonymous(sim: S3Server, backend: str) -> None:
    with objectfs.Client(endpoint_url=sim.endpoint_url, anonymous=True, backend=backend, max_attempts=1) as client:
        with pytest.raises(errors.AccessDeniedError) as caught:
            client.get("bucket", "k")
        assert caught.value.status == 403
    assert "authorization" not in {name.lower() for name in sim.requests[-1].headers}
    with S3Server(anonymous=True) as open_server:
        settings: dict[str, Any] = {"endpoint_url": open_server.endpoint_url, "anonymous": True, "backend": backend}
        with objectfs.Client(**settings) as client:
            client.put("bucket", "k", b"public")
            assert bytes(client.get("bucket", "k")) == b"public"


STATUSES = [
    (503, "SlowDown", errors.ThrottledError, True),
    (503, "ServiceUnavailable", errors.ThrottledError, True),
    (429, "TooManyRequests", errors.ThrottledError, True),
    (500, "InternalError", errors.ServerError, True),
    (502, "BadGateway", errors.ServerError, True),
    (403, "AccessDenied", errors.AccessDeniedError, False),
    (403, "RequestTimeTooSkewed", errors.AccessDeniedError, False),
    (400, "RequestTimeout", errors.TimeoutError, True),
    (504, "GatewayTimeout", errors.ServerError, True),
    (403, "ExpiredToken", errors.CredentialsError, False),
    (400, "ExpiredToken", errors.CredentialsError, False),
    (400, "InvalidArgument", errors.InvalidRequestError, False),
    (400, "SomethingNew", errors.InvalidRequestError, False),
    (404, "NoSuchVersion", errors.NotFoundError, False),
    (409, "OperationAborted", errors.ConflictError, False),
    (409, "ConditionalRequestConflict", errors.PreconditionFailedError, False),
    (412, "PreconditionFailed", errors.PreconditionFailedError, False),
    (501, "NotImplemented", errors.UnsupportedError, False),
]


@pytest.mark.parametrize(("status", "code", "expected", "retryable"), STATUSES)
def test_status(
    sim: S3Server, connect: Make, status: int, code: str, expected: type[errors.ObjectFSError], retryable: bool
) -> None:
    client = connect()
    client.put("bucket", "k", b"x")
    for operation, verb in _verbs(client):
        sim.faults.clear()
        sim.faults.add(Fault(operation, times=None, status=status, code=code, message="the server's words"))
        with pytest.raises(errors.ObjectFSError) as caught:
            verb()
        error = caught.value
        assert type(error) is expected, (operation, error)
        assert (error.operation, error.bucket) == (operation, "bucket")
        assert error.retryable == retryable
        assert (error.status, error.code) == (status, code)
        assert error.message == "the server's words"
        assert error.request_id
        assert error.host_id


def _verbs(client: objectfs.Client) -> list[tuple[str, Callable[[], Any]]]:
    return [
        ("GetObject", lambda: client.get("bucket", "k")),
        ("GetObject", lambda: client.get_into("bucket", "k", bytearray(10))),
        ("GetObject", lambda: client.get_many("bucket", ["k"])),
        ("GetObject", lambda: client.get_ranges("bucket", "k", [(0, 1)])),
        ("PutObject", lambda: client.put("bucket", "k", b"x")),
        ("PutObject", lambda: client.put_many("bucket", {"k": b"x"})),
        ("ListObjectsV2", lambda: list(client.list("bucket"))),
        ("DeleteObject", lambda: client.delete("bucket", "k")),
        ("DeleteObjects", lambda: client.delete_many("bucket", ["k"])),
        ("GetBucketTagging", lambda: client.call("GetBucketTagging", Bucket="bucket")),
    ]


@pytest.mark.parametrize("status", [500, 503])
def test_retried(sim: S3Server, connect: Make, status: int) -> None:
    client = connect(max_attempts=3)
    data = ramp(100_000)
    code = "SlowDown" if status == 503 else "InternalError"
    sim.faults.add(Fault("PutObject", times=1, status=status, code=code))
    client.put("bucket", "k", data)
    sim.faults.add(Fault("GetObject", times=2, status=status, code=code))
    assert bytes(client.get("bucket", "k")) == data


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (500, "InternalError"), (403, "RequestTimeTooSkewed"), (429, "TooManyRequests")],
)
def test_the_last_answer_is_told(
    sim: S3Server, connect: Make, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.02)  # of the seconds between attempts: they are not the matter here
    client = connect(max_attempts=3)
    client.put("bucket", "k", ramp(20 * MiB))
    for operation, verb in [
        *_verbs(client),
        ("HeadObject", lambda: client.head("bucket", "k")),
        ("GetObject", lambda: client.get_into("bucket", "k", bytearray(20 * MiB))),
        ("UploadPart", lambda: client.put("bucket", "k", ramp(20 * MiB))),
        ("CompleteMultipartUpload", lambda: client.put("bucket", "k", ramp(20 * MiB))),
    ]:
        sim.faults.clear()
        if status >= 500 and operation != "UploadPart":  # parts go side by side: each has its own attempts
            for _ in range(2):
                sim.faults.add(Fault(operation, times=1, status=status, code=code, message="not the last"))
        sim.faults.add(Fault(operation, times=None, status=status, code=code, message="the last"))
        with pytest.raises(errors.ObjectFSError) as caught:
            verb()
        error = caught.value
        assert (error.operation, error.status) == (operation, status)
        assert error.request_id
        assert error.host_id
        if operation == "HeadObject":  # has no document
            assert int(error.request_id, 16) == len(sim.requests)
        else:
            assert (error.code, error.message) == (code, "the last")


def test_no_more_attempts_than_set(sim: S3Server, connect: Make) -> None:
    client = connect(max_attempts=2)
    fault = sim.faults.add(Fault("GetObject", times=None, status=500))
    with pytest.raises(errors.ServerError):
        client.get("bucket", "k")
    assert fault.hits == 2


def test_error_under_status_200(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    """CompleteMultipartUpload answers 200 first, and may still fail."""
    client = connect()
    client.put("bucket", "source", b"x")
    path = tmp_path / "file"
    path.write_bytes(ramp(17 * MiB))
    verbs: list[tuple[str, Callable[[], Any]]] = [
        ("CompleteMultipartUpload", lambda: client.put("bucket", "k", ramp(17 * MiB))),
        ("CompleteMultipartUpload", lambda: client.put_file("bucket", "k", path)),
        ("CreateMultipartUpload", lambda: client.put("bucket", "k", ramp(17 * MiB))),
        ("CopyObject", lambda: client.call("CopyObject", Bucket="bucket", Key="k", CopySource="bucket/source")),
        ("DeleteObjects", lambda: client.delete_many("bucket", ["k"])),
        ("ListObjectsV2", lambda: list(client.list("bucket"))),
        ("PutObject", lambda: client.put("bucket", "k", b"x")),
    ]
    for code, expected in (("InternalError", errors.ServerError), ("AccessDenied", errors.AccessDeniedError)):
        document = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>too late</Message></Error>".encode()
        for operation, verb in verbs:
            sim.faults.clear()
            sim.faults.add(Fault(operation, times=None, body=document))
            with pytest.raises(errors.ObjectFSError) as caught:
                verb()
            error = caught.value
            assert type(error) is expected, operation
            assert (error.operation, error.status, error.code, error.message) == (operation, 200, code, "too late")
            assert error.request_id


@pytest.mark.parametrize("document", [b"this is no XML", b"<Some><Other/></Some>"])
def test_no_document_under_status_200(sim: S3Server, connect: Make, tmp_path: Path, document: bytes) -> None:
    client = connect(max_attempts=3)
    client.put("bucket", "source", b"x")
    data = ramp(17 * MiB)
    path = tmp_path / "file"
    path.write_bytes(data)
    verbs: list[tuple[str, Callable[[], Any]]] = [
        ("CompleteMultipartUpload", lambda: client.put("bucket", "k", data)),
        ("CompleteMultipartUpload", lambda: client.put_file("bucket", "k", path)),
        ("CreateMultipartUpload", lambda: client.put("bucket", "k", data)),
        ("ListObjectsV2", lambda: list(client.list("bucket"))),
    ]
    if document == b"this is no XML":
        copy = {"Bucket": "bucket", "Key": "k", "CopySource": "bucket/source"}
        verbs.append(("CopyObject", lambda: client.call("CopyObject", **copy)))
    for operation, verb in verbs:
        sim.faults.clear()
        fault = sim.faults.add(Fault(operation, times=None, status=200, body=document))
        with pytest.raises(errors.ServerError) as caught:
            verb()
        error = caught.value
        assert (error.operation, error.status, error.code) == (operation, 200, None)
        assert error.message.startswith("the server's answer cannot be read")
        assert error.request_id
        assert fault.hits == 1


# What AWS's SDKs send again in their standard mode, whatever the code or the status besides.
AGAIN = [
    (429, "TooManyRequests", True),
    (429, "SomethingNew", True),
    (400, "Throttling", True),
    (400, "RequestTimeout", True),
    (400, "ThrottlingException", True),
    (403, "RequestThrottled", True),
    (408, "RequestTimeoutException", True),
    (503, "RequestLimitExceeded", True),
    (509, "BandwidthLimitExceeded", True),
    (500, "SomethingNew", True),
    (502, "BadGateway", True),
    (504, "GatewayTimeout", True),
    (400, "BadDigest", False),
    (400, "IncompleteBody", False),
    (403, "RequestTimeTooSkewed", False),
    (403, "AccessDenied", False),
    (404, "NoSuchBucket", False),
    (409, "OperationAborted", False),
    (507, "SomethingNew", False),
]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sdk backend waits up to a second before it tries again, as botocore does."""
    monkeypatch.setattr("objectfs.backends.sdk_wire.BACKOFF_CAP", 0.02)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(("status", "code", "again"), AGAIN)
def test_what_is_sent_again(sim: S3Server, connect: Make, status: int, code: str, again: bool) -> None:
    client = connect(max_attempts=2)
    client.put("bucket", "k", b"x")
    for operation, verb in _verbs(client):
        sim.faults.clear()
        fault = sim.faults.add(Fault(operation, times=None, status=status, code=code))
        with pytest.raises(errors.ObjectFSError) as caught:
            verb()
        assert (caught.value.status, caught.value.code) == (status, code)
        assert fault.hits == 1 + again, operation
        if again:
            sim.faults.clear()
            sim.faults.add(Fault(operation, times=1, status=status, code=code))
            with contextlib.suppress(errors.NotFoundError):  # the bucket has no tags, but that is an answer
                verb()


@pytest.mark.usefixtures("no_pauses")
def test_throttled_transfers(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    """Each request of a large transfer, and of a batch, has its attempts."""
    client = connect(max_attempts=4)
    data = ramp(20 * MiB)
    path = tmp_path / "file"
    path.write_bytes(data)

    def throttle(operation: str, times: int) -> None:
        sim.faults.clear()
        sim.faults.add(Fault(operation, times=times, status=429, code="TooManyRequests"))

    throttle("CreateMultipartUpload", 3)
    client.put("bucket", "a", data)
    throttle("UploadPart", 3)
    client.put("bucket", "b", data)
    throttle("CompleteMultipartUpload", 3)
    client.put("bucket", "c", iter([data]))
    throttle("CreateMultipartUpload", 3)
    client.put_file("bucket", "d", path)
    throttle("GetObject", 3)
    assert bytes(client.get("bucket", "a")) == data
    throttle("GetObject", 3)
    into = bytearray(len(data))
    assert client.get_into("bucket", "b", into) == len(data)
    assert into == data
    throttle("GetObject", 3)
    client.get_file("bucket", "c", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == data
    client.put_many("bucket", {f"m{number}": ramp(1000, number) for number in range(50)})
    throttle("GetObject", 3)
    found = client.get_many("bucket", [f"m{number}" for number in range(50)])
    assert [bytes(each) for each in found] == [ramp(1000, number) for number in range(50)]
    assert not client.call("ListMultipartUploads", Bucket="bucket").get("Uploads")


def test_cancelled_while_throttled(sim: S3Server, connect: Make) -> None:
    """The pause before the next attempt ends with the operation."""
    client = connect(max_attempts=20)
    sim.faults.add(Fault("GetObject", times=None, status=429, code="TooManyRequests", headers={"Retry-After": "15"}))
    before = time.monotonic()
    with pytest.raises(errors.TimeoutError):
        client.get("bucket", "k", timeout=1.5)
    client.close()
    assert time.monotonic() - before < 10


def test_failed_upload_leaves_nothing(sim: S3Server, connect: Make) -> None:
    client = connect()
    sim.faults.add(Fault("UploadPart", part_number=2, times=None, status=403, code="AccessDenied"))
    for data in (ramp(20 * MiB), iter([ramp(20 * MiB)])):
        with pytest.raises(errors.AccessDeniedError) as caught:
            client.put("bucket", "k", data)
        assert (caught.value.bucket, caught.value.key) == ("bucket", "k")
        assert not client.exists("bucket", "k")
        assert not client.call("ListMultipartUploads", Bucket="bucket").get("Uploads")


# -- what the network does ----------------------------------------------------------------------------------------
