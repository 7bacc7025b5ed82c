"""Time limits, progress, Ctrl-C, closing, forks and exits."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, python, ramp

# -- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "get_into", "get_file", "put", "put_large", "head", "list", "get_many"])
def test_timeout(sim: S3Server, connect: Make, verb: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    client = connect()
    client.put("bucket", "k", ramp(1000))
    sim.faults.add(Fault(times=None, stall=True))
    target = bytearray(1000)
    verbs: dict[str, Any] = {
        "get": lambda: client.get("bucket", "k", timeout=0.3),
        "get_into": lambda: client.get_into("bucket", "k", target, timeout=0.3),
        "get_file": lambda: client.get_file("bucket", "k", tmp_path / "file", timeout=0.3),
        "put": lambda: client.put("bucket", "k", b"x", timeout=0.3),
        "put_large": lambda: client.put("bucket", "k", ramp(20 * MiB), timeout=0.3),
        "head": lambda: client.head("bucket", "k", timeout=0.3),
        "list": lambda: list(client.list("bucket", timeout=0.3)),
        "get_many": lambda: client.get_many("bucket", ["k"] * 20, timeout=0.3),
    }
    before = time.monotonic()
    with pytest.raises(errors.TimeoutError) as caught:
        verbs[verb]()
    assert time.monotonic() - before < 3
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.bucket == "bucket"
    assert caught.value.operation
    assert list(tmp_path.iterdir()) == []
    sim.faults.clear()
    assert bytes(client.get("bucket", "k", timeout=20)) == ramp(1000)


def test_timeout_in_the_middle(sim: S3Server, connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", ramp(40 * MiB))
    sim.faults.add(Fault("GetObject", after=1, times=None, stall=True))
    target = bytearray(40 * MiB)
    with pytest.raises(errors.TimeoutError):
        client.get_into("bucket", "k", target, timeout=0.5)
    deadline = time.monotonic() + 5
    while True:  # the export may outlast the call until the engine has let go, and no longer
        try:
            target.append(0)
            break
        except BufferError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_timeout_aborts_the_upload(sim: S3Server, connect: Make) -> None:
    client = connect()
    sim.faults.add(Fault("UploadPart", part_number=2, times=None, stall=True))
    with pytest.raises(errors.TimeoutError):
        client.put("bucket", "k", ramp(30 * MiB), timeout=1)
    deadline = time.monotonic() + 5
    while client.call("ListMultipartUploads", Bucket="bucket").get("Uploads"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not client.exists("bucket", "k")


def test_generous_timeout(connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", ramp(MiB), timeout=30)
    assert len(client.get("bucket", "k", timeout=30)) == MiB
    with pytest.raises(errors.TimeoutError):
        client.get("bucket", "k", timeout=0)


# -- progress ------------------------------------------------------------------------------------------------------


def test_progress(sim: S3Server, connect: Make) -> None:
    client = connect()
    threads: set[int] = set()
    for size in (0, 1000, 30 * MiB):
        seen: list[int] = []

        def note(count: int, seen: list[int] = seen) -> None:
            threads.add(threading.get_ident())
            seen.append(count)

        client.put("bucket", "k", ramp(size), progress=note)
        assert seen[-1] >= size
        assert seen == sorted(seen)
        seen.clear()
        assert len(client.get("bucket", "k", progress=note)) == size
        assert seen[-1] == size
        assert seen == sorted(seen)
    assert threads == {threading.get_ident()}


def test_progress_is_coalesced(sim: S3Server, connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", ramp(20 * MiB))
    sim.faults.add(Fault("GetObject", times=None, delay=0.4))
    seen: list[int] = []
    before = time.monotonic()
    client.get("bucket", "k", progress=seen.append)
    assert 2 <= len(seen) <= (time.monotonic() - before) / 0.08 + 2


def test_progress_that_raises(sim: S3Server, connect: Make, tmp_path) -> None:  # type: ignore[no-untyped-def]
    client = connect()
    client.put("bucket", "k", ramp(1000))
    sim.faults.add(Fault("GetObject", times=None, delay=2))

    def stop(count: int) -> None:
        raise LookupError("enough")

    before = time.monotonic()
    with pytest.raises(LookupError, match="enough"):
        client.get_file("bucket", "k", tmp_path / "file", progress=stop)
    assert time.monotonic() - before < 1
    assert list(tmp_path.iterdir()) == []


# -- threads -------------------------------------------------------------------------------------------------------


def test_many_threads(connect: Make) -> None:
    client = connect(max_connections=4)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                data = ramp(10_000 + number, turn)
                client.put("bucket", f"k{number}", data)
                assert bytes(client.get("bucket", f"k{number}")) == data
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


# -- the end of a client -------------------------------------------------------------------------------------------


def test_closed(connect: Make, tmp_path) -> None:  # type: ignore[no-untyped-def]
    client = connect()
    client.put("bucket", "k", b"x")
    listing = client.list("bucket")
    assert not client.closed
    client.close()
    client.close()
    assert client.closed
    assert "closed" in repr(client)
    for verb in (
        lambda: client.get("bucket", "k"),
        lambda: client.get_into("bucket", "k", bytearray(1)),
        lambda: client.get_file("bucket", "k", tmp_path / "f"),
        lambda: client.get_many("bucket", ["k"]),
        lambda: client.put("bucket", "k", b""),
        lambda: client.put("bucket", "k", iter([b""])),
        lambda: client.head("bucket", "k"),
        lambda: client.delete("bucket", "k"),
        lambda: client.call("ListBuckets"),
        lambda: client.presign("get", "bucket", "k"),
        lambda: next(listing),
        lambda: client.stats(),
    ):
        with pytest.raises(errors.ClosedError) as caught:
            verb()
        assert isinstance(caught.value, RuntimeError)


def test_closed_while_in_use(sim: S3Server, connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", b"x")
    sim.faults.add(Fault("GetObject", times=None, stall=True))
    results: list[Any] = []

    def read() -> None:
        try:
            results.append(client.get("bucket", "k"))
        except BaseException as error:
            results.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.3)
    before = time.monotonic()
    client.close()
    reader.join(10)
    assert not reader.is_alive()
    assert time.monotonic() - before < 5
    assert isinstance(results[0], (errors.CancelledError, errors.ClosedError))


def test_dropped(sim: S3Server, backend: str) -> None:
    """A client that nobody closed is cleaned up when it is collected; what it gave away stays."""
    before = threading.active_count()
    client = objectfs.Client(
        endpoint_url=sim.endpoint_url, access_key_id="test", secret_access_key="testtest", backend=backend
    )
    client.put("bucket", "k", b"x")
    kept = client.get("bucket", "k")
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    deadline = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.02)
    assert bytes(kept) == b"x"


def test_pickled(connect: Make, sim: S3Server, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(connect())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testtest")
    with objectfs.Client(endpoint_url=sim.endpoint_url, backend=backend, part_size="6 MiB") as client:
        content = pickle.dumps(client)
        assert b"testtest" not in content
        with pickle.loads(content) as again:
            again.put("bucket", "k", b"x")
            assert again.stats()["part_size"] == 6 * MiB
            assert again.backend.name == backend


# -- other processes -----------------------------------------------------------------------------------------------

START = """
    import os, sys, time
    import objectfs
    client = objectfs.Client(
        endpoint_url=sys.argv[1], backend=sys.argv[2], access_key_id="test", secret_access_key="testtest"
    )
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    "verb", ["get('bucket', 'k')", "put('bucket', 'k2', b'x' * 20_000_000)", "head('bucket', 'k')"]
)
def test_interrupt(sim: S3Server, connect: Make, backend: str, verb: str) -> None:
    """Ctrl-C is answered within 200 ms, and the client works on."""
    connect().put("bucket", "k", b"x")
    sim.faults.add(Fault(after=1, times=1, stall=True))
    done = python(
        START
        + f"""
    import signal, threading
    client.get("bucket", "k")  # what is imported with the first request can take longer than the signal
    stamps = []

    def interrupt():
        time.sleep(0.7)
        stamps.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        client.{verb}
    except KeyboardInterrupt:
        print(time.monotonic() - stamps[0])
    assert bytes(client.get("bucket", "k", timeout=20)) == b"x"
    client.close()
    """,
        sim.endpoint_url,
        backend,
    )
    assert done.returncode == 0
    # CreateMultipartUpload was sent, and what became of it nobody knows
    assert [line[:14] for line in done.stderr.splitlines()] == ["s3://bucket/k2"] * verb.startswith("put")
    # 200 ms, and what a shared test machine adds
    assert float(done.stdout) < 0.2 + 0.3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
