"""Uploads of unknown length."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("piece", [100, 65_537, 8 * MiB, 30 * MiB])
def test_iterables(client: objectfs.Client, bucket: str, key: str, piece: int) -> None:
    data = ramp(100 * 1000 if piece == 100 else 21 * MiB + 13)
    client.put(bucket, key, pieces(data, piece))
    assert bytes(client.get(bucket, key)) == data


def test_kinds(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(ramp(9 * MiB))
    with path.open("rb") as file:
        client.put(bucket, key, file)
        assert file.tell() == 9 * MiB
    assert bytes(client.get(bucket, key)) == ramp(9 * MiB)
    with path.open("rb", buffering=0) as raw:
        raw.seek(MiB)
        client.put(bucket, key, raw)
    assert bytes(client.get(bucket, key)) == ramp(9 * MiB)[MiB:]
    for data in ([b"ab", bytearray(b"cd"), memoryview(b"ef"), b"", np.frombuffer(b"gh", "u1")], (b"abcdefgh",)):
        client.put(bucket, key, data)
        assert bytes(client.get(bucket, key)) == b"abcdefgh"
    for empty in ([], iter(()), io.BytesIO(), [b""]):
        client.put(bucket, key, empty)
        assert client.head(bucket, key).size == 0


def test_read_that_gives_less(client: objectfs.Client, bucket: str, key: str) -> None:
    class Slow(io.RawIOBase):
        left = 300_000

        def read(self, size: int = -1) -> bytes:
            size = min(size, 1000, self.left)
            self.left -= size
            return b"s" * size

    client.put(bucket, key, Slow())
    assert bytes(client.get(bucket, key)) == b"s" * 300_000


@pytest.mark.parametrize("after", [0, 1, 12 * MiB, 40 * MiB])
def test_source_that_fails(client: objectfs.Client, bucket: str, key: str, after: int) -> None:
    class Broken(Exception):
        pass

    def source() -> Iterator[bytes]:
        left = after
        while left:
            size = min(left, MiB)
            left -= size
            yield ramp(size)
        raise Broken("the source broke")

    with pytest.raises(Broken, match="the source broke"):
        client.put(bucket, key, source())
    assert not client.exists(bucket, key)
    uploads = client.call("ListMultipartUploads", Bucket=bucket, Prefix=key).get("Uploads", [])
    assert [upload["Key"] for upload in uploads if upload["Key"] == key] == []


@pytest.mark.parametrize("items", ["text", 1, None], ids=str)
def test_source_of_no_bytes(client: objectfs.Client, bucket: str, key: str, items: Any) -> None:
    for data in (iter([items]), iter([b"x", items]), io.StringIO("text")):
        with pytest.raises(TypeError):
            client.put(bucket, key, data)
    assert not client.exists(bucket, key)


def test_options_and_progress(client: objectfs.Client, bucket: str, key: str) -> None:
    seen: list[int] = []
    client.put(bucket, key, pieces(ramp(20 * MiB), MiB), content_type="a/b", metadata={"m": "1"}, progress=seen.append)
    info = client.head(bucket, key)
    assert (info.content_type, info.metadata, info.size) == ("a/b", {"m": "1"}, 20 * MiB)
    assert seen == sorted(seen)
    assert seen[-1] >= 20 * MiB


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (400, "InvalidRequest")])
def test_a_stream_whose_checksum_is_refused(
    sim: S3Server, connect: Make, operation: str, status: int, code: str
) -> None:
    """What has been read of a stream cannot be read again: an upload that starts anew must not leave it out."""
    client = connect(part_size=5 * MiB)
    data = ramp(32 * MiB)
    sim.faults.add(Fault(operation, times=1, status=status, code=code, message="the checksum algorithm is unknown"))
    stored = True
    try:
        client.put("bucket", "k", (data[at : at + MiB] for at in range(0, len(data), MiB)))
    except (errors.UnsupportedError, errors.InvalidRequestError):
        stored = False
    assert client.exists("bucket", "k") == stored
    if stored:
        assert bytes(client.get("bucket", "k")) == data
    assert not client.call("ListMultipartUploads", Bucket="bucket").get("Uploads")
