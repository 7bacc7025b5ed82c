"""Multipart uploads: what is refused, how they are listed, their checksums."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from typing import Any

import pytest

from objectfs.sim import S3Server
from objectfs.sim.checksums import is_fast

from .test_buckets import fails

MIB = 1024 * 1024
B = {"Bucket": "bucket"}
K = {"Bucket": "bucket", "Key": "k"}


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def create(s3: Any, key: str = "k", **options: Any) -> dict[str, Any]:
    """What the calls on an upload need."""
    upload = s3.create_multipart_upload(Bucket="bucket", Key=key, **options)["UploadId"]
    return {"Bucket": "bucket", "Key": key, "UploadId": upload}


def finish(s3: Any, call: dict[str, Any], *etags: str, **options: Any) -> Any:
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    return s3.complete_multipart_upload(**call, MultipartUpload={"Parts": parts}, **options)


@pytest.mark.parametrize("number", [0, -1, 10001, 99999])
def test_part_numbers(s3: Any, number: int) -> None:
    call = create(s3)
    assert fails(s3.upload_part, **call, PartNumber=number, Body=b"") == (400, "InvalidArgument")
    s3.put_object(**K, Body=b"x")
    copy = {**call, "PartNumber": number, "CopySource": "bucket/k"}
    assert fails(s3.upload_part_copy, **copy) == (400, "InvalidArgument")


def test_part_10000_is_one(s3: Any) -> None:
    call = create(s3)
    etag = s3.upload_part(**call, PartNumber=10000, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 10000, "ETag": etag}]}
    s3.complete_multipart_upload(**call, MultipartUpload=parts)
    # A reader's part numbers count from one.
    got = s3.get_object(**K, PartNumber=1)
    assert (got["Body"].read(), got["PartsCount"]) == (b"x", 1)


def test_what_complete_refuses(s3: Any) -> None:
    call = create(s3)
    small, large = b"x", bytes(5 * MIB)
    etags = [s3.upload_part(**call, PartNumber=n, Body=body)["ETag"] for n, body in enumerate([large, small, small], 1)]

    def attempt(*parts: tuple[int, str], **options: Any) -> tuple[int, str]:
        listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        return fails(s3.complete_multipart_upload, **call, MultipartUpload={"Parts": listed}, **options)

    assert attempt() == (400, "MalformedXML")
    assert attempt((2, etags[1]), (1, etags[0])) == (400, "InvalidPartOrder")
    assert attempt((1, etags[0]), (1, etags[0])) == (400, "InvalidPartOrder")
    assert attempt((1, etags[1])) == (400, "InvalidPart")
    assert attempt((4, etags[0])) == (400, "InvalidPart")
    assert attempt((1, etags[0]), (2, etags[1]), (3, etags[2])) == (400, "EntityTooSmall")
    assert attempt((1, etags[0]), (2, etags[1]), MpuObjectSize=5 * MIB) == (400, "InvalidRequest")
    assert attempt((1, etags[0]), ChecksumType="COMPOSITE") == (400, "BadDigest")
    # None of this harmed the upload.
    finish(s3, call, *etags[:2], MpuObjectSize=5 * MIB + 1)
    assert s3.head_object(**K)["ContentLength"] == 5 * MIB + 1


def test_ranges_of_a_copied_part(s3: Any) -> None:
    s3.put_object(**K, Body=b"0123456789")
    call = create(s3, "to")
    copy = {**call, "PartNumber": 1, "CopySource": "bucket/k"}
    for bad in ("bytes=0-10", "bytes=5-", "bytes=-5", "bytes=5-2", "5-6", "bytes=0-1,3-4", "bytes=10-12"):
        assert fails(s3.upload_part_copy, **copy, CopySourceRange=bad) == (400, "InvalidArgument")
    assert fails(s3.upload_part_copy, **copy, CopySourceIfMatch='"no"') == (412, "PreconditionFailed")
    part = s3.upload_part_copy(**copy, CopySourceRange="bytes=2-4")["CopyPartResult"]
    finish(s3, call, part["ETag"])
    assert s3.get_object(Bucket="bucket", Key="to")["Body"].read() == b"234"


def test_uploads_are_listed_in_pages(s3: Any) -> None:
    keys = ["a/1", "a/1", "a/2", "b", "b", "b", "é"]
    calls = [create(s3, key) for key in keys]
    expected = sorted((call["Key"], index) for index, call in enumerate(calls))
    for size in (1, 2, 3, 100):
        found = []
        arguments: dict[str, Any] = {}
        while True:
            page = s3.list_multipart_uploads(**B, MaxUploads=size, **arguments)
            found += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
            if not page["IsTruncated"]:
                break
            arguments = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
        assert found == [(key, calls[index]["UploadId"]) for key, index in expected]
    grouped = s3.list_multipart_uploads(**B, Delimiter="/")
    assert [p["Prefix"] for p in grouped["CommonPrefixes"]] == ["a/"]
    assert [u["Key"] for u in grouped["Uploads"]] == ["b", "b", "b", "é"]
    first = s3.list_multipart_uploads(**B, Delimiter="/", MaxUploads=1)
    assert (first["IsTruncated"], first["NextKeyMarker"], "Uploads" in first) == (True, "a/", False)
    rest = s3.list_multipart_uploads(**B, Delimiter="/", KeyMarker="a/")
    assert ("CommonPrefixes" in rest, len(rest["Uploads"])) == (False, 4)
    assert [u["Key"] for u in s3.list_multipart_uploads(**B, Prefix="a/1")["Uploads"]] == ["a/1", "a/1"]
    assert len(s3.list_multipart_uploads(**B, KeyMarker="a/2")["Uploads"]) == 4
    none = s3.list_multipart_uploads(**B, MaxUploads=0)
    assert (none["IsTruncated"], "Uploads" in none) == (False, False)


def test_parts_are_listed_with_their_checksums(s3: Any) -> None:
    call = create(s3, ChecksumAlgorithm="SHA256", StorageClass="STANDARD_IA")
    for number in (7, 1, 3):
        s3.upload_part(**call, PartNumber=number, Body=b"%d" % number, ChecksumAlgorithm="SHA256")
    page = s3.list_parts(**call, MaxParts=2)
    assert [p["PartNumber"] for p in page["Parts"]] == [1, 3]
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 3)
    assert (page["StorageClass"], page["ChecksumAlgorithm"], page["ChecksumType"]) == (
        "STANDARD_IA",
        "SHA256",
        "COMPOSITE",
    )
    rest = s3.list_parts(**call, PartNumberMarker=3)
    assert [p["PartNumber"] for p in rest["Parts"]] == [7]
    assert rest["Parts"][0]["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"7").digest()).decode()


def test_composite_checksums_are_compared(s3: Any) -> None:
    call = create(s3, ChecksumAlgorithm="CRC32")
    bodies = [bytes(5 * MIB), b"tail"]
    for number, body in enumerate(bodies, 1):
        s3.upload_part(**call, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
    assert fails(s3.upload_part, **call, PartNumber=3, Body=b"", ChecksumAlgorithm="SHA1") == (400, "InvalidRequest")
    etags = [p["ETag"] for p in s3.list_parts(**call)["Parts"]]

    def parts(*checksums: str | None) -> dict[str, Any]:
        listed = [
            {"PartNumber": n, "ETag": e, **({"ChecksumCRC32": c} if c else {})}
            for n, (e, c) in enumerate(zip(etags, checksums, strict=True), 1)
        ]
        return {**call, "MultipartUpload": {"Parts": listed}}

    right = [crc32(body) for body in bodies]
    assert fails(s3.complete_multipart_upload, **parts(right[0], None)) == (400, "InvalidRequest")
    assert fails(s3.complete_multipart_upload, **parts(right[0], right[0])) == (400, "InvalidPart")
    assert fails(s3.complete_multipart_upload, **parts(*right), ChecksumCRC32=right[0]) == (400, "BadDigest")
    whole = crc32(b"".join(base64.b64decode(c) for c in right))
    done = s3.complete_multipart_upload(**parts(*right), ChecksumCRC32=whole, ChecksumType="COMPOSITE")
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (f"{whole}-2", "COMPOSITE")
    head = s3.head_object(**K, ChecksumMode="ENABLED")
    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (f"{whole}-2", "COMPOSITE")
    assert s3.head_object(**K, ChecksumMode="ENABLED", PartNumber=2)["ChecksumCRC32"] == right[1]
    attributes = s3.get_object_attributes(**K, ObjectAttributes=["Checksum", "ObjectParts", "ETag"], MaxParts=1)
    assert attributes["Checksum"] == {"ChecksumCRC32": f"{whole}-2", "ChecksumType": "COMPOSITE"}
    listed = attributes["ObjectParts"]
    assert (listed["TotalPartsCount"], listed["IsTruncated"], listed["NextPartNumberMarker"]) == (2, True, 1)
    assert listed["Parts"] == [{"PartNumber": 1, "Size": 5 * MIB, "ChecksumCRC32": right[0]}]
    rest = s3.get_object_attributes(**K, ObjectAttributes=["ObjectParts"], PartNumberMarker=1)["ObjectParts"]
    assert ([p["PartNumber"] for p in rest["Parts"]], rest["IsTruncated"]) == ([2], False)


def test_full_object_checksum_needs_none_of_the_parts(s3: Any) -> None:
    """The server computes what the client leaves out."""
    call = create(s3, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    bodies = [os.urandom(5 * MIB), b"tail"]
    source = {"Bucket": "bucket", "Key": "source"}
    s3.put_object(**source, Body=bodies[1])
    etags = [
        s3.upload_part(**call, PartNumber=1, Body=bodies[0], ChecksumAlgorithm="CRC32")["ETag"],
        s3.upload_part_copy(**call, PartNumber=2, CopySource=source)["CopyPartResult"]["ETag"],
    ]
    wrong = crc32(b"other")
    parts = {"Parts": [{"PartNumber": n, "ETag": e} for n, e in enumerate(etags, 1)]}
    assert fails(s3.complete_multipart_upload, **call, MultipartUpload=parts, ChecksumCRC32=wrong) == (400, "BadDigest")
    done = finish(s3, call, *etags, ChecksumCRC32=crc32(b"".join(bodies)))
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (crc32(b"".join(bodies)), "FULL_OBJECT")


@pytest.mark.parametrize(
    "options",
    [
        {"ChecksumAlgorithm": "SHA1", "ChecksumType": "FULL_OBJECT"},
        {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"},
        {"ChecksumType": "FULL_OBJECT"},
        {"ChecksumAlgorithm": "MD4"},
    ],
)
def test_checksum_types_that_do_not_go_together(s3: Any, options: dict[str, str]) -> None:
    assert fails(s3.create_multipart_upload, **K, **options) == (400, "InvalidRequest")


def test_the_default_is_crc64nvme(server: S3Server) -> None:
    """Of small bodies always, of large ones where there is native code for it."""
    from .conftest import connect

    s3 = connect(server, config={"request_checksum_calculation": "when_required"})
    put = s3.put_object(**K, Body=b"123456789")
    assert (put["ChecksumCRC64NVME"], put["ChecksumType"]) == ("rosUhgp5mIg=", "FULL_OBJECT")
    assert "ChecksumCRC64NVME" not in s3.head_object(**K)
    head = s3.head_object(**K, ChecksumMode="ENABLED")
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == ("rosUhgp5mIg=", "FULL_OBJECT")
    attributes = s3.get_object_attributes(**K, ObjectAttributes=["Checksum"])["Checksum"]
    assert attributes == {"ChecksumCRC64NVME": "rosUhgp5mIg=", "ChecksumType": "FULL_OBJECT"}
    large = s3.put_object(**K, Body=bytes(MIB))
    assert ("ChecksumCRC64NVME" in large) == is_fast("CRC64NVME")
    call = create(s3)
    part = s3.upload_part(**call, PartNumber=1, Body=b"123456789")
    assert part["ChecksumCRC64NVME"] == "rosUhgp5mIg="
    assert finish(s3, call, part["ETag"])["ChecksumCRC64NVME"] == "rosUhgp5mIg="
    s3.close()
