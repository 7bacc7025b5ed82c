"""Buckets in another region than the client's: found out, followed once, remembered."""

from __future__ import annotations

import asyncio
import io
import logging
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .raw_server import Asked, RawServer, answer
from .support import ramp

MiB = 1024 * 1024
HOME = "eu-central-1"
OURS = "us-west-2"
LARGE = ramp(11 * MiB)


@pytest.fixture
def sim() -> Iterator[S3Server]:
    """A server of one region, which takes signatures for no other."""
    with S3Server(buckets=("bucket",), region=HOME) as server:
        with objectfs.Client(
            endpoint_url=server.endpoint_url, region=HOME, access_key_id="test", secret_access_key="testtest"
        ) as client:
            client.put_many("bucket", {"k": b"small", "large": LARGE, "gone": b"", "bad\x01": b""})
        server.requests.clear()
        yield server


Verb = Callable[[objectfs.Client, Path], Any]

VERBS: dict[str, Verb] = {
    "get": lambda c, _: bytes(c.get("bucket", "k")) == b"small",
    "get large": lambda c, _: bytes(c.get("bucket", "large")) == LARGE,
    "get range": lambda c, _: bytes(c.get("bucket", "large", 5, 9)) == LARGE[5:9],
    "get_into": lambda c, _: c.get_into("bucket", "large", bytearray(len(LARGE))) == len(LARGE),
    "get_file": lambda c, path: c.get_file("bucket", "large", path) and path.read_bytes() == LARGE,
    "get_many": lambda c, _: [bytes(found) for found in c.get_many("bucket", ["k", "k"])] == [b"small"] * 2,
    "get_many return": lambda c, _: (
        [bytes(found) for found in c.get_many("bucket", ["k", "k"], on_error="return")] == [b"small"] * 2
    ),
    "get_ranges": lambda c, _: [bytes(r) for r in c.get_ranges("bucket", "k", [(0, 2), (2, 5)])] == [b"sm", b"all"],
    "head": lambda c, _: c.head("bucket", "k").size == 5,
    "exists": lambda c, _: c.exists("bucket", "k"),
    "list": lambda c, _: len(list(c.list("bucket"))) == 4,
    "put": lambda c, _: c.put("bucket", "new", b"x").etag,
    "put large": lambda c, _: c.put("bucket", "new", LARGE * 2).etag,
    "put stream": lambda c, _: c.put("bucket", "new", io.BytesIO(LARGE * 2)).etag,
    "put short stream": lambda c, _: c.put("bucket", "new", io.BytesIO(b"x")).etag,
    "put_file": lambda c, path: path.write_bytes(LARGE * 2) and c.put_file("bucket", "new", path).etag,
    "put_many": lambda c, _: len(c.put_many("bucket", {"a": b"1", "b": b"2"})) == 2,
    "delete": lambda c, _: c.delete("bucket", "gone") is None,
    "delete_many": lambda c, _: c.delete_many("bucket", ["gone", "bad\x01"]) == {},
    "copy": lambda c, _: c.copy("bucket", "k", "bucket", "copied").etag,
    "copy large": lambda c, _: c.copy("bucket", "large", "bucket", "copied", multipart_threshold=1).etag,
    "list_versions": lambda c, _: len(list(c.list_versions("bucket"))) == 4,
    "call": lambda c, _: c.call("GetObjectTagging", Bucket="bucket", Key="k")["TagSet"] == [],
    "open": lambda c, _: read_open(c) == LARGE,
}


def read_open(client: objectfs.Client) -> bytes:
    with client.open("bucket", "large") as file:
        return file.read()


@pytest.mark.parametrize("verb", VERBS)
def test_followed(connect: Make, sim: S3Server, tmp_path: Path, verb: str) -> None:
    client = connect(region=OURS)
    assert VERBS[verb](client, tmp_path / "file")
    refused = [request for request in sim.requests if request.status == 400]
    # a batch has several on their way when the first is refused
    assert 1 <= len(refused) <= (2 if "many" in verb or verb == "get_ranges" else 1)
    sim.requests.clear()
    assert bytes(client.get("bucket", "k")) == b"small"
    # after a large object, and where answers are slow, HeadObject comes before it (``crt_get._begin``)
    assert [request.operation for request in sim.requests if request.operation != "HeadObject"] == ["GetObject"]
    assert all(request.status in (200, 206) for request in sim.requests)


