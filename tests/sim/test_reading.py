"""GetObject and HeadObject: parts, ranges, overrides, conditions; deletes under a condition; regions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from objectfs.sim import S3Server

from .conftest import Wire, connect
from .test_buckets import fails

B = {"Bucket": "bucket"}
K = {"Bucket": "bucket", "Key": "k"}
PAST = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
FUTURE = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


def test_an_object_that_was_put_whole_is_its_own_part(s3: Any) -> None:
    s3.put_object(**K, Body=b"0123456789")
    got = s3.get_object(**K, PartNumber=1)
    assert (got["Body"].read(), got["ContentRange"], "PartsCount" in got) == (b"0123456789", "bytes 0-9/10", False)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert fails(s3.get_object, **K, PartNumber=2) == (416, "InvalidPartNumber")
    assert fails(s3.get_object, **K, PartNumber=0) == (400, "InvalidArgument")
    assert fails(s3.get_object, **K, PartNumber=10001) == (400, "InvalidArgument")
    assert fails(s3.get_object, **K, PartNumber=1, Range="bytes=0-1") == (400, "InvalidRequest")


def test_unsatisfiable_ranges_tell_the_size(s3: Any) -> None:
    s3.put_object(**K, Body=b"0123456789")
    with pytest.raises(ClientError) as error:
        s3.get_object(**K, Range="bytes=10-")
    response = error.value.response
    assert response["ResponseMetadata"]["HTTPHeaders"]["content-range"] == "bytes */10"
    assert (response["Error"]["ActualObjectSize"], response["Error"]["RangeRequested"]) == ("10", "bytes=10-")
    assert fails(s3.head_object, **K, Range="bytes=10-")[0] == 416


def test_overrides_are_for_signed_requests() -> None:
    with S3Server(anonymous=True) as server:
        s3 = connect(server)
        s3.put_object(**K, Body=b"x", ContentType="text/a")
        wanted = {
            "ResponseContentType": "text/b",
            "ResponseContentLanguage": "de",
            "ResponseCacheControl": "no-store",
            "ResponseContentDisposition": "inline",
            "ResponseContentEncoding": "gzip",
            "ResponseExpires": FUTURE,
        }
        for call in (s3.get_object, s3.head_object):
            got = call(**K, **wanted)
            assert (got["ContentType"], got["ContentLanguage"], got["CacheControl"]) == ("text/b", "de", "no-store")
            assert (got["ContentDisposition"], got["ContentEncoding"]) == ("inline", "gzip")
        nobody = boto3.client(
            "s3", endpoint_url=server.endpoint_url, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
        )
        assert nobody.get_object(**K)["ContentType"] == "text/a"
        assert fails(nobody.get_object, **K, ResponseContentType="text/b") == (400, "InvalidRequest")
        s3.close()
        nobody.close()


def test_precedence_of_conditions(s3: Any) -> None:
    etag = s3.put_object(**K, Body=b"x")["ETag"]
    # S3's table, each line: a true If-Match outweighs a false If-Unmodified-Since …
    assert s3.get_object(**K, IfMatch=etag, IfUnmodifiedSince=PAST)["ETag"] == etag
    # … and a false If-None-Match a true If-Modified-Since.
    assert fails(s3.get_object, **K, IfNoneMatch=etag, IfModifiedSince=PAST)[0] == 304
    assert s3.get_object(**K, IfNoneMatch='"other"', IfModifiedSince=FUTURE)["ETag"] == etag
    assert fails(s3.get_object, **K, IfMatch='"other"', IfUnmodifiedSince=FUTURE) == (412, "PreconditionFailed")
    assert fails(s3.get_object, **K, IfMatch=etag, IfNoneMatch=etag)[0] == 304
    # Lists, weak tags, unquoted tags, and any.
    assert s3.get_object(**K, IfMatch=f'"other", {etag}')["ETag"] == etag
    assert s3.get_object(**K, IfMatch=etag.strip('"'))["ETag"] == etag
    assert s3.get_object(**K, IfMatch="*")["ETag"] == etag
    assert fails(s3.get_object, **K, IfNoneMatch="*")[0] == 304


def test_not_modified_says_what_it_is_about(memory: S3Server, wire: Callable[[], Wire]) -> None:
    connection = wire()
    _, put, _ = connection.send(b"PUT /bucket/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx").response()
    request = f"GET /bucket/k HTTP/1.1\r\nHost: h\r\nIf-None-Match: {put['etag']}\r\n\r\n"
    status, headers, body = connection.send(request.encode()).response()
    assert (status, headers["etag"], body) == (304, put["etag"], b"")
    assert "last-modified" in headers


def test_conditional_deletes(s3: Any) -> None:
    etag = s3.put_object(**K, Body=b"x")["ETag"]
    assert fails(s3.delete_object, **K, IfMatch='"other"') == (412, "PreconditionFailed")
    s3.delete_object(**K, IfMatch=etag)
    assert fails(s3.delete_object, **K, IfMatch="*") == (404, "NoSuchKey")
    assert fails(s3.delete_object, **K, IfMatchSize=1) == (501, "NotImplemented")
    s3.delete_object(**K)


def test_attributes_have_names(s3: Any) -> None:
    s3.put_object(**K, Body=b"x")
    got = s3.get_object_attributes(**K, ObjectAttributes=["ETag", "StorageClass", "ObjectSize", "ObjectParts"])
    assert (got["StorageClass"], got["ObjectSize"], "ObjectParts" in got) == ("STANDARD", 1, False)
    assert got["ETag"] == s3.head_object(**K)["ETag"].strip('"')
    assert fails(s3.get_object_attributes, **K, ObjectAttributes=["Colour"]) == (400, "InvalidArgument")
    assert fails(s3.get_object_attributes, **K, ObjectAttributes=[]) == (400, "InvalidRequest")


def test_a_bucket_of_another_region(server: S3Server) -> None:
    s3 = connect(server)
    s3.create_bucket(Bucket="away", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert s3.get_bucket_location(Bucket="away")["LocationConstraint"] == "eu-central-1"
    # boto3 follows the redirect and signs again.
    s3.put_object(Bucket="away", Key="k", Body=b"x")
    redirects = [request for request in server.requests if request.status == 301]
    assert [request.operation for request in redirects] == ["PutObject"]
    there = connect(server, region_name="eu-central-1")
    assert there.get_object(Bucket="away", Key="k")["Body"].read() == b"x"
    assert there.head_bucket(Bucket="away")["BucketRegion"] == "eu-central-1"
    assert [request for request in server.requests if request.status == 301] == redirects
    # The other way round too: a bucket of the server's own region, and a signature for another one.
    s3.put_object(**K, Body=b"y")
    assert there.get_object(**K)["Body"].read() == b"y"
    assert [request.error for request in server.requests][-2:] == ["AuthorizationHeaderMalformed", None]
    regions = {b["Name"]: b["BucketRegion"] for b in s3.list_buckets()["Buckets"]}
    assert regions == {"bucket": "us-east-1", "away": "eu-central-1"}
    assert [b["Name"] for b in s3.list_buckets(BucketRegion="eu-central-1")["Buckets"]] == ["away"]
    s3.close()
    there.close()


def test_where_buckets_are_made(s3: Any) -> None:
    for constraint in ("us-east-1", "moon"):
        configuration = {"LocationConstraint": constraint}
        assert fails(s3.create_bucket, Bucket="new", CreateBucketConfiguration=configuration) == (
            400,
            "InvalidLocationConstraint",
        )
    s3.create_bucket(Bucket="bucket")  # us-east-1: again is no error
    with S3Server(region="eu-west-1") as server:
        client = connect(server, region_name="eu-west-1")
        for constraint in (None, "us-west-2"):
            options = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
            assert fails(client.create_bucket, Bucket="new", **options) == (400, "IllegalLocationConstraintException")
        own = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
        client.create_bucket(Bucket="new", **own)
        assert fails(client.create_bucket, Bucket="new", **own) == (409, "BucketAlreadyOwnedByYou")
        assert client.get_bucket_location(Bucket="new")["LocationConstraint"] == "eu-west-1"
        client.close()


def test_buckets_are_listed_in_pages(s3: Any) -> None:
    names = [f"list-{number}" for number in range(5)]
    for name in names:
        s3.create_bucket(Bucket=name)
    pages = s3.get_paginator("list_buckets").paginate(Prefix="list-", PaginationConfig={"PageSize": 2})
    found = [[bucket["Name"] for bucket in page["Buckets"]] for page in pages]
    assert found == [names[:2], names[2:4], names[4:]]
    assert s3.list_buckets(Prefix="list-", MaxBuckets=5)["Prefix"] == "list-"
    assert "ContinuationToken" not in s3.list_buckets(Prefix="list-", MaxBuckets=5)
    assert fails(s3.list_buckets, ContinuationToken="!") == (400, "InvalidArgument")


def test_errors_say_what_s3_says(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bucket", Key="no/such key")
    found, metadata = error.value.response["Error"], error.value.response["ResponseMetadata"]
    assert (found["Code"], found["Key"]) == ("NoSuchKey", "no/such key")
    assert found["Message"] == "The specified key does not exist."
    assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-amz-request-id"]
    assert metadata["HostId"] == metadata["HTTPHeaders"]["x-amz-id-2"]
    assert metadata["HTTPHeaders"]["content-type"] == "application/xml"
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket="missing")
    assert error.value.response["Error"]["BucketName"] == "missing"
