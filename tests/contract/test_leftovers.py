"""A multipart upload that is given up while its CreateMultipartUpload, or its abort, is on the wire leaves nothing.

The server holds the answer, so that each test interrupts in that window and not beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, python, ramp

SIZE = 20 * MiB
Verb = Callable[[objectfs.Client], Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(ramp(SIZE))
    return path


@pytest.fixture(params=["memory", "file", "stream"])
def put(request: pytest.FixtureRequest, file: Path) -> Verb:
    """Each way to make a multipart upload."""
    verbs: dict[str, Verb] = {
        "memory": lambda client: client.put("bucket", "k", ramp(SIZE)),
        "file": lambda client: client.put_file("bucket", "k", file),
        "stream": lambda client: client.put("bucket", "k", iter([ramp(SIZE)])),
    }
    return verbs[request.param]


@pytest.fixture
def interrupts() -> Iterator[None]:
    """SIGUSR1 does what Ctrl-C does, so that one that comes too late does not end the whole run."""

    def raise_interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, raise_interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def pending(sim: S3Server) -> list[str]:
    """The keys of the uploads that wait at the server."""
    with objectfs.Client(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        backend="sdk",
    ) as observer:
        return [upload["Key"] for upload in observer.call("ListMultipartUploads", Bucket="bucket").get("Uploads", ())]


def interrupt_when(fault: Fault, stamps: list[float]) -> threading.Thread:
    """Send the signal to the main thread when the fault has struck."""

    def send() -> None:
        until(lambda: fault.hits)
        stamps.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@needs_signals
@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("late", [0.03, 0.6])
def test_ctrl_c_before_create_is_answered(sim: S3Server, connect: Make, put: Verb, late: float) -> None:
    """The answer comes within the time that Ctrl-C may take, or after it: nothing stays either way."""
    client = connect()
    client.put("bucket", "warm", b"x")
    fault = sim.faults.add(Fault("CreateMultipartUpload", delay=late))
    stamps: list[float] = []
    sender = interrupt_when(fault, stamps)
    with pytest.raises(KeyboardInterrupt):
        put(client)
    elapsed = time.monotonic() - stamps[0]
    sender.join()
    client.close()
    assert pending(sim) == []
    assert any(request.operation == "AbortMultipartUpload" for request in sim.requests)
    assert elapsed < 0.2 + 0.3  # 200 ms, and what a shared test machine adds


@needs_signals
@pytest.mark.usefixtures("interrupts")
def test_ctrl_c_without_a_close(sim: S3Server, connect: Make, put: Verb) -> None:
    """The client is used on, and the upload goes all the same."""
    client = connect()
    gate = threading.Event()
    fault = sim.faults.add(Fault("CreateMultipartUpload", hold=gate))
    sender = interrupt_when(fault, [])
    with pytest.raises(KeyboardInterrupt):
        put(client)
    sender.join()
    assert pending(sim) == ["k"]
    gate.set()
    until(lambda: pending(sim) == [])
    put(client)
    assert client.head("bucket", "k").size == SIZE
    assert pending(sim) == []


@needs_signals
@pytest.mark.usefixtures("interrupts")
def test_ctrl_c_before_the_abort_is_answered(sim: S3Server, connect: Make, put: Verb) -> None:
    client = connect()
    sim.faults.add(Fault("UploadPart", part_number=2, times=None, status=403, code="AccessDenied"))
    fault = sim.faults.add(Fault("AbortMultipartUpload", times=None, delay=0.5))
    stamps: list[float] = []
    sender = interrupt_when(fault, stamps)
    with pytest.raises(KeyboardInterrupt):
        put(client)
    elapsed = time.monotonic() - stamps[0]
    sender.join()
    client.close()
    assert pending(sim) == []
    assert elapsed < 0.2 + 0.3


def test_timeout(sim: S3Server, connect: Make, file: Path) -> None:
    client = connect()
    client.put("bucket", "warm", b"x")
    data = ramp(SIZE)
    gate = threading.Event()
    for verb in (
        lambda: client.put("bucket", "k", data, timeout=0.2),
        lambda: client.put_file("bucket", "k", file, timeout=0.2),
        lambda: client.put("bucket", "k", iter([data]), timeout=0.2),
    ):
        sim.faults.add(Fault("CreateMultipartUpload", hold=gate))
        before = time.monotonic()
        with pytest.raises(errors.TimeoutError):
            verb()
        assert time.monotonic() - before < 0.2 + 0.1 + 1 + 0.3  # the limit, to stop, to clean up, a busy machine
    gate.set()
    client.close()
    assert pending(sim) == []


@pytest.mark.parametrize("late", [0.03, 0.6])
def test_cancelled_task(sim: S3Server, backend: str, file: Path, late: float) -> None:
    async def main() -> None:
        async with objectfs.AsyncClient(
            endpoint_url=sim.endpoint_url,
            access_key_id="test",
            secret_access_key="testtest",
            region="us-east-1",
            backend=backend,
        ) as client:
            await client.put("bucket", "warm", b"x")
            for verb in (
                lambda: client.put("bucket", "k", ramp(SIZE)),
                lambda: client.put_file("bucket", "k", file),
                lambda: client.put("bucket", "k", iter([ramp(SIZE)])),
            ):
                fault = sim.faults.add(Fault("CreateMultipartUpload", delay=late))
                task = asyncio.ensure_future(verb())
                await asyncio.to_thread(until, lambda fault=fault: fault.hits)
                before = time.monotonic()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert time.monotonic() - before < 0.1 + 1 + 0.3

    asyncio.run(main())
    assert pending(sim) == []


def test_dropped_coroutine(sim: S3Server, backend: str) -> None:
    """A loop that is stopped leaves its coroutines where they stand."""
    client = objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        backend=backend,
    )
    gate = threading.Event()
    fault = sim.faults.add(Fault("CreateMultipartUpload", hold=gate))
    loop = asyncio.new_event_loop()
    putting = client.put("bucket", "k", ramp(SIZE))
    task = loop.create_task(putting)

    loop.run_until_complete(asyncio.to_thread(until, lambda: fault.hits))
    putting.close()
    gate.set()
    until(lambda: pending(sim) == [])
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, RuntimeError):
        loop.run_until_complete(task)
    client.close()
    loop.close()


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_closed_meanwhile(sim: S3Server, connect: Make, put: Verb, operation: str) -> None:
    """Another thread closes the client."""
    client = connect()
    fault = sim.faults.add(Fault(operation, delay=0.3))
    thread, results = in_thread(lambda: put(client))
    until(lambda: fault.hits)
    before = time.monotonic()
    client.close()
    elapsed = time.monotonic() - before
    thread.join(10)
    assert isinstance(results[0], (errors.CancelledError, errors.ClosedError))
    assert pending(sim) == []
    assert elapsed < 5


def test_closed_between_two_reads(sim: S3Server, connect: Make) -> None:
    """The stream's reader is busy when the client is closed: nobody waits for anything at that moment."""
    client = connect()
    gate, asked = threading.Event(), threading.Event()

    def blocks() -> Iterator[bytes]:
        yield ramp(SIZE)
        asked.set()
        gate.wait(20)
        yield ramp(SIZE)

    thread, results = in_thread(lambda: client.put("bucket", "k", blocks()))
    assert asked.wait(20)
    client.close()
    assert pending(sim) == []
    gate.set()
    thread.join(10)
    assert isinstance(results[0], (errors.CancelledError, errors.ClosedError))
    assert pending(sim) == []


