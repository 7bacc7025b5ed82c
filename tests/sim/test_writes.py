"""Conditional writes, copies, renames, storage classes, object lock: through boto3, on both stores."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from objectfs.sim import S3Server

from .conftest import Wire, connect
from .test_buckets import fails

B = {"Bucket": "bucket"}
K = {"Bucket": "bucket", "Key": "k"}
PAST = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)


def read(s3: Any, key: str = "k") -> bytes:
    return bytes(s3.get_object(Bucket="bucket", Key=key)["Body"].read())


def compete(server: S3Server, count: int, work: Callable[[Any, int], None]) -> list[str]:
    """``work`` in as many threads, let go at once; the outcome of each: "ok" or the error's code."""
    barrier = threading.Barrier(count)
    outcomes = [""] * count

    def run(number: int) -> None:
        client = connect(server)
        barrier.wait()
        try:
            work(client, number)
            outcomes[number] = "ok"
        except ClientError as error:
            outcomes[number] = error.response["Error"]["Code"]
        finally:
            client.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_one_of_many_replaces_what_they_all_read(s3: Any, server: S3Server) -> None:
    etag = s3.put_object(**K, Body=b"first")["ETag"]
    outcomes = compete(server, 16, lambda c, n: c.put_object(**K, Body=b"%d" % n, IfMatch=etag))
    assert outcomes == ["PreconditionFailed"] * 15 + ["ok"]


def test_one_of_many_completes(s3: Any, server: S3Server) -> None:
    uploads = []
    for _ in range(8):
        upload = s3.create_multipart_upload(**K)["UploadId"]
        etag = s3.upload_part(**K, UploadId=upload, PartNumber=1, Body=upload.encode())["ETag"]
        uploads.append((upload, {"Parts": [{"PartNumber": 1, "ETag": etag}]}))

    def work(client: Any, number: int) -> None:
        upload, parts = uploads[number]
        client.complete_multipart_upload(**K, UploadId=upload, MultipartUpload=parts, IfNoneMatch="*")

    assert compete(server, 8, work) == ["PreconditionFailed"] * 7 + ["ok"]
    assert read(s3) in [upload.encode() for upload, _ in uploads]
    # The losers' uploads are still there.
    assert len(s3.list_multipart_uploads(**B)["Uploads"]) == 7


def test_one_of_many_copies(s3: Any, server: S3Server) -> None:
    s3.put_object(**K, Body=b"x")
    to = {"Bucket": "bucket", "Key": "to", "CopySource": "bucket/k"}
    outcomes = compete(server, 8, lambda client, _: client.copy_object(**to, IfNoneMatch="*"))
    assert outcomes == ["PreconditionFailed"] * 7 + ["ok"]


def test_one_of_many_renames(s3: Any, server: S3Server) -> None:
    s3.put_object(**K, Body=b"x")
    outcomes = compete(server, 8, lambda c, n: c.rename_object(Bucket="bucket", Key=f"to{n}", RenameSource="k"))
    assert outcomes == ["NoSuchKey"] * 7 + ["ok"]
    assert len(s3.list_objects_v2(**B)["Contents"]) == 1


def test_every_increment_counts(s3: Any, server: S3Server) -> None:
    """Compare and swap until it holds: none of the increments gets lost."""
    s3.put_object(**K, Body=b"0")

    def work(client: Any, _: int) -> None:
        while True:
            got = client.get_object(**K)
            try:
                client.put_object(**K, Body=b"%d" % (int(got["Body"].read()) + 1), IfMatch=got["ETag"])
            except client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] != "PreconditionFailed":
                    raise
            else:
                return

    assert compete(server, 8, work) == ["ok"] * 8
    assert read(s3) == b"8"


def test_a_delete_during_a_conditional_put_is_a_conflict(memory: S3Server, wire: Callable[[], Wire]) -> None:
    def request(method: str, *lines: str, body: bytes = b"") -> bytes:
        return "\r\n".join([f"{method} /bucket/k HTTP/1.1", "Host: h", *lines, "", ""]).encode() + body

    slow, other = wire(), wire()
    assert other.send(request("PUT", "Content-Length: 1", body=b"1")).response()[0] == 200
    slow.send(request("PUT", "Content-Length: 3", "If-None-Match: *", "Expect: 100-continue"))
    assert slow.sock.recv(100).startswith(b"HTTP/1.1 100 ")  # the server has begun
    assert other.send(request("DELETE")).response()[0] == 204
    status, _, body = slow.send(b"abc").response()
    assert (status, b"ConditionalRequestConflict" in body) == (409, True)
    # What the client is told to do then: once more.
    again = request("PUT", "Content-Length: 3", "If-None-Match: *", body=b"abc")
    assert slow.send(again).response()[0] == 200


