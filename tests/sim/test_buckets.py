"""Buckets, their documents, and listings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from objectfs.sim import S3Server

from .conftest import connect


def fails(call: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_life_of_a_bucket(s3: Any) -> None:
    s3.create_bucket(Bucket="second")
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["bucket", "second"]
    assert s3.head_bucket(Bucket="second")["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="second")["LocationConstraint"] is None
    s3.put_object(Bucket="second", Key="k", Body=b"")
    assert fails(s3.delete_bucket, Bucket="second") == (409, "BucketNotEmpty")
    s3.delete_object(Bucket="second", Key="k")
    s3.delete_bucket(Bucket="second")
    assert fails(s3.head_bucket, Bucket="second")[0] == 404
    assert fails(s3.list_objects_v2, Bucket="second") == (404, "NoSuchBucket")
    assert fails(s3.put_object, Bucket="second", Key="k", Body=b"x" * 100_000) == (404, "NoSuchBucket")


def test_bucket_in_another_region() -> None:
    with S3Server(region="eu-west-1") as server:
        s3 = connect(server, region_name="eu-west-1")
        assert s3.get_bucket_location(Bucket="bucket")["LocationConstraint"] == "eu-west-1"
        s3.close()


POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::bucket/*",
        },
    }
)


def test_documents_are_kept(s3: Any) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket="bucket")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_versioning(Bucket="bucket")["Status"] == "Suspended"
    assert fails(s3.get_bucket_tagging, Bucket="bucket") == (404, "NoSuchTagSet")
    s3.put_bucket_tagging(Bucket="bucket", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_bucket_tagging(Bucket="bucket")["TagSet"] == [{"Key": "a", "Value": "b"}]
    s3.put_bucket_policy(Bucket="bucket", Policy=POLICY)
    assert s3.get_bucket_policy(Bucket="bucket")["Policy"] == POLICY
    s3.delete_bucket_policy(Bucket="bucket")
    assert fails(s3.get_bucket_policy, Bucket="bucket") == (404, "NoSuchBucketPolicy")
    assert s3.get_bucket_acl(Bucket="bucket")["Grants"][0]["Permission"] == "FULL_CONTROL"


def fill(s3: Any, keys: list[str]) -> None:
    for key in keys:
        s3.put_object(Bucket="bucket", Key=key, Body=b"x")


TREE = ["a", "b/1", "b/2", "b/c/3", "d/", "é/x", "z<&>"]


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("prefix", "delimiter"), [("", ""), ("", "/"), ("b", "/"), ("b/", "/"), ("b/", ""), ("q", "/")]
)
def test_pages_add_up(s3: Any, operation: str, size: int, prefix: str, delimiter: str) -> None:
    fill(s3, TREE)
    keys, prefixes = [], []
    pages = s3.get_paginator(operation).paginate(
        Bucket="bucket", Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size}
    )
    for page in pages:
        found = page.get("Contents", []), page.get("CommonPrefixes", [])
        assert len(found[0]) + len(found[1]) <= size
        keys += [o["Key"] for o in found[0]]
        prefixes += [p["Prefix"] for p in found[1]]
    expected_keys, expected_prefixes = [], []
    for key in sorted(TREE):
        if key.startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                expected_keys.append(key)
            elif key[: cut + 1] not in expected_prefixes:
                expected_prefixes.append(key[: cut + 1])
    assert (keys, prefixes) == (expected_keys, expected_prefixes)


def test_start_after_and_owner(s3: Any) -> None:
    fill(s3, TREE)
    page = s3.list_objects_v2(Bucket="bucket", StartAfter="b/2", MaxKeys=2, FetchOwner=True)
    assert [o["Key"] for o in page["Contents"]] == ["b/c/3", "d/"]
    assert page["Contents"][0]["Owner"]["ID"]
    assert page["IsTruncated"] is True
    assert s3.list_objects_v2(Bucket="bucket", MaxKeys=0)["IsTruncated"] is False
    assert fails(s3.list_objects_v2, Bucket="bucket", ContinuationToken="???") == (400, "InvalidArgument")


def test_listing_follows_changes(s3: Any) -> None:
    fill(s3, ["b", "c"])
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 2
    s3.delete_object(Bucket="bucket", Key="b")
    fill(s3, ["a", "d"])
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["a", "c", "d"]
    s3.put_object(Bucket="bucket", Key="c", Body=b"longer")
    assert {o["Key"]: o["Size"] for o in s3.list_objects_v2(Bucket="bucket")["Contents"]}["c"] == 6


def test_invalid_names_and_unknown_operations(s3: Any, memory: S3Server) -> None:
    import urllib.error
    import urllib.request

    def status(method: str, path: str) -> tuple[int, bytes]:
        request = urllib.request.Request(memory.endpoint_url + path, method=method)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, b""
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    for name in ("ab", "Upper", "a..b", "192.168.1.1", "under_score", "x" * 64):
        assert b"InvalidBucketName" in status("PUT", f"/{name}")[1]
    assert status("PATCH", "/bucket/k")[0] == 405
    assert status("DELETE", "/")[0] == 405
    assert status("GET", "/bucket?inventory")[0] == 501
    assert status("GET", "/bucket/%FF")[0] == 400
    assert status("PUT", "/bucket/a%00b")[0] == 400
