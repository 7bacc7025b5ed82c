"""Downloads that the engine writes to the file as they arrive, as if the file were memory."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import random
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectfs import _native, errors
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server

from .conftest import until

pytestmark = pytest.mark.skipif(
    not _native.debug_linked() or not hasattr(os, "memfd_create"),
    reason="the C library is linked shared, or this is no Linux: files are written by the C library",
)

MiB = 1024 * 1024
PART = 5 * MiB
SIZE = 4 * PART + 12_345
F_ADD_SEALS = 1033
F_SEAL_FUTURE_WRITE = 0x10
"""``linux/fcntl.h``: mappings that exist may write, nothing else may."""


@pytest.fixture(scope="module")
def data() -> bytes:
    return random.Random(11).randbytes(SIZE)


@pytest.fixture
def crt(make: Callable[..., CrtBackend], data: bytes) -> CrtBackend:
    backend = make(part_size=PART, max_attempts=3)
    run(backend.put("bucket", "k", data, PutOptions()))
    return backend


def fetch(crt: CrtBackend, fd: int, position: int, start: int, end: int, **more: Any) -> tuple[Any, Any]:
    """Bytes of the object to a place in a file: the sink, and the answer."""
    sink = _native.file_sink(fd, position, end - start)
    assert sink is not None
    target = crt.target("bucket")
    byte_range = None if more.get("validate") == "full" else f"{start}-{end - 1}"
    request = crt._get_request(target, "k", target.headers(), GetOptions(), byte_range, recv=sink, **more)
    op = target.engine.start([request])
    assert op.wait(30)
    return sink, op.result()[0]


@pytest.mark.parametrize("position", [0, 1, 4096, 3 * 4096 + 7])
@pytest.mark.parametrize(("start", "end"), [(0, SIZE), (PART - 3, 3 * PART + 5), (17, 18), (SIZE - 1, SIZE)])
def test_bytes_land_at_their_place(crt: CrtBackend, data: bytes, position: int, start: int, end: int) -> None:
    fd = os.memfd_create("sink")
    os.pwrite(fd, b"\xee" * (position + end - start + 9), 0)
    sink, response = fetch(crt, fd, position, start, end)
    assert response.received == end - start
    assert (sink.error, sink.written, len(sink)) == (0, end - start, end - start)
    assert os.pread(fd, SIZE * 2, 0) == b"\xee" * position + data[start:end] + b"\xee" * 9
    os.close(fd)


def test_files_go_this_way(crt: CrtBackend, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sinks = []
    real = _native.file_sink

    def watched(*args: int) -> Any:
        sinks.append(real(*args))
        return sinks[-1]

    monkeypatch.setattr(_native, "file_sink", watched)
    run(crt.get_file("bucket", "k", str(tmp_path / "f"), GetOptions()))
    run(crt.get_file("bucket", "k", str(tmp_path / "g"), GetOptions(start=5, end=SIZE - 5)))
    assert (tmp_path / "f").read_bytes() == data
    assert (tmp_path / "g").read_bytes() == data[5:-5]
    assert [sink.written for sink in sinks] == [SIZE - PART, SIZE - PART - 10]


def test_the_librarys_own_way(crt: CrtBackend, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where there can be no sink: shared libraries, other systems, files that are not local."""
    monkeypatch.setattr(_native, "file_sink", lambda *_: None)
    run(crt.get_file("bucket", "k", str(tmp_path / "f"), GetOptions()))
    assert (tmp_path / "f").read_bytes() == data


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC64NVME"])
def test_whole_object_checksums(make: Callable[..., CrtBackend], data: bytes, algorithm: str) -> None:
    """One that is put together from the parts', and one for which the C library reads all that has arrived."""
    crt = make(part_size=PART)
    if algorithm == "SHA256":
        digest = b64encode(hashlib.sha256(data).digest()).decode()
        run(crt.call("PutObject", {"Bucket": "bucket", "Key": "k", "Body": data, "ChecksumSHA256": digest}))
    else:
        run(crt.put("bucket", "k", data, PutOptions()))
    fd = os.memfd_create("sink")
    sink, response = fetch(crt, fd, 0, 0, SIZE, validate="full")
    assert (response.error_code, sink.error) == (0, 0)
    assert response.validated == algorithm
    assert os.pread(fd, SIZE, 0) == data
    os.close(fd)


def test_a_part_that_is_sent_again(crt: CrtBackend, sim: S3Server, data: bytes) -> None:
    sim.faults.add(Fault(operation="GetObject", key="k", after=1, times=2, close_at=2 * MiB))
    fd = os.memfd_create("sink")
    sink, response = fetch(crt, fd, 0, 0, SIZE)
    assert (response.error_code, sink.error) == (0, 0)
    assert sink.written > SIZE
    assert os.pread(fd, SIZE, 0) == data
    os.close(fd)


