"""Checksums that are sent behind the content: native/lent.c, src/objectfs/backends/crt_trailer.py."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from objectfs import _native, errors
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.digests import Digest
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server
from objectfs.sim.service import Service

from .conftest import Reader, backend_for, put

KiB = 1024
MiB = 1024 * KiB
PART = 5 * MiB
DATA = random.Random(23).randbytes(2 * PART + MiB + 77)


@pytest.fixture
def crt(make: Callable[..., CrtBackend]) -> CrtBackend:
    return make(part_size=PART)


def digest(algorithm: str, data: bytes) -> str:
    found = Digest(algorithm)
    found.update(data)
    return found.value()


def lent() -> int:
    return _native.debug_lent_bytes() or 0


def content(backend: CrtBackend) -> bytes:
    return bytes(run(backend.get("bucket", "k", GetOptions())))


# --- what goes over the wire -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256"])
@pytest.mark.parametrize("size", [1, 32 * KiB - 1, 32 * KiB, 512 * KiB - 9, 512 * KiB, MiB + 1, len(DATA)])
def test_the_server_agrees(sim: S3Server, crt: CrtBackend, size: int, algorithm: str) -> None:
    """It compares, and refuses what does not fit: BadDigest, IncompleteBody."""
    before = lent()
    op = put(crt, DATA[:size], checksum=algorithm, trailer=True)
    assert op.wait(20)
    (response,) = op.result()
    name = f"x-amz-checksum-{algorithm.lower()}"
    assert (response.status, response.headers[name]) == (200, digest(algorithm, DATA[:size]))
    assert sim.requests[-1].headers["x-amz-trailer"] == name
    assert content(crt) == DATA[:size]
    if _native.debug_lent_bytes() is not None:
        assert (lent() > before) == (size >= 32 * KiB)


@pytest.mark.parametrize("step", [1 * KiB, 300 * KiB])
def test_a_server_that_takes_it_piece_by_piece(reader: Reader, remote: CrtBackend, step: int) -> None:
    """What the kernel has no room for is sent later, and is in the checksum once."""
    body = DATA[: 3 * MiB + 77]
    op = put(remote, body, checksum="CRC64NVME", trailer=True)
    reader.accept()
    end = f"\r\n0\r\nx-amz-checksum-crc64nvme:{digest('CRC64NVME', body)}\r\n\r\n".encode()
    whole = b"%X\r\n" % len(body) + body + end
    while len(reader.body) < len(whole):
        assert reader.step(step)
    reader.answer()
    assert op.wait(20)
    assert op.result()[0].status == 200
    assert reader.body == whole
    assert f"content-length: {len(whole)}" in reader.head.decode("latin-1").lower()


def test_after_a_cancel_the_memory_is_the_callers(reader: Reader, remote: CrtBackend) -> None:
    body = bytearray(DATA * 4)  # more than the sockets have room for
    whole = bytes(body)
    op = put(remote, body, checksum="CRC64NVME", trailer=True)
    reader.accept()
    op.cancel()
    assert op.wait(20)
    (response,) = op.result()
    assert response.error_code
    del response, op
    body[:] = b"\xee" * len(body)
    while reader.step(64 * KiB):
        pass
    head, _, rest = bytes(reader.body).partition(b"\r\n")
    assert int(head, 16) == len(whole)
    assert rest == whole[: len(rest)]
    assert 0 < len(rest) < len(whole)


def test_over_tls() -> None:
    with S3Server(tls=True, buckets=("bucket",)) as server:
        backend = backend_for(server.endpoint_url, verify=server.ca_file)
        op = put(backend, DATA, checksum="CRC64NVME", trailer=True)
        assert op.wait(20)
        assert op.result()[0].status == 200
        assert content(backend) == DATA
        backend.close()


def test_a_body_that_is_sent_again(sim: S3Server, make: Callable[..., CrtBackend]) -> None:
    backend = make(max_attempts=3)
    sim.faults.add(Fault(operation="PutObject", received=2 * MiB, reset=True, times=1))
    sim.faults.add(Fault(operation="PutObject", code="SlowDown", times=1))
    op = put(backend, DATA, checksum="CRC64NVME", trailer=True)
    assert op.wait(20)
    assert op.result()[0].status == 200
    assert content(backend) == DATA
    assert len([request for request in sim.requests if request.operation == "PutObject"]) == 3


def test_a_file(crt: CrtBackend, tmp_path: Path) -> None:
    """It is read for the checksum, and sent from there."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open(path, "rb") as opened:
        source = _native.file_source(opened.fileno(), len(DATA))
    if source is None:
        pytest.skip("files are not sent from the page cache here")
    op = put(crt, memoryview(source), checksum="CRC64NVME", trailer=True)
    assert op.wait(20)
    assert op.result()[0].status == 200
    assert content(crt) == DATA


