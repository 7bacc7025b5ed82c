"""Objects read as files from their beginning to their end: held to the checksum that the server has of the whole."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import Counter
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.backends.digests import Digest
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp, until

KiB = 1024
SIZE = 11 * MiB + 4321
CONTENT = ramp(SIZE)
SIZES = [3 * KiB, 100_000, MiB, 9 * MiB, -1]


@pytest.fixture(autouse=True)
def stored(sim: S3Server, connect: Make) -> None:
    """With a CRC64NVME, or with what Python itself computes where there is no engine."""
    with connect(backend=None) as client:
        client.put("bucket", "k", CONTENT, **({} if client.backend.name == "crt" else {"checksum": "CRC32"}))
    sim.clear_requests()


def value(algorithm: str, content: bytes) -> str:
    digest = Digest(algorithm)
    digest.update(content)
    return digest.value()


def made(sim: S3Server) -> Counter[str | None]:
    """How many requests there were of each operation."""
    return Counter(request.operation for request in sim.requests)


def read_through(file: Any, size: int) -> bytes:
    found = bytearray()
    while piece := file.read(size):
        found += piece
    return bytes(found)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("buffering", [-1, 0])
def test_all_of_it(sim: S3Server, connect: Make, size: int, buffering: int) -> None:
    """Whatever the sizes of the reads; nothing is said before the end, and it costs one request."""
    with connect().open("bucket", "k", "rb", buffering) as file:
        assert file.info.checksum_validated is None
        assert read_through(file, size) == CONTENT
        assert file.info.checksum_validated == "CRC64NVME"
        file.seek(0)
        file.read(10)
        assert file.info.checksum_validated == "CRC64NVME"
    assert made(sim)["HeadObject"] == 1


def test_into_memory_and_in_mixed_steps(sim: S3Server, connect: Make) -> None:
    """Also where a read is longer than what is read ahead, and where what was read a moment ago is read again."""
    with connect().open("bucket", "k", "rb") as file:
        memory = bytearray(SIZE)
        found = file.readinto(memory)
        assert (found, memory) == (SIZE, CONTENT)
        assert file.info.checksum_validated == "CRC64NVME"
    with connect().open("bucket", "k", "rb") as file:
        assert file.peek(8)[:8] == CONTENT[:8]
        assert file.read(100) == CONTENT[:100]
        file.seek(0)
        assert file.readline() == CONTENT[: CONTENT.index(b"\n") + 1]
        file.seek(0)
        at = 0
        while at < SIZE:
            piece = file.read(70_001)
            assert piece == CONTENT[at : at + len(piece)]
            at += len(piece)
            if at < SIZE:
                at = file.seek(-20_000, io.SEEK_CUR)
        assert file.info.checksum_validated == "CRC64NVME"
    assert made(sim)["HeadObject"] == 2


@pytest.mark.parametrize("size", SIZES)
def test_what_is_not_the_object(sim: S3Server, connect: Make, size: int) -> None:
    """A byte was changed on its way, and no other check notices: the read that would bring the end says so, each time
    anew; the rest of the object can be read."""
    sim.faults.add(Fault("GetObject", corrupt=1000, after=1))
    with connect().open("bucket", "k", "rb", 0) as file:
        for _ in range(2):
            with pytest.raises(errors.ChecksumError) as caught:
                read_through(file, size)
            assert file.tell() < SIZE
        error = caught.value
        assert (error.operation, error.bucket, error.key) == ("GetObject", "bucket", "k")
        assert value("CRC64NVME", CONTENT) in str(error)
        assert "CRC64NVME" in str(error)
        assert file.info.checksum_validated is None
        file.seek(10)
        assert file.read(10) == CONTENT[10:20]
        file.seek(0)
        with pytest.raises(errors.ChecksumError):
            read_through(file, size)


def test_the_buffered_and_the_text_file(sim: S3Server, connect: Make) -> None:
    text = "".join(f"line {number}\n" for number in range(90_000))
    client = connect()
    client.put("bucket", "text", text.encode(), checksum="CRC32")
    with client.open("bucket", "text", "r") as file:
        assert sum(1 for _ in file) == 90_000
        assert file.info.checksum_validated == "CRC32"
    with client.open("bucket", "text", "r") as file:
        assert file.read() == text
        assert file.info.checksum_validated == "CRC32"
    sim.faults.add(Fault("GetObject", corrupt=0, after=1, times=2))
    with client.open("bucket", "text", "r") as file, pytest.raises(errors.ChecksumError, match="CRC32"):
        for _ in file:
            pass
    sim.faults.clear()
    sim.faults.add(Fault("GetObject", corrupt=0, after=1))
    with client.open("bucket", "k") as binary, pytest.raises(errors.ChecksumError):
        binary.read()


@pytest.mark.parametrize("size", [0, 1, 256 * KiB])
def test_what_one_request_brings(sim: S3Server, connect: Make, size: int) -> None:
    """is validated with that request, and costs no other."""
    client = connect()
    client.put("bucket", "small", CONTENT[:size], checksum="CRC32")
    sim.clear_requests()
    with client.open("bucket", "small") as file:
        assert file.read() == CONTENT[:size]
        if size:
            assert file.info.checksum_validated == "CRC32"
    assert made(sim)["HeadObject"] == (0 if size else 1)


def test_no_request_for_what_is_not_read_through(sim: S3Server, connect: Make) -> None:
    client = connect()
    with client.open("bucket", "k") as file:
        file.read(1000)
        file.seek(5 * MiB)
        assert read_through(file, MiB) == CONTENT[5 * MiB :]
        assert file.info.checksum_validated is None
        file.seek(0)
        assert read_through(file, MiB) == CONTENT
        assert file.info.checksum_validated is None
    with client.open("bucket", "k") as file:
        file.seek(-100, io.SEEK_END)
        assert file.read() == CONTENT[-100:]
    with client.open("bucket", "k", checksum="off") as file:
        assert file.read() == CONTENT
        assert file.info.checksum_validated is None
    with connect(checksum="off").open("bucket", "k") as file:
        assert file.read() == CONTENT
    assert made(sim)["HeadObject"] == 0


def test_a_gap_ends_it(sim: S3Server, connect: Make) -> None:
    with connect().open("bucket", "k") as file:
        file.read(2 * MiB)
        file.seek(100_000, io.SEEK_CUR)
        file.read()
        assert file.info.checksum_validated is None


def test_what_is_fetched_again_ends_it(sim: S3Server, connect: Make) -> None:
    """What was validated is not what was given."""
    with connect().open("bucket", "k", "rb", 0) as file:
        while (left := SIZE - 1 - file.tell()) > 0:
            file.read(min(left, MiB))
        reading = file._reading
        for segment in tuple(reading.segments):
            reading.segments.drop(segment)
        reading._current = None
        file.seek(100)
        file.read(10)
        file.seek(SIZE - 1)
        assert file.read(5) == CONTENT[-1:]
        assert file.info.checksum_validated is None


@pytest.mark.parametrize("kind", ["none", "parts", "refused", "replaced"])
def test_nothing_to_hold_it_to(sim: S3Server, connect: Make, kind: str) -> None:
    client = connect(part_size=5 * MiB)
    if kind == "none":
        client.put("bucket", "k", CONTENT, checksum="off")
    elif kind == "parts":  # one of their values, that nobody can compute of the whole
        client.put("bucket", "k", CONTENT, checksum="SHA256")
    elif kind == "refused":
        sim.faults.add(Fault("HeadObject", status=403, code="AccessDenied", times=None))
    else:  # when all that was read had been sent: that was right
        sim.faults.add(Fault("HeadObject", status=412, code="PreconditionFailed", times=None))
    sim.clear_requests()
    with client.open("bucket", "k") as file:
        assert read_through(file, 100_000) == CONTENT
        assert file.info.checksum_validated is None
    assert made(sim)["HeadObject"] == 1


def test_the_first_bytes_do_not_wait(sim: S3Server, connect: Make) -> None:
    """Nothing but the end does, while HeadObject has no answer; and that is not waited for where nobody wants the
    end."""
    gate = threading.Event()
    fault = sim.faults.add(Fault("HeadObject", hold=gate, times=None))
    client = connect()
    with client.open("bucket", "k") as file:
        at = 7 * MiB
        assert b"".join(file.read(100_000) for _ in range(at // 100_000)) == CONTENT[: at // 100_000 * 100_000]
        until(lambda: fault.hits == 1)
        file.seek(-10, io.SEEK_END)  # a leap: nothing is validated any more
        assert file.read() == CONTENT[-10:]
        assert file.info.checksum_validated is None
    ended: list[bytes] = []
    with client.open("bucket", "k") as file:
        thread = threading.Thread(target=lambda: ended.append(file.read()))
        thread.start()
        until(lambda: fault.hits == 2)
        assert not ended
        gate.set()
        thread.join(20)
        assert ended == [CONTENT]
        assert file.info.checksum_validated == "CRC64NVME"


def test_a_timeout_while_it_waits(sim: S3Server, connect: Make) -> None:
    """The next read goes on without."""
    gate = threading.Event()
    sim.faults.add(Fault("HeadObject", hold=gate, times=None))
    found = bytearray()
    late = 0
    with connect().open("bucket", "k", "rb", 0) as file:
        file._timeout = 0.3  # on a busy machine a read of the object's bytes may be late too
        try:
            while len(found) < SIZE:
                try:
                    found += file.read(500_000)
                except TimeoutError:
                    late += 1
                    assert late < 100
            assert late
            assert found == CONTENT
            assert file.info.checksum_validated is None
        finally:
            gate.set()


@pytest.mark.parametrize("way", ["read", "all", "read1", "readinto", "lines"])
def test_async(sim: S3Server, connect: Make, backend: str, way: str) -> None:
    async def through(client: objectfs.AsyncClient) -> str | None:
        found = bytearray()
        async with await client.open("bucket", "k") as file:
            if way == "all":
                found += await file.read()
            elif way == "read":
                while piece := await file.read(300_001):
                    found += piece
            elif way == "read1":
                while piece := await file.read1():
                    found += piece
            elif way == "readinto":
                memory = bytearray(MiB)
                while count := await file.readinto(memory):
                    found += memory[:count]
            else:
                async for line in file:
                    found += line
            assert found == CONTENT
            return file.info.checksum_validated

    async def work() -> None:
        async with objectfs.AsyncClient(**settings) as client:
            assert await through(client) == "CRC64NVME"
            sim.faults.add(Fault("GetObject", corrupt=77, after=1))
            with pytest.raises(errors.ChecksumError, match="CRC64NVME"):
                await through(client)

    settings = {
        "endpoint_url": sim.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "backend": backend,
    }
    asyncio.run(work())


def test_async_text(sim: S3Server, connect: Make, backend: str) -> None:
    async def work() -> None:
        async with (
            objectfs.AsyncClient(
                endpoint_url=sim.endpoint_url, access_key_id="test", secret_access_key="testtest", backend=backend
            ) as client,
            await client.open("bucket", "k", "r", encoding="latin-1", newline="") as file,
        ):
            assert await file.read() == CONTENT.decode("latin-1")
            assert file.info.checksum_validated == "CRC64NVME"

    asyncio.run(work())
