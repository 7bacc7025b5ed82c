"""Objects written as files: visible when closed, and not at all otherwise."""

from __future__ import annotations

import base64
import contextlib
import csv
import gc
import gzip
import hashlib
import io
import itertools
import json
import pickle
import tarfile
import threading
import time
import zipfile
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, check, ramp, until

PART = 5 * MiB


@pytest.fixture
def client(connect: Make) -> objectfs.Client:
    return connect(part_size=PART)


def pending(client: objectfs.Client) -> list[str]:
    """The keys of the uploads that wait at the server."""
    return [upload["Key"] for upload in client.call("ListMultipartUploads", Bucket="bucket").get("Uploads", ())]


def operations(sim: S3Server) -> list[str]:
    return sorted(request.operation for request in sim.requests)


# -- what is stored ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("block", [70_000, 100 * MiB])
def test_sizes_around_parts(sim: S3Server, client: objectfs.Client, block: int) -> None:
    for size in (0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 7, 5 * PART + 1):
        data = ramp(size)
        sim.clear_requests()
        with client.open("bucket", "k", "wb") as file:
            for start in range(0, size, block):
                piece = data[start : start + block]
                assert file.write(piece) == len(piece)
                assert file.tell() == start + len(piece)
        done = operations(sim)
        assert file.result is not None
        info = client.head("bucket", "k")
        assert (info.etag, info.size) == (file.result.etag, size)
        assert bytes(client.get("bucket", "k")) == data
        if size <= PART:
            assert done == ["PutObject"]
        else:
            assert done.count("UploadPart") == -(-size // PART)
            assert done.count("CompleteMultipartUpload") == done.count("CreateMultipartUpload") == 1
    assert not pending(client)


@given(
    sizes=st.lists(st.one_of(st.integers(0, 200), st.integers(0, 3 * MiB), st.just(PART)), max_size=8),
    buffering=st.sampled_from([-1, 0, 3, MiB]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_writes_as_memory_does(client: objectfs.Client, sizes: list[int], buffering: int) -> None:
    model = io.BytesIO()
    kinds = itertools.cycle([bytes, bytearray, memoryview, lambda data: np.frombuffer(data, "u1")])
    with client.open("bucket", "m", "wb", buffering) as file:
        for number, size in enumerate(sizes):
            data = ramp(size, number)
            assert file.write(next(kinds)(data)) == model.write(data)
            assert file.tell() == model.tell()
    assert bytes(client.get("bucket", "m")) == model.getvalue()


def test_what_is_written_may_change_afterwards(client: objectfs.Client) -> None:
    """Memory is borrowed during the call at most."""
    memory = bytearray(ramp(9 * PART))
    with client.open("bucket", "k", "wb", 0) as file:
        for _ in range(2):
            assert file.write(memory) == len(memory)
            memory[:] = bytes(len(memory))
            memory[:] = ramp(9 * PART)
        file.write(memory[: 2 * PART])
        memory[:] = bytes(len(memory))
        file.write(array("i", [1, 2, 3]))
    expected = ramp(9 * PART) * 2 + ramp(9 * PART)[: 2 * PART] + array("i", [1, 2, 3]).tobytes()
    assert bytes(client.get("bucket", "k")) == expected


def test_it_is_a_file(client: objectfs.Client) -> None:
    with client.open("bucket", "k", "wb") as file:
        assert isinstance(file, io.BufferedWriter)
        assert isinstance(file.raw, io.RawIOBase)
        assert (file.readable(), file.seekable(), file.writable(), file.isatty()) == (False, False, True, False)
        assert (file.mode, file.name, file.result) == ("wb", "s3://bucket/k", None)
        for use in (file.fileno, file.read, lambda: file.seek(0), file.truncate):
            with pytest.raises(io.UnsupportedOperation):
                use()
        with pytest.raises(TypeError):
            file.write("text")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(file)
        file.write(b"")
        file.writelines([b"a", b"b"])
        file.flush()
        assert not client.exists("bucket", "k")  # flush() makes nothing visible
    assert file.closed
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.write(b"x")
    assert bytes(client.get("bucket", "k")) == b"ab"
    with client.open("bucket", "raw", "wb", buffering=0) as raw:
        assert isinstance(raw, io.RawIOBase)
        raw.write(b"raw")
        assert raw.tell() == 3
    assert raw.result.etag == client.head("bucket", "raw").etag


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_options(client: objectfs.Client, size: int) -> None:
    with client.open(
        "bucket",
        "k",
        "wb",
        content_type="a/b",
        metadata={"m": "1"},
        storage_class="STANDARD_IA",
        headers={"cache-control": "no-store"},
    ) as file:
        file.write(bytes(size))
    info = client.head("bucket", "k")
    assert (info.content_type, info.metadata, info.storage_class) == ("a/b", {"m": "1"}, "STANDARD_IA")
    assert info.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("size", [10, 2 * PART + 1])
def test_expected_checksum(client: objectfs.Client, size: int) -> None:
    """A writer may know what its content must be: another is not stored."""
    right = hashlib.sha256(ramp(size)).digest()
    for wanted, stored in ((right, True), (hashlib.sha256(b"other").digest(), False)):
        client.delete("bucket", "k")
        expected = ("SHA256", base64.b64encode(wanted).decode())
        file = client.open("bucket", "k", "wb", expected_checksum=expected)
        file.write(ramp(size))
        if stored:
            file.close()
        else:
            with pytest.raises(errors.ChecksumError):
                file.close()
        assert client.exists("bucket", "k") == stored
    assert not pending(client)


@pytest.mark.parametrize("size", [10, 2 * PART + 1])
def test_exclusive(client: objectfs.Client, size: int) -> None:
    """Decided by S3 when it is closed; what was there stays."""
    with client.open("bucket", "k", "xb") as file:
        file.write(bytes(size))
    for file in (client.open("bucket", "k", "xb"), client.open("bucket", "k", "wb", if_none_match="*")):
        file.write(b"n" * size)
        with pytest.raises(errors.PreconditionFailedError) as caught:
            file.close()
        operation = "PutObject" if size < PART else "CompleteMultipartUpload"
        check(caught.value, operation, "bucket", "k", 412)
        assert file.closed
        assert file.result is None
    with pytest.raises(errors.PreconditionFailedError), client.open("bucket", "k", "x") as text:
        text.write("t" * size)
    assert bytes(client.get("bucket", "k")) == bytes(size)
    etag = client.head("bucket", "k").etag
    with client.open("bucket", "k", "wb", if_match=etag) as file:
        file.write(b"new")
    with pytest.raises(errors.PreconditionFailedError), client.open("bucket", "k", "wb", if_match=etag) as file:
        file.write(b"n" * size)
    assert bytes(client.get("bucket", "k")) == b"new"
    assert not pending(client)


def test_text(client: objectfs.Client) -> None:
    with client.open("bucket", "k", "w") as file:
        assert isinstance(file, io.TextIOWrapper)
        assert file.write("ä\n") == 2
        file.writelines(["b\n", "c"])
    assert file.result is not None
    assert bytes(client.get("bucket", "k")) == "ä\nb\nc".encode()
    with client.open("bucket", "k", "wt", encoding="utf-16-le", newline="\r\n") as file:
        file.write("ä\n")
    assert bytes(client.get("bucket", "k")) == "ä\r\n".encode("utf-16-le")
    file = client.open("bucket", "no", "w", encoding="ascii")
    with pytest.raises(UnicodeEncodeError):
        file.write("ä")
    file.abort()
    assert not client.exists("bucket", "no")


def test_users(client: objectfs.Client) -> None:
    big = ramp(2 * PART)
    with client.open("bucket", "k", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", big)
        archive.writestr("b", b"small")
    with client.open("bucket", "k") as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.read("a") == big
    with client.open("bucket", "k", "wb") as file, tarfile.open(fileobj=file, mode="w|gz") as tar:
        member = tarfile.TarInfo("one")
        member.size = len(big)
        tar.addfile(member, io.BytesIO(big))
    with client.open("bucket", "k") as file, tarfile.open(fileobj=file) as tar:
        found = tar.extractfile("one")
        assert found is not None
        assert found.read() == big
    with client.open("bucket", "k", "wb") as file, gzip.open(file, "wb") as packed:
        pickle.dump({"x": big}, packed)
    with client.open("bucket", "k") as file, gzip.open(file) as packed:
        assert pickle.load(packed) == {"x": big}
    with client.open("bucket", "k", "w", newline="") as lines:
        csv.writer(lines).writerows([["a", "b"], [1, 2]])
    assert bytes(client.get("bucket", "k")) == b"a,b\r\n1,2\r\n"
    with client.open("bucket", "k", "w") as file:
        json.dump([1, 2], file)
    with client.open("bucket", "k", "r") as file:
        assert json.load(file) == [1, 2]
    with client.open("bucket", "k", "wb") as file:
        np.save(file, np.arange(10))
    with client.open("bucket", "k") as file:
        assert (np.load(file) == np.arange(10)).all()


# -- no object --------------------------------------------------------------------------------------------------------
class Broken(Exception):
    """The program's own."""


@pytest.mark.parametrize("mode", ["wb", "w", "raw"])
def test_exception_in_the_block(client: objectfs.Client, mode: str) -> None:
    for size in (10, 3 * PART):
        file: Any = client.open("bucket", "k", "wb" if mode == "raw" else mode, 0 if mode == "raw" else -1)
        with pytest.raises(Broken), file:  # noqa: PT012
            file.write("x" * size if mode == "w" else bytes(size))
            raise Broken
        assert file.closed
        assert file.result is None
        assert not client.exists("bucket", "k")
        assert not pending(client)


def test_ctrl_c_in_the_block(sim: S3Server, client: objectfs.Client) -> None:
    """It does not wait for the server, which hears of it all the same."""
    client.put("bucket", "warm", bytes(3 * PART))
    gate = threading.Event()
    with pytest.raises(KeyboardInterrupt), client.open("bucket", "k", "wb", 0) as file:  # noqa: PT012
        file.write(bytes(2 * PART))
        sim.faults.add(Fault("AbortMultipartUpload", hold=gate))
        before = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - before < 0.2 + 0.3  # 200 ms, and what a shared test machine adds
    gate.set()
    until(lambda: not pending(client))
    assert not client.exists("bucket", "k")


@pytest.mark.parametrize("mode", ["wb", "w", "raw"])
def test_dropped(sim: S3Server, client: objectfs.Client, mode: str) -> None:
    file: Any = client.open("bucket", "k", "wb" if mode == "raw" else mode, 0 if mode == "raw" else -1)
    file.write("x" * 4 * PART if mode == "w" else bytes(4 * PART))
    file.write("y" if mode == "w" else b"y")
    with pytest.warns(ResourceWarning, match="unclosed"):  # noqa: PT031
        del file
        gc.collect()
    until(lambda: not pending(client))
    assert not client.exists("bucket", "k")
    assert "CompleteMultipartUpload" not in operations(sim)


def test_abort(client: objectfs.Client) -> None:
    for size in (0, 10, 4 * PART):
        file = client.open("bucket", "k", "wb")
        file.write(bytes(size))
        file.abort()
        assert file.closed
        file.abort()
        assert not client.exists("bucket", "k")
        assert not pending(client)
    with client.open("bucket", "k", "wb") as file:
        file.write(b"x")
        file.abort()  # and the block ends as if nothing were
    assert not client.exists("bucket", "k")
    with client.open("bucket", "k", "wb") as file:
        file.write(b"x")
    file.abort()  # too late: nothing
    assert client.exists("bucket", "k")


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_failures(sim: S3Server, client: objectfs.Client, operation: str) -> None:
    """Told by the write that meets them, or by close(), and again by what comes after; nothing stays."""
    client.put("bucket", "warm", b"")
    faults: list[tuple[dict[str, Any], type[errors.ObjectFSError]]] = [
        ({"status": 403, "code": "AccessDenied"}, errors.AccessDeniedError),
        ({"reset": True}, errors.ConnectionFailedError),
    ]
    for fault, kind in faults:
        sim.faults.add(Fault(operation, times=None, **fault))
        file = client.open("bucket", "k", "wb", 0)
        with pytest.raises(kind) as caught:  # noqa: PT012
            for _ in range(1 if operation == "PutObject" else 3):
                file.write(bytes(PART))
            file.close()
        if "status" in fault:
            check(caught.value, operation, "bucket", "k", 403)
        assert (caught.value.bucket, caught.value.key) == ("bucket", "k")
        if not file.closed:
            with pytest.raises(kind):
                file.write(bytes(10))
            with pytest.raises(kind):
                file.close()
        assert file.closed
        assert file.result is None
        sim.faults.clear()
        until(lambda: not pending(client))
        assert not client.exists("bucket", "k")


def test_a_failure_in_the_block(sim: S3Server, client: objectfs.Client) -> None:
    sim.faults.add(Fault("UploadPart", part_number=2, times=None, status=403, code="AccessDenied"))
    with pytest.raises(errors.AccessDeniedError), client.open("bucket", "k", "wb") as file:  # noqa: PT012
        for _ in range(100):
            file.write(bytes(MiB))
    assert file.closed
    assert not client.exists("bucket", "k")
    until(lambda: not pending(client))


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_timeout(sim: S3Server, client: objectfs.Client, operation: str) -> None:
    client.put("bucket", "warm", bytes(3 * PART))
    gate = threading.Event()
    sim.faults.add(Fault(operation, hold=gate, times=None))
    file = client.open("bucket", "k", "wb", timeout=0.2)
    before = time.monotonic()
    with pytest.raises(errors.TimeoutError):  # noqa: PT012
        file.write(bytes(3 * PART))
        file.close()
    assert time.monotonic() - before < 5
    gate.set()
    with contextlib.suppress(errors.TimeoutError):
        file.close()
    assert file.closed
    assert file.result is None
    sim.faults.clear()
    until(lambda: not pending(client))


@pytest.mark.parametrize("when", ["before", "between", "during"])
def test_client_closed_meanwhile(sim: S3Server, connect: Make, client: objectfs.Client, when: str) -> None:
    observer = connect()
    file = client.open("bucket", "k", "wb", 0)
    if when != "before":
        file.write(bytes(3 * PART))
    results: list[Any] = []

    def close() -> None:
        try:
            results.append(file.close())
        except errors.ObjectFSError as error:
            results.append(error)

    if when == "during":
        fault = sim.faults.add(Fault("CompleteMultipartUpload", delay=0.3))
        thread = threading.Thread(target=close)
        thread.start()
        until(lambda: fault.hits)
        client.close()
        thread.join(10)
    else:
        client.close()
        close()
    assert isinstance(results[0], (errors.ClosedError, errors.CancelledError))
    assert not pending(observer)


# -- several parts, several writers -----------------------------------------------------------------------------------
def test_parts_are_sent_together_and_memory_is_bounded(sim: S3Server, connect: Make) -> None:
    """Writing goes on while parts are on their way, and stops when they are many."""
    client = connect(part_size=PART, memory_limit="256 MiB", max_connections=3)
    client.put("bucket", "warm", bytes(3 * PART))
    gate = threading.Event()
    fault = sim.faults.add(Fault("UploadPart", hold=gate, times=None))
    written = [0]
    with client.open("bucket", "k", "wb", 0) as file:

        def write() -> None:
            for _ in range(60):
                written[0] += file.write(bytearray(MiB))

        thread = threading.Thread(target=write)
        thread.start()
        try:
            until(lambda: fault.hits == 3)
            until(lambda: written[0] >= 4 * PART - MiB)
            thread.join(0.3)
            assert thread.is_alive()
            assert written[0] <= 5 * PART  # three on their way, one that waits, and what is being written
        finally:
            gate.set()
            thread.join(20)
    assert client.head("bucket", "k").size == 60 * MiB


def test_two_writers_of_one_key(client: objectfs.Client) -> None:
    """Each writes an object of its own; the one that is closed last stays."""
    with client.open("bucket", "k", "wb") as first:
        with client.open("bucket", "k", "wb") as second:
            for number in range(3 * PART // MiB):
                first.write(ramp(MiB, number))
                second.write(b"2" * MiB)
        assert bytes(client.get("bucket", "k")) == b"2" * (3 * PART)
    assert bytes(client.get("bucket", "k")) == b"".join(ramp(MiB, number) for number in range(3 * PART // MiB))


def test_several_threads(client: objectfs.Client) -> None:
    with client.open("bucket", "k", "wb") as file:

        def work(value: int) -> None:
            for _ in range(30):
                file.write(bytes([value]) * 100_000)

        threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    data = bytes(client.get("bucket", "k"))
    assert [data.count(value) for value in range(4)] == [3_000_000] * 4
