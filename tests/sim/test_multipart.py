"""Multipart uploads."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zlib
from typing import Any

from boto3.s3.transfer import TransferConfig

from objectfs.sim import S3Server

from .test_buckets import fails

MIB = 1024 * 1024
DATA = os.urandom(11 * MIB)
PIECES = [DATA[: 5 * MIB], DATA[5 * MIB : 10 * MIB], DATA[10 * MIB :]]


def upload(s3: Any, key: str = "k", pieces: list[bytes] = PIECES, **options: Any) -> tuple[str, list[dict[str, Any]]]:
    created = s3.create_multipart_upload(Bucket="bucket", Key=key, **options)["UploadId"]
    algorithm = {"ChecksumAlgorithm": options["ChecksumAlgorithm"]} if "ChecksumAlgorithm" in options else {}
    parts = []
    for number, piece in enumerate(pieces, 1):
        done = s3.upload_part(Bucket="bucket", Key=key, UploadId=created, PartNumber=number, Body=piece, **algorithm)
        checksums = {name: value for name, value in done.items() if name.startswith("Checksum")}
        parts.append({"PartNumber": number, "ETag": done["ETag"], **checksums})
    return created, parts


def complete(s3: Any, upload_id: str, parts: list[dict[str, Any]], **options: Any) -> Any:
    return s3.complete_multipart_upload(
        Bucket="bucket", Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts}, **options
    )


def test_parts_become_one_object(s3: Any, server: S3Server) -> None:
    upload_id, parts = upload(s3, Metadata={"m": "1"}, ContentType="a/b")
    assert fails(s3.head_object, Bucket="bucket", Key="k")[0] == 404
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket="bucket")["Uploads"]] == [upload_id]
    listed = s3.list_parts(Bucket="bucket", Key="k", UploadId=upload_id)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, 5 * MIB), (2, 5 * MIB), (3, MIB)]
    etag = complete(s3, upload_id, parts)["ETag"]
    digests = b"".join(bytes.fromhex(p["ETag"].strip('"')) for p in parts)
    assert etag == f'"{hashlib.md5(digests).hexdigest()}-3"'
    got = s3.get_object(Bucket="bucket", Key="k")
    assert got["Body"].read() == DATA
    assert (got["Metadata"], got["ContentType"], got["ETag"]) == ({"m": "1"}, "a/b", etag)
    middle = s3.get_object(Bucket="bucket", Key="k", Range=f"bytes={5 * MIB - 3}-{10 * MIB + 2}")
    assert middle["Body"].read() == DATA[5 * MIB - 3 : 10 * MIB + 3]
    part = s3.get_object(Bucket="bucket", Key="k", PartNumber=2)
    assert (part["Body"].read(), part["PartsCount"]) == (PIECES[1], 3)
    head = s3.head_object(Bucket="bucket", Key="k", PartNumber=3)
    assert (head["ContentLength"], head["PartsCount"]) == (MIB, 3)
    assert fails(s3.get_object, Bucket="bucket", Key="k", PartNumber=4)[0] == 416
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="bucket")
    # A client that did not see the answer asks again, and is told the same.
    assert complete(s3, upload_id, parts)["ETag"] == etag
    assert fails(complete, s3=s3, upload_id=upload_id, parts=parts[:2]) == (404, "NoSuchUpload")
    assert fails(complete, s3=s3, upload_id="x" * 64, parts=parts) == (404, "NoSuchUpload")
    call = {"Bucket": "bucket", "Key": "k", "UploadId": upload_id}
    assert fails(s3.abort_multipart_upload, **call) == (404, "NoSuchUpload")


def test_list_parts_pages(s3: Any) -> None:
    upload_id, _ = upload(s3, pieces=[b"x"] * 5)
    pages = s3.get_paginator("list_parts").paginate(
        Bucket="bucket", Key="k", UploadId=upload_id, PaginationConfig={"PageSize": 2}
    )
    assert [p["PartNumber"] for page in pages for p in page["Parts"]] == [1, 2, 3, 4, 5]


def test_refusals(s3: Any) -> None:
    upload_id, parts = upload(s3, pieces=[b"x", b"y"])
    call = {"s3": s3, "upload_id": upload_id}
    assert fails(complete, **call, parts=parts) == (400, "EntityTooSmall")
    assert fails(complete, **call, parts=parts[::-1]) == (400, "InvalidPartOrder")
    assert fails(complete, **call, parts=[{**parts[0], "ETag": '"0"'}]) == (400, "InvalidPart")
    assert fails(complete, **call, parts=[{**parts[0], "PartNumber": 9}]) == (400, "InvalidPart")
    assert fails(complete, s3=s3, upload_id="nope", parts=parts) == (404, "NoSuchUpload")
    assert fails(s3.upload_part, Bucket="bucket", Key="k", UploadId=upload_id, PartNumber=10001, Body=b"") == (
        400,
        "InvalidArgument",
    )
    s3.abort_multipart_upload(Bucket="bucket", Key="k", UploadId=upload_id)
    assert fails(s3.list_parts, Bucket="bucket", Key="k", UploadId=upload_id) == (404, "NoSuchUpload")


def test_conditional_complete(s3: Any) -> None:
    upload_id, parts = upload(s3, pieces=[b"new"])
    etag = s3.put_object(Bucket="bucket", Key="k", Body=b"old")["ETag"]
    assert fails(complete, s3=s3, upload_id=upload_id, parts=parts, IfNoneMatch="*") == (
        412,
        "PreconditionFailed",
    )
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"old"
    complete(s3, upload_id, parts, IfMatch=etag)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"new"


def test_part_is_replaced_and_unlisted_parts_are_dropped(s3: Any) -> None:
    upload_id, parts = upload(s3, pieces=[b"one", b"two"])
    again = s3.upload_part(Bucket="bucket", Key="k", UploadId=upload_id, PartNumber=2, Body=b"TWO")
    complete(s3, upload_id, [{**parts[1], "ETag": again["ETag"], "ChecksumCRC32": again["ChecksumCRC32"]}])
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"TWO"


def test_upload_part_copy(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="src", Body=DATA)
    upload_id = s3.create_multipart_upload(Bucket="bucket", Key="k")["UploadId"]
    parts = []
    for number, (start, stop) in enumerate(((5 * MIB, 11 * MIB), (0, 7)), 1):
        done = s3.upload_part_copy(
            Bucket="bucket",
            Key="k",
            UploadId=upload_id,
            PartNumber=number,
            CopySource="bucket/src",
            CopySourceRange=f"bytes={start}-{stop - 1}",
        )["CopyPartResult"]
        checksums = {name: value for name, value in done.items() if name.startswith("Checksum")}
        parts.append({"PartNumber": number, "ETag": done["ETag"], **checksums})
    assert fails(
        s3.upload_part_copy,
        Bucket="bucket",
        Key="k",
        UploadId=upload_id,
        PartNumber=3,
        CopySource="bucket/src",
        CopySourceRange=f"bytes=0-{11 * MIB}",
    ) == (400, "InvalidArgument")
    s3.delete_object(Bucket="bucket", Key="src")
    complete(s3, upload_id, parts)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == DATA[5 * MIB :] + DATA[:7]


def test_full_object_checksum_is_combined(s3: Any) -> None:
    upload_id, parts = upload(s3, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    done = complete(s3, upload_id, parts, ChecksumType="FULL_OBJECT")
    expected = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (expected, "FULL_OBJECT")
    assert s3.head_object(Bucket="bucket", Key="k", ChecksumMode="ENABLED")["ChecksumCRC32"] == expected


def test_composite_checksum(s3: Any) -> None:
    upload_id, parts = upload(s3, ChecksumAlgorithm="SHA256")
    assert fails(complete, s3=s3, upload_id=upload_id, parts=[{"PartNumber": 1, "ETag": parts[0]["ETag"]}]) == (
        400,
        "InvalidRequest",
    )
    done = complete(s3, upload_id, parts)
    digests = b"".join(hashlib.sha256(piece).digest() for piece in PIECES)
    expected = base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-3"
    assert (done["ChecksumSHA256"], done["ChecksumType"]) == (expected, "COMPOSITE")
    found = s3.get_object_attributes(Bucket="bucket", Key="k", ObjectAttributes=["ObjectParts", "Checksum"])
    assert found["ObjectParts"]["TotalPartsCount"] == 3
    assert [p["Size"] for p in found["ObjectParts"]["Parts"]] == [5 * MIB, 5 * MIB, MIB]


def test_transfer_manager(s3: Any) -> None:
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.upload_fileobj(io.BytesIO(DATA), "bucket", "k", Config=config)
    target = io.BytesIO()
    s3.download_fileobj("bucket", "k", target, Config=config)
    assert target.getvalue() == DATA
