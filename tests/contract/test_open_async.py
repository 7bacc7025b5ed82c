"""Objects as files in asyncio programs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import pickle
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .support import MiB, check, ramp, until

SIZE = 7 * MiB + 55
PART = 5 * MiB
CONTENT = (
    random.Random(5).randbytes(SIZE // 2) + b"".join(b"%d\n" % number for number in range(560_000))[: SIZE // 2 + 1]
)

Program = Callable[[objectfs.AsyncClient], Coroutine[Any, Any, None]]


@pytest.fixture
def run(sim: S3Server, backend: str) -> Callable[[Program], None]:
    """Runs a program with a client of the backend under test; the object ``k`` is there."""

    def start(program: Program) -> None:
        async def main() -> None:
            async with connect(sim, backend) as client:
                await client.put("bucket", "k", CONTENT)
                sim.clear_requests()
                await program(client)

        asyncio.run(main())

    return start


@contextlib.asynccontextmanager
async def connect(sim: S3Server, backend: str) -> AsyncIterator[objectfs.AsyncClient]:
    async with objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        max_attempts=1,
        part_size=PART,
        backend=backend,
    ) as client:
        yield client


steps = st.one_of(
    st.tuples(st.just("seek"), st.one_of(st.integers(0, SIZE + 9), st.sampled_from([0, 256 * 1024, SIZE]))),
    st.tuples(
        st.sampled_from(["read", "readinto", "readline"]),
        st.one_of(st.integers(-1, 300), st.integers(0, 400_000), st.just(6 * MiB)),
    ),
    st.tuples(st.just("lines"), st.integers(1, 300)),
)


def test_it_reads_as_memory_does(run: Callable[[Program], None]) -> None:
    async def program(client: objectfs.AsyncClient) -> None:
        loop = asyncio.get_running_loop()

        async def replay(commands: list[tuple[str, int]], prefetch: int | None) -> None:
            model = io.BytesIO(CONTENT)
            async with await client.open("bucket", "k", prefetch=prefetch) as file:
                for what, number in commands:
                    await step(file, model, what, number)
                    assert await file.tell() == model.tell()

        @given(commands=st.lists(steps, max_size=12), prefetch=st.sampled_from([None, 0, MiB]))
        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        def check_all(commands: list[tuple[str, int]], prefetch: int | None) -> None:
            asyncio.run_coroutine_threadsafe(replay(commands, prefetch), loop).result(60)

        await asyncio.to_thread(check_all)

    run(program)


async def step(file: Any, model: io.BytesIO, what: str, number: int) -> None:
    if what == "seek":
        assert await file.seek(number) == model.seek(number)
    elif what == "read":
        assert await file.read(number) == model.read(number)
    elif what == "readinto":
        memory, expected = bytearray(max(0, number)), bytearray(max(0, number))
        assert await file.readinto(memory) == model.readinto(expected)
        assert memory == expected
    elif what == "readline":
        assert await file.readline(number) == model.readline(number)
    else:
        for _ in range(number):
            assert await file.readline() == model.readline()


def test_it_is_a_file(run: Callable[[Program], None]) -> None:
    async def program(client: objectfs.AsyncClient) -> None:
        await client.put("bucket", "lines", b"a\nb\n\nc", content_type="x/y")
        async with await client.open("bucket", "lines") as file:
            assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
            assert (file.info.content_type, file.name, file.mode) == ("x/y", "s3://bucket/lines", "rb")
            assert [line async for line in file] == [b"a\n", b"b\n", b"\n", b"c"]
            assert await file.seek(-4, io.SEEK_END) == 2
            assert await file.readlines() == [b"b\n", b"\n", b"c"]
            with pytest.raises(ValueError, match="negative"):
                await file.seek(-1)
            with pytest.raises(TypeError, match="pickled"):
                pickle.dumps(file)
        assert file.closed
        for use in (file.read, file.readline, file.tell, lambda: file.seek(0), lambda: file.readinto(bytearray(1))):
            with pytest.raises(ValueError, match="closed"):
                await use()
        with pytest.raises(errors.NotFoundError) as caught:
            await client.open("bucket", "none")
        check(caught.value, "GetObject", "bucket", "none", 404)
        with pytest.raises(errors.UnsupportedError):
            await client.open("bucket", "lines", "ab")

    run(program)


def test_cancelled_read(sim: S3Server, run: Callable[[Program], None]) -> None:
    """It moved nothing, and the next one reads what it would have."""

    async def program(client: objectfs.AsyncClient) -> None:
        gate = threading.Event()
        async with await client.open("bucket", "k", prefetch=0) as file:
            await file.seek(MiB - 100)
            for read in (lambda: file.read(1000), lambda: file.readinto(bytearray(1000)), file.readline, file.read):
                fault = sim.faults.add(Fault("GetObject", hold=gate))
                task = asyncio.ensure_future(read())
                await asyncio.to_thread(until, lambda fault=fault: fault.hits)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await file.tell() == MiB - 100
            sim.faults.clear()
            gate.set()
            assert await file.read(1000) == CONTENT[MiB - 100 : MiB + 900]

    run(program)


def test_replaced_while_open(run: Callable[[Program], None]) -> None:
    async def program(client: objectfs.AsyncClient) -> None:
        async with await client.open("bucket", "k", prefetch=0) as file:
            await file.read(10)
            await client.put("bucket", "k", b"x" * SIZE)
            await file.seek(MiB)
            with pytest.raises(errors.ObjectChangedError) as caught:
                await file.read(10)
            check(caught.value, "GetObject", "bucket", "k", 412)

    run(program)


def test_several_tasks(run: Callable[[Program], None]) -> None:
    async def program(client: objectfs.AsyncClient) -> None:
        pieces: list[bytes] = []
        async with await client.open("bucket", "k") as file:

            async def work() -> None:
                while piece := await file.read(70_001):
                    pieces.append(piece)

            await asyncio.gather(*(work() for _ in range(5)))
        assert sum(map(len, pieces)) == SIZE
        async with await client.open("bucket", "new", "wb") as out:

            async def write(value: int) -> None:
                for _ in range(20):
                    await out.write(bytes([value]) * 100_000)

            await asyncio.gather(*(write(value) for value in range(4)))
        data = bytes(await client.get("bucket", "new"))
        assert [data.count(value) for value in range(4)] == [2_000_000] * 4

    run(program)


@pytest.mark.parametrize("size", [0, 10, PART, PART + 1, 4 * PART + 9])
def test_writing(sim: S3Server, run: Callable[[Program], None], size: int) -> None:
    async def program(client: objectfs.AsyncClient) -> None:
        data = ramp(size)
        async with await client.open("bucket", "new", "wb", content_type="a/b") as file:
            for start in range(0, size, 900_000):
                piece = bytearray(data[start : start + 900_000])
                assert await file.write(piece) == len(piece)
                piece[:] = bytes(len(piece))
            assert await file.tell() == size
            assert not await client.exists("bucket", "new")
            with pytest.raises(io.UnsupportedOperation):
                await file.seek(0)
        assert file.result is not None
        info = await client.head("bucket", "new")
        assert (info.size, info.etag, info.content_type) == (size, file.result.etag, "a/b")
        assert bytes(await client.get("bucket", "new")) == data
        async with await client.open("bucket", "whole", "wb") as file:
            await file.write(data)
        assert bytes(await client.get("bucket", "whole")) == data
        with pytest.raises(errors.PreconditionFailedError):
            async with await client.open("bucket", "new", "xb") as file:
                await file.write(b"x" * size)
        assert file.result is None
        assert not (await client.call("ListMultipartUploads", Bucket="bucket")).get("Uploads")

    run(program)


async def gone(client: objectfs.AsyncClient) -> bool:
    """Whether nothing of an upload is left."""
    for _ in range(1000):
        if not (await client.call("ListMultipartUploads", Bucket="bucket")).get("Uploads"):
            return not await client.exists("bucket", "new")
        await asyncio.sleep(0.01)
    return False


def test_no_object(sim: S3Server, run: Callable[[Program], None]) -> None:
    async def program(client: objectfs.AsyncClient) -> None:
        for size in (10, 4 * PART):
            with pytest.raises(ZeroDivisionError):  # noqa: PT012
                async with await client.open("bucket", "new", "wb") as file:
                    await file.write(bytes(size))
                    raise ZeroDivisionError
            assert file.closed
            assert await gone(client)
            file = await client.open("bucket", "new", "wb")
            await file.write(bytes(size))
            await file.abort()
            assert await gone(client)
            file = await client.open("bucket", "new", "wb")
            await file.write(bytes(size))
            with pytest.warns(ResourceWarning, match="unclosed"):  # noqa: PT031
                del file
                gc.collect()
            assert await gone(client)

    run(program)


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_cancelled_write(sim: S3Server, run: Callable[[Program], None], operation: str) -> None:
    """At any stage it ends the upload, and nothing of it stays."""

    async def program(client: objectfs.AsyncClient) -> None:
        await client.put("bucket", "warm", bytes(3 * PART))
        gate = threading.Event()
        fault = sim.faults.add(Fault(operation, hold=gate, times=None))
        file = await client.open("bucket", "new", "wb")

        async def write() -> None:
            for _ in range(40):
                await file.write(bytearray(PART))
            await file.close()

        async def short() -> None:
            await file.write(bytearray(3 * PART))
            await file.close()

        task = asyncio.ensure_future(write() if operation == "UploadPart" else short())
        await asyncio.to_thread(until, lambda: fault.hits)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        sim.faults.clear()
        with contextlib.suppress(errors.ObjectFSError, ValueError):
            await file.write(bytearray(10))
            pytest.fail("it goes on")
        await file.abort()
        assert file.result is None
        if operation == "CompleteMultipartUpload":  # the server may have done it, and only its answer was late
            assert not (await client.call("ListMultipartUploads", Bucket="bucket")).get("Uploads")
        else:
            assert await gone(client)

    run(program)


def test_failures(sim: S3Server, run: Callable[[Program], None]) -> None:
    async def program(client: objectfs.AsyncClient) -> None:
        sim.faults.add(Fault("UploadPart", times=None, status=403, code="AccessDenied"))
        file = await client.open("bucket", "new", "wb")
        with pytest.raises(errors.AccessDeniedError) as caught:  # noqa: PT012
            await file.write(bytes(3 * PART))
            await file.close()
        check(caught.value, "UploadPart", "bucket", "new", 403)
        with contextlib.suppress(errors.AccessDeniedError):
            await file.close()
        assert file.result is None
        assert await gone(client)

    run(program)


TEXTS = st.text(alphabet="ab\r\n\n ä€\U0001f600", max_size=60)


def test_text_as_memory_does(run: Callable[[Program], None]) -> None:
    """Decoding, newlines, limits: as io.TextIOWrapper has them."""

    async def program(client: objectfs.AsyncClient) -> None:
        loop = asyncio.get_running_loop()

        async def replay(text: str, encoding: str, newline: str | None, reads: list[tuple[str, int]]) -> None:
            raw = io.BytesIO()
            model = io.TextIOWrapper(raw, encoding, newline=newline)
            async with await client.open("bucket", "t", "w", encoding, newline=newline) as out:
                for start in range(0, len(text), 7):
                    assert await out.write(text[start : start + 7]) == model.write(text[start : start + 7])
            model.flush()
            stored = raw.getvalue()
            assert bytes(await client.get("bucket", "t")) == stored
            model = io.TextIOWrapper(io.BytesIO(stored), encoding, newline=newline)
            async with await client.open("bucket", "t", "r", encoding, newline=newline) as file:
                for what, size in reads:
                    assert await getattr(file, what)(size) == getattr(model, what)(size)
                assert await file.readlines() == model.readlines()
                assert await file.seek(0) == model.seek(0)
                assert await file.read() == model.read()
                assert await file.read() == await file.readline() == ""

        @given(
            text=TEXTS,
            encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
            newline=st.sampled_from([None, "", "\n", "\r", "\r\n"]),
            reads=st.lists(st.tuples(st.sampled_from(["read", "readline"]), st.integers(-1, 12)), max_size=6),
        )
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        def check_all(text: str, encoding: str, newline: str | None, reads: list[tuple[str, int]]) -> None:
            asyncio.run_coroutine_threadsafe(replay(text, encoding, newline, reads), loop).result(60)

        await asyncio.to_thread(check_all)

    run(program)


def test_text(run: Callable[[Program], None]) -> None:
    async def program(client: objectfs.AsyncClient) -> None:
        lines = [f"{number} ä€\n" for number in range(150_000)]
        async with await client.open("bucket", "new", "x", content_type="text/x") as out:
            await out.writelines(lines)
            assert not await client.exists("bucket", "new")
            with pytest.raises(TypeError, match="str"):
                await out.write(b"bytes")  # type: ignore[arg-type]
        assert out.result is not None
        async with await client.open("bucket", "new", "r") as file:
            assert (file.encoding, file.mode, file.info.content_type) == ("utf-8", "r", "text/x")
            assert [line async for line in file] == lines
            with pytest.raises(io.UnsupportedOperation):
                await file.seek(5)
        with pytest.raises(ValueError, match="closed"):
            await file.read()
        with pytest.raises(ValueError, match="closed"):
            await out.write("x")
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with await client.open("bucket", "no", "w") as out:
                await out.write("x")
                raise ZeroDivisionError
        assert not await client.exists("bucket", "no")
        async with await client.open("bucket", "k", "r", "ascii") as file:
            with pytest.raises(UnicodeDecodeError):
                await file.read()
        with pytest.raises(ValueError, match="encoding"):
            await client.open("bucket", "k", "rb", "ascii")  # type: ignore[call-overload]
        with pytest.raises(LookupError):
            await client.open("bucket", "k", "r", "no-such")

    run(program)
