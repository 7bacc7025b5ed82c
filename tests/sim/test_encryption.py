"""Server-side encryption as its headers show it. Keys of one's own go over TLS only."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from objectfs.sim import S3Server

from .conftest import connect
from .test_buckets import fails

B = {"Bucket": "bucket"}
K = {"Bucket": "bucket", "Key": "k"}
ONE = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"1" * 32}
TWO = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"2" * 32}
SOURCE_ONE = {f"CopySource{name}": value for name, value in ONE.items()}
SOURCE_TWO = {f"CopySource{name}": value for name, value in TWO.items()}


@pytest.fixture(params=["memory", "directory"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with S3Server(None if request.param == "memory" else tmp_path / "store", tls=True) as server:
        client = connect(server)
        yield client
        client.close()


def md5(key: bytes) -> str:
    return base64.b64encode(hashlib.md5(key).digest()).decode()


def test_a_key_of_ones_own(tls: Any) -> None:
    put = tls.put_object(**K, Body=b"secret", **ONE)
    assert (put["SSECustomerAlgorithm"], put["SSECustomerKeyMD5"]) == ("AES256", md5(b"1" * 32))
    assert "ServerSideEncryption" not in put
    assert put["ETag"] != f'"{hashlib.md5(b"secret").hexdigest()}"'
    got = tls.get_object(**K, **ONE)
    assert (got["Body"].read(), got["SSECustomerKeyMD5"]) == (b"secret", md5(b"1" * 32))
    assert tls.head_object(**K, **ONE)["ContentLength"] == 6
    # Here boto3 leaves the encoding to its user.
    encoded = {**ONE, "SSECustomerKey": base64.b64encode(b"1" * 32).decode(), "SSECustomerKeyMD5": md5(b"1" * 32)}
    assert tls.get_object_attributes(**K, ObjectAttributes=["ObjectSize"], **encoded)["ObjectSize"] == 6
    assert fails(tls.get_object, **K) == (400, "InvalidRequest")
    assert fails(tls.get_object, **K, **TWO) == (403, "AccessDenied")
    assert fails(tls.head_object, **K)[0] == 400
    assert fails(tls.head_object, **K, **TWO)[0] == 403
    assert fails(tls.get_object_attributes, **K, ObjectAttributes=["ETag"]) == (400, "InvalidRequest")
    # Deleting and listing need no key.
    assert tls.list_objects_v2(**B)["Contents"][0]["Size"] == 6
    tls.delete_object(**K)
    tls.put_object(**K, Body=b"plain")
    assert fails(tls.get_object, **K, **ONE) == (400, "InvalidRequest")


def test_copies_bring_the_key_of_their_source(tls: Any) -> None:
    tls.put_object(**K, Body=b"secret", **ONE)
    to = {"Bucket": "bucket", "Key": "copy", "CopySource": "bucket/k"}
    assert fails(tls.copy_object, **to) == (400, "InvalidRequest")
    assert fails(tls.copy_object, **to, **SOURCE_TWO) == (403, "AccessDenied")
    assert tls.copy_object(**to, **SOURCE_ONE)["ServerSideEncryption"] == "AES256"
    assert tls.get_object(Bucket="bucket", Key="copy")["Body"].read() == b"secret"
    # Another key for an object is a change of it.
    tls.copy_object(**K, CopySource="bucket/k", **SOURCE_ONE, **TWO)
    assert fails(tls.get_object, **K, **ONE) == (403, "AccessDenied")
    assert tls.get_object(**K, **TWO)["Body"].read() == b"secret"
    upload = tls.create_multipart_upload(Bucket="bucket", Key="m", **ONE)["UploadId"]
    part = {"Bucket": "bucket", "Key": "m", "UploadId": upload, "PartNumber": 1}
    assert fails(tls.upload_part_copy, **part, CopySource="bucket/k", **ONE) == (400, "InvalidRequest")
    assert fails(tls.upload_part_copy, **part, CopySource="bucket/k", **SOURCE_TWO) == (400, "InvalidRequest")
    tls.upload_part_copy(**part, CopySource="bucket/k", **ONE, **SOURCE_TWO)


def test_each_part_brings_the_key_of_its_upload(tls: Any) -> None:
    upload = tls.create_multipart_upload(**K, **ONE)
    assert upload["SSECustomerKeyMD5"] == md5(b"1" * 32)
    part = {**K, "UploadId": upload["UploadId"], "PartNumber": 1, "Body": b"x"}
    assert fails(tls.upload_part, **part) == (400, "InvalidRequest")
    assert fails(tls.upload_part, **part, **TWO) == (400, "InvalidRequest")
    etag = tls.upload_part(**part, **ONE)["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    tls.complete_multipart_upload(**K, UploadId=upload["UploadId"], MultipartUpload=parts)
    assert fails(tls.get_object, **K) == (400, "InvalidRequest")
    assert tls.get_object(**K, **ONE)["Body"].read() == b"x"
    plain = tls.create_multipart_upload(**K)["UploadId"]
    assert fails(tls.upload_part, **{**part, "UploadId": plain}, **ONE) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"SSECustomerAlgorithm": "AES128"}, "InvalidEncryptionAlgorithmError"),
        ({"SSECustomerKey": b"short"}, "InvalidArgument"),
        (
            {"SSECustomerKey": base64.b64encode(b"1" * 32).decode(), "SSECustomerKeyMD5": md5(b"other")},
            "InvalidArgument",
        ),
        ({"ServerSideEncryption": "AES256"}, "InvalidArgument"),
        ({"SSECustomerKey": None}, "InvalidArgument"),
    ],
)
def test_keys_that_are_none(tls: Any, changed: dict[str, Any], code: str) -> None:
    arguments = {name: value for name, value in {**ONE, **changed}.items() if value is not None}
    assert fails(tls.put_object, **K, Body=b"x", **arguments) == (400, code)
    assert fails(tls.head_object, **K)[0] == 404


def test_keys_do_not_travel_in_the_clear(s3: Any) -> None:
    assert fails(s3.put_object, **K, Body=b"x", **ONE) == (400, "InvalidRequest")


def test_kms_and_the_default_of_the_bucket(s3: Any) -> None:
    put = s3.put_object(**K, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="a-b", BucketKeyEnabled=True)
    arn = "arn:aws:kms:us-east-1:123456789012:key/a-b"
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"], put["BucketKeyEnabled"]) == ("aws:kms", arn, True)
    assert put["ETag"] != f'"{hashlib.md5(b"x").hexdigest()}"'
    head = s3.head_object(**K)
    assert (head["SSEKMSKeyId"], head["ETag"]) == (arn, put["ETag"])
    assert fails(s3.put_object, **K, Body=b"x", ServerSideEncryption="rot13") == (400, "InvalidArgument")
    assert fails(s3.put_object, **K, Body=b"x", SSEKMSKeyId="a") == (400, "InvalidArgument")
    assert fails(s3.put_object, **K, Body=b"x", ServerSideEncryption="AES256", SSEKMSKeyId="a") == (
        400,
        "InvalidArgument",
    )
    rules = s3.get_bucket_encryption(**B)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}}
    s3.put_bucket_encryption(**B, ServerSideEncryptionConfiguration={"Rules": [default]})
    assert s3.put_object(**K, Body=b"x")["SSEKMSKeyId"] == arn
    s3.delete_bucket_encryption(**B)
    assert s3.put_object(**K, Body=b"x")["ServerSideEncryption"] == "AES256"