def test_a_file_that_has_become_shorter(crt: CrtBackend, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open(path, "rb") as opened:
        source = _native.file_source(opened.fileno(), len(DATA))
    if source is None:
        pytest.skip("files are not sent from the page cache here")
    path.write_bytes(DATA[:MiB])
    op = put(crt, memoryview(source), checksum="CRC64NVME", trailer=True)
    assert op.wait(20)
    assert op.result()[0].error == "AWS_ERROR_S3_NON_RECOVERABLE_ASYNC_ERROR"


def test_many_threads(make: Callable[..., CrtBackend]) -> None:
    backend = make()
    wrong: list[str] = []

    def work(seed: int) -> None:
        drawn = random.Random(seed)
        for number in range(8):
            data = drawn.randbytes(drawn.randrange(1, 2 * MiB))
            algorithm = drawn.choice(["CRC64NVME", "CRC32", "SHA256"])
            op = put(backend, data, checksum=algorithm, trailer=drawn.random() < 0.7)
            assert op.wait(60)
            (response,) = op.result()
            if response.headers.get(f"x-amz-checksum-{algorithm.lower()}") != digest(algorithm, data):
                wrong.append(f"{seed}/{number}: {response.status}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- who is sent them ------------------------------------------------------------------------------------------------


def behind(sim: S3Server) -> list[bool]:
    """For each part that was sent since the last look, in the order of their numbers: whether it had a trailer."""
    parts = [request for request in sim.requests if request.operation == "UploadPart"]
    sim.requests.clear()
    parts.sort(key=lambda part: int(part.query["partNumber"]))
    return ["x-amz-trailer" in part.headers for part in parts]


def upload(backend: CrtBackend, data: bytes = DATA) -> None:
    run(backend.put("bucket", "k", data, PutOptions()))
    assert content(backend) == data


def trailers(backend: CrtBackend) -> bool | None:
    found: bool | None = backend.target("bucket").trailers
    return found


def test_the_last_part_of_the_first_upload_tells(sim: S3Server, crt: CrtBackend) -> None:
    upload(crt)
    assert behind(sim) == [False, False, True]
    upload(crt)
    assert behind(sim) == [True, True, True]


def test_a_last_part_of_some_bytes(sim: S3Server, crt: CrtBackend) -> None:
    upload(crt, DATA[: 2 * PART + 1])
    assert behind(sim) == [False, False, True]
    assert trailers(crt) is True


@pytest.mark.parametrize("settings", [{"checksum": "off"}, {"checksum": "SHA256"}])
def test_where_there_is_nothing_to_gain(sim: S3Server, make: Callable[..., CrtBackend], settings: Any) -> None:
    backend = make(part_size=PART, **settings)
    for _ in range(2):
        upload(backend)
        assert not any(behind(sim))


def test_files_keep_their_headers(sim: S3Server, crt: CrtBackend, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    for known in (False, True):
        run(crt.put_file("bucket", "k", str(path), PutOptions()))
        assert content(crt) == DATA
        assert not any(behind(sim))
        if not known:
            assert trailers(crt) is None
            upload(crt)
            behind(sim)


def test_streams_follow(sim: S3Server, crt: CrtBackend) -> None:
    pieces = [DATA[at : at + MiB] for at in range(0, len(DATA), MiB)]
    for known in (False, True):
        left: Iterator[bytes] = iter(pieces)
        run(crt.put_stream("bucket", "k", lambda _, left=left: next(left, b""), PutOptions()))
        assert content(crt) == DATA
        found = behind(sim)
        assert (len(found) > 1, any(found)) == (True, known)
        if not known:
            upload(crt)
            behind(sim)


def test_a_server_of_another_name_is_not_asked(sim: S3Server, crt: CrtBackend) -> None:
    sim.faults.add(Fault(operation="CreateMultipartUpload", set_headers={"Server": "Another"}, times=None))
    for _ in range(2):
        upload(crt)
        assert behind(sim) == [False, False, False]


@pytest.mark.parametrize(
    ("fault", "known"),
    [
        ({"code": "InvalidRequest"}, False),
        ({"code": "NotImplemented"}, False),
        ({"drop_headers": ["x-amz-checksum-*"]}, False),
        ({"reset": True}, None),
        ({"code": "InternalError"}, None),
    ],
)
def test_a_part_that_is_not_confirmed_is_sent_again(
    sim: S3Server, crt: CrtBackend, fault: dict[str, Any], known: bool | None
) -> None:
    sim.faults.add(Fault(operation="UploadPart", part_number=3, nth=1, **fault))
    upload(crt)
    found = behind(sim)
    assert (found[:2], sorted(found[2:])) == ([False, False], [False, True])
    assert trailers(crt) is known
    upload(crt)
    assert behind(sim) == [False, False, known is None]


def test_a_server_that_stores_the_framing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not know the coding, and says that all is well."""
    begin = Service.begin

    def ignorant(self: Service, head: Any, connection: int) -> Any:
        if head.headers.pop("x-amz-trailer", None):
            del head.headers["content-encoding"], head.headers["x-amz-decoded-content-length"]
            head.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
            asked.append(head.headers["content-length"])
        return begin(self, head, connection)

    asked: list[str] = []
    monkeypatch.setattr(Service, "begin", ignorant)
    with S3Server(buckets=("bucket",), verify_signatures=False) as server:
        backend = backend_for(server.endpoint_url, part_size=PART)
        for _ in range(2):
            upload(backend)
            assert trailers(backend) is False
        backend.close()
    assert len(asked) == 1


def test_a_part_that_is_not_confirmed_later(sim: S3Server, crt: CrtBackend) -> None:
    upload(crt)
    sim.faults.add(Fault(operation="UploadPart", part_number=2, drop_headers=["x-amz-checksum-*"]))
    with pytest.raises(errors.ServerError, match="does not confirm its checksum") as caught:
        upload(crt)
    assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("UploadPart", "bucket", "k")
    assert not run(crt.call("ListMultipartUploads", {"Bucket": "bucket"})).get("Uploads")


def test_an_upload_that_fails_meanwhile(sim: S3Server, crt: CrtBackend) -> None:
    """The part that asks is given up with the others."""
    sim.faults.add(Fault(operation="UploadPart", part_number=1, code="AccessDenied"))
    sim.faults.add(Fault(operation="UploadPart", part_number=3, delay=5.0))
    with pytest.raises(errors.AccessDeniedError):
        upload(crt)
    assert trailers(crt) is None
