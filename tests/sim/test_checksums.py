"""Checksums: the arithmetic, and what is verified, stored and returned."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from typing import Any

import pytest

from objectfs.sim import S3Server, checksums

from .conftest import Wire
from .test_buckets import fails

Opener = Callable[[], Wire]
# "123456789", from the catalogues of parametrised CRC algorithms.
KNOWN = {"CRC32": 0xCBF43926, "CRC32C": 0xE3069283, "CRC64NVME": 0xAE8B14860A799888}


@pytest.mark.parametrize("algorithm", KNOWN)
def test_known_values(algorithm: str) -> None:
    assert checksums.python_crc(algorithm)(b"123456789", 0) == KNOWN[algorithm]
    assert checksums.crc_function(algorithm)[0](b"123456789", 0) == KNOWN[algorithm]


@pytest.mark.parametrize("algorithm", KNOWN)
@pytest.mark.parametrize("sizes", [(0, 0), (0, 9), (9, 0), (1, 1), (1000, 33), (5, 70_000)])
def test_combined_crc(algorithm: str, sizes: tuple[int, int]) -> None:
    first, second = (os.urandom(size) for size in sizes)
    crc = checksums.python_crc(algorithm)
    size = checksums.DIGEST_SIZE[algorithm]
    parts = [crc(data, 0).to_bytes(size, "big") for data in (first, second)]
    assert checksums.combine_crc(algorithm, *parts, len(second)) == crc(first + second, 0).to_bytes(size, "big")


@pytest.mark.parametrize("algorithm", checksums.ALGORITHMS)
def test_boto3_round_trip(s3: Any, algorithm: str) -> None:
    if algorithm in ("CRC32C", "CRC64NVME"):
        pytest.importorskip(
            "awscrt", reason="boto3 leaves it to awscrt, which the environment of tests/sim/clients has"
        )
    body = os.urandom(300_000)
    put = s3.put_object(Bucket="bucket", Key="k", Body=body, ChecksumAlgorithm=algorithm)
    value = put[f"Checksum{algorithm}"]
    got = s3.get_object(Bucket="bucket", Key="k", ChecksumMode="ENABLED")
    assert got[f"Checksum{algorithm}"] == value
    assert got["Body"].read() == body
    assert s3.list_objects_v2(Bucket="bucket")["Contents"][0]["ChecksumAlgorithm"] == [algorithm]
    part = s3.get_object(Bucket="bucket", Key="k", Range="bytes=0-9", ChecksumMode="ENABLED")
    assert f"Checksum{algorithm}" not in part


@pytest.mark.parametrize("algorithm", checksums.ALGORITHMS)
def test_wrong_checksum_is_refused(s3: Any, algorithm: str) -> None:
    wrong = base64.b64encode(bytes(checksums.DIGEST_SIZE[algorithm])).decode()
    arguments = {"Bucket": "bucket", "Key": "k", "Body": b"x"}
    assert fails(s3.put_object, **arguments, **{f"Checksum{algorithm}": wrong}) == (400, "BadDigest")
    assert fails(s3.put_object, **arguments, **{f"Checksum{algorithm}": "junk"}) == (400, "InvalidRequest")
    assert fails(s3.head_object, Bucket="bucket", Key="k")[0] == 404


def test_content_md5(s3: Any) -> None:
    right = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    wrong = base64.b64encode(bytes(16)).decode()
    s3.put_object(Bucket="bucket", Key="k", Body=b"x", ContentMD5=right)
    assert fails(s3.put_object, Bucket="bucket", Key="k", Body=b"x", ContentMD5=wrong) == (400, "BadDigest")
    assert fails(s3.put_object, Bucket="bucket", Key="k", Body=b"x", ContentMD5="eA==") == (
        400,
        "InvalidDigest",
    )


def test_large_body_without_native_code_is_trusted_and_says_so(
    memory: S3Server, wire: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = checksums.python_crc("CRC32C")
    monkeypatch.setattr(checksums, "crc_function", lambda algorithm: (slow, False))
    monkeypatch.setattr(checksums, "PYTHON_LIMIT", 1000)

    def put(size: int) -> tuple[int, dict[str, str], bytes]:
        head = b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nx-amz-checksum-crc32c: AAAAAQ==\r\n"
        head += b"Content-Length: %d\r\n\r\n"
        return wire().send(head % size + bytes(size)).response()

    assert put(1000)[0] == 400
    status, headers, _ = put(1001)
    assert (status, headers["x-objectfs-sim-unverified"]) == (200, "crc32c")
    assert memory.requests[-1].unverified == "CRC32C"
