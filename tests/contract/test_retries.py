"""How often a request is sent again, when, and when not: docs/design/0017-faults.md. Told by what the server counts."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp

SMALL = ramp(1000)
LARGE = ramp(11 * MiB)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sdk backend waits up to a second before it tries again, as botocore does."""
    monkeypatch.setattr("objectfs.backends.sdk_wire.BACKOFF_CAP", 0.02)


THROTTLED = [(503, "SlowDown"), (429, "TooManyRequests"), (400, "ThrottlingException")]


def verbs(client: objectfs.Client, folder: Path) -> dict[str, tuple[str, Callable[[], Any]]]:
    (folder / "source").write_bytes(LARGE)
    return {
        "get": ("GetObject", lambda: client.get("bucket", "small")),
        "get_into": ("GetObject", lambda: client.get_into("bucket", "large", bytearray(len(LARGE)))),
        "head": ("HeadObject", lambda: client.head("bucket", "small")),
        "put": ("PutObject", lambda: client.put("bucket", "new", SMALL)),
        "parts": ("UploadPart", lambda: client.put("bucket", "new", LARGE)),
        "file": ("UploadPart", lambda: client.put_file("bucket", "new", folder / "source")),
        "list": ("ListObjectsV2", lambda: list(client.list("bucket"))),
        "call": ("GetBucketTagging", lambda: client.call("GetBucketTagging", Bucket="bucket")),
    }


VERBS = [
    *((verb, 503) for verb in ("get", "get_into", "put", "parts", "file", "list")),
    *((verb, 429) for verb in ("get", "head", "parts", "call")),
]


