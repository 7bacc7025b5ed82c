"""Every verb, there and back: sizes around every boundary, awkward keys, metadata."""

from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.types import Buffer, ObjectInfo, Prefix

from .conftest import Site
from .support import MiB, ramp

SIZES = [0, 1, 5 * MiB - 1, 5 * MiB, 5 * MiB + 1, 8 * MiB - 1, 8 * MiB, 8 * MiB + 1, 20 * MiB]

KEYS = [
    "plain",
    "with space",
    "ünïcödé/日本語/😀",
    "plus+and%percent%20",
    "a//b///c",
    "./dot",
    "a/./b",
    "a/../b",
    "..",
    ".",
    "trailing/",
    "/leading",
    "a&b=c?d#e",
    "quote'\"<>`",
    "semi;colon:at@comma,",
    "back\\slash|pipe^{}[]~",
    "tab\tnewline\nreturn\r",
    "k" * 1024,
    "é" * 512,
]


@pytest.mark.parametrize("size", SIZES)
def test_sizes(client: objectfs.Client, site: Site, key: str, size: int, tmp_path: Path) -> None:
    bucket = site.bucket
    data = ramp(size)
    result = client.put(bucket, key, data)
    info = client.head(bucket, key)
    assert info.size == size
    if size < 8 * MiB or site.has("complete-etag"):
        assert info.etag == result.etag
    got = client.get(bucket, key)
    assert isinstance(got, Buffer)
    assert len(got) == size
    assert bytes(got) == data
    assert got.info is not None
    assert (got.info.size, got.info.etag) == (size, info.etag)
    target = bytearray(size + 3)
    assert client.get_into(bucket, key, target) == size
    assert target == data + bytes(3)
    path = tmp_path / "file"
    assert client.get_file(bucket, key, path).size == size
    assert path.read_bytes() == data


