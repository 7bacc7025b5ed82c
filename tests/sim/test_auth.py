"""Signatures, as boto3 makes them, and as it would not."""

from __future__ import annotations

import hashlib
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from objectfs.sim import S3Server

from .conftest import Wire, connect
from .test_buckets import fails


@pytest.fixture
def strict() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


def call(server: S3Server, **options: Any) -> tuple[int, str]:
    s3 = connect(server, **options)
    try:
        return fails(s3.list_objects_v2, Bucket="bucket")
    finally:
        s3.close()


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_wrong_keys(strict: S3Server) -> None:
    assert call(strict, aws_secret_access_key="wrong") == (403, "SignatureDoesNotMatch")
    assert call(strict, aws_access_key_id="nobody") == (403, "InvalidAccessKeyId")
    assert fetch(f"{strict.endpoint_url}/bucket")[0] == 403


def test_anonymous_when_allowed() -> None:
    with S3Server(anonymous=True) as server:
        assert fetch(f"{server.endpoint_url}/bucket")[0] == 200
        assert call(server, aws_secret_access_key="wrong") == (403, "SignatureDoesNotMatch")


def test_verification_off(memory: S3Server) -> None:
    s3 = connect(memory, aws_secret_access_key="wrong")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    s3.close()


def test_clock_skew(strict: S3Server) -> None:
    clock = Clock()
    strict._service.verifier.clock = clock.time
    s3 = connect(strict, config={"signature_version": "s3v4"})
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"}, ExpiresIn=60)
    for minutes in (-14, 0, 14):
        clock.offset = minutes * 60
        s3.list_objects_v2(Bucket="bucket")
    for minutes in (-16, 16):
        clock.offset = minutes * 60
        assert fails(s3.list_objects_v2, Bucket="bucket") == (403, "RequestTimeTooSkewed")
    s3.close()
    clock.offset = 30
    assert fetch(url)[0] == 404
    for seconds, message in ((70, b"Request has expired"), (-16 * 60, b"Request is not yet valid")):
        clock.offset = seconds
        status, body = fetch(url)
        assert status == 403
        assert message in body


class Clock:
    """The verifier's clock, some seconds off."""

    def __init__(self) -> None:
        self.offset = 0.0

    def time(self) -> float:
        return time.time() + self.offset


def test_region_is_checked_on_demand() -> None:
    with S3Server(check_region=True, region="eu-west-1") as server:
        s3 = connect(server)
        # boto3 reads the right region from the answer and tries again.
        s3.list_objects_v2(Bucket="bucket")
        s3.close()
        assert [(r.status, r.error) for r in server.requests] == [
            (400, "AuthorizationHeaderMalformed"),
            (200, None),
        ]


@pytest.mark.parametrize("key", ["k", "a b+c%/ü//x", "~!*'();:@&=$,?#[]"])
def test_presigned_urls(strict: S3Server, key: str) -> None:
    s3 = connect(strict, config={"signature_version": "s3v4"})
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": key}, ExpiresIn=60)
    assert fetch(put, "PUT", b"body")[0] == 200
    get = s3.generate_presigned_url(
        "get_object", Params={"Bucket": "bucket", "Key": key, "ResponseContentType": "a/b c"}, ExpiresIn=60
    )
    assert fetch(get) == (200, b"body")
    status, body = fetch(get[:-1] + ("0" if get[-1] != "0" else "1"))
    assert (status, b"SignatureDoesNotMatch" in body) == (403, True)
    status, body = fetch(get.replace("X-Amz-Expires=60", "X-Amz-Expires=999999"))
    assert (status, b"AuthorizationQueryParametersError" in body) == (400, True)
    assert fetch(get, "DELETE")[0] == 403
    s3.close()


def test_payload_hash(memory: S3Server) -> None:
    connection = Wire(memory)
    head = "PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nx-amz-content-sha256: %s\r\n\r\n"
    right = hashlib.sha256(b"right").hexdigest()
    assert connection.send((head % right).encode() + b"right").response()[0] == 200
    status, _, body = connection.send((head % right).encode() + b"wrong").response()
    assert (status, b"<Code>XAmzContentSHA256Mismatch</Code>" in body) == (400, True)
    assert connection.send(b"GET /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n").response()[2] == b"right"
    connection.close()


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (b"AWS4-HMAC-SHA256 junk", b"AuthorizationHeaderMalformed"),
        (
            b"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00",
            b"AuthorizationHeaderMalformed",
        ),
        (b"AWS test:sig", b"InvalidRequest"),
        (b"Basic Zm9v", b"InvalidArgument"),
        (
            b"AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00",
            b"AccessDenied",
        ),
    ],
)
def test_malformed_authorization(strict: S3Server, authorization: bytes, code: bytes) -> None:
    connection = Wire(strict)
    connection.send(b"GET /bucket HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % authorization)
    status, _, body = connection.response()
    connection.close()
    assert 400 <= status < 404
    assert b"<Code>%s</Code>" % code in body