@pytest.fixture
def client(sim: S3Server, connect: Make) -> objectfs.Client:
    made = connect(max_attempts=3, part_size=5 * MiB)
    made.put("bucket", "small", SMALL)
    made.put("bucket", "large", LARGE)
    made.call("PutBucketTagging", Bucket="bucket", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    sim.clear_requests()
    return made


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(("verb", "status"), VERBS)
def test_retry_after(sim: S3Server, client: objectfs.Client, tmp_path: Path, verb: str, status: int) -> None:
    """Nothing is asked for again before the time that the server has named."""
    operation, call = verbs(client, tmp_path)[verb]
    code = "SlowDown" if status == 503 else "TooManyRequests"
    fault = sim.faults.add(Fault(operation, status=status, code=code, headers={"Retry-After": "1"}))
    call()
    assert fault.hits == client.stats()["retries"] == 1
    refused = next(request for request in sim.requests if request.status == status)
    again = [
        request
        for request in sim.requests
        if request is not refused
        and (request.operation, request.key, request.range) == (operation, refused.key, refused.range)
        and request.query.get("partNumber") == refused.query.get("partNumber")
    ]
    assert len(again) == 1
    assert again[0].started - refused.started >= 0.95  # of clocks that tick apart


@pytest.mark.parametrize(("verb", "status"), VERBS)
def test_retry_after_too_long(sim: S3Server, client: objectfs.Client, tmp_path: Path, verb: str, status: int) -> None:
    """A server that wants to be left alone for an hour is; the error says so."""
    operation, call = verbs(client, tmp_path)[verb]
    code = "SlowDown" if status == 503 else "TooManyRequests"
    sim.faults.add(Fault(operation, times=None, status=status, code=code, headers={"Retry-After": "3600"}))
    with pytest.raises(errors.ThrottledError) as caught:
        call()
    assert (caught.value.status, caught.value.hint) == (
        status,
        "The server asks not to be asked again for 3600 seconds",
    )
    asked = [(request.range, request.query.get("partNumber")) for request in sim.requests if request.status == status]
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("value", ["soon", "Wed, 21 Oct 2099 07:28:00 GMT", "-5", ""])
def test_retry_after_that_is_none(sim: S3Server, client: objectfs.Client, value: str) -> None:
    fault = sim.faults.add(Fault("GetObject", status=503, code="SlowDown", headers={"Retry-After": value}))
    assert bytes(client.get("bucket", "small")) == SMALL
    assert fault.hits == 1


@pytest.mark.parametrize("verb", ["get", "get_into", "head", "parts"])
def test_a_wait_ends_with_a_cancel(sim: S3Server, client: objectfs.Client, tmp_path: Path, verb: str) -> None:
    operation, _ = verbs(client, tmp_path)[verb]
    sim.faults.add(Fault(operation, times=None, status=503, code="SlowDown", headers={"Retry-After": "60"}))
    calls: dict[str, Callable[[], Any]] = {
        "get": lambda: client.get("bucket", "small", timeout=1),
        "get_into": lambda: client.get_into("bucket", "large", bytearray(len(LARGE)), timeout=1),
        "head": lambda: client.head("bucket", "small", timeout=1),
        "parts": lambda: client.put("bucket", "new", LARGE, timeout=1),
    }
    before = time.monotonic()
    with pytest.raises(errors.TimeoutError):
        calls[verb]()
    client.close()
    assert time.monotonic() - before < 55  # far from the wait, on the busiest machine


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(("status", "code"), THROTTLED)
def test_a_budget_for_all_requests(sim: S3Server, connect: Make, status: int, code: str) -> None:
    """In an outage each request is soon sent once: 500 are there to spend, 5 for each further attempt."""
    client = connect(max_attempts=5)
    keys = [f"k{number}" for number in range(150)]
    fault = sim.faults.add(Fault(times=None, status=status, code=code))
    found = client.get_many("bucket", keys, on_error="return")
    assert all(isinstance(each, errors.ThrottledError) for each in found)
    assert len(keys) + 50 <= fault.hits <= len(keys) + 101
    assert client.stats()["retries"] == fault.hits - len(keys)
    # what is spent comes back with what succeeds
    sim.faults.clear()
    client.put("bucket", "k", SMALL)
    for _ in range(12):
        client.get("bucket", "k")
    again = sim.faults.add(Fault("GetObject", status=503, code="SlowDown"))
    assert bytes(client.get("bucket", "k")) == SMALL
    assert again.hits == 1


@pytest.mark.usefixtures("no_pauses")
async def test_a_budget_for_heads(sim: S3Server, backend: str) -> None:
    """Of a HEAD there is only the status."""
    settings: dict[str, Any] = {
        "endpoint_url": sim.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "backend": backend,
    }
    fault = sim.faults.add(Fault("HeadObject", times=None, status=429, code="TooManyRequests"))
    async with objectfs.AsyncClient(**settings, max_attempts=3) as client:
        heads = [client.head("bucket", "k") for _ in range(70)]
        found = await asyncio.gather(*heads, return_exceptions=True)
    assert all(isinstance(each, errors.ThrottledError) for each in found)
    assert 70 + 50 <= fault.hits <= 70 + 101


@pytest.mark.usefixtures("no_pauses")
def test_a_budget_for_connections(sim: S3Server, connect: Make) -> None:
    """What has no answer costs twice as much."""
    client = connect(max_attempts=5)
    keys = [f"k{number}" for number in range(100)]
    fault = sim.faults.add(Fault("GetObject", times=None, reset=True))
    found = client.get_many("bucket", keys, on_error="return")
    assert all(isinstance(each, errors.ConnectionFailedError) for each in found)
    assert len(keys) + 25 <= fault.hits <= len(keys) + 51


@pytest.mark.parametrize(("status", "code"), THROTTLED)
@pytest.mark.parametrize("verb", ["get", "get_into"])
def test_each_part_has_its_attempts(
    sim: S3Server,
    client: objectfs.Client,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    status: int,
    code: str,
) -> None:
    """Also when others have arrived already."""
    monkeypatch.setattr(random, "random", lambda: 0.02)
    fault = sim.faults.add(Fault("GetObject", after=2, times=2, status=status, code=code))
    into = bytearray(len(LARGE))
    if verb == "get":
        into[:] = client.get("bucket", "large")
    elif verb == "get_into":
        client.get_into("bucket", "large", into)
    assert into == LARGE
    assert fault.hits == 2


def test_a_lost_answer_is_told_apart(sim: S3Server, client: objectfs.Client) -> None:
    """A conditional put is safe to send again; but that the object is there by then may be its own work."""
    sim.faults.add(Fault("PutObject", close_at=9))
    with pytest.raises(errors.PreconditionFailedError) as caught:
        client.put("bucket", "new", SMALL, if_none_match="*")
    assert caught.value.status == 412
    assert "may have been done" in (caught.value.hint or "")
    with pytest.raises(errors.PreconditionFailedError) as caught:
        client.put("bucket", "new", SMALL, if_none_match="*")
    assert caught.value.hint is None
    # the same where 412 is all that can be read of the second answer
    error = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>too late</Message></Error>"
    sim.faults.add(Fault("PutObject", times=2, body=error))
    with pytest.raises(errors.PreconditionFailedError) as caught:
        client.put("bucket", "new2", SMALL, if_none_match="*")
    assert "may have been done" in (caught.value.hint or "")


def test_a_completed_upload_is_not_completed_twice(sim: S3Server, client: objectfs.Client) -> None:
    """S3 remembers uploads that it has completed for a while. After that, who asks again is told what may be."""
    sim.faults.add(Fault("CompleteMultipartUpload", close_at=9))
    client.put("bucket", "new", LARGE)
    assert bytes(client.get("bucket", "new")) == LARGE
    sim.faults.add(Fault("CompleteMultipartUpload", close_at=9))
    sim.faults.add(Fault("CompleteMultipartUpload", status=404, code="NoSuchUpload"))
    with pytest.raises(errors.NotFoundError) as caught:
        client.put("bucket", "new2", LARGE)
    assert "may have been done" in (caught.value.hint or "")


def test_a_clock_that_is_off(sim: S3Server, client: objectfs.Client) -> None:
    fault = sim.faults.add(Fault(times=None, clock_skew=3600))
    with pytest.raises(errors.AccessDeniedError) as caught:
        client.get("bucket", "small")
    assert caught.value.code == "RequestTimeTooSkewed"
    assert caught.value.hint == "This machine's clock is 60 minutes behind the server's: set it"
    with pytest.raises(errors.AccessDeniedError) as caught:
        client.head("bucket", "small")
    assert caught.value.hint == "This machine's clock is 60 minutes behind the server's: set it"
    assert fault.hits == 2


def test_206_without_content_range(sim: S3Server, client: objectfs.Client, tmp_path: Path) -> None:
    """It says of no byte where it belongs. A part of an object passed for all of it."""
    into = bytearray(len(LARGE))
    path = tmp_path / "got"
    calls: list[tuple[Callable[[], Any], bytes]] = [
        (lambda: client.get("bucket", "large"), LARGE),
        (lambda: client.get("bucket", "small", 0, 10), SMALL[:10]),
        (lambda: into[: client.get_into("bucket", "large", into)], LARGE),
        (lambda: (client.get_file("bucket", "large", path), path.read_bytes())[1], LARGE),
        (lambda: client.get_many("bucket", ["large"])[0], LARGE),
    ]
    refused = 0
    for call, right in calls:
        sim.faults.clear()
        sim.faults.add(Fault("GetObject", times=None, drop_headers=("Content-Range",)))
        try:
            assert bytes(call()) == right
        except (errors.ServerError, errors.UnsupportedError):
            refused += 1
    assert refused
