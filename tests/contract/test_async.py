"""AsyncClient: the same verbs, and what asyncio adds: cancelling."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server
from objectfs.types import ObjectInfo

from .conftest import Site
from .support import MiB, ramp


def settings(server: S3Server, backend: str, **more: Any) -> dict[str, Any]:
    return {
        "endpoint_url": server.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "backend": backend,
        "max_attempts": 1,
        **more,
    }


async def test_verbs(site: Site, backend: str, key: str, tmp_path: Path) -> None:
    async with objectfs.AsyncClient(**site.settings(backend=backend)) as client:
        bucket = site.bucket
        data = ramp(20 * MiB)
        assert client.backend.name == backend
        result = await client.put(bucket, key, data)
        assert result.etag or not site.has("complete-etag")
        assert bytes(await client.get(bucket, key)) == data
        assert bytes(await client.get(bucket, key, -5)) == data[-5:]
        target = bytearray(len(data))
        assert await client.get_into(bucket, key, target) == len(data)
        assert target == data
        path = tmp_path / "file"
        assert (await client.get_file(bucket, key, path)).size == len(data)
        await client.put_file(bucket, key + "2", path)
        assert (await client.head(bucket, key + "2")).size == len(data)
        await client.put_many(bucket, {key + "3": b"3", key + "4": b"4"})
        assert [bytes(got) for got in await client.get_many(bucket, [key + "4", key + "3"])] == [b"4", b"3"]
        assert [bytes(got) for got in await client.get_ranges(bucket, key, [(0, 3), (7, 9)])] == [data[:3], data[7:9]]
        listed = [entry.key async for entry in client.list(bucket, key) if isinstance(entry, ObjectInfo)]
        assert listed == [key, key + "2", key + "3", key + "4"]
        assert await client.exists(bucket, key)
        await client.delete(bucket, key)
        assert not await client.exists(bucket, key)
        assert await client.delete_many(bucket, listed) == {}
        assert "Buckets" in await client.call("ListBuckets")
        assert (await client.health())["ok"]
        assert urlsplit(client.presign("get", bucket, key)).port == urlsplit(site.url).port
        with pytest.raises(errors.NotFoundError) as caught:
            await client.get(bucket, key)
        assert (caught.value.bucket, caught.value.key) == (bucket, key)
    assert client.closed
    with pytest.raises(errors.ClosedError):
        await client.get(bucket, key)


async def test_streams(site: Site, backend: str, key: str) -> None:
    async with objectfs.AsyncClient(**site.settings(backend=backend)) as client:
        data = ramp(20 * MiB + 5)

        async def produce() -> AsyncIterator[bytes]:
            for start in range(0, len(data), 700_000):
                await asyncio.sleep(0)
                yield data[start : start + 700_000]

        seen: list[int] = []
        await client.put(site.bucket, key, produce(), progress=seen.append)
        assert bytes(await client.get(site.bucket, key)) == data
        await asyncio.sleep(0.05)
        assert seen
        await client.put(site.bucket, key, io.BytesIO(data))
        assert bytes(await client.get(site.bucket, key)) == data
        await client.put(site.bucket, key, iter([b"a", b"b"]))
        assert bytes(await client.get(site.bucket, key)) == b"ab"

        async def broken() -> AsyncIterator[bytes]:
            yield b"x"
            raise LookupError("broken")

        with pytest.raises(LookupError, match="broken"):
            await client.put(site.bucket, key + "-broken", broken())
        assert not await client.exists(site.bucket, key + "-broken")


async def test_at_once(site: Site, backend: str, key: str) -> None:
    async with objectfs.AsyncClient(**site.settings(backend=backend)) as client:
        names = [f"{key}/{number}" for number in range(60)]
        await asyncio.gather(*(client.put(site.bucket, name, name.encode()) for name in names))
        got = await asyncio.gather(*(client.get(site.bucket, name) for name in names))
        assert [bytes(buffer) for buffer in got] == [name.encode() for name in names]
        await client.delete_many(site.bucket, names)


async def test_cancel(sim: S3Server, backend: str) -> None:
    async with objectfs.AsyncClient(**settings(sim, backend)) as client:
        await client.put("bucket", "k", b"x")
        sim.faults.add(Fault("GetObject", times=1, stall=True))
        target = bytearray(10)
        task = asyncio.create_task(client.get_into("bucket", "k", target))
        await asyncio.sleep(0.3)
        before = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - before < 1
        deadline = time.monotonic() + 5
        while True:
            try:
                target.append(0)
                break
            except BufferError:
                assert time.monotonic() < deadline, "the transfer went on"
                await asyncio.sleep(0.02)
        assert bytes(await client.get("bucket", "k")) == b"x"


async def test_cancel_of_upload(sim: S3Server, backend: str) -> None:
    async with objectfs.AsyncClient(**settings(sim, backend)) as client:
        sim.faults.add(Fault("UploadPart", times=1, stall=True))

        async def endless() -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0.01)
                yield bytes(MiB)

        for data in (bytes(40 * MiB), endless()):
            task = asyncio.create_task(client.put("bucket", "k", data))
            await asyncio.sleep(0.7)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        deadline = time.monotonic() + 5
        while (await client.call("ListMultipartUploads", Bucket="bucket")).get("Uploads"):
            assert time.monotonic() < deadline, "the upload was not aborted"
            await asyncio.sleep(0.05)
        assert not await client.exists("bucket", "k")


async def test_timeout(sim: S3Server, backend: str) -> None:
    async with objectfs.AsyncClient(**settings(sim, backend)) as client:
        await client.put("bucket", "k", b"x")
        sim.faults.add(Fault("GetObject", times=None, stall=True))
        with pytest.raises(errors.TimeoutError) as caught:
            await client.get("bucket", "k", timeout=0.3)
        assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("GetObject", "bucket", "k")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.get("bucket", "k")


async def test_abandoned_listing(sim: S3Server, backend: str) -> None:
    async with objectfs.AsyncClient(**settings(sim, backend)) as client:
        await client.put_many("bucket", {f"k{number:04}": b"" for number in range(1500)})
        listing = client.list("bucket")
        assert isinstance(await anext(listing), ObjectInfo)
        await listing.aclose()
        assert len([entry async for entry in client.list("bucket", limit=1200)]) == 1200


def test_several_loops(sim: S3Server, backend: str) -> None:
    client = objectfs.AsyncClient(**settings(sim, backend))
    for number in range(3):
        asyncio.run(client.put("bucket", f"k{number}", b"x"))
        assert bytes(asyncio.run(client.get("bucket", f"k{number}"))) == b"x"
    client.close()


def test_a_stream_cancelled_twice(sim: S3Server, backend: str) -> None:
    """A second cancel, as asyncio.run sends it, leaves no exception that nobody has looked at."""
    complaints: list[Any] = []
    reading, go_on = threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        yield bytes(6 * MiB)
        reading.set()
        go_on.wait(10)
        yield bytes(6 * MiB)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        async with objectfs.AsyncClient(**settings(sim, backend, part_size=5 * MiB)) as client:
            task = asyncio.create_task(client.put("bucket", "k", pieces()))
            await asyncio.to_thread(reading.wait, 10)
            for _ in range(2):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
            del task
            await asyncio.sleep(0.3)
            gc.collect()

    asyncio.run(main())
    assert complaints == []
