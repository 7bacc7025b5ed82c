"""Where requests go, and for which service they are signed: hosts that no test machine has, seen by a proxy here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

import objectfs
from objectfs import errors

from .conftest import settings
from .recorder import Recorded, Recorder, answer

DIRECTORY = "data--usw2-az1--x-s3"
ACCOUNT = "111122223333"
POINT = f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/my-point"
LAMBDA = f"arn:aws:s3-object-lambda:us-west-2:{ACCOUNT}:accesspoint/my-lambda"
FUNCTION, EXPRESS = "us-west-2/s3-object-lambda", "us-west-2/s3express"
ENDPOINT = {"endpoint_url": "http://s3.example.test", "region": "us-west-2"}
VIRTUAL = {**ENDPOINT, "addressing_style": "virtual"}
SESSION = (
    b"<CreateSessionResult><Credentials><AccessKeyId>session</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
    b"<SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    b"</CreateSessionResult>"
)


@pytest.fixture
def proxy(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A proxy that answers itself."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, recorder.url)
    recorder.take()

    def handle(asked: Recorded) -> bytes:
        copied = b"<CopyObjectResult/>" if "x-amz-copy-source" in asked.headers else b"<ListAllMyBucketsResult/>"
        return answer(200, (), SESSION if "session" in asked.query else copied)

    recorder.handle = handle
    return recorder


def seen(request: Recorded) -> tuple[str, str | None]:
    """Method, host and path; for whom it is signed."""
    url = urlsplit(request.target)
    host = request.headers["host"]
    assert url.netloc.removesuffix(":80") == host
    signed = re.search(r"Credential=(\w+)/\d{8}/([^,]*)/aws4_request", request.headers.get("authorization", ""))
    query = f"?{url.query.rstrip('=')}" if url.query else ""
    return f"{request.method} {host}{url.path}{query}", signed and f"{signed[1]} {signed[2]}"


OBJECT = {"Bucket": "a-bucket", "Key": "k"}
ROUTE = {"RequestRoute": "route", "RequestToken": "t", "Body": b"x"}
COPY = {"Bucket": DIRECTORY, "Key": "k", "CopySource": "b/k"}
CASES: list[tuple[dict[str, Any], str, dict[str, Any], str, str, str]] = [
    (ENDPOINT, "GetObject", OBJECT, "GET", "s3.example.test/a-bucket/k", "us-west-2/s3"),
    (ENDPOINT, "ListBuckets", {}, "GET", "s3.example.test/", "us-west-2/s3"),
    (VIRTUAL, "GetObject", OBJECT, "GET", "a-bucket.s3.example.test/k", "us-west-2/s3"),
    (VIRTUAL, "CreateBucket", {"Bucket": "a-bucket"}, "PUT", "a-bucket.s3.example.test/", "us-west-2/s3"),
    (VIRTUAL, "GetBucketAcl", {"Bucket": "a-bucket"}, "GET", "a-bucket.s3.example.test/?acl", "us-west-2/s3"),
    (
        ENDPOINT,
        "GetObject",
        {**OBJECT, "Bucket": POINT},
        "GET",
        f"my-point-{ACCOUNT}.s3.example.test/k",
        "eu-west-1/s3",
    ),
    (ENDPOINT, "GetObject", {**OBJECT, "Bucket": LAMBDA}, "GET", f"my-lambda-{ACCOUNT}.s3.example.test/k", FUNCTION),
    (ENDPOINT, "WriteGetObjectResponse", ROUTE, "POST", "route.s3.example.test/WriteGetObjectResponse", FUNCTION),
    (ENDPOINT, "ListDirectoryBuckets", {}, "GET", "s3.example.test/", EXPRESS),
    (ENDPOINT, "CreateSession", {"Bucket": DIRECTORY}, "GET", f"{DIRECTORY}.s3.example.test/?session", EXPRESS),
    (ENDPOINT, "CopyObject", COPY, "PUT", f"{DIRECTORY}.s3.example.test/k", EXPRESS),
]


def test_hosts(backend: str, proxy: Recorder, memory_check: Callable[[], None]) -> None:
    for where, operation, params, method, address, scope in CASES:
        with objectfs.Client(**settings(proxy, backend, **where)) as client:
            client.call(operation, **params)
        (request,) = proxy.take()
        assert seen(request) == (f"{method} {address}", f"test {scope}")
    memory_check()


def test_directory_buckets(backend: str, proxy: Recorder, memory_check: Callable[[], None]) -> None:
    """Their objects are reached with a session, which is made once."""
    host = f"{DIRECTORY}.s3.example.test"
    with objectfs.Client(**settings(proxy, backend, **ENDPOINT)) as client:
        client.call("PutObject", Bucket=DIRECTORY, Key="k", Body=b"x")
        client.call("GetObject", Bucket=DIRECTORY, Key="k")
        client.put(DIRECTORY, "k", b"y")
        client.delete(DIRECTORY, "k")
    made, *requests = proxy.take()
    assert seen(made) == (f"GET {host}/?session", "test us-west-2/s3express")
    assert [seen(request)[0] for request in requests] == [f"{how} {host}/k" for how in ("PUT", "GET", "PUT", "DELETE")]
    for request in requests:
        assert seen(request)[1] == "session us-west-2/s3express"
        assert request.headers["x-amz-s3session-token"] == "token"
        assert "x-amz-security-token" not in request.headers
    memory_check()


def test_no_session(backend: str, proxy: Recorder) -> None:
    proxy.handle = lambda _: answer(403, (), b"<Error><Code>AccessDenied</Code></Error>")
    with (
        objectfs.Client(**settings(proxy, backend, **ENDPOINT)) as client,
        pytest.raises(errors.AccessDeniedError) as caught,
    ):
        client.call("GetObject", Bucket=DIRECTORY, Key="k")
    assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("CreateSession", DIRECTORY, "k")


def test_no_name_before_an_address(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """The route stands before the endpoint's name; where that is an address, it could not be found."""
    recorder.handle = lambda _: answer(200)
    for client in clients.values():
        recorder.take()
        client.call("WriteGetObjectResponse", RequestRoute="route", RequestToken="t", Body=b"x")
        assert recorder.take()[0].headers["host"] == recorder.host
