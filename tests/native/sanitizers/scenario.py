"""What scripts/sanitize runs under valgrind, where all is thirty times slower: each kind of request once or twice, the
faults that have native code of their own, traces, the C library's log, threads, a fork.

The embedded server runs beside it, in a process of its own. Nothing here depends on speed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import objectfs
from objectfs import _native, errors

SERVER = """
import sys
from objectfs.sim import Fault, S3Server
with S3Server(buckets=("bucket",)) as server:
    for key, code in (("slow", "SlowDown"), ("slow-put", "SlowDown"), ("throttled", "Throttling")):
        server.faults.add(Fault(key=key, status=503, code=code, headers={"Retry-After": "1"}))
    server.faults.add(Fault(key="many", times=2, status=429, code="TooManyRequests"))
    server.faults.add(Fault(key="too-long", times=None, status=503, code="SlowDown", headers={"Retry-After": "3600"}))
    server.faults.add(Fault(key="never", times=None, status=503, code="SlowDown", headers={"Retry-After": "60"}))
    server.faults.add(Fault(key="stalled", times=None, stall=True))
    server.faults.add(Fault(key="far", times=None, headers={"Content-Range": "bytes 0-4/" + 30 * "9"}, status=206))
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


def failing(settings: dict[str, object]) -> None:
    """Retries that are told when, that are not worth it, that are cut short; and all of it traced and logged."""
    logging.getLogger("objectfs.crt").addHandler(logging.NullHandler())
    logging.getLogger("objectfs.crt").propagate = False
    logging.getLogger("objectfs.crt").setLevel(logging.DEBUG)
    records = []
    with objectfs.Client(**settings) as client, client.trace(records.append, capacity=3):
        for key in ("slow-put", "throttled", "many", "small"):
            client.put("bucket", key, b"small")
        client.put("bucket", "slow", bytes(SIZE))
        assert len(client.get("bucket", "slow")) == SIZE
        assert bytes(client.get("bucket", "throttled")) == b"small"
        for key in ("too-long", "far", "never", "stalled"):
            try:
                client.get("bucket", key, timeout=2.0)
            except errors.ObjectFSError:
                pass
            else:
                raise AssertionError(key)
        client.stats()
        waits = threading.Thread(target=stalled, args=(client,))
        waits.start()
        while not client.stats()["operations_in_flight"]:
            threading.Event().wait(0.01)
        client.close()
        waits.join()
    assert records
    logging.getLogger("objectfs.crt").setLevel(logging.NOTSET)


def stalled(client: objectfs.Client) -> None:
    try:
        client.get("bucket", "stalled")
    except errors.ObjectFSError:
        pass
    else:
        raise AssertionError("it was closed meanwhile")


def together(settings: dict[str, object]) -> None:
    """Threads on one client, and clients that come and go: what they share, the second one must not write."""

    def work(number: int) -> None:
        with objectfs.Client(**settings) as own:
            for client in (shared, own):
                client.put("bucket", f"k{number}", bytes(SIZE))
                assert len(client.get("bucket", f"k{number}")) == SIZE
                assert len(list(client.get_many("bucket", ["small"] * 50))) == 50
                client.stats()

    with objectfs.Client(**settings) as shared, ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def forked(settings: dict[str, object]) -> None:
    """Native locks and threads are the parent's: the child makes what it needs."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of any fork with threads
    with objectfs.Client(**settings) as client:
        client.put("bucket", "small", b"small")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                client.stats()
                with objectfs.Client(**settings) as own:
                    status = 0 if bytes(own.get("bucket", "small")) == b"small" else 1
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert bytes(client.get("bucket", "small")) == b"small"


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
        failing(settings)
        together(settings)
        if os.environ.get("OBJECTFS_SANITIZER") != "thread":  # which allows no threads in a child of a fork
            forked(settings)
    finally:
        server.stdin.close()
        server.wait()
    assert not _native.debug_outstanding_bytes()


if __name__ == "__main__":
    main()
