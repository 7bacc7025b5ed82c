"""Checksums that callers expect, that servers report, and that are switched off."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectfs import errors
from objectfs.backends.digests import Digest
from objectfs.sim import S3Server
from objectfs.sim.network.faults import Fault

from .conftest import Make
from .support import MiB, ramp

PART = 5 * MiB
LARGE = ramp(12 * MiB)
ALGORITHMS = ("CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256")


def digest(algorithm: str, data: bytes) -> str:
    found = Digest(algorithm)
    found.update(data)
    return found.value()


def test_the_values() -> None:
    """Of the CRC catalogue's check string, and of the standard library."""
    data = b"123456789"
    assert base64.b64decode(digest("CRC32", data)).hex() == "cbf43926"
    assert base64.b64decode(digest("CRC32C", data)).hex() == "e3069283"
    assert base64.b64decode(digest("CRC64NVME", data)).hex() == "ae8b14860a799888"
    assert base64.b64decode(digest("SHA256", data)) == hashlib.sha256(data).digest()
    for algorithm in ALGORITHMS:
        pieces = Digest(algorithm)
        for offset in range(0, len(LARGE), 3 * MiB + 1):
            pieces.update(memoryview(LARGE)[offset : offset + 3 * MiB + 1])
        assert pieces.value() == digest(algorithm, LARGE)
    assert base64.b64decode(digest("CRC32", LARGE)) == zlib.crc32(LARGE).to_bytes(4, "big")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("data", [b"", b"content", LARGE], ids=["empty", "small", "parts"])
def test_expected_of_downloads(connect: Make, tmp_path: Path, algorithm: str, data: bytes) -> None:
    client = connect(part_size=PART)
    client.put("bucket", "k", data)
    path = tmp_path / "file"
    target = bytearray(len(data) + 1)
    verbs: list[Callable[[Any], Any]] = [
        lambda expected: client.get("bucket", "k", expected_checksum=expected),
        lambda expected: client.get_into("bucket", "k", target, expected_checksum=expected),
        lambda expected: client.get_file("bucket", "k", path, expected_checksum=expected),
    ]
    right, wrong = digest(algorithm, data), digest(algorithm, data + b"!")
    for verb in verbs:
        verb((algorithm, right))
        verb(f"{algorithm.lower()}:{base64.b64decode(right).hex()}")
        path.unlink(missing_ok=True)
        with pytest.raises(errors.ChecksumError) as caught:
            verb((algorithm, wrong))
        assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("GetObject", "bucket", "k")
        assert right in str(caught.value)
        assert wrong in str(caught.value)
        assert list(tmp_path.iterdir()) == []


def test_expected_of_ranges(connect: Make) -> None:
    client = connect(part_size=PART)
    client.put("bucket", "k", LARGE)
    for start, end in ((3, 10), (1 * MiB, 11 * MiB)):
        right = digest("SHA256", LARGE[start:end])
        assert len(client.get("bucket", "k", start, end, expected_checksum=("SHA256", right))) == end - start
        with pytest.raises(errors.ChecksumError):
            client.get("bucket", "k", start, end + 1, expected_checksum=("SHA256", right))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_expected_of_what_goes_to_a_pipe(connect: Make, tmp_path: Path) -> None:
    client = connect(part_size=PART)
    client.put("bucket", "k", LARGE)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def drain() -> None:
        pipe.read_bytes()

    for expected, fails in ((digest("SHA256", LARGE), False), (digest("SHA256", b""), True)):
        reader = threading.Thread(target=drain)
        reader.start()
        if fails:
            with pytest.raises(errors.ChecksumError):
                client.get_file("bucket", "k", pipe, expected_checksum=("SHA256", expected))
        else:
            client.get_file("bucket", "k", pipe, expected_checksum=("SHA256", expected))
        reader.join()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("data", [b"content", LARGE], ids=["small", "parts"])
def test_expected_of_uploads(sim: S3Server, connect: Make, tmp_path: Path, algorithm: str, data: bytes) -> None:
    client = connect(part_size=PART)
    path = tmp_path / "file"
    path.write_bytes(data)
    verbs: list[Callable[[Any], Any]] = [
        lambda expected: client.put("bucket", "k", data, expected_checksum=expected),
        lambda expected: client.put("bucket", "k", io.BytesIO(data), expected_checksum=expected),
        lambda expected: client.put_file("bucket", "k", path, expected_checksum=expected),
    ]
    right, wrong = digest(algorithm, data), digest(algorithm, data + b"!")
    for verb in verbs:
        with pytest.raises(errors.ChecksumError) as caught:
            verb((algorithm, wrong))
        assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("PutObject", "bucket", "k")
        assert not client.exists("bucket", "k")
        assert client.call("ListMultipartUploads", Bucket="bucket").get("Uploads", []) == []
        verb((algorithm, right))
        assert bytes(client.get("bucket", "k")) == data
        if data is not LARGE:  # the server has held it to the value as well
            assert sim.requests[-2].headers[f"x-amz-checksum-{algorithm.lower()}"] == right
        client.delete("bucket", "k")


