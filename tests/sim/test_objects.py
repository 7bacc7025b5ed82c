"""Objects, through boto3, on both stores."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from objectfs.sim import S3Server

KEYS = [
    "plain",
    "a//b",
    "./x",
    "../../etc/passwd",
    "a/../b",
    "/lead",
    "trail/",
    "sp ace+plus%25%",
    "ü/日本/🎉",
    "~x",
    "?q#f",
]


def code(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_put_get_keeps_body_metadata_and_headers(s3: Any) -> None:
    body = os.urandom(100_000)
    put = s3.put_object(
        Bucket="bucket",
        Key="k",
        Body=body,
        ContentType="text/x",
        CacheControl="no-store",
        ContentEncoding="gzip",
        Metadata={"one": "1", "two": "zwei"},
        StorageClass="STANDARD_IA",
        Tagging="a=b&c=d",
    )
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket="bucket", Key="k")
    assert got["Body"].read() == body
    assert got["Metadata"] == {"one": "1", "two": "zwei"}
    assert (got["ContentType"], got["CacheControl"], got["ContentEncoding"]) == ("text/x", "no-store", "gzip")
    assert (got["StorageClass"], got["TagCount"], got["ETag"]) == ("STANDARD_IA", 2, put["ETag"])
    assert got["ServerSideEncryption"] == "AES256"
    head = s3.head_object(Bucket="bucket", Key="k")
    assert (head["ContentLength"], head["ETag"]) == (100_000, put["ETag"])


@pytest.mark.parametrize("key", [*KEYS, "x" * 1024, "é" * 512])
def test_every_legal_key(s3: Any, server: S3Server, key: str) -> None:
    s3.put_object(Bucket="bucket", Key=key, Body=key.encode())
    assert s3.get_object(Bucket="bucket", Key=key)["Body"].read() == key.encode()
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="bucket")["Contents"]] == [key]
    s3.delete_object(Bucket="bucket", Key=key)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bucket", Key=key)
    assert code(error) == (404, "NoSuchKey")


def test_key_too_long(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="bucket", Key="x" * 1025, Body=b"")
    assert code(error) == (400, "KeyTooLongError")


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-100", 0, 10),
        ("bytes=8-100", 8, 10),
        ("bytes=0-9", 0, 10),
        ("BYTES=1-2", 1, 3),
    ],
)
def test_ranges(s3: Any, header: str, start: int, stop: int) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket="bucket", Key="k", Range=header)
    assert got["Body"].read() == b"0123456789"[start:stop]
    assert got["ContentRange"] == f"bytes {start}-{stop - 1}/10"
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_range_beyond_the_end(s3: Any, header: str) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"0123456789")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bucket", Key="k", Range=header)
    assert code(error) == (416, "InvalidRange")


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1", "bytes=0-0"])
def test_any_range_of_an_empty_object_is_invalid(s3: Any, header: str) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"")
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b""
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bucket", Key="k", Range=header)
    assert code(error) == (416, "InvalidRange")


@pytest.mark.parametrize("header", ["bytes=5-2", "items=0-1", "bytes=0-1,3-4"])
def test_malformed_range_is_ignored(s3: Any, header: str) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"0123456789")
    assert s3.get_object(Bucket="bucket", Key="k", Range=header)["Body"].read() == b"0123456789"


def test_if_match_compares_strongly(s3: Any) -> None:
    etag = s3.put_object(Bucket="bucket", Key="k", Body=b"x")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bucket", Key="k", IfMatch=f"W/{etag}")
    assert code(error) == (412, "PreconditionFailed")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bucket", Key="k", IfNoneMatch=f"W/{etag}")
    assert code(error)[0] == 304


def test_read_conditions(s3: Any) -> None:
    etag = s3.put_object(Bucket="bucket", Key="k", Body=b"x")["ETag"]
    past = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    future = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
    for passes in (
        {"IfMatch": etag},
        {"IfNoneMatch": '"x"'},
        {"IfModifiedSince": past},
        {"IfUnmodifiedSince": future},
    ):
        assert s3.get_object(Bucket="bucket", Key="k", **passes)["Body"].read() == b"x"
    # A matching ETag outweighs the date.
    assert s3.get_object(Bucket="bucket", Key="k", IfMatch=etag, IfUnmodifiedSince=past)["Body"].read() == b"x"
    for fails, status in (
        ({"IfMatch": '"x"'}, 412),
        ({"IfNoneMatch": etag}, 304),
        ({"IfModifiedSince": future}, 304),
        ({"IfUnmodifiedSince": past}, 412),
    ):
        for call in (s3.get_object, s3.head_object):
            with pytest.raises(ClientError) as error:
                call(Bucket="bucket", Key="k", **fails)
            assert code(error)[0] == status


def test_write_conditions(s3: Any) -> None:
    etag = s3.put_object(Bucket="bucket", Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="bucket", Key="k", Body=b"2", IfNoneMatch="*")
    assert code(error) == (412, "PreconditionFailed")
    s3.put_object(Bucket="bucket", Key="k", Body=b"3", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="bucket", Key="k", Body=b"4", IfMatch=etag)
    assert code(error) == (412, "PreconditionFailed")
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"3"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="bucket", Key="absent", Body=b"", IfMatch=etag)
    assert code(error) == (404, "NoSuchKey")


def test_one_winner_when_many_create(s3: Any) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def create(number: int) -> None:
        barrier.wait()
        try:
            s3.put_object(Bucket="bucket", Key="race", Body=str(number).encode() * 1000, IfNoneMatch="*")
            outcomes.append(str(number))
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [o for o in outcomes if o.isdigit()]
    assert len(winners) == 1
    assert outcomes.count("PreconditionFailed") == 7
    assert s3.get_object(Bucket="bucket", Key="race")["Body"].read() == winners[0].encode() * 1000


def test_copy_keeps_or_replaces_metadata(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="ä b", Body=b"body", Metadata={"m": "1"}, Tagging="t=1")
    s3.copy_object(Bucket="bucket", Key="kept", CopySource={"Bucket": "bucket", "Key": "ä b"})
    got = s3.get_object(Bucket="bucket", Key="kept")
    assert (got["Body"].read(), got["Metadata"], got["TagCount"]) == (b"body", {"m": "1"}, 1)
    s3.copy_object(
        Bucket="bucket", Key="new", CopySource="bucket/kept", MetadataDirective="REPLACE", Metadata={"n": "2"}
    )
    assert s3.head_object(Bucket="bucket", Key="new")["Metadata"] == {"n": "2"}
    s3.delete_object(Bucket="bucket", Key="ä b")
    assert s3.get_object(Bucket="bucket", Key="kept")["Body"].read() == b"body"
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="bucket", Key="kept", CopySource="bucket/kept")
    assert code(error) == (400, "InvalidRequest")
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="bucket", Key="x", CopySource="bucket/absent")
    assert code(error) == (404, "NoSuchKey")
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="bucket", Key="x", CopySource="bucket/kept", CopySourceIfMatch='"no"')
    assert code(error) == (412, "PreconditionFailed")


def test_delete_objects(s3: Any) -> None:
    for key in ("a", "b", "c<&>"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"")
    wanted = {"Objects": [{"Key": "a"}, {"Key": "c<&>"}, {"Key": "absent"}]}
    deleted = s3.delete_objects(Bucket="bucket", Delete=wanted)["Deleted"]
    assert {d["Key"] for d in deleted} == {"a", "c<&>", "absent"}
    quiet = s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 0


def test_tags(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    tags = [{"Key": "a", "Value": "1 + 2 @ ü"}, {"Key": "b", "Value": ""}]
    s3.put_object_tagging(Bucket="bucket", Key="k", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket="bucket", Key="k")["TagSet"] == tags
    s3.delete_object_tagging(Bucket="bucket", Key="k")
    assert s3.get_object_tagging(Bucket="bucket", Key="k")["TagSet"] == []
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"x"


def test_attributes_and_overrides(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"12345", ChecksumAlgorithm="SHA256")
    found = s3.get_object_attributes(
        Bucket="bucket", Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass"]
    )
    assert (found["ObjectSize"], found["StorageClass"]) == (5, "STANDARD")
    assert found["Checksum"]["ChecksumSHA256"]
    got = s3.get_object(Bucket="bucket", Key="k", ResponseContentType="a/b", ResponseCacheControl="x")
    assert (got["ContentType"], got["CacheControl"]) == ("a/b", "x")


def test_metadata_limit(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="bucket", Key="k", Body=b"", Metadata={"m": "x" * 2048})
    assert code(error) == (400, "MetadataTooLarge")


def test_requests_are_recorded(s3: Any, server: S3Server) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"xyz")
    s3.get_object(Bucket="bucket", Key="k", Range="bytes=1-2")["Body"].read()
    put, get = server.requests
    assert (put.method, put.operation, put.bucket, put.key, put.status) == (
        "PUT",
        "PutObject",
        "bucket",
        "k",
        200,
    )
    assert (get.operation, get.range, get.status) == ("GetObject", "bytes=1-2", 206)
    assert get.headers["host"] == f"127.0.0.1:{server.port}"
    server.clear_requests()
    assert server.requests == []
