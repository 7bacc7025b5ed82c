"""Of what the other files hold to the embedded server's records, the outline against every server."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors

from .conftest import Site
from .support import MiB, ramp

LARGE = ramp(20 * MiB + 77)
KEY = bytes(range(32))


def uploads(client: objectfs.Client, bucket: str, key: str) -> list[str]:
    """The uploads of that key that wait at the server."""
    answer = client.call("ListMultipartUploads", Bucket=bucket, Prefix=key)
    return [upload["Key"] for upload in answer.get("Uploads", [])]


# -- many ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ordered", [False, True])
def test_many(client: objectfs.Client, bucket: str, key: str, ordered: bool) -> None:
    data = {f"{key}/{number:02}": ramp(size, number) for number, size in enumerate([0, 1, 300_000, *range(70, 110)])}
    data[f"{key}/large"] = LARGE
    results = client.put_many(bucket, iter(data.items()), on_error="return")
    assert set(results) == set(data)
    assert all(isinstance(result, objectfs.PutResult) for result in results.values())
    keys = [*data, f"{key}/none"]
    found = list(client.iter_many(bucket, keys, on_error="return", ordered=ordered))
    assert sorted(item for item, _ in found) == sorted(keys)
    if ordered:
        assert [item for item, _ in found] == keys
    for item, got in found:
        if item in data:
            assert not isinstance(got, Exception)
            assert bytes(got) == data[item]
        else:
            assert isinstance(got, errors.NotFoundError)
    assert client.delete_many(bucket, iter(data)) == {}
    assert list(client.list(bucket, prefix=key)) == []


# -- files -----------------------------------------------------------------------------------------------------------
def test_large_files(client: objectfs.Client, bucket: str, key: str) -> None:
    with client.open(bucket, key, "wb", content_type="text/x-test", metadata={"a": "b"}) as writer:
        for start in range(0, len(LARGE), 300_000):
            writer.write(LARGE[start : start + 300_000])
        assert not client.exists(bucket, key)
    assert writer.result is not None
    with client.open(bucket, key) as file:
        assert (file.info.size, file.info.content_type, file.info.metadata) == (len(LARGE), "text/x-test", {"a": "b"})
        chance = random.Random(3)
        for _ in range(10):
            start = chance.randrange(len(LARGE))
            file.seek(start)
            assert file.read(50_000) == LARGE[start : start + 50_000]
        file.seek(0)
        assert b"".join(iter(lambda: file.read(MiB), b"")) == LARGE
        target = bytearray(len(LARGE) - 5)
        file.seek(5)
        assert file.readinto(target) == len(target)
        assert target == LARGE[5:]


def test_a_replaced_object_is_no_mixture(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, LARGE)
    with client.open(bucket, key, prefetch=0) as file:
        assert file.read(10) == LARGE[:10]
        client.put(bucket, key, LARGE[::-1])
        file.seek(15 * MiB)
        with pytest.raises(errors.ObjectChangedError):
            file.read(10)


class Broken(Exception):
    """The program's own."""