def test_the_server_checks_all_parts_together(sim: S3Server, connect: Make) -> None:
    client = connect(part_size=PART)
    right = digest("CRC32", LARGE)
    result = client.put("bucket", "k", LARGE, expected_checksum=("CRC32", right))
    (completed,) = [request for request in sim.requests if request.operation == "CompleteMultipartUpload"]
    assert completed.headers["x-amz-checksum-crc32"] == right
    assert completed.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert result.checksum == ("CRC32", right)


@pytest.mark.parametrize("mode", ["auto", "off", "CRC32", "SHA1", "SHA256"])
@pytest.mark.parametrize("data", [b"content", LARGE], ids=["small", "parts"])
def test_the_algorithm_of_a_call(sim: S3Server, connect: Make, data: bytes, mode: Any) -> None:
    for client in (connect(part_size=PART), connect(part_size=PART, checksum="off")):
        sim.requests.clear()
        client.put("bucket", "k", data, checksum=mode)
        sent = [request for request in sim.requests if request.operation in ("PutObject", "UploadPart")]
        for request in sent:
            names = {name for name in request.headers if name.startswith("x-amz-checksum-")}
            names |= {request.headers["x-amz-trailer"]} if "x-amz-trailer" in request.headers else set()
            if mode == "off":
                assert not names
            elif mode == "auto":
                assert names & {"x-amz-checksum-crc32", "x-amz-checksum-crc64nvme"}
            else:
                assert names == {f"x-amz-checksum-{mode.lower()}"}


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32"])
@pytest.mark.parametrize("size", [7, 12 * MiB, 65 * MiB], ids=["small", "parts", "large"])
def test_what_was_validated_is_told(sim: S3Server, connect: Make, tmp_path: Path, size: int, algorithm: str) -> None:
    data = ramp(size)
    value = digest(algorithm, data)
    client = connect(part_size=PART)
    client.put("bucket", "k", data, expected_checksum=(algorithm, value))
    stored = client.head("bucket", "k", checksum_mode="ENABLED").headers
    told = {name for name in ALGORITHMS if f"x-amz-checksum-{name.lower()}" in stored}
    found = client.get("bucket", "k").info
    assert found is not None
    assert {found.checksum_validated} <= told
    assert {client.get_file("bucket", "k", tmp_path / "f").checksum_validated} <= told
    off = client.get("bucket", "k", checksum="off").info
    assert off is not None
    assert off.checksum_validated is None
    assert client.get_file("bucket", "k", tmp_path / "f", checksum="off").checksum_validated is None


@pytest.mark.parametrize("verb", ["get", "get_into", "get_file"])
def test_damage_of_a_range_is_seen(sim: S3Server, connect: Make, tmp_path: Path, verb: str) -> None:
    """No answer to a range has a checksum: that of the whole object tells."""
    data = ramp(12 * MiB)
    client = connect(part_size=PART)
    client.put("bucket", "k", data, expected_checksum=("CRC32", digest("CRC32", data)))
    sim.faults.add(Fault(operation="GetObject", key="k", times=None, corrupt=4 * MiB))
    verbs: dict[str, Callable[[], object]] = {
        "get": lambda: client.get("bucket", "k"),
        "get_into": lambda: client.get_into("bucket", "k", bytearray(len(data))),
        "get_file": lambda: client.get_file("bucket", "k", tmp_path / "f"),
    }
    with pytest.raises(errors.ChecksumError):
        verbs[verb]()
    assert list(tmp_path.iterdir()) == []


def test_damage_is_seen_and_may_be_ignored(sim: S3Server, connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", b"content")
    sim.faults.add(Fault("GetObject", corrupt=3, times=None))
    with pytest.raises(errors.ChecksumError):
        client.get("bucket", "k")
    assert bytes(client.get("bucket", "k", checksum="off")) != b"content"


@pytest.mark.parametrize("algorithm", [None, *ALGORITHMS])
def test_the_checksum_of_a_file_in_parts(connect: Make, tmp_path: Path, algorithm: Any) -> None:
    """It is the one that the server then has of the object."""
    client = connect(part_size=PART)
    if algorithm in ("CRC64NVME", "CRC32C") and "crc64nvme" not in client.backend.capabilities:
        with pytest.raises(errors.UnsupportedError):
            client.put("bucket", "k", b"", checksum=algorithm)
        return
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    result = client.put_file("bucket", "k", path, checksum=algorithm)
    assert result.checksum is not None
    name, value = result.checksum
    assert name == (algorithm or ("CRC64NVME" if "crc64nvme" in client.backend.capabilities else "CRC32"))
    assert client.head("bucket", "k", checksum_mode="ENABLED").headers[f"x-amz-checksum-{name.lower()}"] == value
