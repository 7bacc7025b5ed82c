"""Files that are sent from the page cache: native/source.c."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import random
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectfs import _native, errors
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server

from .conftest import Reader, backend_for, put, run_script, until

KiB = 1024
MiB = 1024 * KiB
PART = 5 * MiB
SIZE = 2 * PART + MiB + 77
DATA = random.Random(22).randbytes(SIZE)


@pytest.fixture(autouse=True)
def linked() -> None:
    if _native.debug_source_bytes() is None:
        pytest.skip("the C libraries are shared ones, or this is no Linux: files go through the library's reader")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def crt(make: Callable[..., CrtBackend]) -> CrtBackend:
    return make(part_size=PART, max_attempts=2)


def sent() -> int:
    count = _native.debug_source_bytes()
    assert count is not None
    return count


def source_of(path: Path, size: int | None = None) -> _native.FileSource:
    with open(path, "rb") as opened:
        made = _native.file_source(opened.fileno(), path.stat().st_size if size is None else size)
    assert made is not None
    return made


def stored(backend: CrtBackend) -> bytes:
    return bytes(run(backend.get("bucket", "k", GetOptions())))


def descriptors(path: Path) -> set[int]:
    """Of this process, that are open on it."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f"/proc/self/fd/{name}") == str(path):
                found.add(int(name))
    return found


def exists(backend: CrtBackend) -> bool:
    try:
        return bool(run(backend.head("bucket", "k", GetOptions())))
    except errors.NotFoundError:
        return False


@pytest.mark.parametrize("checksum", ["CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256", "off"])
def test_what_is_sent_is_the_file(crt: CrtBackend, sim: S3Server, file: Path, checksum: str) -> None:
    before = sent()
    result = run(crt.put_file("bucket", "k", str(file), PutOptions(checksum=checksum)))
    assert stored(crt) == DATA
    assert 0 < sent() - before <= SIZE
    assert (result.checksum is not None) == (checksum != "off")


@pytest.mark.parametrize("checksum", ["CRC64NVME", "CRC32", "SHA256"])
def test_a_server_that_says_nothing_of_the_whole(crt: CrtBackend, sim: S3Server, file: Path, checksum: str) -> None:
    wanted = run(crt.put_file("bucket", "k", str(file), PutOptions(checksum=checksum)))
    headers = [f"x-amz-checksum-{checksum.lower()}"]
    document = (
        '<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ETag>"e"</ETag>'
        "</CompleteMultipartUploadResult>"
    )
    sim.faults.add(Fault("CompleteMultipartUpload", replace=document, drop_headers=headers))
    result = run(crt.put_file("bucket", "k", str(file), PutOptions(checksum=checksum)))
    assert result.checksum == wanted.checksum
    assert wanted.checksum is not None


@pytest.mark.parametrize("start", [0, 1, 4095, PART])
@pytest.mark.parametrize("size", [1, 4 * KiB, 32 * KiB - 1, 32 * KiB, 128 * KiB + 1, 512 * KiB, MiB + 1])
def test_any_piece_of_it(crt: CrtBackend, file: Path, start: int, size: int) -> None:
    view = memoryview(source_of(file))[start : start + size]
    op = put(crt, view, checksum="CRC64NVME")
    assert op.wait(20)
    assert op.result()[0].status == 200
    assert stored(crt) == DATA[start : start + size]


def test_over_tls(tmp_path: Path, file: Path) -> None:
    with S3Server(tls=True) as sim:
        backend = backend_for(sim.endpoint_url, part_size=PART, verify=str(sim.ca_file))
        before = sent()
        run(backend.put_file("bucket", "k", str(file), PutOptions()))
        assert stored(backend) == DATA
        assert sent() == before  # TLS has to read them
        backend.close()


@pytest.mark.parametrize("step", [1 * KiB, 16 * KiB, 300 * KiB])
def test_a_server_that_takes_it_piece_by_piece(reader: Reader, remote: CrtBackend, file: Path, step: int) -> None:
    before = sent()
    op = put(remote, memoryview(source_of(file))[: 2 * MiB])
    reader.accept()
    while len(reader.body) < 2 * MiB:
        assert reader.step(step)
    reader.answer()
    assert op.wait(20)
    assert op.result()[0].status == 200
    assert reader.body == DATA[: 2 * MiB]
    assert 0 < sent() - before < 2 * MiB


