"""What scripts/sanitize runs under valgrind, where all is thirty times slower: each kind of request once or twice.

The embedded server runs beside it, in a process of its own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import objectfs
from objectfs import _native, errors

SERVER = """
import sys
from objectfs.sim import S3Server
with S3Server(buckets=("bucket",)) as server:
    print(server.endpoint_url, flush=True)
    sys.stdin.read()
"""
SIZE = 11 * 1024 * 1024


def blocking(settings: dict[str, object], folder: Path) -> None:
    data = bytes(range(256)) * (SIZE // 256)
    file = folder / "file"
    file.write_bytes(data)
    with objectfs.Client(**settings) as client:
        client.put("bucket", "small", b"small")
        client.put("bucket", "large", data)
        client.put_file("bucket", "file", file)
        client.put("bucket", "stream", iter([data]))
        assert bytes(client.get("bucket", "small")) == b"small"
        assert bytes(client.get("bucket", "large")) == data
        into = bytearray(SIZE)
        assert client.get_into("bucket", "large", into) == SIZE
        client.get_file("bucket", "large", file)
        assert into == data == file.read_bytes()
        assert [bytes(each) for each in client.get_many("bucket", ["small"] * 20)] == [b"small"] * 20
        assert len(list(client.list("bucket"))) == 4
        with client.open("bucket", "large", "rb") as reader:
            reader.seek(SIZE // 2)
            assert reader.read(1000) == data[SIZE // 2 : SIZE // 2 + 1000]
        try:
            client.get("bucket", "missing")
        except errors.NotFoundError:
            pass
        else:
            raise AssertionError("there is no such object")
        client.delete_many("bucket", ["small", "file"])


async def awaiting(settings: dict[str, object]) -> None:
    async with objectfs.AsyncClient(**settings) as client:
        assert len(await client.get("bucket", "large")) == SIZE
        task = asyncio.create_task(client.get("bucket", "large"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])


def main() -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        settings: dict[str, object] = {
            "endpoint_url": server.stdout.readline().strip(),
            "access_key_id": "test",
            "secret_access_key": "testtest",
            "region": "us-east-1",
            "backend": "crt",
        }
        with tempfile.TemporaryDirectory() as folder:
            blocking(settings, Path(folder))
        asyncio.run(awaiting(settings))
    finally:
        server.stdin.close()
        server.wait()
    assert not _native.debug_outstanding_bytes()


if __name__ == "__main__":
    main()
