"""If-Match, If-None-Match."""

from __future__ import annotations

from pathlib import Path

import pytest

import objectfs
from objectfs import errors

from .conftest import Site
from .support import MiB, ramp


def test_reading(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    etag = client.put(bucket, key, b"content").etag
    assert etag is not None
    assert bytes(client.get(bucket, key, if_match=etag)) == b"content"
    assert client.head(bucket, key, if_match=etag).size == 7
    assert bytes(client.get(bucket, key, if_none_match='"other"')) == b"content"
    other = '"00000000000000000000000000000000"'
    path = tmp_path / "file"
    for verb in (
        lambda: client.get(bucket, key, if_match=other),
        lambda: client.get(bucket, key, 1, 3, if_match=other),
        lambda: client.get_into(bucket, key, bytearray(9), if_match=other),
        lambda: client.get_file(bucket, key, path, if_match=other),
        lambda: client.get_ranges(bucket, key, [(0, 2)], if_match=other),
        lambda: client.head(bucket, key, if_match=other),
    ):
        with pytest.raises(errors.PreconditionFailedError) as caught:
            verb()
        assert type(caught.value) is errors.PreconditionFailedError
        assert (caught.value.status, caught.value.code) == (412, "PreconditionFailed")
        assert (caught.value.bucket, caught.value.key) == (bucket, key)
    assert not path.exists()
    for verb in (
        lambda: client.get(bucket, key, if_none_match=etag),
        lambda: client.head(bucket, key, if_none_match=etag),
    ):
        with pytest.raises(errors.PreconditionFailedError) as caught:
            verb()
        assert (caught.value.status, caught.value.code) == (304, "NotModified")


def test_create_only(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, b"first", if_none_match="*")
    with pytest.raises(errors.PreconditionFailedError) as caught:
        client.put(bucket, key, b"second", if_none_match="*")
    assert caught.value.status == 412
    with pytest.raises(errors.PreconditionFailedError):
        client.put_many(bucket, {key: b"third"}, if_none_match="*")
    assert bytes(client.get(bucket, key)) == b"first"


def test_create_only_multipart(client: objectfs.Client, site: Site, key: str) -> None:
    site.need("complete-if-none-match")
    client.put(site.bucket, key, b"first")
    for data in (ramp(18 * MiB), iter([ramp(18 * MiB)])):
        with pytest.raises(errors.PreconditionFailedError) as caught:
            client.put(site.bucket, key, data, if_none_match="*")
        assert caught.value.status == 412
    assert bytes(client.get(site.bucket, key)) == b"first"


def test_replace_only(client: objectfs.Client, site: Site, key: str) -> None:
    site.need("put-if-match")
    etag = client.put(site.bucket, key, b"first").etag
    second = client.put(site.bucket, key, b"second", if_match=etag)
    with pytest.raises(errors.PreconditionFailedError):
        client.put(site.bucket, key, b"third", if_match=etag)
    assert bytes(client.get(site.bucket, key, if_match=second.etag)) == b"second"


def test_what_cannot_be(client: objectfs.Client, bucket: str, key: str) -> None:
    with pytest.raises(ValueError):
        client.put(bucket, key, b"", if_none_match='"etag"')
    for headers in ({"Host": "x"}, {"Authorization": "x"}, {"a b": "x"}, {"x": "a\nb"}, {"x": "é"}):
        with pytest.raises(errors.InvalidRequestError):
            client.get(bucket, key, headers=headers)
    for metadata in ({"a b": "x"}, {"": "x"}, {"x": "é"}, {"x": "a\r\nb"}, {"x": " a"}, {"x": "a" * 2100}):
        with pytest.raises(errors.InvalidRequestError):
            client.put(bucket, key, b"", metadata=metadata)
    for wrong in ("", "a/b", "a b", "é", "x" * 300):
        with pytest.raises(errors.InvalidRequestError):
            client.get(wrong, key)
    for wrong in ("", "k" * 1025, "é" * 513, "\ud800"):
        with pytest.raises(errors.InvalidRequestError) as caught:
            client.get(bucket, wrong)
        assert caught.value.status is None
    for wrong in (None, 1, b"bytes"):
        with pytest.raises(TypeError):
            client.get(bucket, wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            client.get(wrong, key)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        client.get_many(bucket, "key")
    with pytest.raises(TypeError):
        client.delete_many(bucket, "key")
    with pytest.raises(ValueError):
        client.get_many(bucket, [], on_error="ignore")  # type: ignore[arg-type]
    for timeout in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError):
            client.get(bucket, key, timeout=timeout)
    with pytest.raises(TypeError):
        client.get(bucket, key, timeout="1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        client.get(bucket, key, progress=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        client.list(bucket, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        client.list(bucket, limit=-1)