@pytest.mark.parametrize("size", SIZES)
def test_file_sizes(client: objectfs.Client, bucket: str, key: str, size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(ramp(size, 3))
    client.put_file(bucket, key, path)
    assert bytes(client.get(bucket, key)) == ramp(size, 3)


@pytest.mark.parametrize("size", SIZES)
def test_stream_sizes(client: objectfs.Client, bucket: str, key: str, size: int) -> None:
    client.put(bucket, key, io.BytesIO(ramp(size, 5)))
    assert bytes(client.get(bucket, key)) == ramp(size, 5)


@pytest.mark.parametrize("name", KEYS, ids=range(len(KEYS)))
def test_keys(client: objectfs.Client, site: Site, name: str) -> None:
    if len(name.encode()) > 900:
        site.need("long-keys")
    data = name.encode()
    client.put(site.bucket, name, data)
    try:
        assert bytes(client.get(site.bucket, name)) == data
        assert client.head(site.bucket, name).key == name
        assert client.exists(site.bucket, name)
        assert name in [entry.key for entry in client.list(site.bucket, prefix=name) if isinstance(entry, ObjectInfo)]
        assert [bytes(got) for got in client.get_many(site.bucket, [name])] == [data]
    finally:
        assert client.delete_many(site.bucket, [name]) == {}
    assert not client.exists(site.bucket, name)


def test_buffer(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, b"0123456789")
    got = client.get(bucket, key)
    assert (len(got), got[0], got[-1]) == (10, ord("0"), ord("9"))
    assert bytes(got[2:5]) == b"234"
    assert bytes(memoryview(got)[3:]) == b"3456789"
    assert bytes(bytearray(got)) == b"0123456789"
    assert list(got)[:2] == [48, 49]
    view = memoryview(got)
    del got
    assert bytes(view) == b"0123456789"


def test_metadata(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(
        bucket,
        key,
        b"x",
        content_type="text/x-test; charset=utf-8",
        metadata={"Name": "value", "other-name": "a b, c"},
        headers={"cache-control": "max-age=60"},
    )
    info = client.head(bucket, key)
    assert info.content_type == "text/x-test; charset=utf-8"
    assert info.metadata == {"name": "value", "other-name": "a b, c"}
    assert info.headers["cache-control"] == "max-age=60"
    assert info.last_modified is not None
    assert info.last_modified.tzinfo is not None
    got = client.get(bucket, key).info
    assert got is not None
    assert (got.content_type, got.metadata) == (info.content_type, info.metadata)


def test_metadata_of_multipart(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, iter([ramp(9 * MiB)]), content_type="text/x-test", metadata={"name": "value"})
    info = client.head(bucket, key)
    assert (info.size, info.content_type, info.metadata) == (9 * MiB, "text/x-test", {"name": "value"})


def test_overwrite(client: objectfs.Client, bucket: str, key: str) -> None:
    first = client.put(bucket, key, b"one")
    second = client.put(bucket, key, b"three")
    assert first.etag != second.etag
    assert bytes(client.get(bucket, key)) == b"three"


def test_many(client: objectfs.Client, bucket: str, key: str) -> None:
    items = {f"{key}/{index:03}": ramp(index * 100, index) for index in range(50)}
    results = client.put_many(bucket, items)
    assert list(results) == list(items)
    assert all(result.etag for result in results.values())
    got = client.get_many(bucket, reversed(items))
    assert [bytes(buffer) for buffer in got] == [items[name] for name in reversed(items)]
    assert [entry.key for entry in client.list(bucket, f"{key}/") if isinstance(entry, ObjectInfo)] == list(items)
    assert client.delete_many(bucket, (name for name in items)) == {}
    assert list(client.list(bucket, f"{key}/")) == []


def test_many_of_none(client: objectfs.Client, bucket: str) -> None:
    assert client.get_many(bucket, []) == []
    assert client.put_many(bucket, {}) == {}
    assert client.delete_many(bucket, []) == {}
    assert client.get_ranges(bucket, "whatever", []) == []


def test_many_with_missing(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, b"here")
    got: list[Any] = client.get_many(bucket, [key, key + "-missing", key], on_error="return")
    assert bytes(got[0]) == bytes(got[2]) == b"here"
    assert isinstance(got[1], errors.NotFoundError)
    assert (got[1].bucket, got[1].key, got[1].operation) == (bucket, key + "-missing", "GetObject")
    with pytest.raises(errors.NotFoundError) as caught:
        client.get_many(bucket, [key, key + "-missing"])
    assert caught.value.key == key + "-missing"


def test_many_with_large(client: objectfs.Client, bucket: str, key: str) -> None:
    items = {key + "-large": ramp(18 * MiB), key + "-small": b"s", key + "-empty": b""}
    client.put_many(bucket, items)
    assert [bytes(got) for got in client.get_many(bucket, list(items))] == list(items.values())


def test_delete(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, b"x")
    client.delete(bucket, key)
    assert not client.exists(bucket, key)
    client.delete(bucket, key)


def test_list(client: objectfs.Client, bucket: str, key: str) -> None:
    names = ["a", "b/1", "b/2", "b!", "c", "d/x/y", "é"]
    client.put_many(bucket, {f"{key}/{name}": name.encode() for name in names})

    def listed(prefix: str, **how: Any) -> list[str]:
        entries = client.list(bucket, prefix, **how)
        return [(entry.prefix if isinstance(entry, Prefix) else entry.key).removeprefix(f"{key}/") for entry in entries]

    everything = sorted(names, key=lambda name: name.encode())
    assert listed(f"{key}/") == everything
    assert listed(f"{key}/", delimiter="/") == ["a", "b!", "b/", "c", "d/", "é"]
    assert listed(f"{key}/b") == ["b!", "b/1", "b/2"]
    assert listed(f"{key}/", start_after=f"{key}/b/1") == ["b/2", "c", "d/x/y", "é"]
    assert listed(f"{key}/", limit=3) == everything[:3]
    assert listed(f"{key}/", limit=0) == []
    assert listed(f"{key}/nothing") == []
    entry = next(iter(client.list(bucket, f"{key}/c")))
    assert isinstance(entry, ObjectInfo)
    assert (entry.bucket, entry.size) == (bucket, 1)
    assert entry.etag == client.head(bucket, f"{key}/c").etag
    assert entry.last_modified is not None
    assert entry.last_modified.utcoffset() is not None


def test_list_of_many_pages(client: objectfs.Client, bucket: str, key: str) -> None:
    names = [f"{key}/{index:05}" for index in range(2345)]
    client.put_many(bucket, dict.fromkeys(names, b""))
    listing = client.list(bucket, f"{key}/")
    assert [entry.key for entry in listing if isinstance(entry, ObjectInfo)] == names
    assert len(list(client.list(bucket, f"{key}/", limit=1500))) == 1500
    abandoned = client.list(bucket, f"{key}/")
    next(abandoned)
    del abandoned
    assert client.delete_many(bucket, names) == {}


def test_versions(client: objectfs.Client, site: Site, key: str) -> None:
    site.need("versioned-ids")
    bucket = site.bucket + "-v"
    client.call("CreateBucket", Bucket=bucket)
    client.call("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = client.put(bucket, key, b"first")
    second = client.put(bucket, key, b"second")
    assert first.version_id is not None
    assert first.version_id != second.version_id
    assert bytes(client.get(bucket, key, version_id=first.version_id)) == b"first"
    assert client.head(bucket, key, version_id=first.version_id).size == 5
    client.delete(bucket, key, version_id=second.version_id)
    assert bytes(client.get(bucket, key)) == b"first"
    client.delete(bucket, key)
    assert not client.exists(bucket, key)
    for kind in ("Versions", "DeleteMarkers"):
        for entry in client.call("ListObjectVersions", Bucket=bucket).get(kind, ()):
            client.delete(bucket, entry["Key"], version_id=entry["VersionId"])
    client.call("DeleteBucket", Bucket=bucket)


def test_checksums(client: objectfs.Client, site: Site, key: str) -> None:
    site.need("checksums")
    result = client.put(site.bucket, key, b"123456789")
    known = {"CRC32": "y/Q5Jg==", "CRC64NVME": "rosUhgp5n20="}
    assert result.checksum is not None
    algorithm, value = result.checksum
    if algorithm in known:
        assert len(value) == len(known[algorithm])
    info = client.get(site.bucket, key).info
    assert info is not None
    assert info.checksum_validated == algorithm


@pytest.mark.parametrize("how", ["memory", "file", "stream"])
def test_checksums_of_parts(client: objectfs.Client, site: Site, key: str, tmp_path: Path, how: str) -> None:
    """What is stored in parts has a checksum too, of the whole object."""
    site.need("checksums")
    data = ramp(20 * MiB)
    (tmp_path / "file").write_bytes(data)
    result = {
        "memory": lambda: client.put(site.bucket, key, data),
        "file": lambda: client.put_file(site.bucket, key, tmp_path / "file"),
        "stream": lambda: client.put(site.bucket, key, iter([data])),
    }[how]()
    stored = client.call("HeadObject", Bucket=site.bucket, Key=key, ChecksumMode="ENABLED")
    assert stored["ChecksumType"] == "FULL_OBJECT"
    assert result.checksum is not None
    algorithm, value = result.checksum
    assert stored[f"Checksum{algorithm}"] == value
    if algorithm == "CRC32":
        assert base64.b64decode(value) == zlib.crc32(data).to_bytes(4, "big")
