"""What happens to objects that are open for reading: servers that fail, objects that change, clients that close."""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server
from objectfs.transfer import reading

from .conftest import Make
from .raw_server import Asked, RawServer, answer
from .support import MiB, check, python, ramp, until

SIZE = 6 * MiB


@pytest.fixture
def client(sim: S3Server, connect: Make) -> objectfs.Client:
    made = connect()
    made.put("bucket", "k", ramp(SIZE))
    sim.clear_requests()
    return made


# -- another object under the same key --------------------------------------------------------------------------------
@pytest.mark.parametrize("prefetch", [0, None])
def test_replaced_while_open(client: objectfs.Client, prefetch: int | None) -> None:
    """What comes is of one object, and then an error."""
    old = ramp(SIZE)
    for size in (SIZE, 1000, 0, SIZE + 5):
        client.put("bucket", "k", old)
        with client.open("bucket", "k", prefetch=prefetch) as file:
            read = file.read(1000)
            client.put("bucket", "k", b"n" * size)
            with pytest.raises(errors.ObjectChangedError) as caught:  # noqa: PT012
                while True:
                    read += file.read(100_000) or pytest.fail("the end, without an error")
            check(caught.value, "GetObject", "bucket", "k", 412)
            assert read == old[: len(read)]
            assert len(read) < SIZE
            with pytest.raises(errors.ObjectChangedError):  # and it stays so
                file.read(SIZE)
            with pytest.raises(errors.ObjectChangedError):
                file.raw.readall()
        with client.open("bucket", "k") as file:
            assert file.read() == b"n" * size


def test_a_server_that_ignores_conditions(sim: S3Server, client: objectfs.Client) -> None:
    """The answer's own ETag and size are compared too."""
    for fault in (Fault("GetObject", etag='"another"'), Fault("GetObject", replace=True, drop_headers=["etag"])):
        with client.open("bucket", "k", prefetch=0) as file:
            file.seek(3 * MiB)
            sim.faults.add(fault)
            with pytest.raises(errors.ObjectChangedError):
                file.read(10)
            sim.faults.clear()
        client.put("bucket", "k", ramp(SIZE))


def test_deleted_while_open(client: objectfs.Client) -> None:
    with client.open("bucket", "k", prefetch=0) as file:
        file.read(10)
        client.delete("bucket", "k")
        file.seek(2 * MiB)
        with pytest.raises(errors.NotFoundError) as caught:
            file.read(10)
        check(caught.value, "GetObject", "bucket", "k", 404)


# -- servers and networks that fail -----------------------------------------------------------------------------------
FAULTS: list[tuple[dict[str, Any], type[errors.ObjectFSError]]] = [
    ({"status": 503, "code": "SlowDown"}, errors.ThrottledError),
    ({"status": 500}, errors.ServerError),
    ({"status": 403, "code": "AccessDenied"}, errors.AccessDeniedError),
    ({"reset": True}, errors.ConnectionFailedError),
    ({"truncate": 1000}, errors.TruncatedError),
    ({"shift_range": 1}, errors.ObjectFSError),
]


@pytest.mark.parametrize("how", ["sequential", "random", "all"])
def test_errors_come_with_the_read_that_needs_the_bytes(sim: S3Server, client: objectfs.Client, how: str) -> None:
    """Not before it; and the next read tries again."""
    data = ramp(SIZE)
    for fault, kind in FAULTS:
        sim.clear_requests()
        with client.open("bucket", "k") as file:
            sim.faults.add(Fault("GetObject", times=None, **fault))
            if how == "sequential":
                read = file.read(256 * 1024)  # there already; what is behind it fails on the way
                assert read == data[: len(read)]
                until(lambda: len(sim.requests) > 1)
                assert file.tell() == 256 * 1024
            elif how == "random":
                file.seek(4 * MiB)
            position = file.tell()
            with pytest.raises(kind) as caught:
                file.read() if how == "all" else file.read(10)
            assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("GetObject", "bucket", "k")
            sim.faults.clear()
            file.seek(position)
            assert file.read() == data[position:]


def test_attempts(sim: S3Server, connect: Make) -> None:
    """Each range is tried again as any request is."""
    client = connect(max_attempts=3)
    client.put("bucket", "k", ramp(SIZE))
    with client.open("bucket", "k") as file:
        sim.faults.add(Fault("GetObject", times=1, status=500))
        sim.faults.add(Fault("GetObject", times=1, reset=True))
        assert file.read(SIZE) == ramp(SIZE)
    assert len(sim.faults.injected) == 2