def test_nobody_touches_the_mapping(crt: CrtBackend, sim: S3Server, file: Path) -> None:
    """Of a file that becomes shorter there is no memory: who touched it would end the process."""
    held = threading.Event()
    sim.faults.add(Fault("UploadPart", hold=held, part_number=3))
    steps = crt.put_file("bucket", "k", str(file), PutOptions())
    done = threading.Thread(target=run, args=(steps,))
    done.start()
    until(lambda: sum(seen.operation == "UploadPart" for seen in sim.requests) == 3)
    blocks = Path("/proc/self/smaps").read_text().split(str(file))[1:]
    held.set()
    done.join()
    assert stored(crt) == DATA
    assert len(blocks) == 1
    assert "Rss:                   0 kB" in blocks[0].split("VmFlags")[0]


def test_what_is_not_in_memory(crt: CrtBackend, file: Path) -> None:
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    run(crt.put_file("bucket", "k", str(file), PutOptions()))
    assert stored(crt) == DATA


def test_a_file_that_becomes_shorter(reader: Reader, remote: CrtBackend, file: Path) -> None:
    source = source_of(file)
    op = put(remote, source)
    reader.accept()
    os.truncate(file, 300 * KiB)
    while reader.step(64 * KiB):
        pass
    assert op.wait(20)
    assert op.result()[0].error_code
    assert source.error == errno.ENODATA
    # what was on its way then may be zeros; but there is no whole body, and so no object
    assert reader.body[: 300 * KiB] == DATA[: 300 * KiB]
    assert len(reader.body) < SIZE


@pytest.mark.parametrize("change", ["shorter", "longer", "other", "gone", "replaced"])
def test_a_file_that_changes(crt: CrtBackend, sim: S3Server, file: Path, change: str) -> None:
    held = threading.Event()
    sim.faults.add(Fault("CreateMultipartUpload", hold=held))

    def work() -> None:
        until(lambda: sim.requests)
        if change == "shorter":
            os.truncate(file, PART + 1)
        elif change == "longer":
            with open(file, "ab") as opened:
                opened.write(b"x")
        elif change == "other":
            with open(file, "r+b") as opened:
                opened.write(b"x" * 100)
        else:
            os.unlink(file)
            if change == "replaced":
                file.write_bytes(DATA[::-1])
        held.set()

    worker = threading.Thread(target=work)
    worker.start()
    with pytest.raises(errors.ObjectChangedError, match="the file changed while it was sent"):
        run(crt.put_file("bucket", "k", str(file), PutOptions()))
    worker.join()
    assert not exists(crt)
    until(lambda: any(seen.operation == "AbortMultipartUpload" for seen in sim.requests))


def test_changed_between_checksum_and_sending(reader: Reader, remote: CrtBackend, file: Path) -> None:
    """The server has the checksum of what was there before, and refuses what is not that."""
    op = put(remote, source_of(file), checksum="CRC32")
    reader.accept()
    with open(file, "r+b") as opened:
        opened.seek(SIZE - 5)
        opened.write(b"other")
    while len(reader.body) < SIZE:
        assert reader.step(64 * KiB)
    reader.answer()
    assert op.wait(20)
    assert reader.body == DATA[:-5] + b"other"
    checksum = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big"))
    assert b"x-amz-checksum-crc32: " + checksum in reader.head