@pytest.mark.parametrize("verb", ["put('bucket', 'k', bytes(20 << 20))", "put_file('bucket', 'k', sys.argv[3])"])
def test_interpreter_exit(sim: S3Server, backend: str, file: Path, verb: str) -> None:
    """The main thread ends while a daemon thread waits for the answer."""
    fault = sim.faults.add(Fault("CreateMultipartUpload", delay=0.4))
    done = python(
        f"""
    import sys, threading, time
    import objectfs
    client = objectfs.Client(endpoint_url=sys.argv[1], backend=sys.argv[2], access_key_id="test",
                             secret_access_key="testtest", region="us-east-1")
    client.put("bucket", "warm", b"x")
    threading.Thread(target=lambda: client.{verb}, daemon=True).start()
    end = time.monotonic() + 20
    other = objectfs.Client(endpoint_url=sys.argv[1], backend=sys.argv[2], access_key_id="test",
                            secret_access_key="testtest", region="us-east-1")
    while not other.call("ListMultipartUploads", Bucket="bucket").get("Uploads") and time.monotonic() < end:
        time.sleep(0.01)
    """,
        sim.endpoint_url,
        backend,
        file,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert fault.hits == 1
    assert pending(sim) == []


def test_an_answer_that_never_comes(sim: S3Server, connect: Make, put: Verb, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be cleaned up is said, with the remedy; closing does not wait for it for long."""
    client = connect(read_timeout=60)
    client.put("bucket", "warm", b"x")
    gate = threading.Event()
    fault = sim.faults.add(Fault("CreateMultipartUpload", hold=gate))
    thread, _ = in_thread(lambda: put(client))
    until(lambda: fault.hits)
    before = time.monotonic()
    with caplog.at_level(logging.WARNING, "objectfs"):
        client.close()
    elapsed = time.monotonic() - before
    thread.join(10)
    assert not thread.is_alive()
    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    text = record.getMessage()
    assert "s3://bucket/k" in text
    assert "AbortIncompleteMultipartUpload" in text
    assert elapsed < 6
    gate.set()


def test_an_abort_that_fails(sim: S3Server, connect: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = connect()
    sim.faults.add(Fault("UploadPart", part_number=2, times=None, status=403, code="AccessDenied"))
    sim.faults.add(Fault("AbortMultipartUpload", times=None, status=403, code="AccessDenied"))
    with caplog.at_level(logging.WARNING, "objectfs"), pytest.raises(errors.AccessDeniedError) as caught:
        client.put("bucket", "k", ramp(SIZE))
    assert caught.value.operation == "UploadPart"
    (text,) = (record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert "s3://bucket/k" in text
    assert "AbortIncompleteMultipartUpload" in text
    with caplog.at_level(logging.WARNING, "objectfs"):
        caplog.clear()
        sim.faults.clear()
        sim.faults.add(Fault("UploadPart", part_number=2, times=None, status=403, code="AccessDenied"))
        sim.faults.add(Fault("AbortMultipartUpload", times=None, status=404, code="NoSuchUpload"))
        with pytest.raises(errors.AccessDeniedError):
            client.put("bucket", "k", ramp(SIZE))
    assert not caplog.records  # it is gone: nothing to say