@pytest.mark.parametrize("size", [0, 5, 300_000, 3 * MiB])
async def test_endpoints_without_ranges(connect: Make, backend: str, size: int) -> None:
    """They send all of the object. A small one is read from memory; a large one is refused before it is fetched."""
    content = ramp(size)

    def handle(asked: Asked) -> bytes:
        headers = [("ETag", '"e"'), ("Content-Type", "text/x")]
        return answer(200, headers, b"" if asked.method == "HEAD" else content, size)

    with RawServer(handle) as server:
        client = connect(endpoint_url=server.url)
        with client.open("bucket", "k") as file:
            assert (file.info.size, file.info.etag, file.info.content_type) == (size, '"e"', "text/x")
            assert file.read() == content
            before = len(server.asked)
            file.seek(size // 2)
            assert file.read(100) == content[size // 2 :][:100]
            file.seek(0)
            assert file.readline() == content[: content.find(b"\n") + 1 or size]
        assert len(server.asked) == before
        async with (
            objectfs.AsyncClient(
                endpoint_url=server.url, access_key_id="test", secret_access_key="testtest", backend=backend
            ) as other,
            await other.open("bucket", "k", "r", encoding="latin-1", newline="") as text,
        ):
            assert await text.read() == content.decode("latin-1")


@pytest.mark.parametrize("most", [3 * MiB, 1000])
def test_large_objects_of_endpoints_without_ranges(connect: Make, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Or such whose length is not what was said."""
    monkeypatch.setattr(reading, "WHOLE", most)
    size = 2 * MiB

    def handle(asked: Asked) -> bytes:
        if asked.method == "HEAD":
            return answer(200, [("ETag", '"e"')], length=size)
        return answer(200, [("ETag", '"e"')], ramp(size - 1))

    with RawServer(handle) as server:
        with pytest.raises(errors.UnsupportedError, match=r"get_file\(\)") as caught:
            connect(endpoint_url=server.url).open("bucket", "k")
        assert caught.value.operation == "GetObject"
        assert sum(asked.method == "GET" for asked in server.asked) == (1 if most == 1000 else 2)


def test_timeout(sim: S3Server, client: objectfs.Client) -> None:
    gate = threading.Event()
    with client.open("bucket", "k", timeout=0.2, prefetch=0) as file:
        sim.faults.add(Fault("GetObject", hold=gate))
        file.seek(MiB)
        before = time.monotonic()
        with pytest.raises(errors.TimeoutError):
            file.read(10)
        assert time.monotonic() - before < 2
        gate.set()
        assert file.read(10) == ramp(SIZE)[MiB : MiB + 10]  # it may be tried again
    sim.faults.add(Fault("GetObject", hold=threading.Event()))
    with pytest.raises(errors.TimeoutError):
        client.open("bucket", "k", timeout=0.1)


# -- the end ----------------------------------------------------------------------------------------------------------
def idle(client: objectfs.Client) -> bool:
    """Whether nothing is on its way. The engine notices the end of what nobody waits for with the next request."""
    client.exists("bucket", "k")
    return client.stats().get("operations_in_flight", 0) == 0


def test_close_cancels(sim: S3Server, client: objectfs.Client) -> None:
    gate = threading.Event()
    file = client.open("bucket", "k")
    fault = sim.faults.add(Fault("GetObject", hold=gate, times=None))
    file.read(200_000)
    until(lambda: fault.hits >= 3)
    before = time.monotonic()
    file.close()
    assert time.monotonic() - before < 1
    until(lambda: idle(client))
    gate.set()
    with client.open("bucket", "k") as again:
        assert again.read() == ramp(SIZE)


def test_dropped(sim: S3Server, client: objectfs.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, as any file, and cancels what is on its way."""
    for mode in ("rb", "r"):
        gate = threading.Event()
        file: Any = client.open("bucket", "k", mode, errors="replace") if mode == "r" else client.open("bucket", "k")
        fault = sim.faults.add(Fault("GetObject", hold=gate, times=3))
        file.read(100_000)
        until(lambda fault=fault: fault.hits == 3)
        with pytest.warns(ResourceWarning, match="unclosed"):  # noqa: PT031
            del file
            gc.collect()
        until(lambda: idle(client))
        gate.set()
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dropped in (False, True):
            file = client.open("bucket", "k")
            if not dropped:
                file.close()
            del file
            gc.collect()
            assert told == ([ResourceWarning] if dropped else [])
    assert idle(client)


def test_client_closed_meanwhile(sim: S3Server, client: objectfs.Client) -> None:
    file = client.open("bucket", "k")
    file.read(10)
    client.close()
    file.seek(3 * MiB)
    with pytest.raises(errors.ClosedError) as caught:
        file.read(10)
    check(caught.value, "GetObject", "bucket", "k", None)
    file.close()


def test_client_closed_during_a_read(sim: S3Server, client: objectfs.Client) -> None:
    file = client.open("bucket", "k", prefetch=0)
    fault = sim.faults.add(Fault("GetObject", delay=20))
    file.seek(3 * MiB)
    results: list[Any] = []

    def read() -> None:
        try:
            results.append(file.read(10))
        except errors.ObjectFSError as error:
            results.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    until(lambda: fault.hits)
    client.close()
    thread.join(10)
    assert isinstance(results[0], errors.ClosedError)
    file.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.not_under("thread", "a child of a fork has threads")
def test_fork(sim: S3Server, backend: str) -> None:
    """The child cannot use what is open, says so, and does no harm to the parent."""
    done = python(
        """
    import os, sys
    import objectfs
    client = objectfs.Client(endpoint_url=sys.argv[1], backend=sys.argv[2], access_key_id="test",
                             secret_access_key="testtest", region="us-east-1")
    data = bytes(range(256)) * (1 << 14)
    client.put("bucket", "k", data)
    file = client.open("bucket", "k", buffering=0)
    file.readinto(bytearray(100_000))
    writer = client.open("bucket", "w", "wb")
    writer.write(bytes(20 << 20))
    child = os.fork()
    if not child:
        try:
            for use in (lambda: file.readinto(bytearray(10)), lambda: file.readall(),
                        lambda: (writer.write(bytes(1 << 20)), writer.flush())):
                try:
                    use()
                except objectfs.errors.ClosedError as error:
                    assert "forked" in str(error), error
                else:
                    os._exit(3)
            file.close()
            writer.abort()
            with client.open("bucket", "k") as own:
                assert own.read() == data
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(4)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert file.readall() == data[100_000:]
    file.close()
    writer.close()
    assert client.head("bucket", "w").size == 20 << 20
    client.close()
    """,
        sim.endpoint_url,
        backend,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("mode", ["rb", "w"])
def test_interpreter_exit(sim: S3Server, backend: str, mode: str) -> None:
    """With an open file in a global variable: silent but for the warning, and no upload stays."""
    done = python(
        """
    import sys, warnings
    warnings.simplefilter("ignore", ResourceWarning)
    import objectfs
    client = objectfs.Client(endpoint_url=sys.argv[1], backend=sys.argv[2], access_key_id="test",
                             secret_access_key="testtest", region="us-east-1")
    client.put("bucket", "k", bytes(20 << 20))
    file = client.open("bucket", "k" if "r" in sys.argv[3] else "new", sys.argv[3])
    if "r" in sys.argv[3]:
        file.read(300_000)
    else:
        file.write(bytes(20 << 20) if "b" in sys.argv[3] else "x" * (20 << 20))
    """,
        sim.endpoint_url,
        backend,
        mode,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with objectfs.Client(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        backend=backend,
    ) as client:
        assert not client.exists("bucket", "new")
        assert not client.call("ListMultipartUploads", Bucket="bucket").get("Uploads")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("how", [io.BufferedReader.read, io.BufferedReader.readline])
def test_ctrl_c(sim: S3Server, client: objectfs.Client, how: Callable[..., bytes]) -> None:
    """A read that is interrupted ends at once; the next one goes on."""
    import signal

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    gate = threading.Event()
    try:
        with client.open("bucket", "k", prefetch=0) as file:
            file.seek(MiB)
            fault = sim.faults.add(Fault("GetObject", hold=gate))
            stamps: list[float] = []

            def send() -> None:
                until(lambda: fault.hits)
                stamps.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGUSR1)

            thread = threading.Thread(target=send)
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                how(file, 10)
            assert time.monotonic() - stamps[0] < 0.2 + 0.3  # 200 ms, and what a shared test machine adds
            thread.join()
            gate.set()
            assert file.read(10) == ramp(SIZE)[MiB : MiB + 10]
    finally:
        signal.signal(signal.SIGUSR1, before)