def test_a_writer(connect: Make, sim: S3Server) -> None:
    client = connect(region=OURS)
    with client.open("bucket", "new", "wb") as file:
        for start in range(0, 2 * len(LARGE), MiB):
            file.write((LARGE * 2)[start : start + MiB])
    assert [request.operation for request in sim.requests if request.status == 400] == ["CreateMultipartUpload"]
    assert bytes(client.get("bucket", "new")) == LARGE * 2


@pytest.mark.parametrize("status", [301, 307])
def test_redirects(connect: Make, sim: S3Server, status: int) -> None:
    """As AWS answers where the address is another region's."""
    client = connect(region=HOME)
    fault = sim.faults.add(
        Fault(redirect="ap-south-1", times=1)
        if status == 301
        else Fault(status=307, code="TemporaryRedirect", set_headers={"x-amz-bucket-region": "ap-south-1"}, times=1)
    )
    if status == 307:  # the server takes signatures of its own region only: what comes is told by the second answer
        with pytest.raises(errors.RedirectError) as caught:
            client.get("bucket", "k")
        assert caught.value.bucket_region == HOME
        assert len(sim.requests) == 2
    else:
        assert bytes(client.get("bucket", "k")) == b"small"
        assert [request.status for request in sim.requests] == [301, 206 if client.backend.name == "crt" else 200]
    assert fault.hits == 1


def test_it_is_said_once(connect: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = connect(region=OURS)
    with caplog.at_level(logging.INFO, "objectfs"):
        for _ in range(3):
            client.head("bucket", "k")
    said = [record.getMessage() for record in caplog.records if "region" in record.getMessage()]
    assert said == [f"the bucket bucket is in region {HOME}: requests to it go there"]


def test_many_threads(connect: Make, sim: S3Server) -> None:
    client = connect(region=OURS)
    with ThreadPoolExecutor(8) as pool:
        assert all(bytes(found) == b"small" for found in pool.map(lambda _: client.get("bucket", "k"), range(64)))
    assert len([request for request in sim.requests if request.status == 400]) <= 8


def test_async(sim: S3Server, backend: str) -> None:
    async def work() -> bytes:
        async with objectfs.AsyncClient(
            backend=backend,
            endpoint_url=sim.endpoint_url,
            region=OURS,
            access_key_id="test",
            secret_access_key="testtest",
        ) as client:
            await client.put("bucket", "new", io.BytesIO(b"x"))
            return bytes(await client.get("bucket", "new"))

    assert asyncio.run(work()) == b"x"


def test_a_presigned_url_is_for_the_region_that_was_found(connect: Make) -> None:
    client = connect(region=OURS)
    client.head("bucket", "k")
    with urllib.request.urlopen(client.presign("get", "bucket", "k")) as found:
        assert found.read() == b"small"


def test_no_second_time(backend: str) -> None:
    """A server that always names another region."""
    regions = iter(f"eu-west-{n}" for n in range(100))

    def handle(_: Asked) -> bytes:
        return answer(301, [("x-amz-bucket-region", next(regions))])

    with (
        RawServer(handle) as server,
        objectfs.Client(
            backend=backend,
            endpoint_url=server.url,
            region=OURS,
            access_key_id="a",
            secret_access_key="b",
            max_attempts=1,
        ) as client,
    ):
        with pytest.raises(errors.RedirectError) as caught:
            client.head("bucket", "k")
        assert caught.value.bucket_region == "eu-west-1"
        assert len(server.asked) == 2


@pytest.mark.parametrize("region", ["evil.example/x", "a" * 65, "x y", "../..", ""])
def test_what_is_no_region_is_not_followed(backend: str, region: str) -> None:
    """It would become a part of a host's name."""
    with (
        RawServer(lambda _: answer(301, [("x-amz-bucket-region", region)])) as server,
        objectfs.Client(
            backend=backend,
            endpoint_url=server.url,
            region=OURS,
            access_key_id="a",
            secret_access_key="b",
            max_attempts=1,
        ) as client,
    ):
        with pytest.raises(errors.RedirectError):
            client.head("bucket", "k")
        assert len(server.asked) == 1


def test_a_bad_request_in_the_right_region_is_one(connect: Make, sim: S3Server) -> None:
    client = connect(region=HOME)
    sim.faults.add(Fault(status=400, code="InvalidArgument", set_headers={"x-amz-bucket-region": HOME}, times=None))
    with pytest.raises(errors.InvalidRequestError):
        client.head("bucket", "k")
    assert len(sim.requests) == 1