def test_a_file_that_cannot_be_read(
    crt: CrtBackend, sim: S3Server, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _native.file_source

    def broken(fd: int, size: int) -> Any:
        """Its descriptor is one that is open for writing only."""
        source = made(fd, size)
        (its,) = descriptors(file) - {fd}
        other = os.open(file, os.O_WRONLY)
        os.dup2(other, its, inheritable=False)
        os.close(other)
        return source

    monkeypatch.setattr(_native, "file_source", broken)
    with pytest.raises(errors.LocalFileError) as found:
        run(crt.put_file("bucket", "k", str(file), PutOptions()))
    assert (found.value.errno, found.value.filename) == (errno.EBADF, str(file))
    assert not exists(crt)


SIGPIPE = """
import signal, socket
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
with open(PATH, 'rb') as file:
    source = _native.file_source(file.fileno(), 100_000)
ours, theirs = socket.socketpair()
assert _native.debug_source_send(source, ours.fileno()) > 0
theirs.close()
assert _native.debug_source_send(source, ours.fileno()) == 0
print('fine')
"""


def test_a_peer_that_is_gone(file: Path, sim: S3Server) -> None:
    """Writing to its connection raises a signal that ends a program, where the program has not said otherwise."""
    assert run_script(SIGPIPE.replace("PATH", repr(str(file))), sim.endpoint_url) == "fine\n"


def test_a_server_that_goes_away(crt: CrtBackend, sim: S3Server, file: Path) -> None:
    sim.faults.add(Fault("UploadPart", reset=True, received=100 * KiB, times=None))
    with pytest.raises(errors.ConnectionFailedError):
        run(crt.put_file("bucket", "k", str(file), PutOptions()))
    assert not exists(crt)


def test_cancelled(reader: Reader, remote: CrtBackend, file: Path) -> None:
    source = source_of(file)
    op = put(remote, source)
    reader.accept()
    op.cancel()
    assert op.wait(20)
    assert op.result()[0].error_code
    del op, source
    while reader.step(64 * KiB):
        pass
    assert reader.body == DATA[: len(reader.body)]
    assert not descriptors(file)


def test_a_failure_that_is_kept_keeps_no_file_open(crt: CrtBackend, sim: S3Server, file: Path) -> None:
    sim.faults.add(Fault("UploadPart", status=403, code="AccessDenied", times=None))
    with pytest.raises(errors.AccessDeniedError) as found:
        run(crt.put_file("bucket", "k", str(file), PutOptions()))
    until(lambda: not descriptors(file))
    assert found.value.__traceback__ is not None


def test_a_read_that_fails_is_not_tried_again(reader: Reader, file: Path) -> None:
    """The file would not be another, and others need what the endpoint has of tries."""
    backend = backend_for(reader.url, max_attempts=5)
    op = put(backend, source_of(file))
    reader.accept()
    os.truncate(file, 300 * KiB)
    while reader.step(64 * KiB):
        pass
    assert op.wait(20)
    assert backend.stats()["retries"] == 0
    backend.close()


def test_a_failure_tells_the_pace_nothing(make: Callable[..., CrtBackend], sim: S3Server, tmp_path: Path) -> None:
    """A refusal of 10 GiB after 100 ms was a rate of 100 GB/s, by which the next upload was judged."""
    crt = make()
    file = tmp_path / "large"
    with open(file, "wb") as opened:
        opened.truncate(1 << 30)
    sim.faults.add(Fault("UploadPart", status=403, code="AccessDenied", times=None))
    pace = crt.target("bucket").engine.paces
    for _ in range(2):
        with pytest.raises(errors.AccessDeniedError):
            run(crt.put_file("bucket", "k", str(file), PutOptions()))
    assert pace.describe()["upload"] == 64


def test_a_child_leaves_the_parents_alone(crt: CrtBackend, file: Path) -> None:
    source = source_of(file)
    pid = os.fork()
    if pid == 0:
        del source
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    op = put(crt, memoryview(source)[:PART])
    assert op.wait(20)
    assert stored(crt) == DATA[:PART]


def test_more_than_there_are_places(file: Path) -> None:
    with open(file, "rb") as opened:
        made = [_native.file_source(opened.fileno(), SIZE) for _ in range(257)]
        assert [source is None for source in made] == [False] * 256 + [True]
        made.clear()
        assert _native.file_source(opened.fileno(), SIZE) is not None


def test_not_of_what_an_event_loop_must_not_wait_for() -> None:
    with open("/proc/self/status", "rb") as opened:
        assert _native.file_source(opened.fileno(), 100) is None


def test_nobody_makes_one_but_file_source() -> None:
    with pytest.raises(TypeError, match="file_source"):
        _native.FileSource()


@pytest.mark.parametrize("change", [False, True])
def test_by_the_librarys_reader(
    crt: CrtBackend, sim: S3Server, file: Path, monkeypatch: pytest.MonkeyPatch, change: bool
) -> None:
    monkeypatch.setattr(_native, "file_source", lambda fd, size: None)
    before = sent()
    if change:
        held = threading.Event()
        sim.faults.add(Fault("UploadPart", hold=held, part_number=2))

        def touch() -> None:
            until(lambda: len(sim.requests) > 2)
            os.utime(file)
            held.set()

        worker = threading.Thread(target=touch)
        worker.start()
        with pytest.raises(errors.ObjectChangedError, match="the file changed while it was sent"):
            run(crt.put_file("bucket", "k", str(file), PutOptions()))
        worker.join()
    else:
        run(crt.put_file("bucket", "k", str(file), PutOptions()))
        assert stored(crt) == DATA
    assert sent() == before