def test_conditions_of_a_copy_s_source(s3: Any) -> None:
    etag = s3.put_object(**K, Body=b"x")["ETag"]
    future = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
    to = {"Bucket": "bucket", "Key": "to", "CopySource": "bucket/k"}
    for passes in (
        {"CopySourceIfMatch": etag},
        {"CopySourceIfNoneMatch": '"other"'},
        {"CopySourceIfModifiedSince": PAST},
        {"CopySourceIfUnmodifiedSince": future},
        {"CopySourceIfMatch": etag, "CopySourceIfUnmodifiedSince": PAST},  # S3's table: copies
    ):
        s3.copy_object(**to, **passes)
    for holds_not in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfModifiedSince": future},
        {"CopySourceIfUnmodifiedSince": PAST},
        {"CopySourceIfNoneMatch": etag, "CopySourceIfModifiedSince": PAST},  # S3's table: 412
    ):
        assert fails(s3.copy_object, **to, **holds_not) == (412, "PreconditionFailed")


def test_what_a_copy_takes_over(s3: Any) -> None:
    s3.put_object(
        **K,
        Body=b"x",
        Metadata={"a": "1"},
        ContentType="text/a",
        Tagging="t=1",
        StorageClass="STANDARD_IA",
        WebsiteRedirectLocation="/there",
        ChecksumAlgorithm="SHA1",
    )
    to = {"Bucket": "bucket", "Key": "to", "CopySource": "bucket/k"}
    copied = s3.copy_object(**to)
    assert copied["CopyObjectResult"]["ChecksumSHA1"] == s3.head_object(**K, ChecksumMode="ENABLED")["ChecksumSHA1"]
    head = s3.head_object(Bucket="bucket", Key="to")
    assert (head["Metadata"], head["ContentType"], head["TagCount"]) == ({"a": "1"}, "text/a", 1)
    assert "StorageClass" not in head  # both are the request's
    assert "WebsiteRedirectLocation" not in head
    s3.copy_object(**to, StorageClass="ONEZONE_IA", TaggingDirective="REPLACE", Tagging="u=2&v=3")
    head = s3.head_object(Bucket="bucket", Key="to")
    assert (head["StorageClass"], head["TagCount"], head["Metadata"]) == ("ONEZONE_IA", 2, {"a": "1"})
    s3.copy_object(**to, MetadataDirective="REPLACE", Metadata={"b": "2"}, ChecksumAlgorithm="SHA256")
    head = s3.head_object(Bucket="bucket", Key="to", ChecksumMode="ENABLED")
    assert (head["Metadata"], head["ContentType"], "ChecksumSHA256" in head) == (
        {"b": "2"},
        "binary/octet-stream",
        True,
    )
    assert fails(s3.copy_object, **to, MetadataDirective="MOVE") == (400, "InvalidArgument")
    assert fails(s3.copy_object, **to, TaggingDirective="MOVE") == (400, "InvalidArgument")
    assert fails(s3.copy_object, **{**to, "CopySource": "bucket/none"}) == (404, "NoSuchKey")
    assert fails(s3.copy_object, **{**to, "CopySource": "no-bucket/k"}) == (404, "NoSuchBucket")


def test_copy_onto_itself_must_change_something(s3: Any) -> None:
    s3.put_object(**K, Body=b"x")
    own = {**K, "CopySource": "bucket/k"}
    assert fails(s3.copy_object, **own) == (400, "InvalidRequest")
    assert fails(s3.copy_object, **own, TaggingDirective="REPLACE", Tagging="a=b") == (400, "InvalidRequest")
    for change in (
        {"StorageClass": "STANDARD_IA"},
        {"StorageClass": "STANDARD"},
        {"MetadataDirective": "REPLACE"},
        {"WebsiteRedirectLocation": "/x"},
        {"ServerSideEncryption": "AES256"},
    ):
        s3.copy_object(**own, **change)
    assert read(s3) == b"x"


