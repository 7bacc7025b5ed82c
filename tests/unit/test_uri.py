"""s3:// addresses."""

from __future__ import annotations

import pytest

from objectfs import uri
from objectfs.errors import InvalidRequestError
from objectfs.units import parse_size


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://bucket/key", "bucket", "key"),
        ("S3://bucket/Key", "bucket", "Key"),
        ("s3://bucket//a//b/", "bucket", "/a//b/"),
        ("s3://bucket/a/../b/./c", "bucket", "a/../b/./c"),
        ("s3://bucket/a%20b+c?d#e", "bucket", "a%20b+c?d#e"),
        ("s3://bucket/s3://x", "bucket", "s3://x"),
        ("s3://bucket/ü 日", "bucket", "ü 日"),
        (
            "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/point/key/k",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/point",
            "key/k",
        ),
    ],
)
def test_parse(text: str, bucket: str, key: str) -> None:
    parsed = uri.parse(text)
    assert parsed == (bucket, key)
    assert uri.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begin with s3://"),
        ("bucket/key", "begin with s3://"),
        ("s3:/bucket/key", "begin with s3://"),
        ("://bucket", "begin with s3://"),
        ("gs://bucket/key", "'gs'"),
        ("https://bucket/key", "'https'"),
        ("s3://", "no bucket"),
        ("s3:///key", "no bucket"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        uri.parse(text)
    assert words in str(caught.value)


def test_types() -> None:
    for wrong in (None, b"s3://bucket", 5):
        with pytest.raises(TypeError):
            uri.parse(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        (65536, 65536),
        (" 8 MiB ", 8 << 20),
        ("8mib", 8 << 20),
        ("1.5 GiB", 3 << 29),
        ("1 GB", 10**9),
        ("1kB", 1000),
        ("10b", 10),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "8 M", "1e6", "-1", "0x10", "8 MiB MiB", "\uff11\uff12", -1])
def test_no_sizes(text: str | int) -> None:
    with pytest.raises(ValueError):
        parse_size(text)
    for wrong in (None, 1.5, True, b"8"):
        with pytest.raises(TypeError):
            parse_size(wrong)  # type: ignore[arg-type]
