"""What ``call`` refuses before it sends anything, and what ends it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

import objectfs
from objectfs import errors

from .conftest import settings
from .recorder import Recorded, Recorder, answer

WHERE = {"Bucket": "b", "Key": "k"}


@pytest.mark.parametrize(
    ("operation", "params", "words"),
    [
        ("get_object", WHERE, "'get_object' is no operation of S3. Did you mean 'GetObject'?"),
        ("Getobject", WHERE, "Did you mean 'GetObject'?"),
        ("ListObjectV2", WHERE, "Did you mean 'ListObjectsV2'?"),
        ("", {}, "'' is no operation of S3"),
        ("Xyzzy", {}, "'Xyzzy' is no operation of S3"),
        ("GetObject", {**WHERE, "bucket": "b"}, "'bucket' is no parameter of GetObject. Did you mean 'Bucket'?"),
        ("GetObject", {**WHERE, "version_id": "v"}, "Did you mean 'VersionId'?"),
        ("PutObject", {**WHERE, "ContentTyp": "x"}, "Did you mean 'ContentType'?"),
        ("ListBuckets", {"Zzz": 1}, "'Zzz' is no parameter of ListBuckets. It has"),
        ("GetObject", {}, "GetObject needs Bucket and Key"),
        ("GetObject", {"Key": "k"}, "GetObject needs Bucket"),
        ("GetObject", {"Bucket": "b"}, "GetObject needs Key"),
        ("DeleteObjects", {"Bucket": "b"}, "DeleteObjects needs Delete"),
        ("DeleteObjects", {"Bucket": "b", "Delete": {}}, "Missing required parameter in Delete: \"Objects\""),
        ("DeleteObjects", {"Bucket": "b", "Delete": {"Objets": []}}, "Unknown parameter in Delete: \"Objets\""),
        ("GetObject", {"Bucket": 5, "Key": "k"}, "Bucket must be a string, not int"),
        ("GetObject", {"Bucket": None, "Key": "k"}, "Bucket must be a string, not NoneType"),
        ("GetObject", {"Bucket": "b", "Key": 5}, "type"),  # by botocore's check of it, or by its endpoint rules
        ("GetObject", {"Bucket": "b", "Key": ""}, "Invalid length for parameter Key"),
        ("GetObject", {"Bucket": "no/bucket", "Key": "k"}, "Invalid bucket name"),
        ("ListObjectsV2", {"Bucket": "b", "MaxKeys": "5"}, "Invalid type for parameter MaxKeys"),
        ("PutObject", {**WHERE, "Metadata": {"name": "ä"}}, "Non ascii characters"),
    ],
)  # fmt: skip
def test_refused(
    operation: str, params: dict[str, Any], words: str, clients: dict[str, objectfs.Client], recorder: Recorder
) -> None:
    told = set()
    recorder.take()
    for client in clients.values():
        with pytest.raises(errors.InvalidRequestError) as caught:
            client.call(operation, **params)
        assert words in str(caught.value)
        told.add(str(caught.value))
    assert len(told) == 1
    assert not recorder.take()


def test_timeout(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """``timeout=`` ends it in time, and the client goes on."""
    go = threading.Event()

    def handle(_: Recorded) -> bytes:
        go.wait(20)
        return answer(200)

    try:
        for client in clients.values():
            recorder.handle = handle
            before = time.monotonic()
            with pytest.raises(errors.TimeoutError) as caught:
                client.call("PutBucketTagging", Bucket="b", Tagging={"TagSet": []}, timeout=0.2)
            assert time.monotonic() - before < 5
            assert (caught.value.operation, caught.value.bucket) == ("PutBucketTagging", "b")
            recorder.handle = lambda _: answer(200)
            assert client.call("HeadBucket", Bucket="b", timeout=20)["ResponseMetadata"]["HTTPStatusCode"] == 200
    finally:
        go.set()


def test_cancel(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    go, came = threading.Event(), threading.Event()

    def handle(_: Recorded) -> bytes:
        came.set()
        go.wait(20)
        return answer(200)

    async def cancelled(name: str) -> None:
        async with objectfs.AsyncClient(**settings(recorder, name)) as client:
            recorder.handle = handle
            came.clear()
            task = asyncio.create_task(client.call("GetBucketAcl", Bucket="b"))
            await asyncio.to_thread(came.wait, 20)
            task.cancel()
            before = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - before < 5
            recorder.handle = lambda _: answer(200)
            assert await client.call("HeadBucket", Bucket="b", timeout=20)

    try:
        for name in clients:
            asyncio.run(cancelled(name))
    finally:
        go.set()


def test_closed(recorder: Recorder, clients: dict[str, objectfs.Client]) -> None:
    for name in clients:
        client = objectfs.Client(**settings(recorder, name))
        client.close()
        with pytest.raises(errors.ClosedError):
            client.call("HeadBucket", Bucket="b")