def test_rename(s3: Any) -> None:
    etag = s3.put_object(**K, Body=b"x", Metadata={"a": "1"})["ETag"]
    s3.rename_object(Bucket="bucket", Key="to ü", RenameSource="k", SourceIfMatch=etag)
    assert fails(s3.head_object, **K)[0] == 404
    got = s3.get_object(Bucket="bucket", Key="to ü")
    assert (got["Body"].read(), got["Metadata"], got["ETag"]) == (b"x", {"a": "1"}, etag)
    s3.put_object(**K, Body=b"y")
    to = {"Bucket": "bucket", "Key": "to ü", "RenameSource": "bucket/k"}
    assert fails(s3.rename_object, **to, DestinationIfNoneMatch="*") == (412, "PreconditionFailed")
    assert fails(s3.rename_object, **to, DestinationIfMatch='"other"') == (412, "PreconditionFailed")
    assert fails(s3.rename_object, **to, DestinationIfUnmodifiedSince=PAST) == (412, "PreconditionFailed")
    assert fails(s3.rename_object, **to, SourceIfNoneMatch="*") == (412, "PreconditionFailed")
    assert fails(s3.rename_object, **to, SourceIfUnmodifiedSince=PAST) == (412, "PreconditionFailed")
    assert fails(s3.rename_object, **{**to, "RenameSource": "none"}) == (404, "NoSuchKey")
    assert fails(s3.rename_object, **{**to, "Key": "folder/"}) == (400, "InvalidRequest")
    s3.rename_object(**to, DestinationIfMatch=etag, ClientToken="t")
    assert read(s3, "to ü") == b"y"
    s3.rename_object(**to, DestinationIfMatch=etag, ClientToken="t")  # repeated, answered, not done again
    other = {**to, "RenameSource": "x"}
    assert fails(s3.rename_object, **other, ClientToken="t") == (400, "IdempotencyParameterMismatch")
    s3.put_bucket_versioning(**B, VersioningConfiguration={"Status": "Enabled"})
    assert fails(s3.rename_object, Bucket="bucket", Key="z", RenameSource="to ü") == (400, "InvalidRequest")


