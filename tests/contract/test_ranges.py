"""Half-open ranges, suffixes, and what lies outside."""

from __future__ import annotations

from pathlib import Path

import pytest

import objectfs
from objectfs import errors

from .support import MiB, ramp

DATA = b"0123456789"


@pytest.fixture
def small(client: objectfs.Client, bucket: str, key: str) -> str:
    client.put(bucket, key, DATA)
    return key


@pytest.mark.parametrize(
    ("start", "end", "content"),
    [
        (None, None, DATA),
        (0, None, DATA),
        (None, 4, b"0123"),
        (0, 1, b"0"),
        (3, 7, b"3456"),
        (9, 10, b"9"),
        (3, None, b"3456789"),
        (3, 1000, b"3456789"),
        (0, 10, DATA),
        (0, 11, DATA),
        (-3, None, b"789"),
        (-10, None, DATA),
        (-1000, None, DATA),
        (4, 4, b""),
        (0, 0, b""),
    ],
)
def test_ranges(
    client: objectfs.Client, bucket: str, small: str, start: int | None, end: int | None, content: bytes
) -> None:
    got = client.get(bucket, small, start, end)
    assert bytes(got) == content
    if got.info is not None:
        assert got.info.size == len(DATA)
    target = bytearray(b"." * 12)
    assert client.get_into(bucket, small, target, start, end) == len(content)
    assert bytes(target) == content + b"." * (12 - len(content))


def test_range_into_file(client: objectfs.Client, bucket: str, small: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    info = client.get_file(bucket, small, tmp_path / "part", 2, 5)
    assert (tmp_path / "part").read_bytes() == b"234"
    assert info.size == len(DATA)


@pytest.mark.parametrize("start", [10, 11, 1000])
def test_start_outside(client: objectfs.Client, bucket: str, small: str, start: int) -> None:
    with pytest.raises(errors.InvalidRangeError) as caught:
        client.get(bucket, small, start)
    assert caught.value.status == 416
    assert (caught.value.bucket, caught.value.key, caught.value.operation) == (bucket, small, "GetObject")
    with pytest.raises(errors.InvalidRangeError):
        client.get_into(bucket, small, bytearray(4), start, start + 2)


def test_of_empty_object(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, b"")
    for start, end in ((None, None), (0, None), (0, 5), (-5, None), (0, 0)):
        assert bytes(client.get(bucket, key, start, end)) == b""
        assert client.get_into(bucket, key, bytearray(4), start, end) == 0
    with pytest.raises(errors.InvalidRangeError):
        client.get(bucket, key, 1)


@pytest.mark.parametrize(("start", "end"), [(5, 3), (-3, 5), (-1, -1), (None, -1)])
def test_ranges_that_are_none(client: objectfs.Client, bucket: str, key: str, start: int | None, end: int) -> None:
    with pytest.raises(ValueError):
        client.get(bucket, key, start, end)


@pytest.mark.parametrize("start", ["1", 1.0, True, b"1"])
def test_range_types(client: objectfs.Client, bucket: str, key: str, start: object) -> None:
    with pytest.raises(TypeError):
        client.get(bucket, key, start)  # type: ignore[arg-type]


def test_large_ranges(client: objectfs.Client, bucket: str, key: str) -> None:
    data = ramp(30 * MiB)
    client.put(bucket, key, data)
    for start, end in ((1, 25 * MiB + 7), (5 * MiB + 3, 29 * MiB), (-21 * MiB - 5, None), (8 * MiB, 16 * MiB)):
        got = client.get(bucket, key, start, end)
        assert memoryview(got) == memoryview(data)[start:end]


def test_get_ranges(client: objectfs.Client, bucket: str, key: str) -> None:
    data = ramp(3 * MiB)
    client.put(bucket, key, data)
    pairs = [(0, 10), (MiB, 2 * MiB), (5, 5), (3 * MiB - 4, 4 * MiB), (7, 8), (0, 3 * MiB)]
    got = client.get_ranges(bucket, key, pairs)
    assert [bytes(buffer) for buffer in got] == [data[start:end] for start, end in pairs]
    with pytest.raises(errors.InvalidRangeError):
        client.get_ranges(bucket, key, [(0, 1), (3 * MiB, 3 * MiB + 1)])
    with pytest.raises(errors.NotFoundError):
        client.get_ranges(bucket, key + "-missing", [(0, 1)])
    with pytest.raises(ValueError):
        client.get_ranges(bucket, key, [(5, 3)])
    with pytest.raises(TypeError):
        client.get_ranges(bucket, key, [5])  # type: ignore[list-item]


@pytest.mark.parametrize("far", [2**31, 2**40, 2**53, 2**63 - 1, 2**63, 2**64, 10**30])
def test_bounds_beyond_every_object(client: objectfs.Client, bucket: str, key: str, tmp_path: Path, far: int) -> None:
    """No server reads numbers of any length; some take a range that they cannot read for none."""
    data = b"0123456789"
    client.put(bucket, key, data)
    target = bytearray(20)
    assert bytes(client.get(bucket, key, 3, far)) == data[3:]
    assert bytes(client.get(bucket, key, 0, far)) == data
    assert bytes(client.get(bucket, key, -far)) == data
    assert bytes(client.get(bucket, key, far, far)) == b""
    assert target[: client.get_into(bucket, key, target, 3, far)] == data[3:]
    assert target[: client.get_into(bucket, key, target, -far)] == data
    client.get_file(bucket, key, tmp_path / "file", 3, far)
    assert (tmp_path / "file").read_bytes() == data[3:]
    assert list(map(bytes, client.get_ranges(bucket, key, [(3, far), (0, 2), (0, far)]))) == [data[3:], b"01", data]
    for verb in (
        lambda: client.get(bucket, key, far),
        lambda: client.get(bucket, key, far, far + 10),
        lambda: client.get_into(bucket, key, target, far),
        lambda: client.get_into(bucket, key, bytearray(), far),
        lambda: client.get_ranges(bucket, key, [(far, far + 10)]),
    ):
        with pytest.raises(errors.InvalidRangeError):
            verb()


def test_nothing_of_nothing(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    """An empty range raises nothing of its own; that there is no object is another matter."""
    missing = key + "-missing"
    for verb in (
        lambda: client.get(bucket, missing, 3, 3),
        lambda: client.get(bucket, missing, None, 0),
        lambda: client.get_into(bucket, missing, bytearray(3), 3, 3),
        lambda: client.get_ranges(bucket, missing, [(3, 3), (0, 0)]),
        lambda: client.get_file(bucket, missing, tmp_path / "file", 3, 3),
    ):
        with pytest.raises(errors.NotFoundError):
            verb()
    assert list(tmp_path.iterdir()) == []
    client.put(bucket, key, b"content")
    assert bytes(client.get(bucket, key, 3, 3)) == b""
    assert bytes(client.get(bucket, key, None, 0)) == b""
    assert client.get_into(bucket, key, bytearray(), 3, 3) == 0
    assert list(map(bytes, client.get_ranges(bucket, key, [(3, 3), (0, 1)]))) == [b"", b"c"]
    assert client.get_file(bucket, key, tmp_path / "file", 3, 3).size == 7
    assert (tmp_path / "file").read_bytes() == b""


def test_ranges_of_an_empty_object(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, b"")
    assert list(map(bytes, client.get_ranges(bucket, key, [(0, 10), (0, 100 * 1024 * 1024)]))) == [b"", b""]
    with pytest.raises(errors.InvalidRangeError):
        client.get_ranges(bucket, key, [(0, 10), (5, 10)])