def test_a_write_that_fails(crt: CrtBackend, sim: S3Server) -> None:
    fd = os.memfd_create("sink", os.MFD_ALLOW_SEALING)
    sink = _native.file_sink(fd, 0, SIZE)
    assert sink is not None
    fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)
    target = crt.target("bucket")
    before = len(sim.requests)
    request = crt._get_request(target, "k", target.headers(), GetOptions(), f"0-{SIZE - 1}", recv=sink)
    op = target.engine.start([request])
    assert op.wait(30)
    assert op.result()[0].error_code != 0
    assert (sink.error, sink.written) == (errno.EPERM, 0)
    # one for each part at most: a disk that is full is so at the second attempt as well
    assert len(sim.requests) - before <= 5
    os.close(fd)


def test_the_error_of_a_write_is_told(crt: CrtBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _native.file_sink
    sealed = os.memfd_create("sink", os.MFD_ALLOW_SEALING)

    def sink(fd: int, position: int, size: int) -> Any:
        made = real(sealed, position, size)
        fcntl.fcntl(sealed, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)
        return made

    monkeypatch.setattr(_native, "file_sink", sink)
    with pytest.raises(errors.LocalFileError) as caught:
        run(crt.get_file("bucket", "k", str(tmp_path / "f"), GetOptions()))
    assert (caught.value.errno, caught.value.filename) == (errno.EPERM, str(tmp_path / "f"))
    assert (caught.value.operation, caught.value.key) == ("GetObject", "k")
    assert list(tmp_path.iterdir()) == []
    os.close(sealed)


def test_dropped_in_the_middle(crt: CrtBackend, sim: S3Server) -> None:
    """Cancelled, and neither handle is held: what arrives still finds its file, and the engine's end closes it."""
    gate = threading.Event()
    fault = sim.faults.add(Fault(operation="GetObject", key="k", after=1, times=None, hold=gate))
    fd = os.memfd_create("sink")
    sink = _native.file_sink(fd, 0, SIZE)
    target = crt.target("bucket")
    op = target.engine.start(
        [crt._get_request(target, "k", target.headers(), GetOptions(), f"0-{SIZE - 1}", recv=sink)]
    )
    os.close(fd)
    until(lambda: fault.hits)
    assert target.engine.inflight == 1
    before = len(os.listdir("/proc/self/fd"))
    op.cancel()
    del sink, op
    gate.set()
    crt.close()
    assert len(os.listdir("/proc/self/fd")) < before


def test_none_where_there_can_be_none(tmp_path: Path) -> None:
    for path in ("/dev/null", "/proc/self/comm"):
        fd = os.open(path, os.O_RDWR)
        assert _native.file_sink(fd, 0, 100) is None
        os.close(fd)
    reading, writing = os.pipe()
    assert _native.file_sink(writing, 0, 100) is None
    os.close(reading)
    os.close(writing)
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    fd = os.open(path, os.O_RDONLY)
    assert _native.file_sink(fd, 0, 3) is None
    assert _native.file_sink(-1, 0, 3) is None
    assert _native.file_sink(fd, 0, 0) is None
    os.close(fd)
    with pytest.raises(TypeError):
        _native.FileSink()


def test_many_at_a_time_and_no_descriptor_left() -> None:
    fd = os.memfd_create("sink")
    before = len(os.listdir("/proc/self/fd"))
    sinks = [_native.file_sink(fd, 0, 10) for _ in range(300)]
    assert sum(sink is not None for sink in sinks) == 256
    del sinks
    assert len(os.listdir("/proc/self/fd")) == before
    assert _native.file_sink(fd, 0, 10) is not None
    os.close(fd)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
def test_a_forked_child_has_sinks_of_its_own() -> None:
    """Another thread may be making or ending one at the moment of the fork; and the parent's take no place."""
    fd = os.memfd_create("sink")
    kept = [_native.file_sink(fd, 0, 10) for _ in range(256)]
    assert _native.file_sink(fd, 0, 10) is None
    del kept[200:]
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            _native.file_sink(fd, 0, 10)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(50):
            child = os.fork()
            if child == 0:
                made = [_native.file_sink(fd, 0, 10) for _ in range(256)]
                os._exit(0 if None not in made else 1)
            found: list[int] = []

            def over(child: int = child, found: list[int] = found) -> bool:
                pid, code = os.waitpid(child, os.WNOHANG)
                found += [code] if pid else []
                return bool(pid)

            until(over)
            assert found == [0]
    finally:
        stop.set()
        thread.join()
        os.close(fd)