def test_renamed_object_survives_a_restart(tmp_path: Path) -> None:
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        s3.put_object(**K, Body=b"x")
        s3.put_object(Bucket="bucket", Key="to", Body=b"old")
        s3.rename_object(Bucket="bucket", Key="to", RenameSource="k")
        s3.close()
    assert len(list((tmp_path / "bucket" / "data").iterdir())) == 1
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        assert [item["Key"] for item in s3.list_objects_v2(**B)["Contents"]] == ["to"]
        assert read(s3, "to") == b"x"
        s3.close()


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_archived_objects_are_read_once_restored(s3: Any, storage_class: str) -> None:
    s3.put_object(**K, Body=b"cold", StorageClass=storage_class)
    assert fails(s3.get_object, **K) == (403, "InvalidObjectState")
    head = s3.head_object(**K)
    assert (head["StorageClass"], head["ContentLength"], "Restore" in head) == (storage_class, 4, False)
    to = {"Bucket": "bucket", "Key": "to", "CopySource": "bucket/k"}
    assert fails(s3.copy_object, **to) == (403, "ObjectNotInActiveTierError")
    wanted = {"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}}
    first = s3.restore_object(**K, RestoreRequest=wanted)
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert s3.restore_object(**K, RestoreRequest=wanted)["ResponseMetadata"]["HTTPStatusCode"] == 200
    got = s3.get_object(**K)
    assert (got["Body"].read(), got["StorageClass"]) == (b"cold", storage_class)
    assert 'ongoing-request="false"' in got["Restore"]
    s3.copy_object(**to, StorageClass="STANDARD")
    assert read(s3, "to") == b"cold"
    assert fails(s3.restore_object, Bucket="bucket", Key="to", RestoreRequest={"Days": 1}) == (
        403,
        "InvalidObjectState",
    )
    assert fails(s3.restore_object, **K, RestoreRequest={}) == (400, "MalformedXML")


def test_storage_classes_have_names(s3: Any) -> None:
    for name in ("COLD", "OUTPOSTS", "standard"):
        assert fails(s3.put_object, **K, Body=b"", StorageClass=name) == (400, "InvalidStorageClass")
        assert fails(s3.create_multipart_upload, **K, StorageClass=name) == (400, "InvalidStorageClass")
    s3.put_object(**K, Body=b"", StorageClass="GLACIER_IR")
    assert read(s3) == b""  # an archive that is read at once
    assert fails(s3.put_object, **K, Body=b"", WebsiteRedirectLocation="there") == (400, "InvalidRedirectLocation")


def test_metadata_of_exactly_two_kilobytes(s3: Any) -> None:
    s3.put_object(**K, Body=b"", Metadata={"k": "v" * 2047})
    assert fails(s3.put_object, **K, Body=b"", Metadata={"k": "v" * 2048}) == (400, "MetadataTooLarge")
    assert fails(s3.put_object, **K, Body=b"", Metadata={"k": "v" * 1024, "l": "v" * 1023}) == (
        400,
        "MetadataTooLarge",
    )


@pytest.fixture
def locked(s3: Any) -> Any:
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    return s3


L = {"Bucket": "locked", "Key": "k"}
FUTURE = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


def test_legal_hold(locked: Any) -> None:
    version = locked.put_object(**L, Body=b"x", ObjectLockLegalHoldStatus="ON")["VersionId"]
    assert locked.head_object(**L)["ObjectLockLegalHoldStatus"] == "ON"
    locked.delete_object(**L)  # only a marker
    assert fails(locked.delete_object, **L, VersionId=version) == (403, "AccessDenied")
    errors = locked.delete_objects(Bucket="locked", Delete={"Objects": [{"Key": "k", "VersionId": version}]})["Errors"]
    assert errors[0]["Code"] == "AccessDenied"
    locked.put_object_legal_hold(**L, VersionId=version, LegalHold={"Status": "OFF"})
    assert locked.get_object_legal_hold(**L, VersionId=version)["LegalHold"] == {"Status": "OFF"}
    locked.delete_object(**L, VersionId=version)


def test_retention(locked: Any) -> None:
    version = locked.put_object(**L, Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=FUTURE)[
        "VersionId"
    ]
    assert locked.get_object_retention(**L)["Retention"] == {"Mode": "GOVERNANCE", "RetainUntilDate": FUTURE}
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": dt.datetime(2090, 1, 1, tzinfo=dt.UTC)}
    assert fails(locked.delete_object, **L, VersionId=version) == (403, "AccessDenied")
    assert fails(locked.put_object_retention, **L, Retention=shorter) == (403, "AccessDenied")
    locked.put_object_retention(**L, Retention=shorter, BypassGovernanceRetention=True)
    locked.put_object_retention(**L, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": FUTURE})
    locked.delete_object(**L, VersionId=version, BypassGovernanceRetention=True)
    version = locked.put_object(**L, Body=b"x")["VersionId"]
    assert fails(locked.get_object_retention, **L) == (404, "NoSuchObjectLockConfiguration")
    locked.put_object_retention(**L, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": FUTURE})
    refused = {**L, "VersionId": version, "BypassGovernanceRetention": True}
    assert fails(locked.delete_object, **refused) == (403, "AccessDenied")
    assert fails(locked.put_object_retention, **refused, Retention=shorter) == (403, "AccessDenied")
    past = {"Mode": "GOVERNANCE", "RetainUntilDate": PAST}
    assert fails(locked.put_object_retention, **L, Retention=past) == (400, "InvalidArgument")


def test_default_retention(locked: Any) -> None:
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    locked.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=configuration)
    assert locked.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"] == configuration
    locked.put_object(**L, Body=b"x")
    retention = locked.get_object_retention(**L)["Retention"]
    left = retention["RetainUntilDate"] - dt.datetime.now(dt.UTC)
    assert (retention["Mode"], 2 < left / dt.timedelta(days=1) <= 3) == ("GOVERNANCE", True)
    suspended = {"Status": "Suspended"}
    assert fails(locked.put_bucket_versioning, Bucket="locked", VersioningConfiguration=suspended) == (
        409,
        "InvalidBucketState",
    )


def test_buckets_without_a_lock(s3: Any) -> None:
    s3.put_object(**K, Body=b"x")
    assert fails(s3.get_object_lock_configuration, **B) == (404, "ObjectLockConfigurationNotFoundError")
    assert fails(s3.put_object, **K, Body=b"x", ObjectLockLegalHoldStatus="ON") == (400, "InvalidRequest")
    assert fails(s3.put_object_legal_hold, **K, LegalHold={"Status": "ON"}) == (400, "InvalidRequest")
    configuration = {"ObjectLockEnabled": "Enabled"}
    assert fails(s3.put_object_lock_configuration, **B, ObjectLockConfiguration=configuration) == (
        409,
        "InvalidBucketState",
    )
    s3.put_bucket_versioning(**B, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(**B, ObjectLockConfiguration=configuration)


def test_expected_owners_and_appends(s3: Any) -> None:
    s3.put_object(**K, Body=b"x", ExpectedBucketOwner="123456789012")
    assert fails(s3.put_object, **K, Body=b"y", ExpectedBucketOwner="0" * 12) == (403, "AccessDenied")
    assert fails(s3.list_objects_v2, **B, ExpectedBucketOwner="0" * 12) == (403, "AccessDenied")
    copy = {"Bucket": "bucket", "Key": "to", "CopySource": "bucket/k"}
    assert fails(s3.copy_object, **copy, ExpectedSourceBucketOwner="0" * 12) == (403, "AccessDenied")
    # An append that is not one must not replace the object.
    assert fails(s3.put_object, **K, Body=b"y", WriteOffsetBytes=1) == (501, "NotImplemented")
    assert read(s3) == b"x"