@pytest.mark.not_under("thread", "a child of a fork has threads")
def test_fork(sim: S3Server, connect: Make, backend: str) -> None:
    """A child that uses its parent's client gets a backend of its own, and the parent does not notice."""
    done = python(
        START
        + """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    client.put("bucket", "k", b"x" * 1000)
    into = bytearray(1000)
    children = []
    for number in range(3):
        child = os.fork()
        if not child:
            code = 1
            try:
                assert client.get_into("bucket", "k", into) == 1000
                client.put("bucket", f"child{number}", b"y")
                code = 0
                if number == 1:
                    client.close()
                    sys.exit(0)
            finally:
                if number != 1 or code:
                    os._exit(code)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert bytes(client.get("bucket", "k")) == b"x" * 1000
    assert [entry.key for entry in client.list("bucket", "child")] == ["child0", "child1", "child2"]
    client.close()
    print("fine")
    """,
        sim.endpoint_url,
        backend,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "fine\n")


STAGES = {
    "imported": "import objectfs.client",
    "made": START,
    "used": START + "\n    client.put('bucket', 'k', b'x'); client.get('bucket', 'k')",
    "closed": START + "\n    client.put('bucket', 'k', b'x'); client.close()",
    "listing": START + "\n    client.put('bucket', 'k', b'x'); listing = client.list('bucket'); next(listing)",
    "buffer kept": START + "\n    client.put('bucket', 'k', b'x'); kept = client.get('bucket', 'k')",
    "global in cycle": START + "\n    cycle = [client]; cycle.append(cycle); client.put('bucket', 'k', b'x')",
    "exception": START + "\n    try: client.get('bucket', 'missing')\n    except Exception as error: kept = error",
    "thread running": START
    + """
    import threading
    client.put('bucket', 'k', b'x')
    def forever():
        while True:
            try: client.get('bucket', 'k')
            except Exception: break
    for _ in range(3): threading.Thread(target=forever, daemon=True).start()
    time.sleep(0.3)
    """,
    "request under way": START
    + """
    import threading
    def stalled():
        try: client.get('bucket', 'stalled')
        except BaseException: pass
    threading.Thread(target=stalled, daemon=True).start()
    time.sleep(0.5)
    """,
    "async": START
    + """
    import asyncio
    other = objectfs.AsyncClient(
        endpoint_url=sys.argv[1], backend=sys.argv[2], access_key_id="test", secret_access_key="testtest"
    )
    asyncio.run(other.put('bucket', 'k', b'x'))
    """,
}


@pytest.mark.parametrize("stage", STAGES)
def test_exit(sim: S3Server, backend: str, stage: str) -> None:
    """An interpreter that ends says nothing and does not hang, wherever it stands."""
    sim.faults.add(Fault(key="stalled", times=None, stall=True))
    before = time.monotonic()
    done = python(STAGES[stage], sim.endpoint_url, backend)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - before < 20


def test_signal_handlers_are_left_alone(connect: Make) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    connect().put("bucket", "k", b"x")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
