"""Bodies that the kernel takes from where they lie: native/lent.c."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable

import pytest

from objectfs import _native
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import S3Server

from .conftest import Reader, backend_for, put

KiB = 1024
MiB = 1024 * KiB
DATA = random.Random(21).randbytes(3 * MiB + 77)


@pytest.fixture(autouse=True)
def linked() -> None:
    if _native.debug_lent_bytes() is None:
        pytest.skip("the C libraries are shared ones, or this is no ELF: they keep their own way")


def lent() -> int:
    count = _native.debug_lent_bytes()
    assert count is not None
    return count


@pytest.mark.parametrize("size", [0, 1, 32 * KiB - 1, 32 * KiB, 256 * KiB - 500, 256 * KiB, MiB + 1, len(DATA)])
def test_what_is_sent_is_the_body(crt: CrtBackend, size: int) -> None:
    before = lent()
    run(crt.put("bucket", "k", DATA[:size], PutOptions()))
    assert bytes(run(crt.get("bucket", "k", GetOptions()))) == DATA[:size]
    assert (lent() > before) == (size >= 32 * KiB)
    assert lent() - before <= size


@pytest.mark.parametrize("step", [1 * KiB, 16 * KiB, 300 * KiB])
def test_a_server_that_takes_it_piece_by_piece(reader: Reader, remote: CrtBackend, step: int) -> None:
    """What the kernel has no room for is sent later."""
    before = lent()
    op = put(remote, DATA)
    reader.accept()
    while len(reader.body) < len(DATA):
        assert reader.step(step)
    reader.answer()
    assert op.wait(20)
    assert op.result()[0].status == 200
    assert reader.body == DATA
    assert 0 < lent() - before < len(DATA)


def test_nothing_is_sent_of_what_lies_there_after_a_cancel(reader: Reader, remote: CrtBackend) -> None:
    """The caller has the memory back, and puts something else there, while the socket still has some to send."""
    whole = DATA * 16  # more than the sockets have room for
    body = bytearray(whole)
    op = put(remote, body)
    reader.accept()
    op.cancel()
    assert op.wait(20)
    (response,) = op.result()
    assert response.error_code
    del response, op
    body[:] = b"\xee" * len(body)
    while reader.step(64 * KiB):
        pass
    assert reader.body == whole[: len(reader.body)]
    assert 0 < len(reader.body) < len(whole)


def test_a_server_that_closes_in_the_middle(reader: Reader, remote: CrtBackend) -> None:
    op = put(remote, DATA)
    reader.accept()
    reader.step(1000)
    assert reader.connection is not None
    reader.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    reader.connection.close()
    assert op.wait(20)
    assert op.result()[0].error in {"AWS_IO_SOCKET_CLOSED", "AWS_ERROR_HTTP_CONNECTION_CLOSED"}


def test_tls_reads_them_itself() -> None:
    with S3Server(tls=True, buckets=("bucket",)) as server:
        backend = backend_for(server.endpoint_url, verify=server.ca_file)
        before = lent()
        run(backend.put("bucket", "k", DATA, PutOptions()))
        assert bytes(run(backend.get("bucket", "k", GetOptions()))) == DATA
        assert lent() == before
        backend.close()


def test_records_of_tls_are_as_large_as_they_may_be() -> None:
    """What goes over the wire, as a proxy sees it: a type, two bytes of version, two of length, and so on."""
    sent = bytearray()

    def pipe(source: socket.socket, target: socket.socket, seen: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 18):
                if seen is not None:
                    seen += piece
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    with S3Server(tls=True, buckets=("bucket",)) as server, socket.create_server(("127.0.0.1", 0)) as listener:
        backend = backend_for(f"https://127.0.0.1:{listener.getsockname()[1]}", verify=server.ca_file)
        op = put(backend, DATA)
        near, _ = listener.accept()
        with near, socket.create_connection(("127.0.0.1", int(server.endpoint_url.rsplit(":", 1)[1]))) as far:
            threads = [
                threading.Thread(target=pipe, args=(near, far, sent)),
                threading.Thread(target=pipe, args=(far, near, None)),
            ]
            for thread in threads:
                thread.start()
            assert op.wait(20)
            assert op.result()[0].status == 200
            backend.close()
            for thread in threads:
                thread.join(20)
    lengths, at = [], 0
    while at < len(sent):
        if sent[at] == 23:  # application data
            lengths.append(int.from_bytes(sent[at + 3 : at + 5], "big"))
        at += 5 + int.from_bytes(sent[at + 3 : at + 5], "big")
    assert sum(lengths) > len(DATA)
    assert max(lengths) > 16_000
    assert sorted(lengths)[len(lengths) // 2] > 12_000


@pytest.mark.parametrize("checksum", ["CRC64NVME", "SHA256", "off"])
def test_checksums_are_of_what_is_sent(make: Callable[..., CrtBackend], sim: S3Server, checksum: str) -> None:
    backend = make(checksum=checksum)
    before = lent()
    run(backend.put("bucket", "k", DATA, PutOptions()))  # the server compares them
    assert lent() > before
    assert bytes(run(backend.get("bucket", "k", GetOptions()))) == DATA


def test_many_threads(make: Callable[..., CrtBackend]) -> None:
    backend = make()
    wrong: list[str] = []

    def work(seed: int) -> None:
        drawn = random.Random(seed)
        for number in range(8):
            data = drawn.randbytes(drawn.randrange(1, 2 * MiB))
            run(backend.put("bucket", f"{seed}/{number}", data, PutOptions()))
            if bytes(run(backend.get("bucket", f"{seed}/{number}", GetOptions()))) != data:
                wrong.append(f"{seed}/{number}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
