"""Checksums that are sent behind the content: native/lent.c, src/objectfs/backends/crt_trailer.py."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectfs import _native, errors
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.crt_trailer import confirmed
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


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "CRC32C"])
@pytest.mark.parametrize("size", [1, 32 * KiB - 1, 32 * KiB, 512 * KiB - 9, 512 * KiB, MiB + 1, len(DATA)])
def test_the_server_agrees(sim: S3Server, crt: CrtBackend, size: int, algorithm: str) -> None:
    """It compares, and refuses what does not fit: BadDigest, IncompleteBody."""
    before = lent()
    op = put(crt, DATA[:size], checksum=algorithm, trailer=True)
    assert op.wait(20)
    (response,) = op.result()
    name = f"x-amz-checksum-{algorithm.lower()}"
    assert (response.status, response.behind) == (200, True)
    assert response.headers[name] == digest(algorithm, DATA[:size])
    assert confirmed(response, algorithm)
    assert sim.requests[-1].headers["x-amz-trailer"] == name
    assert content(crt) == DATA[:size]
    if _native.debug_lent_bytes() is not None:
        assert (lent() > before) == (size >= 32 * KiB)


@pytest.mark.parametrize("step", [1 * KiB, 300 * KiB])
def test_a_server_that_takes_it_piece_by_piece(reader: Reader, remote: CrtBackend, step: int) -> None:
    """What the kernel has no room for is sent later, and is in the checksum once."""
    body = DATA[: 3 * MiB + 77]
    before = lent()
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
    if _native.debug_lent_bytes() is not None:
        assert 0 < lent() - before < len(body)
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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def source(file: Path) -> _native.FileSource:
    with open(file, "rb") as opened:
        made = _native.file_source(opened.fileno(), len(DATA))
    if made is None:
        pytest.skip("shared C libraries, no Linux or no local file system: files go through the library's reader")
    return made


def test_a_file(crt: CrtBackend, source: _native.FileSource) -> None:
    """It is read for the checksum, and sent from there."""
    op = put(crt, memoryview(source), checksum="CRC64NVME", trailer=True)
    assert op.wait(20)
    assert op.result()[0].status == 200
    assert content(crt) == DATA


def test_a_file_that_has_become_shorter(crt: CrtBackend, file: Path, source: _native.FileSource) -> None:
    file.write_bytes(DATA[:MiB])
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
            algorithm = drawn.choice(["CRC64NVME", "CRC32", "CRC32C"])
            behind = drawn.random() < 0.7
            op = put(backend, data, checksum=algorithm, trailer=behind)
            assert op.wait(60)
            (response,) = op.result()
            told = response.headers.get(f"x-amz-checksum-{algorithm.lower()}")
            if told != digest(algorithm, data) or confirmed(response, algorithm) != behind:
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


def known(backend: CrtBackend, algorithm: str = "CRC64NVME") -> int | None:
    """The largest part that the server has taken so; 0: it does not."""
    found: int | None = backend.target("bucket").trailers._largest.get(algorithm)
    return found


def test_the_first_part_of_the_first_upload_tells(sim: S3Server, crt: CrtBackend) -> None:
    upload(crt)
    assert behind(sim) == [True, False, False]
    upload(crt)
    assert behind(sim) == [True, True, True]


def test_larger_parts_and_other_algorithms_are_asked_for(sim: S3Server, crt: CrtBackend) -> None:
    upload(crt)
    behind(sim)
    run(crt.put("bucket", "k", DATA, PutOptions(checksum="CRC32")))
    assert behind(sim) == [True, False, False]
    crt.part_size = PART + 1
    upload(crt)
    assert behind(sim) == [True, False, False]
    crt.part_size = PART
    upload(crt)
    assert behind(sim) == [True, True, True]
    assert (known(crt), known(crt, "CRC32"), known(crt, "CRC32C")) == (PART + 1, PART, None)


@pytest.mark.parametrize("settings", [{"checksum": "off"}, {"checksum": "SHA256"}])
def test_where_there_is_nothing_to_gain(sim: S3Server, make: Callable[..., CrtBackend], settings: Any) -> None:
    backend = make(part_size=PART, **settings)
    for _ in range(2):
        upload(backend)
        assert not any(behind(sim))


def test_files_and_streams_keep_their_headers(sim: S3Server, crt: CrtBackend, file: Path) -> None:
    upload(crt)
    behind(sim)
    run(crt.put_file("bucket", "k", str(file), PutOptions()))
    assert content(crt) == DATA
    left = iter([DATA[at : at + MiB] for at in range(0, len(DATA), MiB)])
    run(crt.put_stream("bucket", "k", lambda _: next(left, b""), PutOptions()))
    assert content(crt) == DATA
    found = behind(sim)
    assert len(found) > 4
    assert not any(found)


def test_a_server_of_another_name_is_not_asked(sim: S3Server, crt: CrtBackend) -> None:
    sim.faults.add(Fault(operation="CreateMultipartUpload", set_headers={"Server": "Another"}, times=None))
    for _ in range(2):
        upload(crt)
        assert behind(sim) == [False, False, False]


NOT_TAKEN: list[dict[str, Any]] = [
    {"code": "InvalidRequest"},
    {"code": "NotImplemented"},
    {"drop_headers": ["x-amz-checksum-*"]},
    {"set_headers": {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}},
]


@pytest.mark.parametrize("fault", NOT_TAKEN)
def test_a_server_that_does_not_take_them(sim: S3Server, crt: CrtBackend, fault: dict[str, Any]) -> None:
    """The part is sent again, and nobody asks any more."""
    sim.faults.add(Fault(operation="UploadPart", part_number=1, nth=1, **fault))
    upload(crt)
    assert sorted(behind(sim)) == [False, False, False, True]
    assert known(crt) == 0
    upload(crt)
    assert behind(sim) == [False, False, False]


@pytest.mark.parametrize("fault", NOT_TAKEN)
def test_a_server_that_takes_them_no_more(sim: S3Server, crt: CrtBackend, fault: dict[str, Any]) -> None:
    """The upload begins anew without."""
    upload(crt)
    behind(sim)
    sim.faults.add(Fault(operation="UploadPart", part_number=2, nth=1, **fault))
    upload(crt, DATA[::-1])
    assert sorted(behind(sim))[:3] == [False, False, False]
    assert known(crt) == 0
    assert not run(crt.call("ListMultipartUploads", {"Bucket": "bucket"})).get("Uploads")
    upload(crt)
    assert behind(sim) == [False, False, False]


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"code": "AccessDenied"}, errors.AccessDeniedError),
        ({"code": "InternalError"}, errors.ServerError),
        ({"reset": True}, errors.ConnectionFailedError),
    ],
)
def test_what_fails_otherwise_tells_nothing(
    sim: S3Server, crt: CrtBackend, before: bool, fault: dict[str, Any], error: type[Exception]
) -> None:
    if before:
        upload(crt)
    told = known(crt)
    sim.faults.add(Fault(operation="UploadPart", part_number=1, nth=1, **fault))
    with pytest.raises(error):
        upload(crt)
    assert known(crt) == told == (PART if before else None)


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_server_that_stores_the_framing(monkeypatch: pytest.MonkeyPatch, asked_before: bool) -> None:
    """It does not know the coding, or not any more, says that all is well, and names a checksum of what it has."""
    begin = Service.begin

    def ignorant(self: Service, head: Any, connection: int) -> Any:
        if head.headers.pop("x-amz-trailer", None):
            del head.headers["content-encoding"], head.headers["x-amz-decoded-content-length"]
            head.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
            asked.append(head.headers["content-length"])
        return begin(self, head, connection)

    asked: list[str] = []
    with S3Server(buckets=("bucket",), verify_signatures=False) as server:
        backend = backend_for(server.endpoint_url, part_size=PART)
        if asked_before:
            upload(backend)
        monkeypatch.setattr(Service, "begin", ignorant)
        for _ in range(2):
            upload(backend, DATA[::-1])
            assert known(backend) == 0
        backend.close()
    assert len(asked) == (3 if asked_before else 1)


def test_two_first_uploads_of_which_one_is_refused(sim: S3Server, crt: CrtBackend) -> None:
    """Of several servers at one address one that does not take them is enough."""
    trailers = crt.target("bucket").trailers
    trailers.refuse("CRC64NVME")
    trailers.take("CRC64NVME", PART)
    assert not trailers.taken("CRC64NVME", 1)
    assert not trailers.due("AmazonS3", "CRC64NVME", PART)
    assert trailers.due("AmazonS3", "CRC32", PART)


def test_an_upload_that_fails_meanwhile(sim: S3Server, crt: CrtBackend) -> None:
    """The part that asks is given up with the others."""
    released = threading.Event()
    sim.faults.add(Fault(operation="UploadPart", part_number=1, hold=released))
    sim.faults.add(Fault(operation="UploadPart", part_number=2, code="AccessDenied"))
    with pytest.raises(errors.AccessDeniedError):
        run(crt.put("bucket", "k", DATA, PutOptions()), timeout=20)
    assert known(crt) is None
    released.set()


def test_the_memory_is_free_after_a_failure(sim: S3Server, crt: CrtBackend) -> None:
    data = bytearray(DATA)
    sim.faults.add(Fault(operation="UploadPart", part_number=1, nth=1, code="InvalidRequest"))
    sim.faults.add(Fault(operation="UploadPart", part_number=1, code="AccessDenied"))
    with pytest.raises(errors.AccessDeniedError) as kept:
        run(crt.put("bucket", "k", data, PutOptions()))
    data.clear()  # raises BufferError otherwise
    assert kept.value.operation == "UploadPart"


def test_two_uploads_of_the_same_memory(sim: S3Server, crt: CrtBackend) -> None:
    upload(crt)
    ops = [put(crt, DATA, checksum="CRC64NVME", trailer=True) for _ in range(8)]
    for op in ops:
        assert op.wait(20)
        assert confirmed(op.result()[0], "CRC64NVME")