def test_what_fails_leaves_nothing(client: objectfs.Client, bucket: str, key: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield LARGE
        raise Broken

    with pytest.raises(Broken), client.open(bucket, key, "wb") as file:
        file.writelines(pieces())
    with pytest.raises(Broken):
        client.put(bucket, key, pieces())
    with client.open(bucket, key, "w") as text:
        text.write("x" * (20 * MiB))
        text.abort()
    assert not client.exists(bucket, key)
    assert uploads(client, bucket, key) == []


@pytest.mark.parametrize("large", [False, True], ids=["small", "parts"])
def test_exclusive(client: objectfs.Client, site: Site, key: str, large: bool) -> None:
    if large:
        site.need("complete-if-none-match")
    data = LARGE if large else b"first"
    with client.open(site.bucket, key, "xb") as file:
        file.write(data)
    again = client.open(site.bucket, key, "xb")
    again.write(data[::-1])
    with pytest.raises(errors.PreconditionFailedError):
        again.close()
    assert bytes(client.get(site.bucket, key)) == data
    assert uploads(client, site.bucket, key) == []


# -- options ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "parts"])
@pytest.mark.parametrize("verb", ["put", "stream", "put_file", "put_many", "open"])
def test_what_is_said_of_an_object(
    client: objectfs.Client, site: Site, key: str, tmp_path: Path, data: bytes, verb: str
) -> None:
    """Tags included, which Ceph drops from an upload in parts and is then given again."""
    bucket = site.bucket
    path = tmp_path / "file"
    path.write_bytes(data)
    options: dict[str, Any] = {
        "content_type": "text/x-test",
        "content_encoding": "identity",
        "content_disposition": "attachment",
        "cache_control": "no-store",
        "metadata": {"name": "value"},
    }
    if site.has("tags"):
        options["tags"] = {"team": "a+b=c", "with space": "@ /:"}
    if verb == "open":
        with client.open(bucket, key, "wb", **options) as file:
            file.write(data)
    elif verb == "put_file":
        client.put_file(bucket, key, path, **options)
    elif verb == "put_many":
        client.put_many(bucket, {key: data}, **options)
    else:
        client.put(bucket, key, data if verb == "put" else io.BytesIO(data), **options)
    info = client.head(bucket, key)
    assert (info.size, info.content_type, info.metadata) == (len(data), "text/x-test", {"name": "value"})
    for name in ("content-disposition", "cache-control"):
        assert info.headers[name] == options[name.replace("-", "_")]
    # Ceph keeps what the framing of the request added
    assert info.headers["content-encoding"].split(",")[0] == "identity"
    if "tags" in options:
        answer = client.call("GetObjectTagging", Bucket=bucket, Key=key)
        assert {tag["Key"]: tag["Value"] for tag in answer["TagSet"]} == options["tags"]
    got = client.get(bucket, key, response_content_type="text/x-other")
    assert bytes(got) == data
    assert got.info is not None
    assert got.info.content_type == "text/x-other"


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "parts"])
def test_a_customers_key(client: objectfs.Client, site: Site, key: str, data: bytes) -> None:
    site.need("customer-keys")
    if site.name == "sim" and not site.url.startswith("https:"):
        with pytest.raises(errors.InvalidRequestError):
            client.put(site.bucket, key, data, sse_customer_key=KEY)
        return
    client.put(site.bucket, key, data, sse_customer_key=KEY)
    assert bytes(client.get(site.bucket, key, sse_customer_key=KEY)) == data
    with client.open(site.bucket, key, sse_customer_key=KEY) as file:
        assert file.read() == data
    with pytest.raises(errors.InvalidRequestError):
        client.get(site.bucket, key)
    with pytest.raises((errors.InvalidRequestError, errors.AccessDeniedError)):
        client.get(site.bucket, key, sse_customer_key=KEY[::-1])


# -- asyncio ---------------------------------------------------------------------------------------------------------
async def test_async(site: Site, backend: str, key: str) -> None:
    bucket = site.bucket
    async with objectfs.AsyncClient(**site.settings(backend=backend)) as client:
        async with await client.open(bucket, f"{key}/a", "wb") as writer:
            for start in range(0, len(LARGE), MiB):
                await writer.write(LARGE[start : start + MiB])
        async with await client.open(bucket, f"{key}/a") as file:
            await file.seek(9 * MiB)
            assert await file.read(1000) == LARGE[9 * MiB : 9 * MiB + 1000]
            await file.seek(0)
            assert await file.read() == LARGE
        await client.put(bucket, f"{key}/lines", b"eins\nzwei\n")
        async with await client.open(bucket, f"{key}/lines", "r") as lines:
            assert [line async for line in lines] == ["eins\n", "zwei\n"]
        await client.copy(bucket, f"{key}/a", bucket, f"{key}/b", multipart_threshold=5 * MiB, part_size=5 * MiB)
        found = {
            item: bytes(got) async for item, got in client.iter_many(bucket, [f"{key}/b", f"{key}/a", f"{key}/lines"])
        }
        assert found == {f"{key}/a": LARGE, f"{key}/b": LARGE, f"{key}/lines": b"eins\nzwei\n"}
        with pytest.raises(errors.NotFoundError):
            await client.get(bucket, f"{key}/none")
        assert await client.delete_many(bucket, client_keys(key)) == {}
        assert [entry async for entry in client.list(bucket, prefix=key)] == []


def client_keys(key: str) -> Iterator[str]:
    return (f"{key}/{name}" for name in ("a", "b", "lines"))
