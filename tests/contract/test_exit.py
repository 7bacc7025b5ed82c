"""The end of the interpreter finds daemon threads inside of calls: no word, no traceback, no hang."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from objectfs.sim import Fault, S3Server

from .support import python

PROGRAM = """
import asyncio, atexit, sys, threading, time
joined = False
threads = []
@atexit.register  # before objectfs has its own, hence called after it
def last():
    for one in threads if joined else ():
        one.join(20)
        assert not one.is_alive()
import objectfs
atexit.register(lambda: print(time.monotonic()))  # called first: the program is over, its end begins
backend, url = sys.argv[1:]
settings = dict(endpoint_url=url, access_key_id="test", secret_access_key="testtest", region="us-east-1",
                max_attempts=2, backend=backend)
client = objectfs.Client(**settings)
client.put("bucket", "k", b"x")
def thread(target, *args):
    started = threading.Thread(target=target, args=args, daemon=True)
    started.start()
    threads.append(started)
"""

STAGES = {
    "one waits": """
thread(client.get, "bucket", "stall")
time.sleep(0.3)
""",
    "one waits with a timeout": """
thread(lambda: client.get("bucket", "stall", timeout=30))
time.sleep(0.3)
""",
    "one waits for memory of its own": """
thread(client.get_into, "bucket", "stall", bytearray(100))
time.sleep(0.3)
""",
    "one waits for a batch": """
thread(client.get_many, "bucket", ["k", "stall"] * 20)
time.sleep(0.3)
""",
    "one writes parts": """
thread(client.put, "bucket", "parts", bytes(40 << 20))
time.sleep(0.5)
""",
    "many are busy": """
def work():
    while True:
        client.put("bucket", "k", bytes(1000))
        client.get("bucket", "k")
        list(client.list("bucket"))
for _ in range(8):
    thread(work)
time.sleep(0.5)
""",
    "one has a loop": """
async def main():
    async with objectfs.AsyncClient(**settings) as other:
        await asyncio.gather(*(other.get("bucket", "stall") for _ in range(5)), other.get("bucket", "k"))
thread(asyncio.run, main())
time.sleep(0.5)
""",
    "one has a loop that is busy": """
async def main():
    async with objectfs.AsyncClient(**settings) as other:
        while True:
            await asyncio.gather(*(other.get("bucket", "k") for _ in range(5)))
thread(asyncio.run, main())
time.sleep(0.5)
""",
    "one is waited for": """
joined = True
thread(client.get, "bucket", "stall")
time.sleep(0.3)
""",
    "many are waited for": """
joined = True
def work():
    while True:
        client.put("bucket", "k", bytes(1000))
        list(client.list("bucket"))
for _ in range(8):
    thread(work)
time.sleep(0.5)
""",
    "one holds a lock": """
joined = True
lock = threading.Lock()
def work():
    try:
        with lock:
            client.get("bucket", "stall")
    except objectfs.ObjectFSError as error:
        raise RuntimeError("of its own") from error
thread(work)
time.sleep(0.3)
""",
    "sys.exit": """
thread(client.get, "bucket", "stall")
time.sleep(0.3)
sys.exit(0)
""",
}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server(buckets=("bucket",)) as server:
        server.faults.add(Fault(key="stall", stall=True, times=None))
        server.faults.add(Fault("UploadPart", stall=True, times=None))
        yield server


@pytest.mark.parametrize("stage", STAGES)
def test_exit_is_silent(server: S3Server, backend: str, stage: str) -> None:
    done = python(PROGRAM + STAGES[stage], backend, server.endpoint_url)
    ended = time.monotonic()
    assert (done.returncode, done.stderr) == (0, "")
    assert ended - float(done.stdout) < 9  # not the ten seconds that closing may take


def test_other_errors_are_told(server: S3Server, backend: str) -> None:
    code = """
def work():
    try:
        client.get("bucket", "stall")
    except objectfs.ObjectFSError:
        pass
    raise ValueError("told")
joined = True
thread(work)
time.sleep(0.3)
"""
    done = python(PROGRAM + code, backend, server.endpoint_url)
    assert done.returncode == 0
    assert "ValueError: told" in done.stderr
